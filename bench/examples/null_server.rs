//! A server that keeps nothing: it answers the calls of the scenarios `empty` and `one-activity`
//! from canned messages, pairing starts with polls in memory. What the load tool reaches against it
//! is the most that the load tool and the gRPC stack allow.
//!
//! `cargo run --release -p perdure-bench --example null_server -- --port 7233`

use std::{
    collections::{HashMap, VecDeque},
    convert::Infallible,
    future::Future,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
};

use clap::Parser;
use perdure_bench::messages;
use perdure_proto::api::{
    enums::{CommandType, EventType},
    history::{
        ActivityTaskCompletedEventAttributes, ActivityTaskScheduledEventAttributes, ActivityTaskStartedEventAttributes,
        History, HistoryEvent, WorkflowExecutionCompletedEventAttributes, WorkflowTaskCompletedEventAttributes,
        WorkflowTaskScheduledEventAttributes, WorkflowTaskStartedEventAttributes, history_event::Attributes,
    },
    workflowservice::{
        DescribeNamespaceRequest, DescribeNamespaceResponse, GetWorkflowExecutionHistoryRequest,
        GetWorkflowExecutionHistoryResponse, PollActivityTaskQueueRequest, PollActivityTaskQueueResponse,
        PollWorkflowTaskQueueRequest, PollWorkflowTaskQueueResponse, RespondActivityTaskCompletedRequest,
        RespondActivityTaskCompletedResponse, RespondWorkflowTaskCompletedRequest,
        RespondWorkflowTaskCompletedResponse, StartWorkflowExecutionRequest, StartWorkflowExecutionResponse,
    },
};
use tokio::{runtime::Builder, sync::oneshot};
use tonic::{
    Request, Response, Status,
    body::Body,
    codegen::{BoxFuture, Service, http},
    server::{Grpc, NamedService, UnaryService},
    transport::Server,
};
use tonic_prost::ProstCodec;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Streams of one connection, so that the load tool never waits for one.
const MAX_STREAMS: u32 = 10_000;

/// Answers `empty` and `one-activity` load and keeps nothing.
#[derive(Debug, Parser)]
#[command(name = "null_server")]
struct Arguments {
    /// Port on 127.0.0.1.
    #[arg(long, default_value_t = 7233)]
    port: u16,
    /// Threads of the runtime.
    #[arg(long, default_value_t = 1)]
    threads: usize,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let Arguments { port, threads } = Arguments::parse();
    let runtime = if threads == 1 {
        Builder::new_current_thread().enable_all().build()?
    } else {
        Builder::new_multi_thread().worker_threads(threads).enable_all().build()?
    };
    let server = Server::builder().max_concurrent_streams(MAX_STREAMS).add_service(NullServer::default());
    runtime.block_on(server.serve(SocketAddr::from(([127, 0, 0, 1], port))))?;
    Ok(())
}

/// A run by its number, which is its run id and its task token too.
type Run = u64;

/// Tasks that nobody has polled, or polls that have no task.
#[derive(Debug)]
struct Pairing<T> {
    tasks: VecDeque<T>,
    polls: VecDeque<oneshot::Sender<T>>,
}

impl<T> Default for Pairing<T> {
    fn default() -> Self {
        Self { tasks: VecDeque::new(), polls: VecDeque::new() }
    }
}

impl<T> Pairing<T> {
    fn offer(&mut self, mut task: T) {
        while let Some(poll) = self.polls.pop_front() {
            match poll.send(task) {
                Ok(()) => return,
                // That poller is gone.
                Err(back) => task = back,
            }
        }
        self.tasks.push_back(task);
    }

    fn poll(&mut self) -> oneshot::Receiver<T> {
        let (send, receive) = oneshot::channel();
        match self.tasks.pop_front() {
            Some(task) => drop(send.send(task)),
            None => self.polls.push_back(send),
        }
        receive
    }
}

/// Whether a workflow task is the one after the activity.
#[derive(Debug, Clone, Copy)]
struct WorkflowTask {
    run: Run,
    second: bool,
}

/// What is known of the close of a run, until somebody has read it.
#[derive(Debug)]
enum Close {
    Happened,
    Awaited(oneshot::Sender<()>),
}

#[derive(Debug, Default)]
struct State {
    runs: Run,
    workflow_tasks: Pairing<WorkflowTask>,
    activity_tasks: Pairing<Run>,
    closes: HashMap<Run, Close>,
}

#[derive(Debug, Clone)]
struct NullServer {
    state: Arc<Mutex<State>>,
    canned: Arc<Canned>,
}

/// Histories of the first and the second workflow task, and the close event.
#[derive(Debug)]
struct Canned {
    first: History,
    second: History,
    close: History,
}

impl Default for NullServer {
    fn default() -> Self {
        let first = vec![
            Attributes::WorkflowExecutionStartedEventAttributes(Box::default()),
            Attributes::WorkflowTaskScheduledEventAttributes(WorkflowTaskScheduledEventAttributes::default()),
            Attributes::WorkflowTaskStartedEventAttributes(WorkflowTaskStartedEventAttributes::default()),
        ];
        let mut second = first.clone();
        second.extend([
            Attributes::WorkflowTaskCompletedEventAttributes(WorkflowTaskCompletedEventAttributes::default()),
            Attributes::ActivityTaskScheduledEventAttributes(ActivityTaskScheduledEventAttributes::default()),
            Attributes::ActivityTaskStartedEventAttributes(ActivityTaskStartedEventAttributes::default()),
            Attributes::ActivityTaskCompletedEventAttributes(ActivityTaskCompletedEventAttributes::default()),
            Attributes::WorkflowTaskScheduledEventAttributes(WorkflowTaskScheduledEventAttributes::default()),
            Attributes::WorkflowTaskStartedEventAttributes(WorkflowTaskStartedEventAttributes::default()),
        ]);
        let close = vec![Attributes::WorkflowExecutionCompletedEventAttributes(
            WorkflowExecutionCompletedEventAttributes::default(),
        )];
        let canned = Canned { first: history(first), second: history(second), close: history(close) };
        Self { state: Arc::default(), canned: Arc::new(canned) }
    }
}

fn history(attributes: Vec<Attributes>) -> History {
    let event = |(attributes, event_id): (Attributes, i64)| HistoryEvent {
        event_id,
        event_type: event_type(&attributes).into(),
        attributes: Some(attributes),
        ..Default::default()
    };
    History { events: attributes.into_iter().zip(1..).map(event).collect() }
}

fn event_type(attributes: &Attributes) -> EventType {
    match attributes {
        Attributes::WorkflowExecutionStartedEventAttributes(_) => EventType::WorkflowExecutionStarted,
        Attributes::WorkflowTaskScheduledEventAttributes(_) => EventType::WorkflowTaskScheduled,
        Attributes::WorkflowTaskStartedEventAttributes(_) => EventType::WorkflowTaskStarted,
        Attributes::WorkflowTaskCompletedEventAttributes(_) => EventType::WorkflowTaskCompleted,
        Attributes::ActivityTaskScheduledEventAttributes(_) => EventType::ActivityTaskScheduled,
        Attributes::ActivityTaskStartedEventAttributes(_) => EventType::ActivityTaskStarted,
        Attributes::ActivityTaskCompletedEventAttributes(_) => EventType::ActivityTaskCompleted,
        Attributes::WorkflowExecutionCompletedEventAttributes(_) => EventType::WorkflowExecutionCompleted,
        _ => EventType::Unspecified,
    }
}

impl NullServer {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn describe(self, _: DescribeNamespaceRequest) -> Result<DescribeNamespaceResponse, Status> {
        Ok(DescribeNamespaceResponse::default())
    }

    async fn start(self, _: StartWorkflowExecutionRequest) -> Result<StartWorkflowExecutionResponse, Status> {
        let mut state = self.lock();
        state.runs += 1;
        let run = state.runs;
        state.workflow_tasks.offer(WorkflowTask { run, second: false });
        Ok(StartWorkflowExecutionResponse { run_id: run.to_string(), started: true, ..Default::default() })
    }

    async fn poll_workflow(self, _: PollWorkflowTaskQueueRequest) -> Result<PollWorkflowTaskQueueResponse, Status> {
        let poll = self.lock().workflow_tasks.poll();
        let task = poll.await.map_err(|_| Status::unavailable("stopping"))?;
        let (history, previous) = if task.second { (&self.canned.second, 3) } else { (&self.canned.first, 0) };
        Ok(PollWorkflowTaskQueueResponse {
            task_token: task.run.to_be_bytes().to_vec().into(),
            workflow_execution: Some(messages::execution("", &task.run.to_string())),
            previous_started_event_id: previous,
            history: Some(history.clone()),
            attempt: 1,
            ..Default::default()
        })
    }

    async fn complete_workflow_task(
        self,
        request: RespondWorkflowTaskCompletedRequest,
    ) -> Result<RespondWorkflowTaskCompletedResponse, Status> {
        let run = run_of(&request.task_token)?;
        let mut state = self.lock();
        match request.commands.first().map(|command| command.command_type()) {
            Some(CommandType::ScheduleActivityTask) => state.activity_tasks.offer(run),
            Some(CommandType::CompleteWorkflowExecution) => match state.closes.remove(&run) {
                Some(Close::Awaited(waiter)) => drop(waiter.send(())),
                Some(Close::Happened) | None => drop(state.closes.insert(run, Close::Happened)),
            },
            _ => return Err(Status::unimplemented("this command")),
        }
        Ok(RespondWorkflowTaskCompletedResponse::default())
    }

    async fn poll_activity(self, _: PollActivityTaskQueueRequest) -> Result<PollActivityTaskQueueResponse, Status> {
        let poll = self.lock().activity_tasks.poll();
        let run = poll.await.map_err(|_| Status::unavailable("stopping"))?;
        let task_token = run.to_be_bytes().to_vec().into();
        Ok(PollActivityTaskQueueResponse { task_token, attempt: 1, ..Default::default() })
    }

    async fn complete_activity(
        self,
        request: RespondActivityTaskCompletedRequest,
    ) -> Result<RespondActivityTaskCompletedResponse, Status> {
        let run = run_of(&request.task_token)?;
        self.lock().workflow_tasks.offer(WorkflowTask { run, second: true });
        Ok(RespondActivityTaskCompletedResponse::default())
    }

    async fn wait_close(
        self,
        request: GetWorkflowExecutionHistoryRequest,
    ) -> Result<GetWorkflowExecutionHistoryResponse, Status> {
        let run = request.execution.and_then(|execution| execution.run_id.parse().ok());
        let run: Run = run.ok_or_else(|| Status::not_found("no such run"))?;
        let wait = {
            let mut state = self.lock();
            match state.closes.remove(&run) {
                Some(Close::Happened) => None,
                Some(Close::Awaited(_)) | None => {
                    let (send, receive) = oneshot::channel();
                    state.closes.insert(run, Close::Awaited(send));
                    Some(receive)
                }
            }
        };
        if let Some(wait) = wait {
            wait.await.map_err(|_| Status::cancelled("another wait took its place"))?;
        }
        let history = Some(self.canned.close.clone());
        Ok(GetWorkflowExecutionHistoryResponse { history, ..Default::default() })
    }
}

fn run_of(token: &[u8]) -> Result<Run, Status> {
    let bytes = token.try_into().map_err(|_| Status::invalid_argument("bad task token"))?;
    Ok(Run::from_be_bytes(bytes))
}

/// A handler as tonic wants it.
struct Unary<H>(NullServer, H);

impl<M, R, F, H> UnaryService<M> for Unary<H>
where
    F: Future<Output = Result<R, Status>> + Send + 'static,
    H: Fn(NullServer, M) -> F,
{
    type Response = R;
    type Future = BoxFuture<Response<R>, Status>;

    fn call(&mut self, request: Request<M>) -> Self::Future {
        let answer = self.1(self.0.clone(), request.into_inner());
        Box::pin(async move { answer.await.map(Response::new) })
    }
}

impl Service<http::Request<Body>> for NullServer {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Infallible>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        macro_rules! unary {
            ($handler:expr) => {{
                let service = Unary(self.clone(), $handler);
                Box::pin(async move { Ok(Grpc::new(ProstCodec::default()).unary(service, request).await) })
            }};
        }
        match request.uri().path().rsplit('/').next().unwrap_or_default() {
            "DescribeNamespace" => unary!(NullServer::describe),
            "StartWorkflowExecution" => unary!(NullServer::start),
            "PollWorkflowTaskQueue" => unary!(NullServer::poll_workflow),
            "RespondWorkflowTaskCompleted" => unary!(NullServer::complete_workflow_task),
            "PollActivityTaskQueue" => unary!(NullServer::poll_activity),
            "RespondActivityTaskCompleted" => unary!(NullServer::complete_activity),
            "GetWorkflowExecutionHistory" => unary!(NullServer::wait_close),
            _ => Box::pin(async { Ok(Status::unimplemented("the null server has no such call").into_http()) }),
        }
    }
}

impl NamedService for NullServer {
    const NAME: &'static str = "temporal.api.workflowservice.v1.WorkflowService";
}
