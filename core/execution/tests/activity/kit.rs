//! One activity id, and what holds after everything that happens to it.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use bytes::Bytes;
use perdure_execution::{
    Env,
    activity::{Activities, ActivityState, FromReply, Input, Reply, TaskStart, fill_timeouts},
    archetype::{ItemName, Machine, Verdict},
    workflow::{
        NewTask,
        calls::activity_outcome::{Outcome, Reporter},
    },
};
use perdure_kernel::{
    BusinessKey, Namespace, NamespaceId, ServiceError, ServiceResult, Timestamp, random::SplitMix, retry_policy,
};
use perdure_proto::{
    api::{
        activity::{ActivityExecutionOutcome, activity_execution_outcome::Value},
        common::{ActivityType, Payload, Payloads, RetryPolicy},
        failure::{ApplicationFailureInfo, Failure, failure::FailureInfo},
        taskqueue::TaskQueue,
        workflowservice as ws,
    },
    records::{self, ActivityStatus},
    tokens,
};
use prost::Message;

/// One activity id, as its shard has it.
pub(crate) struct Kit {
    pub(crate) namespace: Namespace,
    pub(crate) key: BusinessKey,
    pub(crate) now: Timestamp,
    random: SplitMix,
    pub(crate) run: Option<ActivityState>,
    stored: BTreeMap<ItemName, Bytes>,
    record: Bytes,
    /// Whether the last change is one that lists show.
    pub(crate) shown: bool,
    pub(crate) tasks: Vec<records::DispatchActivityTask>,
    pub(crate) token: tokens::ActivityTask,
}

impl Kit {
    pub(crate) fn new() -> Self {
        let mut namespace = Namespace::new(NamespaceId::from("ns"), "tests");
        namespace.limits.retention_jitter_max = Duration::ZERO;
        namespace.limits.activity_operator_commands = true;
        Self {
            key: BusinessKey::activity(&namespace.id, "a"),
            namespace,
            now: Timestamp::from_nanos(1_700_000_000_123_456_789),
            random: SplitMix::new(7),
            run: None,
            stored: BTreeMap::new(),
            record: Bytes::new(),
            shown: false,
            tasks: Vec::new(),
            token: tokens::ActivityTask::default(),
        }
    }

    pub(crate) fn started() -> Self {
        let mut kit = Self::new();
        kit.ask::<Box<ws::StartActivityExecutionResponse>>(Input::Start(Box::new(request("1")))).unwrap();
        kit
    }

    fn env<'a>(namespace: &'a Namespace, random: &'a mut SplitMix, now: Timestamp) -> Env<'a> {
        Env { now, namespace, random }
    }

    pub(crate) fn ask<R: FromReply>(&mut self, input: Input) -> ServiceResult<R> {
        let mut env = Self::env(&self.namespace, &mut self.random, self.now);
        let verdict = Activities.decide(&self.key, self.run.as_ref(), &input, &mut env)?;
        R::from_reply(self.take(verdict).unwrap_or(Reply::Done))
    }

    /// Carries a verdict out, and checks what holds after each.
    fn take<T>(&mut self, verdict: Verdict<ActivityState, T>) -> Option<T> {
        let (transition, reply, fresh) = match verdict {
            Verdict::Reply(reply) => return Some(reply),
            Verdict::Wait { .. } => return None,
            Verdict::Remove(reply) => {
                self.run = None;
                self.stored.clear();
                return Some(reply);
            }
            Verdict::Change(transition, reply) => (transition, reply, false),
            Verdict::Begin(new, reply) => {
                assert_eq!(new.run_id, *new.transition.state.key.run_id);
                (new.transition, reply, true)
            }
        };
        if fresh {
            self.stored.clear();
        }
        let before = self.run.take().filter(|_| !fresh);
        assert!(before.is_none_or(|run| !run.is_closed()), "a closed run changes");
        for item in &transition.items {
            match Activities.item(&transition.state, item) {
                Some(bytes) => self.stored.insert(item.clone(), bytes),
                None => self.stored.remove(item),
            };
        }
        self.shown = transition.shown;
        self.record = Activities.record(&transition.state);
        let items = self.stored.clone().into_iter().collect();
        let read = Activities.restore(transition.state.key.clone(), self.record.clone(), items).unwrap();
        assert_eq!(read, transition.state, "what is stored is the state");
        for task in transition.tasks {
            let NewTask::Activity(task) = task else { panic!("{task:?}") };
            assert_eq!(task.stamp, transition.state.attempt.stamp);
            self.tasks.push(task);
        }
        let run = transition.state;
        assert_eq!(run.is_closed(), run.outcome.is_some(), "an end has an outcome");
        assert!(Activities.wake_at(&run).is_some() || !run.is_closed(), "what is closed is deleted");
        self.run = Some(run);
        Some(reply)
    }

    pub(crate) fn run(&self) -> &ActivityState {
        self.run.as_ref().unwrap()
    }

    pub(crate) fn status(&self) -> ActivityStatus {
        self.run().status()
    }

    /// Lets time go on, and everything happen that is due meanwhile.
    pub(crate) fn pass(&mut self, time: Duration) {
        let until = self.now + time;
        for _ in 0..1000 {
            let Some(at) = self.run.as_ref().and_then(|run| Activities.wake_at(run)).filter(|at| *at <= until) else {
                self.now = until;
                return;
            };
            self.now = self.now.max(at);
            let mut env = Self::env(&self.namespace, &mut self.random, self.now);
            let run = self.run.clone().unwrap();
            let verdict = Activities.wake(&run, &mut env);
            assert!(!matches!(verdict, Verdict::Reply(()) | Verdict::Wait { .. }), "what is due happens");
            self.take(verdict);
        }
        panic!("wakes without end");
    }

    /// A worker takes the task offered last.
    pub(crate) fn take_task(&mut self) -> ServiceResult<Box<ws::PollActivityTaskQueueResponse>> {
        let Some(task) = self.tasks.last().cloned() else { return Err(ServiceError::not_found("no task")) };
        let task = records::QueuedTask { attempt: task.attempt, stamp: task.stamp, ..Default::default() };
        let poll = Arc::new(ws::PollActivityTaskQueueRequest { identity: "worker".into(), ..Default::default() });
        let start = TaskStart { request_id: format!("{}", task.stamp), task, poll, sdk_name: "temporal-go".into() };
        let answer: Box<ws::PollActivityTaskQueueResponse> = self.ask(Input::StartTask(Box::new(start)))?;
        self.token = tokens::ActivityTask::decode(answer.task_token.clone()).unwrap();
        Ok(answer)
    }

    pub(crate) fn report(&mut self, outcome: Outcome) -> ServiceResult<()> {
        let reporter = Reporter { identity: "worker".into(), ..Default::default() };
        self.ask(Input::Report(self.token.clone(), outcome, reporter))
    }

    pub(crate) fn outcome(&self) -> ActivityExecutionOutcome {
        (**self.run().outcome.as_ref().unwrap()).clone()
    }

    pub(crate) fn info(&mut self) -> perdure_proto::api::activity::ActivityExecutionInfo {
        let request = ws::DescribeActivityExecutionRequest {
            include_last_failure: true,
            include_heartbeat_details: true,
            ..Default::default()
        };
        let answer: Box<ws::DescribeActivityExecutionResponse> =
            self.ask(Input::Describe(Box::new(request), None)).unwrap();
        answer.info.unwrap()
    }
}

pub(crate) fn secs(count: i64) -> Option<perdure_proto::Duration> {
    Some(perdure_proto::Duration { seconds: count, nanos: 0 })
}

pub(crate) fn payloads(text: &'static str) -> Option<Payloads> {
    Some(Payloads { payloads: vec![Payload { data: text.into(), ..Default::default() }] })
}

pub(crate) fn request(id: &str) -> ws::StartActivityExecutionRequest {
    let mut policy = RetryPolicy::default();
    retry_policy::fill_defaults(&mut policy, &retry_policy::RetryDefaults::default());
    let mut request = ws::StartActivityExecutionRequest {
        activity_id: "a".into(),
        request_id: id.into(),
        activity_type: Some(ActivityType { name: "charge".into() }),
        task_queue: Some(TaskQueue { name: "q".into(), ..Default::default() }),
        input: payloads("input"),
        schedule_to_close_timeout: secs(100),
        schedule_to_start_timeout: secs(50),
        start_to_close_timeout: secs(10),
        heartbeat_timeout: secs(4),
        retry_policy: Some(policy),
        ..Default::default()
    };
    fill_timeouts(&mut request).unwrap();
    request
}

pub(crate) fn completed() -> Outcome {
    Outcome::Completed { result: payloads("done") }
}

pub(crate) fn failed(non_retryable: bool) -> Outcome {
    let info = ApplicationFailureInfo { non_retryable, ..Default::default() };
    let failure_info = Some(FailureInfo::ApplicationFailureInfo(info));
    let failure = Failure { message: "broken".into(), failure_info, ..Default::default() };
    Outcome::Failed { failure: Some(Box::new(failure)), last_heartbeat_details: None }
}

pub(crate) fn failure_of(outcome: &ActivityExecutionOutcome) -> &Failure {
    match outcome.value.as_ref().unwrap() {
        Value::Failure(failure) => failure,
        Value::Result(result) => panic!("{result:?}"),
    }
}

pub(crate) fn text(result: ServiceResult<()>) -> String {
    result.unwrap_err().message.into_owned()
}
