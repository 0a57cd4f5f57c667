//! Task queues as the shards see them: all calls come out in one line.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
};

use perdure_kernel::{ServiceError, ServiceResult};
use perdure_persistence::shard::ImmediateBatch;
use perdure_proto::api::workflowservice as ws;
use perdure_rpc::{
    Ask, MatchingCall, MatchingClient, MatchingDirectory, QueueKind, QueueName, TaskType,
    matching::{AddTask, DirectQuery},
};
use perdure_runtime::{ActorRef, Inbox, Recipient};

/// A task offered by history; unanswered when dropped.
pub(crate) type Offered = Ask<AddTask, ()>;

/// A direct query from history.
pub(crate) type Asked = Ask<Box<DirectQuery>, ws::QueryWorkflowResponse>;

struct Directory(ActorRef<MatchingCall>);

impl MatchingDirectory for Directory {
    fn queue(&self, _queue: &QueueName) -> Option<Recipient<MatchingCall>> {
        Some(self.0.recipient())
    }
}

/// All task queues.
pub(crate) struct Matching {
    directory: Arc<Directory>,
    inbox: Mutex<Inbox<MatchingCall>>,
    tasks: Mutex<VecDeque<Offered>>,
    queries: Mutex<VecDeque<Asked>>,
}

impl Matching {
    pub(crate) fn new() -> Self {
        let (queue, inbox) = ActorRef::inbox("matching");
        Self {
            directory: Arc::new(Directory(queue)),
            inbox: Mutex::new(inbox),
            tasks: Mutex::default(),
            queries: Mutex::default(),
        }
    }

    pub(crate) fn client(&self) -> MatchingClient {
        MatchingClient::new(Arc::clone(&self.directory) as _)
    }

    fn sort_in(&self) {
        let mut inbox = self.inbox.lock().unwrap();
        while let Some(call) = inbox.try_next() {
            match call {
                MatchingCall::AddTask(ask) => self.tasks.lock().unwrap().push_back(ask),
                MatchingCall::Query(ask) => self.queries.lock().unwrap().push_back(ask),
                other => panic!("history does not send {}", other.name()),
            }
        }
    }

    /// The next task, if it is already here; not answered yet.
    pub(crate) fn try_offer(&self) -> Option<Offered> {
        self.sort_in();
        self.tasks.lock().unwrap().pop_front()
    }

    /// The next task; not answered yet. Lets time go on until there is one.
    pub(crate) async fn offer(&self) -> Offered {
        super::settle().await;
        loop {
            if let Some(offered) = self.try_offer() {
                return offered;
            }
            // Time goes on only when nothing else can.
            tokio::time::sleep(super::millis(1)).await;
        }
    }

    /// The next task, taken over. Lets time go on until there is one.
    pub(crate) async fn task(&self) -> AddTask {
        take(self.offer().await)
    }

    /// Takes over all tasks that are here.
    pub(crate) fn take_all(&self) -> Vec<AddTask> {
        std::iter::from_fn(|| self.try_offer()).map(take).collect()
    }

    /// The next direct query. Lets time go on until there is one.
    pub(crate) async fn query(&self) -> Asked {
        super::settle().await;
        loop {
            if let Some(asked) = self.try_query() {
                return asked;
            }
            // Time goes on only when nothing else can.
            tokio::time::sleep(super::millis(1)).await;
        }
    }

    /// The next direct query, if it is already here.
    pub(crate) fn try_query(&self) -> Option<Asked> {
        self.sort_in();
        self.queries.lock().unwrap().pop_front()
    }
}

/// Takes an offered task over.
pub(crate) fn take(offered: Offered) -> AddTask {
    let task = offered.request.clone();
    answer(offered, Ok(()));
    task
}

/// Answers an offered task.
pub(crate) fn answer(offered: Offered, result: Result<(), ServiceError>) {
    let result: ServiceResult<()> = result;
    offered.reply.send(result);
}

/// Whether a task is for a workflow worker.
pub(crate) fn is_workflow(task: &AddTask) -> bool {
    task.queue.task_type == TaskType::Workflow
}

/// Whether a task went to a worker's own queue.
pub(crate) fn is_sticky(task: &AddTask) -> bool {
    task.queue.kind == QueueKind::Sticky
}

/// Number of immediate tasks in stored rows.
pub(crate) fn tasks_in(rows: &[ImmediateBatch]) -> usize {
    use prost::Message;
    rows.iter().map(|row| perdure_proto::records::ImmediateTasks::decode(row.tasks.clone()).unwrap().tasks.len()).sum()
}
