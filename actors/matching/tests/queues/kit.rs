//! The surroundings of matching.

// Tests drive actors from tasks of their own.
#![allow(clippy::disallowed_methods)]

use std::{
    collections::VecDeque,
    future::Future,
    sync::{Arc, Mutex},
    time::Duration,
};

use perdure_kernel::{
    Clock, ErrorKind, ExecutionKey, Namespace, NamespaceId, ServiceError, ServiceResult, ShardId, ShardMap, Timestamp,
};
use perdure_matching::{FixedSettings, Matching, MatchingParts, QueueSettings};
use perdure_persistence::{
    TaskQueueStore,
    memory::MemoryStore,
    task_queue::{QueueKey, TaskPosition},
};
use perdure_proto::{
    api::{common::WorkflowExecution, query::WorkflowQuery, taskqueue::TaskQueueMetadata, workflowservice as ws},
    records::{ExecutionRef, QueuedTask},
};
use perdure_rpc::{
    Caller, HistoryCall, HistoryClient, HistoryDirectory, MatchingClient, QueueName, TaskType,
    matching::{AddTask, DescribeQueue, DirectQuery, Poll},
};
use perdure_runtime::{ActorRef, ActorSystem, Recipient, TokioClock};
use tokio::task::LocalSet;

/// What history saw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Start {
    pub(crate) run_id: String,
    pub(crate) request_id: String,
    pub(crate) identity: String,
}

/// A history that starts whatever it is asked to start, unless a refusal is planned.
#[derive(Clone)]
pub(crate) struct History {
    shard: Recipient<HistoryCall>,
    pub(crate) starts: Arc<Mutex<Vec<Start>>>,
    refusals: Arc<Mutex<VecDeque<ErrorKind>>>,
}

impl HistoryDirectory for History {
    fn shard(&self, _shard: ShardId) -> Option<Recipient<HistoryCall>> {
        Some(self.shard.clone())
    }

    fn shard_map(&self) -> Arc<ShardMap> {
        Arc::new(ShardMap::uniform(1))
    }
}

impl History {
    fn start() -> Self {
        let (shard, mut calls) = ActorRef::<HistoryCall>::inbox("history");
        let history = Self { shard: shard.recipient(), starts: Arc::default(), refusals: Arc::default() };
        let state = history.clone();
        tokio::task::spawn_local(async move {
            while let Some(call) = calls.next().await {
                state.answer(call);
            }
        });
        history
    }

    /// The next start is refused.
    pub(crate) fn refuse_next(&self, kind: ErrorKind) {
        self.refusals.lock().unwrap().push_back(kind);
    }

    pub(crate) fn run_ids(&self) -> Vec<String> {
        self.starts.lock().unwrap().iter().map(|start| start.run_id.clone()).collect()
    }

    fn answer(&self, call: HistoryCall) {
        match call {
            HistoryCall::StartWorkflowTask(ask) => {
                let result = self.record(&ask.request.task, &ask.request.request_id, &ask.request.poll.identity);
                ask.reply.send(result.map(|run_id| {
                    let task_token = run_id.clone().into_bytes().into();
                    let workflow_execution = Some(WorkflowExecution { workflow_id: String::new(), run_id });
                    Box::new(ws::PollWorkflowTaskQueueResponse { task_token, workflow_execution, ..Default::default() })
                }));
            }
            HistoryCall::StartActivityTask(ask) => {
                let result = self.record(&ask.request.task, &ask.request.request_id, &ask.request.poll.identity);
                ask.reply.send(result.map(|run_id| {
                    let task_token = run_id.into_bytes().into();
                    Box::new(ws::PollActivityTaskQueueResponse { task_token, ..Default::default() })
                }));
            }
            HistoryCall::StartQueryTask(ask) => {
                let refusal = self.refusals.lock().unwrap().pop_front();
                ask.reply.send(match refusal {
                    Some(kind) => Err(ServiceError::new(kind, "as planned")),
                    None => Ok(Box::default()),
                });
            }
            other => panic!("{} is not matching's business", other.name()),
        }
    }

    fn record(&self, task: &QueuedTask, request_id: &str, identity: &str) -> ServiceResult<String> {
        let run_id = task.execution.as_ref().unwrap().run_id.clone();
        self.starts.lock().unwrap().push(Start {
            run_id: run_id.clone(),
            request_id: request_id.to_owned(),
            identity: identity.to_owned(),
        });
        match self.refusals.lock().unwrap().pop_front() {
            Some(kind) => Err(ServiceError::new(kind, "as planned")),
            None => Ok(run_id),
        }
    }
}

/// A node with nothing but matching.
pub(crate) struct Node {
    pub(crate) system: ActorSystem,
    pub(crate) matching: Matching,
    pub(crate) client: MatchingClient,
    pub(crate) history: History,
    pub(crate) store: Arc<MemoryStore>,
    pub(crate) clock: Arc<dyn Clock>,
    namespace: Arc<Namespace>,
}

pub(crate) fn settings(partitions: u32) -> QueueSettings {
    QueueSettings { read_partitions: partitions, write_partitions: partitions, ..QueueSettings::default() }
}

impl Node {
    pub(crate) fn start(settings: QueueSettings, store: Arc<MemoryStore>) -> Self {
        let base = Timestamp::from_nanos(1_700_000_000_000_000_000);
        let clock: Arc<dyn Clock> = Arc::new(TokioClock::new(base));
        let system = ActorSystem::local(clock.clone());
        let history = History::start();
        let matching = Matching::new(MatchingParts {
            system: system.clone(),
            history: HistoryClient::new(Arc::new(history.clone())),
            store: store.clone(),
            settings: Arc::new(FixedSettings(settings)),
            queues_max: 100,
            stage: 2,
            seed: 7,
        });
        let namespace = Arc::new(Namespace::new(NamespaceId::from("ns-id"), "ns"));
        Self { client: matching.client(), system, matching, history, store, clock, namespace }
    }

    pub(crate) fn caller(&self, wait: Duration) -> Caller {
        Caller {
            namespace: self.namespace.clone(),
            deadline: Some(self.clock.now() + wait),
            client_name: Arc::default(),
        }
    }

    pub(crate) async fn add(&self, queue: &QueueName, run_id: &str) -> ServiceResult<()> {
        self.add_task(queue, task(run_id)).await
    }

    pub(crate) async fn add_task(&self, queue: &QueueName, task: QueuedTask) -> ServiceResult<()> {
        let request = AddTask { queue: queue.clone(), task };
        self.client.ask(queue, self.caller(Duration::from_secs(10)), request, None).await
    }

    pub(crate) fn poll(
        &self,
        queue: &QueueName,
        identity: &str,
        wait: Duration,
    ) -> impl Future<Output = ServiceResult<Box<ws::PollWorkflowTaskQueueResponse>>> + use<> {
        let request =
            Arc::new(ws::PollWorkflowTaskQueueRequest { identity: identity.to_owned(), ..Default::default() });
        let (client, queue, caller) = (self.client.clone(), queue.clone(), self.caller(wait));
        async move { client.ask(&queue, caller, Poll { queue: queue.clone(), request }, None).await }
    }

    pub(crate) fn poll_activity(
        &self,
        queue: &QueueName,
        rate: Option<f64>,
    ) -> impl Future<Output = ServiceResult<Box<ws::PollActivityTaskQueueResponse>>> + use<> {
        let request = Arc::new(ws::PollActivityTaskQueueRequest {
            task_queue_metadata: Some(TaskQueueMetadata { max_tasks_per_second: rate }),
            ..Default::default()
        });
        let (client, queue, caller) = (self.client.clone(), queue.clone(), self.caller(Duration::from_secs(70)));
        async move { client.ask(&queue, caller, Poll { queue: queue.clone(), request }, None).await }
    }

    pub(crate) async fn query(&self, queue: &QueueName, wait: Duration) -> ServiceResult<ws::QueryWorkflowResponse> {
        let request = DirectQuery {
            queue: queue.clone(),
            run: ExecutionKey::workflow(&queue.namespace_id, "workflow", "run"),
            query: WorkflowQuery { query_type: "state".to_owned(), ..Default::default() },
        };
        self.client.ask(queue, self.caller(wait), Box::new(request), None).await
    }

    pub(crate) async fn describe(
        &self,
        queue: &QueueName,
        request: ws::DescribeTaskQueueRequest,
    ) -> Box<ws::DescribeTaskQueueResponse> {
        let ask = DescribeQueue { queue: queue.clone(), request };
        self.client.ask(queue, self.caller(Duration::from_secs(10)), ask, None).await.unwrap()
    }

    /// Tasks in the stored backlog of a partition.
    pub(crate) async fn stored(&self, queue: &QueueName) -> usize {
        let key = QueueKey {
            namespace_id: queue.namespace_id.clone(),
            name: queue.rpc_name(),
            task_type: queue.task_type as i32,
        };
        let mut count = 0;
        for level in 0..10 {
            let start = TaskPosition::start_of(level);
            count += self.store.read_tasks(&key, start, 100_000).await.unwrap().len();
        }
        count
    }
}

pub(crate) fn queue(task_type: TaskType) -> QueueName {
    QueueName::normal(&NamespaceId::from("ns-id"), "orders", task_type)
}

pub(crate) fn sticky() -> QueueName {
    QueueName::sticky(&NamespaceId::from("ns-id"), "worker-1")
}

pub(crate) fn task(run_id: &str) -> QueuedTask {
    let execution = ExecutionRef {
        namespace_id: "ns-id".to_owned(),
        archetype: 1,
        business_id: format!("workflow-{run_id}"),
        run_id: run_id.to_owned(),
    };
    QueuedTask { execution: Some(execution), ..QueuedTask::default() }
}

/// Runs on one thread, as the actors do.
pub(crate) async fn local<F: Future>(test: F) -> F::Output {
    LocalSet::new().run_until(test).await
}

/// Starts a future now and lets it run beside the test.
pub(crate) fn spawn<F: Future + 'static>(future: F) -> tokio::task::JoinHandle<F::Output> {
    tokio::task::spawn_local(future)
}

/// Lets everything that can run without time passing run.
pub(crate) async fn quiesce() {
    // Paused time moves only when nothing else can run.
    tokio::time::sleep(Duration::from_millis(1)).await;
}
