//! What workers do.

use std::sync::Arc;

use perdure_execution::workflow::{
    NewTask,
    calls::{
        activity_outcome::{self, Outcome, Reporter},
        heartbeat, start_activity,
        start_task::{self, Match},
        task_completed::{self, Answer},
        task_failed,
    },
    commands::Neighbours,
};
use perdure_kernel::{Namespace, NamespaceId, ServiceError, ServiceResult, Timestamp};
use perdure_proto::{
    api::{
        command::Command,
        common::Payloads,
        enums::WorkflowTaskFailedCause,
        failure::Failure,
        protocol::Message,
        workflowservice::{
            PollActivityTaskQueueRequest, PollWorkflowTaskQueueRequest, RecordActivityTaskHeartbeatResponse,
            RespondWorkflowTaskCompletedRequest, RespondWorkflowTaskFailedRequest,
        },
    },
    records, tokens,
};

use super::{Kit, make};

/// The only other namespace there is.
fn neighbours() -> Neighbours {
    let other = Arc::new(Namespace::new(NamespaceId::from("other-id"), "other"));
    Neighbours::over([other])
}

/// Who polls: its sticky queue, if it polls that one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Worker<'a> {
    pub(crate) request_id: &'a str,
    pub(crate) sticky_queue: Option<&'a str>,
}

impl Default for Worker<'_> {
    fn default() -> Self {
        Self { request_id: "poll-1", sticky_queue: None }
    }
}

impl Kit {
    /// A worker polls the normal queue and gets the pending workflow task.
    pub(crate) fn start_task(&mut self) -> tokens::WorkflowTask {
        self.start_task_as(Worker::default()).unwrap();
        self.token()
    }

    pub(crate) fn start_task_as(&mut self, worker: Worker<'_>) -> ServiceResult<()> {
        let (scheduled, attempt) = self.state.task().map_or((0, 0), |task| (task.scheduled_event_id, task.attempt));
        self.start_exactly(scheduled, attempt, worker)
    }

    pub(crate) fn start_exactly(&mut self, scheduled: i64, attempt: i32, worker: Worker<'_>) -> ServiceResult<()> {
        let poll = PollWorkflowTaskQueueRequest { identity: "worker".to_owned(), ..Default::default() };
        let matched = Match {
            scheduled_event_id: scheduled,
            attempt,
            stamp: self.state.task().map_or(0, |task| task.stamp),
            request_id: worker.request_id,
            sticky_queue: worker.sticky_queue,
        };
        self.messages = self.decide(|state, env| start_task::decide(state, matched, &poll, env))?;
        Ok(())
    }

    /// The token of the workflow task that a worker has; one of no task when none has.
    pub(crate) fn token(&self) -> tokens::WorkflowTask {
        let task = self.state.started_task().cloned().unwrap_or_default();
        tokens::WorkflowTask {
            namespace_id: self.namespace.id.to_string(),
            workflow_id: self.state.workflow_id().to_owned(),
            run_id: self.state.run_id().to_owned(),
            scheduled_event_id: task.scheduled_event_id,
            started_event_id: task.started_event_id,
            started_time: task.started_time,
            attempt: task.attempt,
        }
    }

    /// The worker answers the workflow task it has.
    pub(crate) fn complete(&mut self, commands: Vec<Command>) -> ServiceResult<Answer> {
        self.complete_with(commands, |_| {})
    }

    pub(crate) fn complete_with(
        &mut self,
        commands: Vec<Command>,
        adjust: impl Fn(&mut RespondWorkflowTaskCompletedRequest),
    ) -> ServiceResult<Answer> {
        let token = self.token();
        self.complete_as(&token, commands, adjust)
    }

    pub(crate) fn complete_as(
        &mut self,
        token: &tokens::WorkflowTask,
        commands: Vec<Command>,
        adjust: impl Fn(&mut RespondWorkflowTaskCompletedRequest),
    ) -> ServiceResult<Answer> {
        let mut request =
            RespondWorkflowTaskCompletedRequest { identity: "worker".to_owned(), commands, ..Default::default() };
        adjust(&mut request);
        let answer =
            self.decide(|state, env| task_completed::decide(state, token, request.clone(), &neighbours(), env))?;
        self.messages.clone_from(&answer.messages);
        Ok(answer)
    }

    /// A worker takes the pending workflow task and answers it; nobody objects.
    pub(crate) fn turn(&mut self, commands: Vec<Command>) -> Answer {
        self.start_task();
        let answer = self.complete(commands).unwrap();
        assert_eq!(answer.refused, None);
        answer
    }

    /// The same with stickiness: the next workflow task is for the worker's own queue for 5 s.
    pub(crate) fn sticky_turn(&mut self, commands: Vec<Command>) {
        self.start_task();
        let answer =
            self.complete_with(commands, |request| request.sticky_attributes = Some(make::sticky("sticky", 5)));
        assert_eq!(answer.unwrap().refused, None);
    }

    /// The worker answers the workflow task it has, with nothing but messages. Nobody objects.
    pub(crate) fn say(&mut self, messages: Vec<Message>) -> Answer {
        let answer = self.complete_with(Vec::new(), |request| request.messages.clone_from(&messages)).unwrap();
        assert_eq!(answer.refused, None);
        answer
    }

    /// The worker answers with commands that the server refuses. Returns the error text.
    pub(crate) fn refused(&mut self, commands: Vec<Command>) -> String {
        self.complete(commands).unwrap().refused.unwrap().message.into_owned()
    }

    pub(crate) fn fail_task(&mut self, cause: WorkflowTaskFailedCause) -> ServiceResult<()> {
        let token = self.token();
        let request = RespondWorkflowTaskFailedRequest {
            cause: cause.into(),
            failure: Some(Failure { message: "no luck".to_owned(), ..Default::default() }),
            identity: "worker".to_owned(),
            ..Default::default()
        };
        self.decide(|state, env| task_failed::decide(state, &token, request.clone(), env))
    }

    /// The scheduled event id of an open activity.
    pub(crate) fn activity(&self, activity_id: &str) -> i64 {
        self.state.activity_ids[activity_id]
    }

    /// An open activity's attempt.
    pub(crate) fn attempt(&self, activity_id: &str) -> &records::ActivityAttempt {
        self.state.attempt(self.activity(activity_id)).unwrap()
    }

    /// What matching was last given of an activity.
    pub(crate) fn dispatched(&self, scheduled_event_id: i64) -> Option<records::QueuedTask> {
        let found = self.tasks.iter().rev().find_map(|task| match task {
            NewTask::Activity(task) if task.scheduled_event_id == scheduled_event_id => Some(task),
            _ => None,
        });
        found.map(|task| records::QueuedTask {
            scheduled_event_id: task.scheduled_event_id,
            attempt: task.attempt,
            stamp: task.stamp,
            ..Default::default()
        })
    }

    /// A worker polls and gets an activity.
    pub(crate) fn start_activity(&mut self, activity_id: &str) -> tokens::ActivityTask {
        let id = self.activity(activity_id);
        let task = self.dispatched(id).unwrap();
        self.start_queued(&task, "poll-1").unwrap();
        self.activity_token(id)
    }

    pub(crate) fn start_queued(&mut self, task: &records::QueuedTask, request_id: &str) -> ServiceResult<()> {
        let poll = PollActivityTaskQueueRequest { identity: "activity worker".to_owned(), ..Default::default() };
        match self.decide(|state, env| start_activity::decide(state, task, request_id, &poll, env))? {
            start_activity::Answer::Started => Ok(()),
            start_activity::Answer::Paused => Err(ServiceError::not_found("paused by a rule")),
        }
    }

    /// The token of an activity's present attempt; attempt 0 when it has none.
    pub(crate) fn activity_token(&self, id: i64) -> tokens::ActivityTask {
        let attempt = self.state.attempt(id).map_or(0, |attempt| attempt.attempt);
        tokens::ActivityTask { scheduled_event_id: id, attempt, ..Default::default() }
    }

    pub(crate) fn finish(&mut self, token: &tokens::ActivityTask, outcome: Outcome) -> ServiceResult<()> {
        let reporter = Reporter { identity: "activity worker".to_owned(), worker_version: None };
        self.decide(|state, env| activity_outcome::decide(state, token, outcome.clone(), reporter.clone(), env))
    }

    pub(crate) fn heartbeat(
        &mut self,
        token: &tokens::ActivityTask,
        details: Option<Payloads>,
    ) -> ServiceResult<RecordActivityTaskHeartbeatResponse> {
        self.decide(|state, env| heartbeat::decide(state, token, details.clone(), env))
    }

    /// How long from now until something is due.
    pub(crate) fn due_in(&self) -> Option<std::time::Duration> {
        self.state.next_deadline().map(|(at, _)| Timestamp::since(at, self.now))
    }
}
