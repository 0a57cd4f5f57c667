//! Parents, children and other workflows.

use perdure_execution::workflow::calls::{
    child_closed,
    child_start::{self, Outcome},
    external_cancel, external_signal, first_task,
};
use perdure_kernel::ServiceResult;
use perdure_proto::api::{
    command::{
        Command, RequestCancelExternalWorkflowExecutionCommandAttributes,
        SignalExternalWorkflowExecutionCommandAttributes, StartChildWorkflowExecutionCommandAttributes,
        command::Attributes as Decided,
    },
    common::{WorkflowExecution, WorkflowType},
    enums::{
        CancelExternalWorkflowExecutionFailedCause as CancelCause, CommandType,
        SignalExternalWorkflowExecutionFailedCause as SignalCause,
        StartChildWorkflowExecutionFailedCause as StartCause,
    },
    history::{
        HistoryEvent, WorkflowExecutionCanceledEventAttributes, WorkflowExecutionCompletedEventAttributes,
        WorkflowExecutionFailedEventAttributes, WorkflowExecutionTerminatedEventAttributes,
        WorkflowExecutionTimedOutEventAttributes, history_event::Attributes,
    },
};

use super::{Kit, make};

/// The run of a child that a test does not look at closely.
pub(crate) const CHILD_RUN: &str = "child-run";

/// A run as others name it.
pub(crate) fn run(workflow_id: &str, run_id: &str) -> WorkflowExecution {
    WorkflowExecution { workflow_id: workflow_id.to_owned(), run_id: run_id.to_owned() }
}

/// A child, changed by `adjust`.
pub(crate) fn child_with(id: &str, adjust: impl Fn(&mut StartChildWorkflowExecutionCommandAttributes)) -> Command {
    let mut attributes = StartChildWorkflowExecutionCommandAttributes {
        workflow_id: id.to_owned(),
        workflow_type: Some(WorkflowType { name: "part".to_owned() }),
        input: make::payloads("input"),
        ..Default::default()
    };
    adjust(&mut attributes);
    make::command(
        CommandType::StartChildWorkflowExecution,
        Decided::StartChildWorkflowExecutionCommandAttributes(attributes),
    )
}

pub(crate) fn child(id: &str) -> Command {
    child_with(id, |_| {})
}

/// A signal to another workflow.
pub(crate) fn signal_other(id: &str) -> Command {
    let attributes = SignalExternalWorkflowExecutionCommandAttributes {
        execution: Some(run(id, "")),
        signal_name: "go".to_owned(),
        ..Default::default()
    };
    let attributes = Decided::SignalExternalWorkflowExecutionCommandAttributes(attributes);
    make::command(CommandType::SignalExternalWorkflowExecution, attributes)
}

/// A cancellation of another workflow.
pub(crate) fn cancel_other(id: &str) -> Command {
    let attributes =
        RequestCancelExternalWorkflowExecutionCommandAttributes { workflow_id: id.to_owned(), ..Default::default() };
    let attributes = Decided::RequestCancelExternalWorkflowExecutionCommandAttributes(attributes);
    make::command(CommandType::RequestCancelExternalWorkflowExecution, attributes)
}

/// The ways in which a child can close for good.
pub(crate) fn ends() -> Vec<Attributes> {
    vec![
        Attributes::WorkflowExecutionCompletedEventAttributes(WorkflowExecutionCompletedEventAttributes {
            result: make::payloads("result"),
            ..Default::default()
        }),
        Attributes::WorkflowExecutionFailedEventAttributes(WorkflowExecutionFailedEventAttributes::default()),
        Attributes::WorkflowExecutionCanceledEventAttributes(WorkflowExecutionCanceledEventAttributes::default()),
        Attributes::WorkflowExecutionTimedOutEventAttributes(WorkflowExecutionTimedOutEventAttributes::default()),
        Attributes::WorkflowExecutionTerminatedEventAttributes(WorkflowExecutionTerminatedEventAttributes::default()),
    ]
}

impl Kit {
    /// The initiated event of a pending child.
    pub(crate) fn child(&self, workflow_id: &str) -> i64 {
        let mut found = self.state.children.values().filter(|child| child.workflow_id == workflow_id);
        found.next().unwrap().initiated_event_id
    }

    /// The child runs.
    pub(crate) fn child_runs(&mut self, initiated: i64, run_id: &str) -> ServiceResult<()> {
        let outcome = Outcome::Started(run_id.to_owned());
        self.decide(|state, env| child_start::decide(state, initiated, outcome.clone(), env))
    }

    /// The child could not be started.
    pub(crate) fn child_refused(&mut self, initiated: i64, cause: StartCause) -> ServiceResult<()> {
        self.decide(|state, env| child_start::decide(state, initiated, Outcome::Failed(cause), env))
    }

    /// The child has closed for good, in its first run.
    pub(crate) fn child_closes(&mut self, initiated: i64, run_id: &str, end: &Attributes) -> ServiceResult<()> {
        let pending = self.state.children.get(&initiated);
        let child = run(pending.map_or("nobody", |child| &child.workflow_id), run_id);
        let event = HistoryEvent { attributes: Some(end.clone()), ..Default::default() };
        self.decide(|state, env| child_closed::decide(state, initiated, &child, run_id, &event, env))
    }

    pub(crate) fn signal_arrives(&mut self, initiated: i64, outcome: Result<(), SignalCause>) -> ServiceResult<()> {
        self.decide(|state, env| external_signal::decide(state, initiated, "namespace".to_owned(), outcome, env))
    }

    pub(crate) fn cancel_arrives(&mut self, initiated: i64, outcome: Result<(), CancelCause>) -> ServiceResult<()> {
        self.decide(|state, env| external_cancel::decide(state, initiated, "namespace".to_owned(), outcome, env))
    }

    /// This run's parent has recorded its start.
    pub(crate) fn first_task(&mut self) -> ServiceResult<()> {
        self.decide(first_task::decide)
    }
}
