//! What the rest of the node holds.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use async_trait::async_trait;
use perdure_kernel::{ErrorKind, Namespace, NamespaceId, ServiceError, ServiceResult, Timestamp};
use perdure_persistence::{SharedStore, namespace::NamespaceRow};
use perdure_proto::{
    api::{
        enums::{IndexedValueType, NamespaceState},
        operatorservice as os,
        rules::WorkflowRule,
        workflowservice as ws,
    },
    records,
};
use perdure_rpc::{NamespaceDeletions, NamespaceService, NamespaceSnapshots, namespaces::Deletion};
use perdure_runtime::{ActorRef, ActorSystem, Placement, Reply, Supervision};

use crate::{
    LimitsSource, SYSTEM_NAMESPACE,
    actor::{Msg, NamespaceActor, Shared, load},
    aliases, delete, deprecate, describe, fault, list, register, rules,
    snapshots::{Entry, Snapshots, decode},
    update,
    write::{self, Wanted},
};

/// The id of [`SYSTEM_NAMESPACE`], the same in every cluster.
const SYSTEM_NAMESPACE_ID: &str = "32049b68-7872-4094-8e63-d0dd59896a83";

/// How long [`SYSTEM_NAMESPACE`] keeps closed workflows.
const SYSTEM_RETENTION: Duration = Duration::from_secs(7 * 24 * 3600);

/// What holds for every namespace of the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The cluster's name, shown as the home of every namespace.
    pub cluster_name: String,
    /// The shortest retention that can be asked for (`system.namespaceMinRetentionLocal`).
    pub retention_min: Duration,
    /// Bad binaries of a namespace at most (`frontend.maxBadBinaries`).
    pub bad_binaries_max: usize,
    /// How often others' changes are looked for while there are several nodes
    /// (`system.namespaceCacheRefreshInterval`).
    pub refresh_interval: Duration,
}

impl Default for Settings {
    /// Temporal's defaults.
    fn default() -> Self {
        Self {
            cluster_name: "active".to_owned(),
            retention_min: Duration::from_secs(3600),
            bad_binaries_max: 10,
            refresh_interval: Duration::from_secs(2),
        }
    }
}

/// What [`Namespaces`] is made of.
pub struct Options {
    /// Where namespaces are kept.
    pub store: SharedStore,
    /// What holds for all of them.
    pub settings: Settings,
    /// The limits of each.
    pub limits: LimitsSource,
    /// Makes ids: UUIDs as text.
    pub new_id: Arc<dyn Fn() -> String + Send + Sync>,
    /// What holds for deletions.
    pub deletions: DeletionRulesSource,
    /// When the actor is stopped: see [`Supervision::stage`].
    pub stage: u32,
}

/// What holds for deletions of namespaces.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeletionRules {
    /// How long a namespace that is being deleted is kept when nothing is left in it and the request does not
    /// say (`frontend.deleteNamespaceNamespaceDeleteDelay`).
    pub delay: Duration,
    /// Names of namespaces that cannot be deleted (`worker.protectedNamespaces`).
    pub protected: Vec<String>,
}

/// Gives the rules that are in force.
pub type DeletionRulesSource = Arc<dyn Fn() -> DeletionRules + Send + Sync>;

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options").field("settings", &self.settings).field("stage", &self.stage).finish_non_exhaustive()
    }
}

/// The namespaces of the cluster, as this node knows them.
pub struct Namespaces {
    shared: Arc<Shared>,
    settings: Settings,
    new_id: Arc<dyn Fn() -> String + Send + Sync>,
    deletions: DeletionRulesSource,
    system: ActorSystem,
    actor: ActorRef<Msg>,
}

impl fmt::Debug for Namespaces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Namespaces").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl Namespaces {
    /// Reads every namespace into the cache, makes sure of [`SYSTEM_NAMESPACE`], and spawns the actor.
    ///
    /// # Errors
    ///
    /// The store fails.
    pub async fn start(system: &ActorSystem, options: Options) -> ServiceResult<Self> {
        let Options { store, settings, limits, new_id, deletions, stage } = options;
        let shared = Arc::new(Shared {
            store,
            snapshots: Snapshots::new(limits),
            nodes: 1.into(),
            refresh_interval: settings.refresh_interval,
        });
        load(&shared).await?;
        let actor = system.spawn(Placement::Hash(0), Supervision::new("namespaces", stage), {
            let shared = Arc::clone(&shared);
            move || NamespaceActor::new(Arc::clone(&shared))
        });
        let namespaces = Self { shared, settings, new_id, deletions, system: system.clone(), actor };
        namespaces.ensure_system().await?;
        Ok(namespaces)
    }

    /// The snapshot of a name, made with this retention when there is none. What exists is left as it is.
    ///
    /// # Errors
    ///
    /// The name is refused, or the store fails.
    pub async fn ensure(&self, name: &str, retention: Duration) -> ServiceResult<Arc<Namespace>> {
        register::name(name, &self.shared.snapshots.limits(name))?;
        self.ensure_record(name, NamespaceId::from((self.new_id)().as_str()), register::fresh(retention)).await
    }

    async fn ensure_system(&self) -> ServiceResult<Arc<Namespace>> {
        let record = records::Namespace {
            description: "Temporal internal system namespace".to_owned(),
            owner_email: "temporal-core@temporal.io".to_owned(),
            ..register::fresh(SYSTEM_RETENTION)
        };
        self.ensure_record(SYSTEM_NAMESPACE, SYSTEM_NAMESPACE_ID.into(), record).await
    }

    async fn ensure_record(
        &self,
        name: &str,
        id: NamespaceId,
        record: records::Namespace,
    ) -> ServiceResult<Arc<Namespace>> {
        let Shared { store, snapshots, .. } = &*self.shared;
        if let Some(known) = snapshots.by_name(name) {
            return Ok(known);
        }
        match write::create(store, snapshots, id, name, record).await {
            Ok(entry) => Ok(Arc::clone(&entry.namespace)),
            Err(error) if error.kind == ErrorKind::NamespaceAlreadyExists => self.resolve(name).await,
            Err(error) => Err(error),
        }
    }

    /// Gives a namespace custom search attributes. Names that it has are left as they are.
    ///
    /// # Errors
    ///
    /// `INVALID_ARGUMENT` for reserved names and when a type has no field left; `NamespaceNotFound`; the
    /// store fails.
    pub async fn add_search_attributes(
        &self,
        name: &str,
        attributes: &[(String, IndexedValueType)],
    ) -> ServiceResult<Arc<Namespace>> {
        let entry = self.change(name, |record| aliases::add(record, attributes)).await?;
        Ok(Arc::clone(&entry.namespace))
    }

    /// Asks for the limits of every namespace again. Call it when their source has changed.
    pub fn refresh_limits(&self) {
        self.shared.snapshots.refresh_limits();
    }

    /// Tells how many nodes the cluster has, this one included. While there are several, others' changes
    /// are looked for.
    pub fn set_nodes(&self, count: usize) {
        self.shared.nodes.store(count, Ordering::Release);
        // An actor that is being restarted reads the count when it starts.
        let _ = self.actor.tell(Msg::NodesChanged);
    }

    async fn change(
        &self,
        name: &str,
        edit: impl FnMut(&mut records::Namespace) -> ServiceResult<write::Edit> + Send,
    ) -> ServiceResult<Arc<Entry>> {
        if name.is_empty() {
            return Err(fault::not_set());
        }
        write::change(&self.shared.store, &self.shared.snapshots, name, edit).await
    }

    fn now(&self) -> Timestamp {
        self.system.clock().now()
    }

    fn cached(&self, name: &str, id: &str) -> ServiceResult<Arc<Entry>> {
        let snapshots = &self.shared.snapshots;
        match one_of(name, id)? {
            Wanted::Name(name) => snapshots.entry_by_name(name).ok_or_else(|| fault::not_found(name)),
            Wanted::Id(id) => snapshots.entry_by_id(&id.into()).ok_or_else(|| fault::not_found(id)),
        }
    }

    async fn stored(&self, name: &str, id: &str) -> ServiceResult<Arc<Entry>> {
        let row = one_of(name, id)?.read(&self.shared.store).await?;
        self.shared.snapshots.publish(&row)
    }

    fn shown(&self, row: &NamespaceRow) -> ServiceResult<(ws::DescribeNamespaceResponse, bool)> {
        let entry = self.shared.snapshots.entry(row, decode(row)?);
        let deleted = entry.namespace.state == NamespaceState::Deleted;
        Ok((describe::described(&entry, &self.settings), deleted))
    }
}

fn one_of<'a>(name: &'a str, id: &'a str) -> ServiceResult<Wanted<'a>> {
    match (name, id) {
        ("", "") => Err(fault::not_set()),
        (name, "") => Ok(Wanted::Name(name)),
        ("", id) => Ok(Wanted::Id(id)),
        (_, _) => {
            Err(ServiceError::invalid_argument("GetNamespace operation failed. Both ID and Name specified in request."))
        }
    }
}

impl NamespaceSnapshots for Namespaces {
    fn by_name(&self, name: &str) -> Option<Arc<Namespace>> {
        self.shared.snapshots.by_name(name)
    }

    fn by_id(&self, id: &NamespaceId) -> Option<Arc<Namespace>> {
        self.shared.snapshots.by_id(id)
    }
}

#[async_trait]
impl NamespaceDeletions for Namespaces {
    fn deletions(&self) -> Vec<Deletion> {
        self.shared.snapshots.entries().iter().filter_map(|entry| delete::of(entry)).collect()
    }

    fn on_deletion(&self, tell: Box<dyn Fn() + Send + Sync>) {
        self.shared.snapshots.on_deletion(tell);
    }

    async fn remove(&self, id: &NamespaceId) -> ServiceResult<()> {
        let Shared { store, snapshots, .. } = &*self.shared;
        store.delete_namespace(id).await.map_err(|error| fault::store(&error))?;
        snapshots.forget(std::slice::from_ref(id));
        Ok(())
    }
}

#[async_trait]
impl NamespaceService for Namespaces {
    async fn resolve(&self, name: &str) -> ServiceResult<Arc<Namespace>> {
        if let Some(known) = self.by_name(name) {
            return Ok(known);
        }
        let (answer, answered) = Reply::channel();
        // A refused message drops its reply, which is an answer too.
        let _ = self.actor.tell(Msg::Resolve { name: name.to_owned(), answer });
        answered.await.unwrap_or_else(|_dropped| {
            Err(ServiceError::unavailable(format!("namespace {name} cannot be looked up now; try again")))
        })
    }

    async fn register(&self, request: ws::RegisterNamespaceRequest) -> ServiceResult<ws::RegisterNamespaceResponse> {
        let Shared { store, snapshots, .. } = &*self.shared;
        let name = request.namespace.clone();
        let record = register::record(request, &self.settings, &snapshots.limits(&name))?;
        let entry = write::create(store, snapshots, NamespaceId::from((self.new_id)().as_str()), &name, record).await?;
        tracing::info!(namespace = name, id = %entry.namespace.id, "namespace registered");
        Ok(ws::RegisterNamespaceResponse {})
    }

    async fn describe(&self, request: ws::DescribeNamespaceRequest) -> ServiceResult<ws::DescribeNamespaceResponse> {
        let ws::DescribeNamespaceRequest { namespace, id, weak_consistency } = &request;
        let entry = if *weak_consistency { self.cached(namespace, id)? } else { self.stored(namespace, id).await? };
        Ok(describe::described(&entry, &self.settings))
    }

    async fn list(&self, request: ws::ListNamespacesRequest) -> ServiceResult<ws::ListNamespacesResponse> {
        let page = list::Page::of(&request)?;
        let (rows, next_page_token) = page.read(&self.shared.store).await?;
        let mut namespaces = Vec::with_capacity(rows.len());
        for row in &rows {
            let (shown, deleted) = self.shown(row)?;
            if page.deleted_too || !deleted {
                namespaces.push(shown);
            }
        }
        Ok(ws::ListNamespacesResponse { namespaces, next_page_token })
    }

    async fn update(&self, request: ws::UpdateNamespaceRequest) -> ServiceResult<ws::UpdateNamespaceResponse> {
        let (name, now) = (request.namespace.as_str(), self.now());
        let limits = self.shared.snapshots.limits(name);
        let entry = self.change(name, |record| update::merge(record, &request, &self.settings, &limits, now)).await?;
        tracing::info!(namespace = name, id = %entry.namespace.id, version = entry.version, "namespace updated");
        Ok(describe::updated(&entry, &self.settings))
    }

    async fn deprecate(&self, request: ws::DeprecateNamespaceRequest) -> ServiceResult<ws::DeprecateNamespaceResponse> {
        let entry = self.change(&request.namespace, |record| Ok(deprecate::deprecate(record))).await?;
        tracing::info!(namespace = request.namespace, id = %entry.namespace.id, "namespace deprecated");
        Ok(ws::DeprecateNamespaceResponse {})
    }

    async fn delete(&self, request: os::DeleteNamespaceRequest) -> ServiceResult<os::DeleteNamespaceResponse> {
        let Shared { store, snapshots, .. } = &*self.shared;
        let (wanted, now) = (delete::wanted(&request)?, self.now());
        let rules = (self.deletions)();
        let delay = delete::delay(&request, rules.delay);
        // From now on by id: the name changes hands.
        let id = wanted.read(store).await?.id;
        let mut refusal = fault::not_found(id.as_str());
        for letters in delete::suffixes(&id) {
            let mark = |row: &NamespaceRow, record: &mut records::Namespace| {
                delete::check(row, &rules.protected)?;
                Ok(delete::mark(row, record, letters, delay, now))
            };
            match write::rewrite(store, snapshots, Wanted::Id(id.as_str()), mark).await {
                Ok(entry) => {
                    let name = entry.namespace.name.clone();
                    tracing::info!(namespace = name, %id, "namespace is being deleted");
                    return Ok(os::DeleteNamespaceResponse { deleted_namespace: name });
                }
                Err(error) if error.kind == ErrorKind::NamespaceAlreadyExists => refusal = error,
                Err(error) => return Err(error),
            }
        }
        Err(refusal)
    }

    async fn add_attributes(&self, name: &str, attributes: Vec<(String, IndexedValueType)>) -> ServiceResult<()> {
        self.add_search_attributes(name, &attributes).await.map(drop)
    }

    async fn remove_attributes(&self, name: &str, attributes: Vec<String>) -> ServiceResult<()> {
        self.change(name, |record| aliases::remove(record, &attributes)).await.map(drop)
    }

    async fn create_workflow_rule(
        &self,
        request: ws::CreateWorkflowRuleRequest,
        limit: usize,
    ) -> ServiceResult<ws::CreateWorkflowRuleResponse> {
        let now = self.now();
        let mut made = None;
        let make = |record: &mut records::Namespace| {
            made = Some(rules::create(record, &request, limit, now)?);
            Ok(write::Edit::Changed)
        };
        self.change(&request.namespace, make).await?;
        tracing::info!(namespace = request.namespace, request_id = request.request_id, rule = ?made, "workflow rule made");
        Ok(ws::CreateWorkflowRuleResponse { rule: made, ..Default::default() })
    }

    async fn delete_workflow_rule(
        &self,
        request: ws::DeleteWorkflowRuleRequest,
    ) -> ServiceResult<ws::DeleteWorkflowRuleResponse> {
        self.change(&request.namespace, |record| rules::delete(record, &request.rule_id)).await?;
        tracing::info!(namespace = request.namespace, rule_id = request.rule_id, "workflow rule deleted");
        Ok(ws::DeleteWorkflowRuleResponse {})
    }

    async fn workflow_rules(&self, namespace: &str) -> ServiceResult<BTreeMap<String, WorkflowRule>> {
        Ok(self.stored(namespace, "").await?.record.workflow_rules.clone())
    }
}
