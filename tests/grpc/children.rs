//! Children: started in two steps, reported once, told when their parent closes.

use perdure_proto::api::{
    command::Command,
    enums::{EventType as K, ParentClosePolicy, WorkflowExecutionStatus as Status},
    history::{HistoryEvent, history_event::Attributes},
};

use crate::kit::*;

/// Attributes of an event, as a panic where it is another one.
macro_rules! told {
    ($event:expr, $kind:ident) => {
        match $event.attributes.clone() {
            Some(Attributes::$kind(attributes)) => attributes,
            other => panic!("{other:?}"),
        }
    };
}
pub(crate) use told;

/// A parent and the flow of a child on a queue of its own.
pub(crate) struct Family {
    pub(crate) parent: Flow,
    pub(crate) child: Flow,
    pub(crate) parent_run: String,
}

impl Family {
    /// A parent that has started a child.
    pub(crate) async fn with(server: &Server, command: impl Fn(&Flow) -> Command) -> Self {
        let (parent, child) = (Flow::new(server), Flow::new(server));
        let parent_run = parent.begin(vec![command(&child)]).await;
        Self { parent, child, parent_run }
    }

    pub(crate) async fn start(server: &Server) -> Self {
        Self::with(server, |flow| child(&flow.id, &flow.queue)).await
    }
}

/// The events of a workflow task that the worker has not seen yet: those after the last completed task.
pub(crate) fn news(task: &Task) -> Vec<HistoryEvent> {
    let events = &task.history.as_ref().unwrap().events;
    let seen = events.iter().rposition(|event| event.event_type() == K::WorkflowTaskCompleted).unwrap();
    let own = [K::WorkflowTaskScheduled, K::WorkflowTaskStarted];
    events[seen + 1..].iter().filter(|event| !own.contains(&event.event_type())).cloned().collect()
}

#[tokio::test]
pub(crate) async fn a_child_is_started_and_its_result_comes_back() {
    let server = Server::start().await;
    let Family { parent, child, parent_run } = Family::start(&server).await;
    let task = parent.task().await;
    let events = news(&task);
    assert_eq!(kinds(&events), [K::StartChildWorkflowExecutionInitiated, K::ChildWorkflowExecutionStarted]);
    let initiated = told!(events[0], StartChildWorkflowExecutionInitiatedEventAttributes);
    assert_eq!((&*initiated.namespace, initiated.workflow_id.clone()), (NAMESPACE, child.id.clone()));
    assert_eq!(initiated.parent_close_policy(), ParentClosePolicy::Terminate);
    assert_eq!(initiated.workflow_run_timeout, seconds(0).or(Some(Default::default())));
    assert_eq!(initiated.workflow_task_timeout, seconds(10));
    let started = told!(events[1], ChildWorkflowExecutionStartedEventAttributes);
    assert_eq!(started.initiated_event_id, events[0].event_id);
    let child_run = started.workflow_execution.unwrap().run_id;
    parent.complete(&task, Vec::new()).await.unwrap();

    let pending = parent.describe().await.pending_children;
    assert_eq!(pending.len(), 1);
    assert_eq!((&pending[0].workflow_id, &pending[0].run_id), (&child.id, &child_run));
    assert_eq!((&*pending[0].workflow_type_name, pending[0].initiated_id), ("part", events[0].event_id));
    assert_eq!(pending[0].parent_close_policy(), ParentClosePolicy::Terminate);

    let task = child.task().await;
    let first = &task.history.as_ref().unwrap().events[0];
    let begun = told!(first, WorkflowExecutionStartedEventAttributes);
    assert_eq!(begun.parent_workflow_namespace, NAMESPACE);
    assert_eq!(begun.parent_workflow_execution, execution(&parent.id, &parent_run));
    assert_eq!(begun.parent_initiated_event_id, events[0].event_id);
    assert_eq!(begun.root_workflow_execution, execution(&parent.id, &parent_run));
    assert_eq!((begun.attempt, &*begun.identity), (1, ""));
    let info = child.describe().await.workflow_execution_info.unwrap();
    assert_eq!(info.parent_execution, execution(&parent.id, &parent_run));
    assert_eq!(info.root_execution, execution(&parent.id, &parent_run));
    child.complete(&task, vec![complete("result")]).await.unwrap();

    let task = parent.task().await;
    let ended = news(&task);
    assert_eq!(kinds(&ended), [K::ChildWorkflowExecutionCompleted]);
    let ended = told!(ended[0], ChildWorkflowExecutionCompletedEventAttributes);
    assert_eq!((ended.result, ended.initiated_event_id), (payloads("result"), events[0].event_id));
    assert_eq!((ended.started_event_id, &*ended.namespace), (events[1].event_id, NAMESPACE));
    assert_eq!(ended.workflow_execution, execution(&child.id, &child_run));
    assert_eq!(parent.describe().await.pending_children, []);
    parent.complete(&task, vec![complete("done")]).await.unwrap();
    server.stop().await;
}

#[tokio::test]
pub(crate) async fn a_grandchild_knows_its_root() {
    let server = Server::start().await;
    let Family { parent, child: middle, parent_run } = Family::start(&server).await;
    let grandchild = Flow::new(&server);
    let task = middle.task().await;
    middle.complete(&task, vec![child(&grandchild.id, &grandchild.queue)]).await.unwrap();
    let task = grandchild.task().await;
    let begun = told!(task.history.unwrap().events[0], WorkflowExecutionStartedEventAttributes);
    assert_eq!(begun.root_workflow_execution, execution(&parent.id, &parent_run));
    assert_eq!(begun.parent_workflow_execution.unwrap().workflow_id, middle.id);
    parent.terminate().await;
    server.stop().await;
}

#[tokio::test]
pub(crate) async fn a_child_that_is_started_with_its_parents_last_decision_never_runs() {
    let server = Server::start().await;
    let (parent, never) = (Flow::new(&server), Flow::new(&server));
    let abandoned = child_with(&never.id, &never.queue, |child| {
        child.set_parent_close_policy(ParentClosePolicy::Abandon);
    });
    parent.begin(vec![abandoned, complete("done")]).await;
    assert_eq!(kinds(&parent.events().await).last(), Some(&K::WorkflowExecutionCompleted));
    // The id stays free: had the child been started, this would be refused.
    never.start().await;
    assert_eq!(never.describe().await.workflow_execution_info.unwrap().parent_execution, None);
    never.terminate().await;
    server.stop().await;
}

#[tokio::test]
pub(crate) async fn children_are_dealt_with_when_their_parent_closes() {
    let server = Server::start().await;
    let parent = Flow::new(&server);
    let policies = [ParentClosePolicy::Terminate, ParentClosePolicy::Abandon, ParentClosePolicy::RequestCancel];
    let children = policies.map(|_| Flow::new(&server));
    let commands = children
        .iter()
        .zip(policies)
        .map(|(flow, policy)| child_with(&flow.id, &flow.queue, |child| child.set_parent_close_policy(policy)));
    let parent_run = parent.begin(commands.collect()).await;
    for flow in &children {
        let task = flow.task().await;
        flow.complete(&task, Vec::new()).await.unwrap();
    }
    let mut started = 0;
    while started < 3 {
        let task = parent.task().await;
        started += kinds(&news(&task)).iter().filter(|kind| **kind == K::ChildWorkflowExecutionStarted).count();
        parent.complete(&task, if started == 3 { vec![complete("done")] } else { Vec::new() }).await.unwrap();
    }
    let [terminated, abandoned, cancelled] = children;
    let end = told!(terminated.closed().await, WorkflowExecutionTerminatedEventAttributes);
    assert_eq!((&*end.reason, &*end.identity), ("by parent close policy", "history-service"));
    let task = cancelled.task().await;
    let request = news(&task);
    assert_eq!(kinds(&request), [K::WorkflowExecutionCancelRequested]);
    let request = told!(request[0], WorkflowExecutionCancelRequestedEventAttributes);
    assert_eq!((&*request.identity, &*request.cause), ("history-service", ""));
    assert_eq!(request.external_workflow_execution, execution(&parent.id, &parent_run));
    assert_eq!(request.external_initiated_event_id, 0);
    assert_eq!(abandoned.status("").await, Status::Running);
    abandoned.terminate().await;
    cancelled.terminate().await;
    server.stop().await;
}

#[tokio::test]
pub(crate) async fn many_children_are_closed_too() {
    let server = Server::start().await;
    let parent = Flow::new(&server);
    let children: Vec<Flow> = (0..12).map(|_| Flow::new(&server)).collect();
    parent.begin(children.iter().map(|flow| child(&flow.id, &flow.queue)).collect()).await;
    let mut started = 0;
    while started < children.len() {
        let task = parent.task().await;
        started += kinds(&news(&task)).iter().filter(|kind| **kind == K::ChildWorkflowExecutionStarted).count();
        parent.complete(&task, Vec::new()).await.unwrap();
    }
    parent.terminate().await;
    for flow in &children {
        let end = told!(flow.closed().await, WorkflowExecutionTerminatedEventAttributes);
        assert_eq!(
            (&*end.reason, &*end.identity),
            ("by parent close policy", "temporal-sys-parent-close-policy-workflow")
        );
    }
    server.stop().await;
}
