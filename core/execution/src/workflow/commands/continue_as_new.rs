//! Continue as new: the run ends and a fresh one takes over under the same id.

use std::time::Duration;

use perdure_kernel::{
    cron::CronSchedule,
    retry_policy,
    time::{span, span_to_proto_opt},
};
use perdure_proto::api::{
    command::ContinueAsNewWorkflowExecutionCommandAttributes,
    common::WorkflowType,
    enums::{ContinueAsNewInitiator, TaskQueueKind, WorkflowTaskFailedCause},
    history::{
        WorkflowExecutionContinuedAsNewEventAttributes, WorkflowExecutionStartedEventAttributes,
        history_event::Attributes,
    },
    taskqueue::TaskQueue,
};
use prost::Message;

use super::{CommandFailure, Commands, Outcome, duration};
use crate::workflow::{
    apply::event_span,
    draft::EventExtras,
    start::{Successor, run_timeout},
};

const CAUSE: WorkflowTaskFailedCause = WorkflowTaskFailedCause::BadContinueAsNewAttributes;
const COMMAND: &str = "ContinueAsNewWorkflowExecutionCommand";

impl Commands<'_, '_, '_, '_> {
    pub(super) fn continue_as_new(
        &mut self,
        mut command: ContinueAsNewWorkflowExecutionCommandAttributes,
        extras: EventExtras,
    ) -> Outcome {
        self.require_all_seen()?;
        self.fill_and_validate(&mut command)?;
        let run_id = self.draft.env.random.uuid();
        let next = Successor {
            run_id: run_id.clone(),
            initiator: initiator(&command),
            attempt: 1,
            backoff: span(command.backoff_start_interval.as_ref()),
            last_completion_result: command.last_completion_result.clone(),
            continued_failure: command.failure.clone(),
        };
        let event = WorkflowExecutionContinuedAsNewEventAttributes {
            new_execution_run_id: run_id,
            workflow_type: command.workflow_type.clone(),
            task_queue: command.task_queue.clone(),
            input: command.input.clone(),
            workflow_run_timeout: command.workflow_run_timeout,
            workflow_task_timeout: command.workflow_task_timeout,
            workflow_task_completed_event_id: self.completed_event_id,
            backoff_start_interval: command.backoff_start_interval,
            initiator: command.initiator,
            failure: command.failure,
            last_completion_result: command.last_completion_result,
            header: command.header.clone(),
            memo: command.memo.clone(),
            search_attributes: command.search_attributes.clone(),
            inherit_build_id: command.inherit_build_id,
            ..Default::default()
        };
        self.draft
            .close_by_command(Attributes::WorkflowExecutionContinuedAsNewEventAttributes(Box::new(event)), extras);
        let start = WorkflowExecutionStartedEventAttributes {
            workflow_type: command.workflow_type,
            task_queue: command.task_queue,
            input: command.input,
            workflow_run_timeout: command.workflow_run_timeout,
            workflow_task_timeout: command.workflow_task_timeout,
            retry_policy: command.retry_policy,
            cron_schedule: command.cron_schedule,
            header: command.header,
            memo: command.memo,
            search_attributes: command.search_attributes,
            ..Default::default()
        };
        self.draft.continue_chain(start, next);
        Ok(())
    }

    /// What the command leaves out comes from the run that ends; retry and cron do not.
    fn fill_and_validate(&self, command: &mut ContinueAsNewWorkflowExecutionCommandAttributes) -> Outcome {
        let start = self.draft.state.start.clone();
        let limits = self.draft.env.limits().clone();
        if command.workflow_type.as_ref().is_none_or(|kind| kind.name.is_empty()) {
            command.workflow_type = Some(WorkflowType { name: self.draft.state.workflow_type().to_owned() });
        }
        let type_name = command.workflow_type.as_ref().map_or("", |kind| &kind.name).to_owned();
        self.require_length(CAUSE, "WorkflowType", COMMAND, &type_name)?;
        let queue = command.task_queue.as_ref().map_or("", |queue| &queue.name);
        let queue = if queue.is_empty() { self.draft.state.task_queue() } else { queue }.to_owned();
        self.require_length(CAUSE, "TaskQueue", COMMAND, &queue)?;
        let kind = TaskQueueKind::Normal.into();
        command.task_queue = Some(TaskQueue { name: queue.clone(), kind, normal_name: String::new() });

        let bound = |field: &str, value| {
            duration(value, limits.duration_max).map_err(|why| {
                let text = format!("Invalid {field} on {COMMAND}: {why}. WorkflowType={type_name} TaskQueue={queue}");
                CommandFailure::fail(CAUSE, text)
            })
        };
        let mut run = bound("WorkflowRunTimeout", command.workflow_run_timeout.as_ref())?;
        let mut task = bound("WorkflowTaskTimeout", command.workflow_task_timeout.as_ref())?;
        let backoff = bound("BackoffStartInterval", command.backoff_start_interval.as_ref())?;
        let or = |value: Duration, inherited| if value.is_zero() { span(inherited) } else { value };
        run = or(run, start.workflow_run_timeout.as_ref());
        run = run_timeout(run, span(start.workflow_execution_timeout.as_ref()));
        task = or(task, start.workflow_task_timeout.as_ref()).min(limits.workflow_task_timeout_max);
        if !run.is_zero() {
            task = task.min(run);
        }
        command.workflow_run_timeout = event_span(run);
        command.workflow_task_timeout = event_span(task);
        command.backoff_start_interval = span_to_proto_opt(backoff);

        let refused = |error: perdure_kernel::ServiceError| CommandFailure::fail(CAUSE, error.message.into_owned());
        if let Some(policy) = &mut command.retry_policy {
            retry_policy::fill_defaults(policy, &retry_policy::RetryDefaults::default());
            retry_policy::validate_and_cap(policy, limits.duration_max).map_err(refused)?;
        }
        CronSchedule::for_workflow(&command.cron_schedule, self.draft.now()).map_err(|error| refused(error.into()))?;
        if let Some(attributes) = &command.search_attributes {
            self.require_search_attributes(attributes)?;
        }
        let input = command.input.as_ref().map_or(0, Message::encoded_len);
        self.require_blob(CAUSE, input, "ContinueAsNewWorkflowExecutionCommandAttributes. Input")?;
        let memo = command.memo.as_ref().map_or(0, Message::encoded_len);
        if memo > limits.memo_size_max {
            let text = "ContinueAsNewWorkflowExecutionCommandAttributes. Memo exceeds size limit.".to_owned();
            return Err(CommandFailure::EndRun { cause: CAUSE, text });
        }
        Ok(())
    }
}

fn initiator(command: &ContinueAsNewWorkflowExecutionCommandAttributes) -> ContinueAsNewInitiator {
    match command.initiator() {
        ContinueAsNewInitiator::Unspecified => ContinueAsNewInitiator::Workflow,
        given @ (ContinueAsNewInitiator::Workflow
        | ContinueAsNewInitiator::Retry
        | ContinueAsNewInitiator::CronSchedule) => given,
    }
}
