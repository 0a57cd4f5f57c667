//! What workers tell about themselves, and how they leave.

use perdure_proto::api::{enums::WorkerStatus, worker::WorkerHeartbeat, workflowservice as ws};
use tonic::{Code, Response, Status};

use crate::kit::*;

/// The workers of one test.
struct Workers<'a> {
    server: &'a Server,
    queue: String,
}

impl<'a> Workers<'a> {
    fn new(server: &'a Server) -> Self {
        Self { server, queue: unique("queue") }
    }

    fn key(&self, number: usize) -> String {
        format!("{}-{number}", self.queue)
    }

    fn heartbeat(&self, number: usize, status: WorkerStatus) -> WorkerHeartbeat {
        WorkerHeartbeat {
            worker_instance_key: self.key(number),
            worker_identity: format!("worker {number}"),
            task_queue: self.queue.clone(),
            sdk_name: "sdk".to_owned(),
            status: status.into(),
            ..WorkerHeartbeat::default()
        }
    }

    async fn record(&self, worker_heartbeat: Vec<WorkerHeartbeat>) {
        let request = ws::RecordWorkerHeartbeatRequest {
            namespace: NAMESPACE.to_owned(),
            worker_heartbeat,
            ..Default::default()
        };
        self.server.rpc().record_worker_heartbeat(request).await.unwrap();
    }

    async fn list(&self, query: &str, page_size: i32, token: Vec<u8>) -> Result<ws::ListWorkersResponse, Status> {
        let request = ws::ListWorkersRequest {
            namespace: NAMESPACE.to_owned(),
            query: query.to_owned(),
            page_size,
            next_page_token: token.into(),
            ..Default::default()
        };
        self.server.rpc().list_workers(request).await.map(Response::into_inner)
    }

    async fn count(&self, query: &str) -> Result<i64, Status> {
        let request =
            ws::CountWorkersRequest { namespace: NAMESPACE.to_owned(), query: query.to_owned(), ..Default::default() };
        self.server.rpc().count_workers(request).await.map(|response| response.get_ref().count)
    }

    async fn describe(&self, number: usize) -> Result<WorkerHeartbeat, Status> {
        let request =
            ws::DescribeWorkerRequest { namespace: NAMESPACE.to_owned(), worker_instance_key: self.key(number) };
        let described = self.server.rpc().describe_worker(request).await?.into_inner();
        Ok(described.worker_info.unwrap().worker_heartbeat.unwrap())
    }
}

fn goodbye() -> ws::ShutdownWorkerRequest {
    ws::ShutdownWorkerRequest { namespace: NAMESPACE.to_owned(), ..Default::default() }
}

#[tokio::test]
pub(crate) async fn workers_are_known_until_they_shut_down() {
    let server = Server::start().await;
    let workers = Workers::new(&server);
    let of_queue = format!("TaskQueue = '{}'", workers.queue);
    assert_eq!(workers.count(&of_queue).await.unwrap(), 0);
    refused(
        workers.describe(0).await,
        Code::NotFound,
        "NotFoundFailure",
        &format!("Worker {} not found", workers.key(0)),
    );

    workers.record((0..3).map(|number| workers.heartbeat(number, WorkerStatus::Running)).collect()).await;
    assert_eq!(workers.count(&of_queue).await.unwrap(), 3);
    assert_eq!(workers.describe(1).await.unwrap(), workers.heartbeat(1, WorkerStatus::Running));

    let first = workers.list(&of_queue, 2, Vec::new()).await.unwrap();
    let keys = |page: &ws::ListWorkersResponse| -> Vec<String> {
        page.workers.iter().map(|worker| worker.worker_instance_key.clone()).collect()
    };
    assert_eq!(keys(&first), [workers.key(0), workers.key(1)]);
    assert_eq!(first.workers_info[0].worker_heartbeat, Some(workers.heartbeat(0, WorkerStatus::Running)));
    let last = workers.list(&of_queue, 2, first.next_page_token.to_vec()).await.unwrap();
    assert_eq!((keys(&last), last.next_page_token.len()), (vec![workers.key(2)], 0));

    workers.record(vec![workers.heartbeat(0, WorkerStatus::Shutdown)]).await;
    let worker_heartbeat = Some(workers.heartbeat(1, WorkerStatus::Shutdown));
    server.rpc().shutdown_worker(ws::ShutdownWorkerRequest { worker_heartbeat, ..goodbye() }).await.unwrap();
    assert_eq!(keys(&workers.list(&of_queue, 0, Vec::new()).await.unwrap()), [workers.key(2)]);
    server.stop().await;
}

#[tokio::test]
async fn filters_and_tokens_are_checked() {
    let server = Server::start().await;
    let workers = Workers::new(&server);
    workers.record(vec![workers.heartbeat(0, WorkerStatus::Running)]).await;
    let malformed = "malformed query: syntax error at position 33 near 'limit'";
    refused(workers.count("limit 1").await, Code::InvalidArgument, "", malformed);
    refused(workers.list("limit 1", 0, Vec::new()).await, Code::InvalidArgument, "", malformed);
    let bad_token = workers.list("", 1, b"xx".to_vec()).await;
    refused(bad_token, Code::InvalidArgument, "", "invalid next_page_token");
    assert_eq!(workers.count("NoSuchField = 'x'").await.unwrap(), 0);
    server.stop().await;
}

#[tokio::test]
pub(crate) async fn workers_are_not_configured_from_here() {
    let server = Server::start().await;
    let fetch = ws::FetchWorkerConfigRequest { namespace: NAMESPACE.to_owned(), ..Default::default() };
    let text = "FetchWorkerConfig command is not enabled.";
    refused(server.rpc().fetch_worker_config(fetch).await, Code::Unimplemented, "", text);
    let update = ws::UpdateWorkerConfigRequest { namespace: NAMESPACE.to_owned(), ..Default::default() };
    let text = "UpdateWorkerConfig command is not enabled.";
    refused(server.rpc().update_worker_config(update).await, Code::Unimplemented, "", text);
    server.stop().await;
}

#[tokio::test]
async fn a_worker_that_shuts_down_gets_its_polls_back() {
    let server = Server::with(&[("frontend.enableCancelWorkerPollsOnShutdown", "true")]).await;
    let flow = Flow::new(&server);
    let key = unique("worker");
    let poll = || ws::PollWorkflowTaskQueueRequest { worker_instance_key: key.clone(), ..flow.poll_request() };
    let mut rpc = server.rpc();
    let waiting = rpc.poll_workflow_task_queue(within(PATIENCE, poll()));
    let shutdown = async {
        let describe = ws::DescribeTaskQueueRequest {
            namespace: NAMESPACE.to_owned(),
            task_queue: normal(&flow.queue),
            ..Default::default()
        };
        while server.rpc().describe_task_queue(describe.clone()).await.unwrap().get_ref().pollers.is_empty() {}
        let request = ws::ShutdownWorkerRequest {
            worker_instance_key: key.clone(),
            task_queue: flow.queue.clone(),
            identity: WORKER.to_owned(),
            ..goodbye()
        };
        server.rpc().shutdown_worker(request).await.unwrap();
        assert!(server.rpc().describe_task_queue(describe).await.unwrap().get_ref().pollers.is_empty());
    };
    let (answer, ()) = tokio::join!(waiting, shutdown);
    assert!(answer.unwrap().get_ref().task_token.is_empty());
    // One that was on its way.
    let late = server.rpc().poll_workflow_task_queue(within(PATIENCE, poll())).await.unwrap();
    assert!(late.get_ref().task_token.is_empty());
    server.stop().await;
}
