//! Other workflows that a run deals with: its children, those it signals or cancels, and its parent.
//!
//! What is under way is an item of its own until the event that ends it. The shard does the talking: it is
//! given a task for each, and brings the outcome back as a call.

use std::sync::Arc;

use perdure_proto::{
    api::{
        common::WorkflowExecution,
        enums::ParentClosePolicy,
        history::{
            ChildWorkflowExecutionStartedEventAttributes, HistoryEvent,
            RequestCancelExternalWorkflowExecutionInitiatedEventAttributes,
            SignalExternalWorkflowExecutionInitiatedEventAttributes,
            StartChildWorkflowExecutionInitiatedEventAttributes, history_event::Attributes,
        },
    },
    records,
};

use super::{change::NewTask, close::SERVER_IDENTITY, draft::Draft, options::merge_priority, state::WorkflowState};

/// Who closes the children of a parent with many of them: Temporal leaves those to a workflow of its own.
const MANY_CHILDREN_IDENTITY: &str = "temporal-sys-parent-close-policy-workflow";

/// Something under way, named by its initiated event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pending {
    /// A child.
    Child(i64),
    /// A signal to another workflow.
    Signal(i64),
    /// A cancellation of another workflow.
    Cancel(i64),
}

/// What an event says about something under way that an earlier event initiated.
pub(crate) fn pending(attributes: &Attributes) -> Option<Pending> {
    use Attributes as A;
    Some(match attributes {
        A::ChildWorkflowExecutionStartedEventAttributes(event) => Pending::Child(event.initiated_event_id),
        A::StartChildWorkflowExecutionFailedEventAttributes(event) => Pending::Child(event.initiated_event_id),
        A::ChildWorkflowExecutionCompletedEventAttributes(event) => Pending::Child(event.initiated_event_id),
        A::ChildWorkflowExecutionFailedEventAttributes(event) => Pending::Child(event.initiated_event_id),
        A::ChildWorkflowExecutionCanceledEventAttributes(event) => Pending::Child(event.initiated_event_id),
        A::ChildWorkflowExecutionTimedOutEventAttributes(event) => Pending::Child(event.initiated_event_id),
        A::ChildWorkflowExecutionTerminatedEventAttributes(event) => Pending::Child(event.initiated_event_id),
        A::ExternalWorkflowExecutionSignaledEventAttributes(event) => Pending::Signal(event.initiated_event_id),
        A::SignalExternalWorkflowExecutionFailedEventAttributes(event) => Pending::Signal(event.initiated_event_id),
        A::ExternalWorkflowExecutionCancelRequestedEventAttributes(event) => Pending::Cancel(event.initiated_event_id),
        A::RequestCancelExternalWorkflowExecutionFailedEventAttributes(event) => {
            Pending::Cancel(event.initiated_event_id)
        }
        _ => return None,
    })
}

impl WorkflowState {
    /// This run, as others name it.
    pub fn execution(&self) -> WorkflowExecution {
        WorkflowExecution { workflow_id: self.workflow_id().to_owned(), run_id: self.run_id().to_owned() }
    }

    /// The workflow at the top of this run's tree: the run itself when it has no parent.
    pub fn root(&self) -> WorkflowExecution {
        self.start.root_workflow_execution.clone().unwrap_or_else(|| self.execution())
    }

    /// The id under which a call about something under way is recognised when it comes again. Event versions
    /// are always 0.
    pub fn family_request_id(&self, initiated_event_id: i64) -> String {
        format!("{}:{initiated_event_id}:0", self.run_id())
    }

    /// A child's priority: its own where it says something, else this run's.
    pub fn child_priority(
        &self,
        initiated: &StartChildWorkflowExecutionInitiatedEventAttributes,
    ) -> Option<perdure_proto::api::common::Priority> {
        merge_priority(self.priority(), initiated.priority.as_ref())
    }

    /// Whether the run is a child of that workflow.
    pub fn is_child_of(&self, parent: &WorkflowExecution) -> bool {
        self.start.parent_workflow_execution.as_ref() == Some(parent)
    }

    pub(super) fn child_initiated(
        &mut self,
        event: &HistoryEvent,
        initiated: &StartChildWorkflowExecutionInitiatedEventAttributes,
    ) {
        let child = records::PendingChild {
            initiated_event_id: event.event_id,
            namespace: initiated.namespace.clone(),
            namespace_id: initiated.namespace_id.clone(),
            workflow_id: initiated.workflow_id.clone(),
            workflow_type: initiated.workflow_type.clone(),
            parent_close_policy: initiated.parent_close_policy,
            initiated: Some(initiated.clone()),
            user_metadata: event.user_metadata.clone(),
            ..Default::default()
        };
        self.children.insert(event.event_id, Arc::new(child));
    }

    /// The child is known to be started. `event_id` is 0 while the event that says so waits in the buffer.
    pub(super) fn child_started(&mut self, started: &ChildWorkflowExecutionStartedEventAttributes, event_id: i64) {
        let Some(child) = self.children.get(&started.initiated_event_id) else { return };
        let mut child = (**child).clone();
        child.started_event_id = event_id;
        child.started_run_id = started.workflow_execution.as_ref().map(|run| run.run_id.clone()).unwrap_or_default();
        child.initiated = None;
        child.user_metadata = None;
        self.children.insert(started.initiated_event_id, Arc::new(child));
    }

    pub(super) fn external_signal_initiated(
        &mut self,
        event_id: i64,
        initiated: &SignalExternalWorkflowExecutionInitiatedEventAttributes,
    ) {
        let signal = records::PendingSignal { initiated_event_id: event_id, initiated: Some(initiated.clone()) };
        self.external_signals.insert(event_id, Arc::new(signal));
    }

    pub(super) fn external_cancel_initiated(
        &mut self,
        event_id: i64,
        initiated: &RequestCancelExternalWorkflowExecutionInitiatedEventAttributes,
    ) {
        let cancel = records::PendingCancel { initiated_event_id: event_id, initiated: Some(initiated.clone()) };
        self.external_cancels.insert(event_id, Arc::new(cancel));
    }

    /// Removes what an event ends. Doing it twice is the same as once.
    pub(super) fn family_ended(&mut self, attributes: &Attributes) {
        match pending(attributes) {
            Some(Pending::Child(id)) => drop(self.children.remove(&id)),
            Some(Pending::Signal(id)) => drop(self.external_signals.remove(&id)),
            Some(Pending::Cancel(id)) => drop(self.external_cancels.remove(&id)),
            None => {}
        }
    }
}

impl Draft<'_, '_> {
    /// The run has closed: its parent is told unless another run follows or takes its place, and its children are dealt with as
    /// they were started to be. A child that is not known to be started is left to the task that starts it.
    pub(crate) fn tell_family(&mut self) {
        let close_event = self.last_event().map(|event| (**event).clone());
        let state = &self.state;
        let (start, threshold) = (&state.start, self.env.limits().parent_close_policy_threshold);
        let many = state.children.len() >= threshold;
        let run = &state.volatile.run;
        let goes_on = run.was_reset || !state.record.new_execution_run_id.is_empty();
        if let (Some(parent), false) = (&start.parent_workflow_execution, goes_on) {
            let parent = records::ExecutionRef {
                namespace_id: start.parent_workflow_namespace_id.clone(),
                archetype: u32::from(state.key.business.archetype.0),
                business_id: parent.workflow_id.clone(),
                run_id: parent.run_id.clone(),
            };
            self.tasks.push(NewTask::ReportClose(Box::new(records::ReportClose {
                parent: Some(parent),
                initiated_event_id: start.parent_initiated_event_id,
                first_run_id: start.first_execution_run_id.clone(),
                close_event,
            })));
        }
        if run.was_reset && !run.reset_run_id.is_empty() {
            // The run that goes on from this one's history has the children now.
            return;
        }
        for child in state.children.values().filter(|child| !child.started_run_id.is_empty()) {
            match child.parent_close_policy() {
                ParentClosePolicy::Terminate | ParentClosePolicy::RequestCancel => {}
                ParentClosePolicy::Abandon | ParentClosePolicy::Unspecified => continue,
            }
            self.tasks.push(NewTask::CloseChild(Box::new(records::CloseChild {
                namespace_id: child.namespace_id.clone(),
                workflow_id: child.workflow_id.clone(),
                first_run_id: child.started_run_id.clone(),
                initiated_event_id: child.initiated_event_id,
                policy: child.parent_close_policy,
                identity: if many { MANY_CHILDREN_IDENTITY } else { SERVER_IDENTITY }.to_owned(),
            })));
        }
    }
}
