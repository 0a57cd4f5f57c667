//! PauseWorkflowExecution and UnpauseWorkflowExecution.

use perdure_execution::workflow::{
    NewTask,
    calls::activity_outcome::Outcome,
    describe::describe,
    query::{QueryPath, path},
};
use perdure_kernel::ErrorKind;
use perdure_proto::api::enums::{
    EventType as E, QueryRejectCondition, WorkflowExecutionStatus as Status, WorkflowTaskFailedCause as Cause,
};

use crate::kit::{Kit, Worker, last, make::*};

#[test]
fn a_task_that_no_worker_has_fails() {
    let mut kit = Kit::new();
    kit.skip_news();
    kit.pause("p").unwrap();
    assert_eq!(kit.news(), [E::WorkflowTaskFailed, E::WorkflowExecutionPaused]);
    let failed = last!(kit, WorkflowTaskFailedEventAttributes);
    assert_eq!(failed.cause(), Cause::WorkflowPauseRequestedBeforeTaskStarted);
    assert_eq!(
        (failed.scheduled_event_id, failed.started_event_id, failed.identity.as_str()),
        (2, 0, "history-service")
    );
    assert!(kit.events.last().unwrap().worker_may_ignore);
    assert!(kit.state.is_open());
    assert!(kit.start_exactly(2, 1, Worker::default()).is_err(), "matching has it still");

    let told = describe(&kit.state, &kit.namespace);
    let info = told.workflow_execution_info.unwrap();
    assert_eq!(info.status(), Status::Paused);
    let told = told.workflow_extended_info.unwrap().pause_info.unwrap();
    assert_eq!((told.identity.as_str(), told.reason.as_str()), ("operator", "because"));
    let attribute = &info.search_attributes.unwrap().indexed_fields["TemporalPauseInfo"];
    assert_eq!(&attribute.data[..], br#"["Workflow:workflow","Reason:because"]"#);

    kit.signal("s").unwrap();
    kit.cancel().unwrap();
    assert_eq!(kit.news(), [E::WorkflowExecutionSignaled, E::WorkflowExecutionCancelRequested]);
    kit.unpause().unwrap();
    assert_eq!(kit.news(), [E::WorkflowExecutionUnpaused, E::WorkflowTaskScheduled]);
    assert_eq!(kit.state.task().unwrap().attempt, 1);
    let told = describe(&kit.state, &kit.namespace);
    assert_eq!(told.workflow_extended_info.unwrap().pause_info, None);
    let attributes = told.workflow_execution_info.unwrap().search_attributes.unwrap();
    assert!(attributes.indexed_fields.is_empty());
    kit.turn(vec![complete("done")]);
}

#[test]
fn requests_that_do_not_fit() {
    let mut kit = Kit::new();
    let refused = |result: Result<(), perdure_kernel::ServiceError>, text: &str| {
        let error = result.unwrap_err();
        assert_eq!((error.kind, error.message.as_ref()), (ErrorKind::FailedPrecondition, text));
    };
    refused(kit.unpause(), "workflow is not paused.");
    kit.pause("p").unwrap();
    kit.skip_news();
    kit.pause("p").unwrap();
    assert_eq!(kit.news(), []);
    refused(kit.pause("q"), "workflow is already paused.");
    refused(kit.pause(""), "workflow is already paused.");
    refused(kit.update("u").map(|_| ()), "Workflow is paused. Cannot update the workflow.");
    for condition in [QueryRejectCondition::None, QueryRejectCondition::NotOpen] {
        assert!(matches!(path(&kit.state, condition, None), Ok(QueryPath::Rejected(_))));
    }
    kit.terminate().unwrap();
    assert!(describe(&kit.state, &kit.namespace).workflow_extended_info.unwrap().pause_info.is_some());
    for result in [kit.pause("p"), kit.unpause()] {
        assert_eq!(result.unwrap_err().kind, ErrorKind::NotFound);
    }
}

#[test]
fn a_task_that_a_worker_has_goes_on_and_is_the_last() {
    let mut kit = Kit::new();
    kit.start_task();
    kit.pause("p").unwrap();
    assert_eq!(kit.state.status(), Status::Paused);
    let error = kit.complete_with(Vec::new(), |request| request.force_create_new_workflow_task = true).unwrap_err();
    let text = "Workflow is paused and force create new workflow task is not allowed.";
    assert_eq!((error.kind, error.message.as_ref()), (ErrorKind::FailedPrecondition, text));
    kit.skip_news();
    let answer = kit.complete_with(vec![schedule("a"), start_timer("t", 2)], |request| {
        request.return_new_workflow_task = true;
    });
    assert!(!answer.unwrap().new_task);
    assert_eq!(
        kit.news(),
        [E::WorkflowTaskCompleted, E::ActivityTaskScheduled, E::TimerStarted, E::WorkflowExecutionPaused]
    );
    assert_eq!(kit.new_tasks(), []);
    kit.pass(3 * SECOND);
    assert_eq!(kit.news(), [E::TimerFired]);
    kit.unpause().unwrap();
    let tasks = kit.new_tasks();
    assert!(matches!(tasks[..], [NewTask::Activity(_), NewTask::Workflow(_)]), "{tasks:?}");
    let token = kit.start_activity("a");
    kit.finish(&token, Outcome::Completed { result: None }).unwrap();
}

#[test]
fn a_run_does_not_close_over_a_pause_that_it_has_not_seen() {
    let mut kit = Kit::new();
    kit.start_task();
    kit.pause("p").unwrap();
    assert_eq!(kit.refused(vec![complete("done")]), "UnhandledCommand");
    assert_eq!(kit.state.task(), None);
    kit.unpause().unwrap();
    kit.turn(vec![complete("done")]);
}

#[test]
fn attempts_that_wait_stay_until_the_end_of_the_pause() {
    let mut kit = Kit::new();
    kit.turn(vec![schedule("waits"), schedule("runs")]);
    let waiting = kit.dispatched(kit.activity("waits")).unwrap();
    let token = kit.start_activity("runs");
    kit.pause("p").unwrap();
    assert!(kit.start_queued(&waiting, "poll-1").is_err(), "matching has it still");
    kit.heartbeat(&token, None).unwrap();
    kit.finish(&token, Outcome::Failed { failure: Some(failure("kind").into()), last_heartbeat_details: None })
        .unwrap();
    kit.new_tasks();
    kit.pass(5 * SECOND);
    assert_eq!(kit.new_tasks(), []);
    kit.unpause().unwrap();
    let tasks = kit.new_tasks();
    assert!(matches!(tasks[..], [NewTask::Activity(_), NewTask::Activity(_), NewTask::Workflow(_)]), "{tasks:?}");
    for id in ["waits", "runs"] {
        let token = kit.start_activity(id);
        kit.finish(&token, Outcome::Completed { result: None }).unwrap();
    }
}

#[test]
fn pause_and_unpause_while_a_worker_decides() {
    let mut kit = Kit::new();
    kit.start_task();
    kit.pause("p").unwrap();
    kit.unpause().unwrap();
    assert_eq!(kit.state.status(), Status::Running);
    kit.skip_news();
    kit.complete(vec![marker("m")]).unwrap();
    assert_eq!(
        kit.news(),
        [
            E::WorkflowTaskCompleted,
            E::MarkerRecorded,
            E::WorkflowExecutionPaused,
            E::WorkflowExecutionUnpaused,
            E::WorkflowTaskScheduled
        ]
    );
}

#[test]
fn a_worker_that_is_lost_during_the_pause() {
    let mut kit = Kit::new();
    kit.start_task();
    kit.pause("p").unwrap();
    kit.skip_news();
    kit.pass(11 * SECOND);
    assert_eq!(kit.news(), [E::WorkflowTaskTimedOut, E::WorkflowExecutionPaused]);
    assert_eq!(kit.state.task(), None);
    kit.unpause().unwrap();
    kit.turn(vec![complete("done")]);
}
