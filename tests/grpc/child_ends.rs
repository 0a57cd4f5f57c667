//! How children end, as their parents are told: once for a whole chain of runs.

use std::time::Duration;

use perdure_proto::api::{
    command::{ContinueAsNewWorkflowExecutionCommandAttributes, command::Attributes as CommandAttributes},
    common::{Priority, RetryPolicy},
    enums::{
        CommandType, EventType as K, ParentClosePolicy, RetryState, StartChildWorkflowExecutionFailedCause,
        WorkflowIdReusePolicy,
    },
    history::history_event::Attributes,
};

use crate::{
    children::{Family, news, told},
    kit::*,
};

/// The parent learns that its child runs.
async fn learn_start(family: &Family) -> (i64, i64, String) {
    let task = family.parent.task().await;
    let events = news(&task);
    let started = events.iter().find(|event| event.event_type() == K::ChildWorkflowExecutionStarted).unwrap();
    let attributes = told!(started, ChildWorkflowExecutionStartedEventAttributes);
    family.parent.complete(&task, Vec::new()).await.unwrap();
    (attributes.initiated_event_id, started.event_id, attributes.workflow_execution.unwrap().run_id)
}

#[tokio::test]
pub(crate) async fn every_end_has_its_event() {
    let server = Server::start().await;
    for end in [K::ChildWorkflowExecutionFailed, K::ChildWorkflowExecutionCanceled, K::ChildWorkflowExecutionTerminated]
    {
        let family = Family::start(&server).await;
        let (initiated, started, run) = learn_start(&family).await;
        let Family { parent, child, .. } = &family;
        match end {
            K::ChildWorkflowExecutionFailed => {
                let task = child.task().await;
                child.complete(&task, vec![fail("broken")]).await.unwrap();
            }
            K::ChildWorkflowExecutionCanceled => {
                let task = child.task().await;
                child.complete(&task, vec![cancel()]).await.unwrap();
            }
            _ => child.terminate().await,
        }
        let task = parent.task().await;
        let events = news(&task);
        assert_eq!(kinds(&events), [end]);
        let links = match events[0].attributes.clone().unwrap() {
            Attributes::ChildWorkflowExecutionFailedEventAttributes(failed) => {
                assert_eq!(failed.retry_state(), RetryState::RetryPolicyNotSet);
                assert_eq!(failed.failure.unwrap().message, "broken");
                (failed.initiated_event_id, failed.started_event_id, failed.workflow_execution)
            }
            Attributes::ChildWorkflowExecutionCanceledEventAttributes(end) => {
                (end.initiated_event_id, end.started_event_id, end.workflow_execution)
            }
            Attributes::ChildWorkflowExecutionTerminatedEventAttributes(end) => {
                (end.initiated_event_id, end.started_event_id, end.workflow_execution)
            }
            other => panic!("{other:?}"),
        };
        assert_eq!(links, (initiated, started, execution(&child.id, &run)));
        parent.complete(&task, vec![complete("done")]).await.unwrap();
    }
    server.stop().await;
}

#[tokio::test]
pub(crate) async fn a_timeout_is_told() {
    let server = Server::start().await;
    let family = Family::with(&server, |flow| {
        child_with(&flow.id, &flow.queue, |child| child.workflow_run_timeout = seconds(1))
    })
    .await;
    learn_start(&family).await;
    let task = family.parent.task().await;
    let events = news(&task);
    assert_eq!(kinds(&events), [K::ChildWorkflowExecutionTimedOut]);
    let end = told!(events[0], ChildWorkflowExecutionTimedOutEventAttributes);
    assert_eq!(end.retry_state(), RetryState::RetryPolicyNotSet);
    family.parent.complete(&task, vec![complete("done")]).await.unwrap();
    server.stop().await;
}

#[tokio::test]
pub(crate) async fn a_chain_of_runs_reports_once_with_its_last_run() {
    let server = Server::start().await;
    let family = Family::with(&server, |flow| {
        child_with(&flow.id, &flow.queue, |child| {
            child.retry_policy = Some(RetryPolicy {
                initial_interval: span(Duration::from_millis(1)),
                maximum_attempts: 2,
                ..Default::default()
            });
        })
    })
    .await;
    let (_, _, first_run) = learn_start(&family).await;
    let Family { parent, child, parent_run } = &family;
    let task = child.task().await;
    child.complete(&task, vec![fail("once")]).await.unwrap();
    let task = child.task().await;
    let retried = told!(task.history.as_ref().unwrap().events[0], WorkflowExecutionStartedEventAttributes);
    assert_eq!(retried.parent_workflow_execution, execution(&parent.id, parent_run));
    assert_eq!(retried.first_execution_run_id, first_run);
    let next = CommandAttributes::ContinueAsNewWorkflowExecutionCommandAttributes(
        ContinueAsNewWorkflowExecutionCommandAttributes::default(),
    );
    child.complete(&task, vec![command(CommandType::ContinueAsNewWorkflowExecution, next)]).await.unwrap();
    let task = child.task().await;
    let last_run = task.workflow_execution.clone().unwrap().run_id;
    child.complete(&task, vec![complete("at last")]).await.unwrap();
    let task = parent.task().await;
    let events = news(&task);
    assert_eq!(kinds(&events), [K::ChildWorkflowExecutionCompleted]);
    let end = told!(events[0], ChildWorkflowExecutionCompletedEventAttributes);
    assert_eq!((end.result, end.workflow_execution), (payloads("at last"), execution(&child.id, &last_run)));
    parent.complete(&task, vec![complete("done")]).await.unwrap();
    server.stop().await;
}

#[tokio::test]
pub(crate) async fn an_end_that_the_worker_has_not_seen_comes_after_the_rest() {
    let server = Server::start().await;
    let family = Family::start(&server).await;
    let Family { parent, child, .. } = &family;
    let task = parent.task().await;
    let theirs = child.task().await;
    child.complete(&theirs, vec![complete("quick")]).await.unwrap();
    // The report is on its way; nothing but the parent's history tells when it has come.
    while parent.describe().await.pending_children.iter().any(|child| !child.run_id.is_empty()) {}
    parent.signal("later").await.unwrap();
    parent.complete(&task, Vec::new()).await.unwrap();
    let task = parent.task().await;
    assert_eq!(kinds(&news(&task)), [K::WorkflowExecutionSignaled, K::ChildWorkflowExecutionCompleted]);
    parent.complete(&task, vec![complete("done")]).await.unwrap();
    server.stop().await;
}

#[tokio::test]
pub(crate) async fn an_id_that_is_taken_fails_the_start() {
    let server = Server::start().await;
    let holder = Flow::new(&server);
    holder.start().await;
    let parent = Flow::new(&server);
    parent.begin(vec![child_with(&holder.id, &holder.queue, |child| child.control = "control".to_owned())]).await;
    let task = parent.task().await;
    let events = news(&task);
    assert_eq!(kinds(&events), [K::StartChildWorkflowExecutionInitiated, K::StartChildWorkflowExecutionFailed]);
    let failed = told!(events[1], StartChildWorkflowExecutionFailedEventAttributes);
    assert_eq!(failed.cause(), StartChildWorkflowExecutionFailedCause::WorkflowAlreadyExists);
    assert_eq!((&failed.workflow_id, &*failed.namespace, &*failed.control), (&holder.id, NAMESPACE, "control"));
    assert_eq!((failed.initiated_event_id, failed.workflow_task_completed_event_id), (events[0].event_id, 0));
    // A reuse policy that minds closed runs, and one that ends the open one.
    holder.terminate().await;
    let reuse = |policy: WorkflowIdReusePolicy| {
        child_with(&holder.id, &holder.queue, move |child| child.set_workflow_id_reuse_policy(policy))
    };
    parent.complete(&task, vec![reuse(WorkflowIdReusePolicy::RejectDuplicate)]).await.unwrap();
    let task = parent.task().await;
    assert_eq!(kinds(&news(&task))[1], K::StartChildWorkflowExecutionFailed);
    holder.start().await;
    #[expect(deprecated, reason = "workers still send it")]
    let terminate = WorkflowIdReusePolicy::TerminateIfRunning;
    parent.complete(&task, vec![reuse(terminate)]).await.unwrap();
    let task = parent.task().await;
    assert_eq!(kinds(&news(&task))[1], K::ChildWorkflowExecutionStarted);
    parent.complete(&task, vec![complete("done")]).await.unwrap();
    server.stop().await;
}

#[tokio::test]
pub(crate) async fn what_a_child_is_given_arrives() {
    let server = Server::start().await;
    let (parent, theirs) = (Flow::new(&server), Flow::new(&server));
    let mut request = parent.start_request();
    request.priority = Some(Priority { priority_key: 2, fairness_key: "tenant".to_owned(), ..Default::default() });
    server.rpc().start_workflow_execution(request).await.unwrap();
    let task = parent.task().await;
    let command = child_with(&theirs.id, "", |child| {
        child.task_queue = None;
        child.workflow_execution_timeout = seconds(60);
        child.workflow_run_timeout = seconds(90);
        child.workflow_task_timeout = seconds(500);
        child.cron_schedule = "* * * * *".to_owned();
        child.retry_policy = Some(RetryPolicy::default());
        child.priority = Some(Priority { priority_key: 4, ..Default::default() });
        child.set_parent_close_policy(ParentClosePolicy::Abandon);
    });
    parent.complete(&task, vec![command]).await.unwrap();
    let task = parent.task().await;
    let events = news(&task);
    let initiated = told!(events[0], StartChildWorkflowExecutionInitiatedEventAttributes);
    assert_eq!(initiated.task_queue.unwrap().name, parent.queue);
    assert_eq!((initiated.workflow_run_timeout, initiated.workflow_task_timeout), (seconds(60), seconds(60)));
    assert_eq!(initiated.retry_policy.unwrap().backoff_coefficient, 2.0);
    assert_eq!(initiated.priority.unwrap().priority_key, 4);
    let first = theirs.events().await.remove(0);
    let begun = told!(first, WorkflowExecutionStartedEventAttributes);
    let priority = begun.priority.unwrap();
    assert_eq!((priority.priority_key, &*priority.fairness_key), (4, "tenant"));
    assert_ne!(begun.first_workflow_task_backoff, Some(Default::default()));
    assert_eq!(begun.workflow_execution_timeout, seconds(60));
    theirs.terminate().await;
    parent.terminate().await;
    server.stop().await;
}
