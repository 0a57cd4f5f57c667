//! What one commit of a workflow costs in the machine: decide, encode what it touched, encode the record.
//!
//! Each step runs on a workflow with 2 and with 2,000 pending activities: the cost must not grow with what
//! is pending. `cargo bench -p perdure-bench --bench execution`.

#![allow(clippy::unwrap_used, reason = "a benchmark that cannot go on has failed")]
#![allow(missing_docs, reason = "criterion's macros")]

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use perdure_execution::{
    Env,
    items::encode_record,
    workflow::{
        NewRun, NewTask, Signal, Transition, WorkflowState,
        calls::{heartbeat, signal, start_activity, start_task, task_completed},
        commands::Neighbours,
    },
};
use perdure_kernel::{ExecutionKey, Namespace, NamespaceId, Timestamp, random::SplitMix};
use perdure_proto::{
    Duration,
    api::{
        command::{
            CancelTimerCommandAttributes, Command, ScheduleActivityTaskCommandAttributes, StartTimerCommandAttributes,
            command::Attributes,
        },
        common::{ActivityType, Payload, Payloads, WorkflowType},
        enums::CommandType,
        history::WorkflowExecutionSignaledEventAttributes,
        taskqueue::TaskQueue,
        workflowservice::{
            PollActivityTaskQueueRequest, PollWorkflowTaskQueueRequest, RespondWorkflowTaskCompletedRequest,
            StartWorkflowExecutionRequest,
        },
    },
    records, tokens,
};
use prost::Message;

/// Pending activities of the workflows that are compared.
const PENDING: [usize; 2] = [2, 2_000];

/// A namespace and a time to decide in.
struct World {
    namespace: Namespace,
    now: Timestamp,
}

impl World {
    fn new() -> Self {
        let namespace = Namespace::new(NamespaceId::from("namespace-id"), "namespace");
        Self { namespace, now: Timestamp::from_nanos(1_700_000_000_000_000_000) }
    }

    fn decide<T>(&self, decide: impl FnOnce(&mut Env<'_>) -> T) -> T {
        let mut random = SplitMix::new(1);
        decide(&mut Env { now: self.now, namespace: &self.namespace, random: &mut random })
    }
}

fn payloads() -> Option<Payloads> {
    let metadata = [("encoding".to_owned(), b"json/plain".as_slice().into())].into();
    Some(Payloads { payloads: vec![Payload { metadata, data: vec![b'1'; 100].into(), ..Default::default() }] })
}

fn seconds(seconds: i64) -> Option<Duration> {
    Some(Duration { seconds, nanos: 0 })
}

fn queue() -> Option<TaskQueue> {
    Some(TaskQueue { name: "queue".to_owned(), ..Default::default() })
}

fn schedule(id: usize) -> Command {
    let attributes = ScheduleActivityTaskCommandAttributes {
        activity_id: id.to_string(),
        activity_type: Some(ActivityType { name: "activity".to_owned() }),
        task_queue: queue(),
        input: payloads(),
        start_to_close_timeout: seconds(60),
        heartbeat_timeout: seconds(10),
        ..Default::default()
    };
    Command {
        command_type: CommandType::ScheduleActivityTask.into(),
        attributes: Some(Attributes::ScheduleActivityTaskCommandAttributes(attributes)),
        ..Default::default()
    }
}

fn start_timer(id: &str) -> Command {
    let attributes = StartTimerCommandAttributes { timer_id: id.to_owned(), start_to_fire_timeout: seconds(60) };
    Command {
        command_type: CommandType::StartTimer.into(),
        attributes: Some(Attributes::StartTimerCommandAttributes(attributes)),
        ..Default::default()
    }
}

fn cancel_timer(id: &str) -> Command {
    let attributes = CancelTimerCommandAttributes { timer_id: id.to_owned() };
    Command {
        command_type: CommandType::CancelTimer.into(),
        attributes: Some(Attributes::CancelTimerCommandAttributes(attributes)),
        ..Default::default()
    }
}

fn ping() -> Signal {
    let attributes = WorkflowExecutionSignaledEventAttributes {
        signal_name: "ping".to_owned(),
        input: payloads(),
        ..Default::default()
    };
    Signal { attributes, request_id: "signal-id".to_owned(), links: Vec::new() }
}

/// A started run without a workflow task that a worker has.
fn begin(world: &World) -> WorkflowState {
    let request = StartWorkflowExecutionRequest {
        workflow_id: "workflow".to_owned(),
        workflow_type: Some(WorkflowType { name: "workflow".to_owned() }),
        task_queue: queue(),
        input: payloads(),
        ..Default::default()
    };
    let key = ExecutionKey::workflow(&world.namespace.id, "workflow", "run");
    world.decide(|env| NewRun::from_request(key, request, env).begin(env).state)
}

/// A worker takes the pending workflow task.
fn take_task(world: &World, state: &WorkflowState) -> WorkflowState {
    let task = state.task().unwrap();
    let matched = start_task::Match {
        scheduled_event_id: task.scheduled_event_id,
        attempt: task.attempt,
        stamp: task.stamp,
        request_id: "poll",
        sticky_queue: None,
    };
    let poll = PollWorkflowTaskQueueRequest::default();
    world.decide(|env| start_task::decide(state, matched, &poll, env)).unwrap().transition.unwrap().state
}

fn complete(world: &World, state: &WorkflowState, commands: Vec<Command>) -> Transition {
    let task = state.started_task().unwrap();
    let token = tokens::WorkflowTask {
        scheduled_event_id: task.scheduled_event_id,
        started_event_id: task.started_event_id,
        attempt: task.attempt,
        ..Default::default()
    };
    let request = RespondWorkflowTaskCompletedRequest { commands, ..Default::default() };
    world
        .decide(|env| task_completed::decide(state, &token, request, &Neighbours::default(), env))
        .unwrap()
        .transition
        .unwrap()
}

/// A run with `pending` activities, the first of them started. Returns it with the first one's task.
fn with_pending(world: &World, pending: usize) -> (WorkflowState, records::QueuedTask) {
    let scheduled = complete(world, &take_task(world, &begin(world)), (0..pending).map(schedule).collect());
    let first = scheduled.tasks.iter().find_map(|task| match task {
        NewTask::Activity(task) => Some(task),
        _ => None,
    });
    let first = first.unwrap();
    let task = records::QueuedTask {
        scheduled_event_id: first.scheduled_event_id,
        attempt: first.attempt,
        ..Default::default()
    };
    (scheduled.state, task)
}

/// What a shard does with a transition before it is sent to the store.
fn write(transition: &Transition) -> usize {
    let items = transition.touched_items();
    let items: usize = items.iter().filter_map(|item| item.encode(&transition.state)).map(|bytes| bytes.len()).sum();
    let events: usize = transition.events().map(|event| event.encode_to_vec().len()).sum();
    encode_record(&transition.state).len() + items + events
}

fn commits(criterion: &mut Criterion) {
    let world = World::new();
    let mut group = criterion.benchmark_group("commit");
    for pending in PENDING {
        let (idle, queued) = with_pending(&world, pending);
        let poll = PollActivityTaskQueueRequest::default();
        let start = |state: &WorkflowState| {
            let decision = world.decide(|env| start_activity::decide(state, &queued, "poll", &poll, env));
            decision.unwrap().transition.unwrap()
        };
        let beating = start(&idle).state;
        let token =
            tokens::ActivityTask { scheduled_event_id: queued.scheduled_event_id, attempt: 1, ..Default::default() };
        let signalled = world.decide(|env| signal::decide(&idle, ping(), false, env)).unwrap().transition.unwrap();
        let deciding = take_task(&world, &signalled.state);

        group.bench_function(BenchmarkId::new("activity start", pending), |bencher| {
            bencher.iter(|| write(&start(black_box(&idle))));
        });
        group.bench_function(BenchmarkId::new("heartbeat", pending), |bencher| {
            bencher.iter(|| {
                let decision = world.decide(|env| heartbeat::decide(black_box(&beating), &token, payloads(), env));
                write(&decision.unwrap().transition.unwrap())
            });
        });
        group.bench_function(BenchmarkId::new("signal", pending), |bencher| {
            bencher.iter(|| {
                let decision = world.decide(|env| signal::decide(black_box(&idle), ping(), false, env));
                write(&decision.unwrap().transition.unwrap())
            });
        });
        group.bench_function(BenchmarkId::new("workflow task", pending), |bencher| {
            bencher.iter(|| {
                let commands = vec![start_timer("one"), start_timer("two"), cancel_timer("one")];
                write(&complete(&world, black_box(&deciding), commands))
            });
        });
    }
    group.finish();
}

criterion_group!(benches, commits);
criterion_main!(benches);
