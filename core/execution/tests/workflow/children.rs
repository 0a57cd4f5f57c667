//! Children, and signals and cancellations of other workflows: what the machine makes of them.

use perdure_execution::workflow::{NewTask, calls, describe::describe};
use perdure_kernel::{ErrorKind, Namespace, NamespaceId};
use perdure_proto::api::{
    enums::{
        CancelExternalWorkflowExecutionFailedCause as CancelCause, EventType as K, ParentClosePolicy,
        SignalExternalWorkflowExecutionFailedCause as SignalCause,
        StartChildWorkflowExecutionFailedCause as StartCause,
    },
    workflowservice::RequestCancelWorkflowExecutionRequest,
};

use crate::kit::{BEGIN, Kit, family::*, last, make::*};

/// A run that is itself a child, and waits for its parent to have recorded that.
fn held(backoff: i64) -> Kit {
    let namespace = Namespace::new(NamespaceId::from("namespace-id"), "namespace");
    Kit::start_run(
        namespace,
        BEGIN,
        None,
        |request| request.workflow_start_delay = secs(backoff).filter(|_| backoff > 0),
        |new| {
            new.held = true;
            new.start.parent_workflow_namespace_id = "namespace-id".to_owned();
            new.start.parent_workflow_execution = Some(run("parent", "parent-run"));
            new.start.parent_initiated_event_id = 5;
        },
    )
}

#[test]
fn a_child_from_start_to_end() {
    for end in ends() {
        let mut kit = Kit::new();
        kit.turn(vec![child("c")]);
        let id = kit.child("c");
        assert!(matches!(kit.new_tasks().last(), Some(NewTask::StartChild(task)) if task.initiated_event_id == id));
        assert_eq!(describe(&kit.state, &kit.namespace).pending_children[0].run_id, "");
        kit.child_runs(id, CHILD_RUN).unwrap();
        assert_eq!(describe(&kit.state, &kit.namespace).pending_children[0].run_id, CHILD_RUN);
        // Once more: a repeat.
        kit.skip_news();
        kit.child_runs(id, CHILD_RUN).unwrap();
        assert_eq!(kit.news(), []);
        let stranger = kit.child_closes(id, "another-run", &end).unwrap_err();
        assert_eq!((stranger.kind, &*stranger.message), (ErrorKind::NotFound, "Pending child execution not found."));
        kit.child_closes(id, CHILD_RUN, &end).unwrap();
        assert_eq!(kit.news().len(), 1);
        assert_eq!(kit.child_closes(id, CHILD_RUN, &end).unwrap_err().kind, ErrorKind::NotFound);
        assert!(kit.state.children.is_empty());
    }
}

#[test]
fn a_child_that_is_quicker_than_the_news_of_its_start() {
    let mut kit = Kit::new();
    kit.turn(vec![child("c")]);
    kit.skip_news();
    kit.child_closes(kit.child("c"), CHILD_RUN, &ends()[0]).unwrap();
    assert_eq!(
        kit.news(),
        [K::ChildWorkflowExecutionStarted, K::ChildWorkflowExecutionCompleted, K::WorkflowTaskScheduled]
    );
}

#[test]
fn what_comes_while_a_worker_decides_waits_and_keeps_its_links() {
    let mut kit = Kit::new();
    kit.turn(vec![child("c"), child("d")]);
    kit.signal("wake").unwrap();
    kit.start_task();
    let (c, d) = (kit.child("c"), kit.child("d"));
    kit.child_runs(c, CHILD_RUN).unwrap();
    kit.child_closes(c, CHILD_RUN, &ends()[0]).unwrap();
    kit.child_runs(d, CHILD_RUN).unwrap();
    // It is known to run, whatever the history says.
    assert_eq!(kit.state.children[&d].started_run_id, CHILD_RUN);
    kit.skip_news();
    kit.complete(Vec::new()).unwrap();
    assert_eq!(
        kit.news(),
        [
            K::WorkflowTaskCompleted,
            K::ChildWorkflowExecutionStarted,
            K::ChildWorkflowExecutionStarted,
            K::ChildWorkflowExecutionCompleted,
            K::WorkflowTaskScheduled
        ]
    );
    let end = last!(kit, ChildWorkflowExecutionCompletedEventAttributes);
    assert_eq!(end.started_event_id, kit.state.children[&d].started_event_id - 1);
}

#[test]
fn a_child_that_is_not_started() {
    let mut kit = Kit::new();
    kit.turn(vec![child_with("c", |child| child.control = "control".to_owned())]);
    let id = kit.child("c");
    kit.child_refused(id, StartCause::WorkflowAlreadyExists).unwrap();
    let failed = last!(kit, StartChildWorkflowExecutionFailedEventAttributes);
    assert_eq!((failed.cause(), &*failed.control), (StartCause::WorkflowAlreadyExists, "control"));
    assert!(kit.state.children.is_empty() && kit.state.task().is_some());
}

#[test]
fn a_parent_that_closes_deals_with_the_children_it_knows() {
    let mut kit = Kit::new();
    let policies = [ParentClosePolicy::Terminate, ParentClosePolicy::RequestCancel, ParentClosePolicy::Abandon];
    let started =
        policies.map(|policy| child_with(&format!("{policy:?}"), |child| child.set_parent_close_policy(policy)));
    kit.turn(started.into_iter().chain([child("unknown")]).collect());
    for policy in policies {
        kit.child_runs(kit.child(&format!("{policy:?}")), CHILD_RUN).unwrap();
    }
    kit.new_tasks();
    kit.terminate().unwrap();
    let closed = kit.new_tasks().into_iter().filter_map(|task| match task {
        NewTask::CloseChild(task) => Some((task.workflow_id.clone(), task.policy(), task.identity.clone())),
        _ => None,
    });
    let by = "history-service".to_owned();
    let expected = [
        ("Terminate".to_owned(), ParentClosePolicy::Terminate, by.clone()),
        ("RequestCancel".to_owned(), ParentClosePolicy::RequestCancel, by),
    ];
    assert_eq!(closed.collect::<Vec<_>>(), expected);
}

#[test]
fn a_child_begins_when_its_parent_has_recorded_it() {
    let mut kit = held(0);
    assert_eq!(kit.news(), [K::WorkflowExecutionStarted]);
    kit.first_task().unwrap();
    assert_eq!(kit.news(), [K::WorkflowTaskScheduled]);
    kit.first_task().unwrap();
    assert_eq!(kit.news(), []);
    // With a backoff it begins to wait.
    let mut kit = held(60);
    kit.pass(30 * SECOND);
    kit.first_task().unwrap();
    kit.skip_news();
    kit.pass(31 * SECOND);
    assert_eq!(kit.news(), [K::WorkflowTaskScheduled]);
    // A signal may be quicker.
    let mut kit = held(0);
    kit.signal("s").unwrap();
    kit.skip_news();
    kit.first_task().unwrap();
    assert_eq!(kit.news(), []);
}

#[test]
fn a_chain_tells_its_parent_once() {
    let mut kit = held(0);
    kit.first_task().unwrap();
    kit.turn(vec![continue_with(|_| {})]);
    let reports = |kit: &Kit| kit.tasks.iter().filter(|task| matches!(task, NewTask::ReportClose(_))).count();
    assert_eq!(reports(&kit), 0);
    let mut next = kit.next().clone();
    // Runs of one chain keep a distance.
    next.pass(2 * SECOND);
    next.turn(vec![complete("result")]);
    assert_eq!(reports(&next), 1);
    let Some(NewTask::ReportClose(report)) = next.tasks.last() else { panic!("{:?}", next.tasks) };
    assert_eq!((report.initiated_event_id, &*report.first_run_id), (5, "run-1"));
    assert_eq!(report.parent.as_ref().unwrap().run_id, "parent-run");
}

#[test]
fn signals_and_cancellations_of_others() {
    let mut kit = Kit::new();
    kit.turn(vec![signal_other("x"), cancel_other("y"), signal_other("z"), cancel_other("z")]);
    let signals: Vec<i64> = kit.state.external_signals.keys().copied().collect();
    let cancels: Vec<i64> = kit.state.external_cancels.keys().copied().collect();
    kit.skip_news();
    kit.signal_arrives(signals[0], Ok(())).unwrap();
    kit.signal_arrives(signals[0], Ok(())).unwrap();
    kit.cancel_arrives(cancels[0], Ok(())).unwrap();
    kit.signal_arrives(signals[1], Err(SignalCause::SignalCountLimitExceeded)).unwrap();
    kit.cancel_arrives(cancels[1], Err(CancelCause::ExternalWorkflowExecutionNotFound)).unwrap();
    assert_eq!(
        kit.news(),
        [
            K::ExternalWorkflowExecutionSignaled,
            K::WorkflowTaskScheduled,
            K::ExternalWorkflowExecutionCancelRequested,
            K::SignalExternalWorkflowExecutionFailed,
            K::RequestCancelExternalWorkflowExecutionFailed,
        ]
    );
    assert!(kit.state.external_signals.is_empty() && kit.state.external_cancels.is_empty());
}

#[test]
fn what_is_meant_for_children_reaches_nobody_else() {
    let mut kit = held(0);
    let signal = signal("s", "id-1");
    let stranger = kit
        .decide(|state, env| calls::signal::from_workflow(state, signal.clone(), run("parent", "another"), true, env));
    assert_eq!(stranger.unwrap_err().message, "workflow parent does not match");
    let request = RequestCancelWorkflowExecutionRequest::default();
    let stranger = kit.decide(|state, env| {
        calls::cancel::from_workflow(state, request.clone(), run("parent", "another"), 7, true, env)
    });
    assert_eq!(stranger.unwrap_err().message, "workflow parent does not match");
    for _ in 0..2 {
        let parent = || run("parent", "parent-run");
        kit.decide(|state, env| calls::signal::from_workflow(state, signal.clone(), parent(), true, env)).unwrap();
        kit.decide(|state, env| calls::cancel::from_workflow(state, request.clone(), parent(), 7, true, env)).unwrap();
    }
    assert_eq!(
        kit.news(),
        [
            K::WorkflowExecutionStarted,
            K::WorkflowExecutionSignaled,
            K::WorkflowTaskScheduled,
            K::WorkflowExecutionCancelRequested
        ]
    );
}

#[test]
fn successors_repeat_the_links_of_the_first_start() {
    let link = perdure_proto::api::common::Link::default();
    let mut kit = Kit::start(|request| {
        request.links = vec![link.clone()];
        request.retry_policy = retries(0);
    });
    kit.turn(vec![fail(failure("kind"))]);
    assert_eq!(kit.next().events[0].links, [link]);
}
