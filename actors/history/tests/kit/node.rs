//! A node: one incarnation of the history service.

use std::{future::Future, pin::Pin, sync::Arc, time::Duration};

use futures::FutureExt;
use perdure_history::{History, HistoryParts};
use perdure_kernel::{BusinessKey, Clock, NamespaceId, ServiceResult, ShardMap};
use perdure_rpc::{Ask, Caller, HistoryCall, HistoryClient};
use perdure_runtime::{ActorSystem, ShutdownReport, TokioClock};
use tokio::task::{JoinHandle, LocalSet};

use super::{Namespaces, World};

/// A running node. All of it lives in one task, so that it can die at once.
pub(crate) struct Node {
    pub(crate) history: HistoryClient,
    pub(crate) namespace_id: NamespaceId,
    namespaces: Arc<Namespaces>,
    clock: Arc<TokioClock>,
    system: ActorSystem,
    life: JoinHandle<()>,
}

/// A request under way.
pub(crate) struct Pending<R> {
    answer: Pin<Box<dyn Future<Output = ServiceResult<R>>>>,
    answered: Option<ServiceResult<R>>,
}

impl<R> Pending<R> {
    pub(crate) fn of(answer: impl Future<Output = ServiceResult<R>> + 'static) -> Self {
        Self { answer: Box::pin(answer), answered: None }
    }

    /// Whether the answer is here.
    pub(crate) fn is_answered(&mut self) -> bool {
        if self.answered.is_none() {
            self.answered = (&mut self.answer).now_or_never();
        }
        self.answered.is_some()
    }

    /// The answer.
    pub(crate) async fn wait(self) -> ServiceResult<R> {
        match self.answered {
            Some(answered) => answered,
            None => self.answer.await,
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the task is a whole node that can be killed, not work of an actor")]
fn live(node: LocalSet) -> JoinHandle<()> {
    tokio::task::spawn_local(node)
}

impl Drop for Node {
    fn drop(&mut self) {
        self.life.abort();
    }
}

impl Node {
    pub(super) async fn start(world: &World, seed: u64) -> Self {
        let set = LocalSet::new();
        let clock = Arc::clone(&world.clock);
        let shard_map = ShardMap::uniform(world.shards);
        let history = History::new(shard_map.clone());
        let parts = HistoryParts {
            store: Arc::clone(&world.store),
            shard_map,
            namespaces: Arc::clone(&world.namespaces) as _,
            archetypes: Arc::clone(&world.archetypes),
            callbacks: Arc::new(world.callbacks.clone()),
            visibility: world.visibility.clone(),
            settings: world.settings.clone(),
            seed,
        };
        let matching = world.matching.client();
        let service = Arc::clone(&history);
        let system = set
            .run_until(async move {
                let system = ActorSystem::local(clock);
                service.start(&system, &parts, &matching);
                system
            })
            .await;
        Self {
            history: history.client(),
            namespace_id: world.namespaces.snapshot().id.clone(),
            namespaces: Arc::clone(&world.namespaces),
            clock: Arc::clone(&world.clock),
            system,
            life: live(set),
        }
    }

    /// Sudden death: every task ends where it stands.
    pub(crate) async fn crash(mut self) {
        self.life.abort();
        let ended = (&mut self.life).await;
        assert!(ended.is_err_and(|ended| ended.is_cancelled()));
    }

    /// Orderly stop.
    pub(crate) async fn stop(&self) -> ShutdownReport {
        self.system.shutdown(Duration::from_secs(30)).await
    }

    pub(crate) fn key(&self, workflow_id: &str) -> BusinessKey {
        BusinessKey::workflow(&self.namespace_id, workflow_id)
    }

    /// A caller without a deadline.
    pub(crate) fn caller(&self) -> Caller {
        Caller { namespace: self.namespaces.snapshot(), deadline: None, client_name: "temporal-go".into() }
    }

    /// A caller that waits so long.
    pub(crate) fn caller_for(&self, time: Duration) -> Caller {
        Caller { deadline: Some(self.clock.now() + time), ..self.caller() }
    }

    /// Sends a request at once; the answer may be waited for later.
    pub(crate) fn send<Q: 'static, R>(&self, workflow_id: &str, request: Q) -> Pending<R>
    where
        R: Send + 'static,
        HistoryCall: From<Ask<Q, R>>,
    {
        self.send_as(self.caller(), workflow_id, request)
    }

    /// As [`Node::send`], by another caller.
    pub(crate) fn send_as<Q: 'static, R>(&self, caller: Caller, workflow_id: &str, request: Q) -> Pending<R>
    where
        R: Send + 'static,
        HistoryCall: From<Ask<Q, R>>,
    {
        let (ask, answer) = Ask::new(caller, request, None);
        self.history.send(&self.key(workflow_id), ask.into());
        Pending { answer: Box::pin(answer), answered: None }
    }

    /// Sends a request and waits for its answer.
    pub(crate) async fn ask<Q: 'static, R>(&self, workflow_id: &str, request: Q) -> ServiceResult<R>
    where
        R: Send + 'static,
        HistoryCall: From<Ask<Q, R>>,
    {
        self.send(workflow_id, request).wait().await
    }
}
