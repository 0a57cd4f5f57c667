//! The actor that reads the store for everybody on its node.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use perdure_kernel::{Namespace, NamespaceId, ServiceError, ServiceResult, Timestamp};
use perdure_persistence::{SharedStore, namespace::NamespaceRow};
use perdure_runtime::{Actor, Ctx, Reply};

use crate::{fault, list, snapshots::Snapshots, write};

/// How long a name that the store does not have is not asked for again.
const ABSENT_FOR: Duration = Duration::from_secs(1);

/// Absent names remembered at a time; beyond, the store is asked each time.
const ABSENT_MAX: usize = 1024;

/// Names read at a time; beyond, callers are refused.
const READS_MAX: usize = 256;

type Answer = Reply<ServiceResult<Arc<Namespace>>>;

/// What outlives an incarnation of the actor.
pub(crate) struct Shared {
    pub(crate) store: SharedStore,
    pub(crate) snapshots: Snapshots,
    /// Nodes of the cluster, this one included.
    pub(crate) nodes: AtomicUsize,
    pub(crate) refresh_interval: Duration,
}

impl Shared {
    fn has_peers(&self) -> bool {
        self.nodes.load(Ordering::Acquire) > 1
    }
}

pub(crate) enum Msg {
    /// Find a name that is not cached.
    Resolve { name: String, answer: Answer },
    /// The store answered.
    Found { name: String, result: ServiceResult<Option<NamespaceRow>> },
    /// The number of nodes changed.
    NodesChanged,
    /// A round of [`refresh`] is over.
    Refreshed,
}

/// One on each node. Asks the store once for all that wait for the same name.
pub(crate) struct NamespaceActor {
    shared: Arc<Shared>,
    waiting: BTreeMap<String, Vec<Answer>>,
    /// Names that the store did not have, and until when that is believed.
    absent: BTreeMap<String, Timestamp>,
    refreshing: bool,
}

impl NamespaceActor {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared, waiting: BTreeMap::new(), absent: BTreeMap::new(), refreshing: false }
    }

    fn resolve(&mut self, name: String, answer: Answer, ctx: &mut Ctx<Self>) {
        if let Some(namespace) = self.shared.snapshots.by_name(&name) {
            return answer.send(Ok(namespace));
        }
        if self.absent.get(&name).is_some_and(|until| ctx.now() < *until) {
            return answer.send(Err(fault::not_found(&name)));
        }
        if let Some(waiting) = self.waiting.get_mut(&name) {
            return waiting.push(answer);
        }
        if self.waiting.len() >= READS_MAX {
            let refusal = ServiceError::unavailable("too many unknown namespaces are asked for; try again");
            return answer.send(Err(refusal));
        }
        let shared = Arc::clone(&self.shared);
        let wanted = name.clone();
        self.waiting.insert(name.clone(), vec![answer]);
        ctx.spawn_io(async move { write::read_name(&shared.store, &wanted).await }, move |result| Msg::Found {
            name,
            result,
        });
    }

    fn found(&mut self, name: &str, result: ServiceResult<Option<NamespaceRow>>, now: Timestamp) {
        let answer = match result {
            Ok(Some(row)) => self.shared.snapshots.publish(&row).map(|entry| Arc::clone(&entry.namespace)),
            // It may have been registered here while the store was asked.
            Ok(None) => self.shared.snapshots.by_name(name).ok_or_else(|| fault::not_found(name)),
            Err(error) => Err(error),
        };
        if matches!(&answer, Err(error) if *error == fault::not_found(name)) {
            self.remember_absent(name, now);
        }
        for waiting in self.waiting.remove(name).into_iter().flatten() {
            waiting.send(answer.clone());
        }
    }

    fn remember_absent(&mut self, name: &str, now: Timestamp) {
        if self.absent.len() >= ABSENT_MAX {
            self.absent.retain(|_, until| now < *until);
        }
        if self.absent.len() < ABSENT_MAX {
            self.absent.insert(name.to_owned(), now + ABSENT_FOR);
        }
    }

    /// Arms the timer while others may change namespaces behind our back, and only then.
    fn plan(&self, ctx: &mut Ctx<Self>) {
        if !self.shared.has_peers() {
            ctx.clear_timer();
        } else if !self.refreshing && ctx.timer_due().is_none() {
            ctx.set_timer(ctx.now() + self.shared.refresh_interval);
        }
    }
}

impl Actor for NamespaceActor {
    type Msg = Msg;
    const KIND: &'static str = "namespace";

    fn started(&mut self, ctx: &mut Ctx<Self>) {
        self.plan(ctx);
    }

    fn handle(&mut self, msg: Msg, ctx: &mut Ctx<Self>) {
        match msg {
            Msg::Resolve { name, answer } => self.resolve(name, answer, ctx),
            Msg::Found { name, result } => self.found(&name, result, ctx.now()),
            Msg::NodesChanged => self.plan(ctx),
            Msg::Refreshed => {
                self.refreshing = false;
                self.plan(ctx);
            }
        }
    }

    fn timer(&mut self, ctx: &mut Ctx<Self>) {
        self.refreshing = true;
        let shared = Arc::clone(&self.shared);
        ctx.spawn_io(async move { refresh(&shared).await }, |()| Msg::Refreshed);
    }
}

/// Takes in what other nodes have written. A failure is logged; the next round makes up for it.
async fn refresh(shared: &Shared) {
    if let Err(error) = load(shared).await {
        tracing::warn!(%error, "namespaces could not be refreshed");
    }
}

/// Reads every namespace, and forgets those that are gone.
pub(crate) async fn load(shared: &Shared) -> ServiceResult<()> {
    // Taken before the listing: a namespace that is registered meanwhile is not taken for a deleted one.
    let mut gone: Vec<NamespaceId> = shared.snapshots.ids();
    let mut rows = list::read_all(&shared.store).await?;
    rows.sort_unstable_by(|a, b| a.id.cmp(&b.id));
    gone.retain(|id| rows.binary_search_by(|row| row.id.cmp(id)).is_err());
    for row in &rows {
        // One damaged record must not hide the others; it is logged, and whoever asks for it is told.
        let _ = shared.snapshots.publish(row);
    }
    shared.snapshots.forget(&gone);
    Ok(())
}
