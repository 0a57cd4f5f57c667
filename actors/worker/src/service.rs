//! The jobs as the rest of a node holds them.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex},
};

use perdure_execution::archetype::Registry;
use perdure_kernel::{Clock, NamespaceId, ServiceError};
use perdure_persistence::SharedStore;
use perdure_rpc::{
    HistoryClient, NamespaceDeletions,
    jobs::{CheckEnd, CheckScope, CheckSummary, DeletionProgress, FindingSink, JobService},
};
use perdure_runtime::{ActorRef, ActorSystem, Placement, Reply, Supervision, lock};

use crate::{
    deletion::{self, Deletions},
    scavenger::{self, Scavenger},
};

/// Knobs of the jobs, read anew whenever one begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WorkerSettings {
    /// Executions of a deleted namespace that are removed each second; 0 is no limit
    /// (`frontend.deleteNamespaceDeleteActivityRPS`).
    pub deletion_rate: u32,
    /// Executions that are looked for at a time (`frontend.deleteNamespaceDeletePageSize`).
    pub deletion_page: usize,
    /// Whether the database is checked twice a day (`worker.executionsScannerEnabled`).
    pub scavenger: bool,
    /// Executions that such a check looks at each second; 0 is no limit (`worker.executionScannerPerHostQPS`).
    pub scavenger_rate: u32,
    /// Whether it reads histories too (`worker.executionEnableHistoryEventIdValidator`).
    pub scavenger_histories: bool,
}

/// Gives the settings in force.
pub type SettingsSource = Arc<dyn Fn() -> WorkerSettings + Send + Sync>;

/// What the jobs need.
pub struct JobsParts {
    /// The database.
    pub store: SharedStore,
    /// Whether the database holds the rows of lists too.
    pub lists: bool,
    /// Reaches shards.
    pub history: HistoryClient,
    /// Knows the namespaces.
    pub namespaces: Arc<dyn NamespaceDeletions>,
    /// Kinds of executions beside workflows.
    pub archetypes: Arc<Registry>,
    /// Knobs.
    pub settings: SettingsSource,
    /// When the actors are stopped; above the stage of the history shards, which they call.
    pub stage: u32,
    /// Seeds jitter. Differs between processes.
    pub seed: u64,
}

/// What the actors share.
pub(crate) struct Shared {
    pub(crate) store: SharedStore,
    pub(crate) lists: bool,
    pub(crate) history: HistoryClient,
    pub(crate) namespaces: Arc<dyn NamespaceDeletions>,
    pub(crate) archetypes: Arc<Registry>,
    pub(crate) settings: SettingsSource,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) last_check: Mutex<Option<CheckSummary>>,
    deletions: Mutex<BTreeMap<NamespaceId, Arc<Mutex<DeletionProgress>>>>,
}

impl Shared {
    /// The progress of a deletion, new if need be.
    pub(crate) fn progress(&self, id: &NamespaceId) -> Arc<Mutex<DeletionProgress>> {
        Arc::clone(lock(&self.deletions).entry(id.clone()).or_default())
    }

    pub(crate) fn forget_progress(&self, id: &NamespaceId) {
        lock(&self.deletions).remove(id);
    }
}

/// The server's own jobs on this node.
pub struct Jobs {
    shared: Arc<Shared>,
    scavenger: ActorRef<scavenger::Msg>,
}

impl fmt::Debug for Jobs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Jobs").finish_non_exhaustive()
    }
}

impl Jobs {
    /// Spawns the actors. Deletions that were under way when the server stopped go on.
    pub fn start(system: &ActorSystem, parts: JobsParts) -> Self {
        let JobsParts { store, lists, history, namespaces, archetypes, settings, stage, seed } = parts;
        let shared = Arc::new(Shared {
            store,
            lists,
            history,
            namespaces,
            archetypes,
            settings,
            clock: Arc::clone(system.clock()),
            last_check: Mutex::default(),
            deletions: Mutex::default(),
        });
        let deletions = system.spawn(Placement::Hash(1), Supervision::new("namespace deletions", stage), {
            let shared = Arc::clone(&shared);
            move || Deletions::new(Arc::clone(&shared))
        });
        shared.namespaces.on_deletion(Box::new(move || {
            // An actor that is being restarted looks when it starts.
            let _ = deletions.tell(deletion::Msg::Look);
        }));
        let scavenger = system.spawn(Placement::Hash(2), Supervision::new("scavenger", stage), {
            let shared = Arc::clone(&shared);
            move || Scavenger::new(Arc::clone(&shared), seed)
        });
        Self { shared, scavenger }
    }
}

impl JobService for Jobs {
    fn check(&self, scope: CheckScope, findings: Box<dyn FindingSink>) -> CheckEnd {
        let (answer, answered) = Reply::channel();
        // A refused message drops its reply, which is an answer too.
        let _ = self.scavenger.tell(scavenger::Msg::Check { scope, sink: findings, answer });
        Box::pin(async move {
            answered
                .await
                .unwrap_or_else(|_dropped| Err(ServiceError::unavailable("the check was interrupted; start it again")))
        })
    }

    fn last_check(&self) -> Option<CheckSummary> {
        *lock(&self.shared.last_check)
    }

    fn deletion(&self, namespace: &NamespaceId) -> Option<DeletionProgress> {
        let progress = lock(&self.shared.deletions).get(namespace).cloned()?;
        Some(lock(&progress).clone())
    }
}
