//! The first event of a run, and what follows from it at once.

use std::time::Duration;

use perdure_kernel::{
    ExecutionKey, Timestamp,
    cron::{CronSchedule, first_cron_backoff},
    time::{span, span_to_proto, span_to_proto_opt},
};
use perdure_proto::api::{
    common::{Link, Payloads},
    enums::ContinueAsNewInitiator,
    history::{
        WorkflowExecutionSignaledEventAttributes, WorkflowExecutionStartedEventAttributes, history_event::Attributes,
    },
    sdk::UserMetadata,
    update::Request,
    workflow::{ResetPointInfo, ResetPoints},
    workflowservice::StartWorkflowExecutionRequest,
};

use super::{
    apply::event_span,
    calls::update::admitted,
    change::{Change, Durability, Transition},
    draft::{Draft, EventExtras},
    state::WorkflowState,
    task::{Delivery, TaskStart},
};
use crate::Env;

/// Request id that the server gives to workflow tasks it starts together with their run.
const EAGER_REQUEST_ID: &str = "request-from-StartWorkflowExecution";

/// A signal to record.
#[derive(Clone, Debug)]
pub struct Signal {
    /// Its event.
    pub attributes: WorkflowExecutionSignaledEventAttributes,
    /// Dedup id; empty for none.
    pub request_id: String,
    /// As the client gave them.
    pub links: Vec<Link>,
}

/// A run to start.
#[derive(Clone, Debug)]
pub struct NewRun {
    /// Its key, with a fresh run id.
    pub key: ExecutionKey,
    /// Its first event. `first_workflow_task_backoff` says when its first workflow task comes.
    pub start: WorkflowExecutionStartedEventAttributes,
    /// Dedup id of the start.
    pub request_id: String,
    /// As the client gave them.
    pub links: Vec<Link>,
    /// As the client gave it.
    pub user_metadata: Option<UserMetadata>,
    /// A signal that comes with the start.
    pub signal: Option<Signal>,
    /// An update that comes with the start.
    pub update: Option<Request>,
    /// Identity of the starter that takes the first workflow task itself, if it may.
    pub eager_identity: Option<String>,
    /// The first workflow task waits until the parent has recorded the start.
    pub held: bool,
}

impl NewRun {
    /// The run that a start request asks for. The request is validated and has its defaults.
    pub fn from_request(key: ExecutionKey, mut request: StartWorkflowExecutionRequest, env: &Env<'_>) -> Self {
        let limits = env.limits();
        let execution_timeout = span(request.workflow_execution_timeout.as_ref());
        let run_timeout = run_timeout(span(request.workflow_run_timeout.as_ref()), execution_timeout);
        let mut task_timeout = span(request.workflow_task_timeout.as_ref());
        if task_timeout.is_zero() {
            task_timeout = limits.workflow_task_timeout_default;
        }
        task_timeout = task_timeout.min(limits.workflow_task_timeout_max);
        if !run_timeout.is_zero() {
            task_timeout = task_timeout.min(run_timeout);
        }
        let cron = CronSchedule::for_workflow(&request.cron_schedule, env.now).ok().flatten();
        let delay = span(request.workflow_start_delay.as_ref());
        let backoff = if delay.is_zero() {
            cron.map(|cron| first_cron_backoff(&cron, env.now)).unwrap_or_default()
        } else {
            delay
        };
        let eager = request.request_eager_execution && backoff.is_zero() && limits.eager_workflow_start;
        let initiator = if request.cron_schedule.is_empty() {
            ContinueAsNewInitiator::Unspecified
        } else {
            ContinueAsNewInitiator::CronSchedule
        };
        let expires = (!execution_timeout.is_zero()).then(|| rounded_to_millis(env.now + execution_timeout).to_proto());
        if let Some(memo) = &mut request.memo {
            memo.fields.retain(|_, payload| !super::state::is_null(payload));
        }
        request.memo = request.memo.filter(|memo| !memo.fields.is_empty());
        if let Some(attributes) = &mut request.search_attributes {
            attributes.indexed_fields.retain(|_, payload| !super::state::is_null(payload));
            perdure_kernel::search_attributes::add_types(attributes, env.namespace);
        }
        let start = WorkflowExecutionStartedEventAttributes {
            workflow_type: request.workflow_type,
            task_queue: request.task_queue,
            input: request.input,
            // A zero that the client spelled out is repeated to whoever reads the event.
            workflow_execution_timeout: request.workflow_execution_timeout.map(|_| span_to_proto(execution_timeout)),
            workflow_run_timeout: span_to_proto_opt(run_timeout).or(request.workflow_run_timeout),
            workflow_task_timeout: event_span(task_timeout),
            initiator: initiator.into(),
            continued_failure: request.continued_failure,
            last_completion_result: request.last_completion_result,
            original_execution_run_id: key.run_id.to_string(),
            identity: request.identity.clone(),
            first_execution_run_id: key.run_id.to_string(),
            retry_policy: request.retry_policy,
            attempt: 1,
            workflow_execution_expiration_time: expires,
            cron_schedule: request.cron_schedule,
            first_workflow_task_backoff: event_span(backoff),
            memo: request.memo,
            search_attributes: request.search_attributes,
            header: request.header,
            workflow_id: request.workflow_id,
            completion_callbacks: request.completion_callbacks,
            versioning_override: request.versioning_override,
            priority: request.priority,
            eager_execution_accepted: eager,
            ..Default::default()
        };
        Self {
            key,
            start,
            request_id: request.request_id,
            links: request.links,
            user_metadata: request.user_metadata,
            signal: None,
            update: None,
            eager_identity: eager.then_some(request.identity),
            held: false,
        }
    }

    /// Starts the run.
    pub fn begin(self, env: &mut Env<'_>) -> Transition {
        let empty = WorkflowState::empty(self.key);
        let mut draft = Draft::new(&empty, env);
        let backoff = span(self.start.first_workflow_task_backoff.as_ref());
        let extras = EventExtras { links: self.links, user_metadata: self.user_metadata, ..Default::default() };
        draft.state.volatile.run.create_request_id = self.request_id;
        draft.emit_with(Attributes::WorkflowExecutionStartedEventAttributes(Box::new(self.start)), extras);
        if let Some(signal) = self.signal {
            draft.record_signal(signal);
        }
        if let Some(update) = self.update {
            let id = update.meta.as_ref().map(|meta| meta.update_id.clone()).unwrap_or_default();
            draft.push_update(admitted(&id, update));
        }
        if self.held {
            draft.state.volatile.run.first_task_held = true;
        } else if backoff.is_zero() {
            match self.eager_identity {
                Some(identity) => {
                    draft.schedule_task(Delivery::Inline);
                    draft.start_task(TaskStart {
                        identity,
                        request_id: EAGER_REQUEST_ID.to_owned(),
                        worker_version: None,
                    });
                }
                None => draft.schedule_task(Delivery::Dispatch),
            }
        } else {
            draft.state.volatile.run.first_task_at = draft.state.record.execution_time;
        }
        draft.finish(Durability::BeforeReply)
    }
}

impl Draft<'_, '_> {
    /// Records a signal. The caller decides about a workflow task.
    pub(crate) fn record_signal(&mut self, signal: Signal) {
        if !signal.request_id.is_empty() {
            self.change(Change::SignalRequest(signal.request_id));
        }
        let extras = EventExtras { links: signal.links, ..Default::default() };
        self.emit_or_buffer(Attributes::WorkflowExecutionSignaledEventAttributes(signal.attributes), extras);
    }
}

/// A run may not outlive its execution.
pub(crate) fn run_timeout(run: Duration, execution: Duration) -> Duration {
    match (run.is_zero(), execution.is_zero()) {
        (_, true) => run,
        (true, false) => execution,
        (false, false) => run.min(execution),
    }
}

/// Temporal keeps execution deadlines in whole milliseconds.
fn rounded_to_millis(at: Timestamp) -> Timestamp {
    const MILLI: i64 = 1_000_000;
    Timestamp::from_nanos(at.as_nanos().saturating_add(MILLI / 2) / MILLI * MILLI)
}

/// What the next run of a chain starts with.
#[derive(Clone, Debug)]
pub(crate) struct Successor {
    pub(crate) run_id: String,
    pub(crate) initiator: ContinueAsNewInitiator,
    pub(crate) attempt: i32,
    pub(crate) backoff: Duration,
    pub(crate) last_completion_result: Option<Payloads>,
    pub(crate) continued_failure: Option<perdure_proto::api::failure::Failure>,
}

impl Draft<'_, '_> {
    /// Starts the next run of the chain in the same commit. `start` tells what it inherits: type, queue,
    /// input, timeouts, memo, search attributes, header, policies.
    pub(crate) fn continue_chain(&mut self, start: WorkflowExecutionStartedEventAttributes, next: Successor) {
        let previous = self.state.start.clone();
        let backoff = self.spaced_from_this_run(next.backoff);
        let points = self.expiring_reset_points();
        let expires = Timestamp::from_nanos(self.state.record.execution_expires_at);
        let start = WorkflowExecutionStartedEventAttributes {
            continued_execution_run_id: self.state.run_id().to_owned(),
            initiator: next.initiator.into(),
            continued_failure: next.continued_failure,
            last_completion_result: next.last_completion_result,
            original_execution_run_id: next.run_id.clone(),
            first_execution_run_id: previous.first_execution_run_id.clone(),
            attempt: next.attempt,
            workflow_execution_timeout: previous.workflow_execution_timeout,
            workflow_execution_expiration_time: expires.to_proto_opt(),
            first_workflow_task_backoff: Some(span_to_proto(backoff)),
            prev_auto_reset_points: Some(ResetPoints { points }),
            parent_workflow_namespace: previous.parent_workflow_namespace.clone(),
            parent_workflow_namespace_id: previous.parent_workflow_namespace_id.clone(),
            parent_workflow_execution: previous.parent_workflow_execution.clone(),
            parent_initiated_event_id: previous.parent_initiated_event_id,
            parent_initiated_event_version: previous.parent_initiated_event_version,
            root_workflow_execution: previous.root_workflow_execution.clone(),
            workflow_id: previous.workflow_id.clone(),
            priority: self.state.priority().cloned(),
            // A cron chain's callbacks are called when its first run closes.
            completion_callbacks: match next.initiator {
                ContinueAsNewInitiator::CronSchedule => Vec::new(),
                ContinueAsNewInitiator::Unspecified
                | ContinueAsNewInitiator::Workflow
                | ContinueAsNewInitiator::Retry => self.state.inherited_callbacks(),
            },
            identity: String::new(),
            eager_execution_accepted: false,
            ..start
        };
        let mut key = self.state.key.clone();
        key.run_id = next.run_id.into();
        let request_id = self.env.random.uuid();
        let run = NewRun {
            key,
            start,
            request_id,
            links: self.state.record.start_links.clone(),
            user_metadata: None,
            signal: None,
            update: None,
            eager_identity: None,
            held: false,
        };
        self.successor = Some(Box::new(run.begin(self.env)));
    }

    /// The run's reset points for its successor: they are of use while this run's history is kept.
    fn expiring_reset_points(&self) -> Vec<ResetPointInfo> {
        let expires = self.now() + self.env.namespace.retention;
        let mut points = self.state.record.auto_reset_points.clone();
        for point in points.iter_mut().filter(|point| point.run_id == self.state.run_id()) {
            point.expire_time = Some(expires.to_proto());
        }
        points
    }

    /// `backoff`, raised so that runs of one chain do not follow each other in a tight loop.
    fn spaced_from_this_run(&self, backoff: Duration) -> Duration {
        let lifetime = self.now().since(self.execution_time());
        let spacing = self.env.limits().id_reuse_interval_min;
        if lifetime + backoff < spacing { spacing - lifetime } else { backoff }
    }

    /// When the first workflow task of this run was due.
    pub(crate) fn execution_time(&self) -> Timestamp {
        Timestamp::from_nanos(self.state.record.execution_time)
    }

    /// Sets when retention deletes the run. Called once the run is closed.
    pub(crate) fn schedule_deletion(&mut self) {
        self.state.volatile.run.delete_at = self.env.deletion_time().as_nanos();
    }
}
