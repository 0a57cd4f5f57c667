//! The actor that sees to deletions.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use perdure_kernel::{NamespaceId, ServiceResult, Timestamp, backoff};
use perdure_rpc::namespaces::Deletion;
use perdure_runtime::{Actor, Ctx, lock};

use super::job::Job;
use crate::service::Shared;

/// Namespaces that are emptied at the same time; others wait for their turn.
const AT_ONCE_MAX: usize = 4;

/// Wait before a deletion that failed is tried again; it doubles with every failure.
const RETRY_INITIAL: Duration = Duration::from_secs(1);

/// Longest such wait.
const RETRY_MAX: Duration = Duration::from_secs(60);

pub(crate) enum Msg {
    /// Some namespace is to be deleted that was not before.
    Look,
    /// A deletion has come to its end, or stopped.
    Ended { id: NamespaceId, result: ServiceResult<()> },
}

struct Entry {
    deletion: Deletion,
    running: bool,
    failures: i32,
    /// Not begun before this.
    at: Timestamp,
}

/// One on each node.
pub(crate) struct Deletions {
    shared: Arc<Shared>,
    entries: BTreeMap<NamespaceId, Entry>,
}

impl Deletions {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared, entries: BTreeMap::new() }
    }

    fn look(&mut self) {
        for deletion in self.shared.namespaces.deletions() {
            let id = deletion.id.clone();
            let entry = Entry { deletion, running: false, failures: 0, at: Timestamp::EPOCH };
            self.entries.entry(id.clone()).or_insert(entry);
            self.shared.progress(&id);
        }
    }

    fn begin(&mut self, ctx: &mut Ctx<Self>) {
        let now = ctx.now();
        let mut running = self.entries.values().filter(|entry| entry.running).count();
        for (id, entry) in &mut self.entries {
            if entry.running || running == AT_ONCE_MAX {
                continue;
            }
            if entry.at > now {
                ctx.set_timer(entry.at);
                continue;
            }
            running += 1;
            entry.running = true;
            let progress = self.shared.progress(id);
            let job = Job { shared: Arc::clone(&self.shared), deletion: entry.deletion.clone(), progress };
            let id = id.clone();
            ctx.spawn_io(async move { job.run().await }, move |result| Msg::Ended { id, result });
        }
    }

    fn ended(&mut self, id: NamespaceId, result: ServiceResult<()>, now: Timestamp) {
        let Err(error) = result else {
            metrics::counter!("reclaim_resources_namespace_delete_success").increment(1);
            if let Some(entry) = self.entries.remove(&id) {
                tracing::info!(namespace = entry.deletion.name, %id, "namespace deleted");
            }
            return self.shared.forget_progress(&id);
        };
        metrics::counter!("reclaim_resources_namespace_delete_failure").increment(1);
        let Some(entry) = self.entries.get_mut(&id) else { return };
        tracing::warn!(namespace = entry.deletion.name, %id, %error, "namespace deletion stopped; it is tried again");
        entry.running = false;
        entry.failures = entry.failures.saturating_add(1);
        entry.at = now + backoff::exponential(RETRY_INITIAL, 2.0, RETRY_MAX, entry.failures);
        lock(&self.shared.progress(&id)).trouble = error.message.to_string();
    }
}

impl Actor for Deletions {
    type Msg = Msg;
    const KIND: &'static str = "namespace_deletions";

    fn started(&mut self, ctx: &mut Ctx<Self>) {
        self.look();
        self.begin(ctx);
    }

    fn handle(&mut self, msg: Msg, ctx: &mut Ctx<Self>) {
        match msg {
            Msg::Look => self.look(),
            Msg::Ended { id, result } => self.ended(id, result, ctx.now()),
        }
        self.begin(ctx);
    }

    fn timer(&mut self, ctx: &mut Ctx<Self>) {
        self.begin(ctx);
    }
}
