//! Updates that are not taken, and words of workers that make no sense.

use perdure_execution::workflow::{Standing, UpdateEnd};
use perdure_kernel::{ErrorKind, Namespace, NamespaceId};
use perdure_proto::api::{
    enums::{EventType, ResourceExhaustedCause, ResourceExhaustedScope, WorkflowTaskFailedCause},
    protocol::Message,
};

use crate::kit::{Kit, last, make::*};

fn limited(adjust: impl Fn(&mut perdure_kernel::Limits)) -> Kit {
    let mut namespace = Namespace::new(NamespaceId::from("namespace-id"), "namespace");
    adjust(&mut namespace.limits);
    let mut kit = Kit::start_in(namespace, |_| {});
    kit.turn(Vec::new());
    kit
}

#[test]
fn bounds() {
    let exhausted = ErrorKind::ResourceExhausted {
        cause: ResourceExhaustedCause::ConcurrentLimit,
        scope: ResourceExhaustedScope::Namespace,
    };
    let mut kit = limited(|limits| limits.updates_in_flight_max = 1);
    kit.update("u").unwrap();
    kit.update("u").unwrap();
    let error = kit.update("v").unwrap_err();
    assert_eq!(error.kind, exhausted);
    assert_eq!(error.message, "limit on number of concurrent in-flight updates has been reached (1)");
    // A rejected one makes room, and does not count.
    kit.start_task();
    kit.say(vec![reject("u")]);
    kit.update("v").unwrap();

    let mut kit = limited(|limits| limits.updates_in_flight_size_max = 100);
    kit.update("u").unwrap();
    let error = kit.update("v").unwrap_err();
    assert_eq!(error.kind, exhausted);
    assert_eq!(error.message, "limit on total payload size of in-flight updates has been reached (100 bytes)");

    let mut kit = limited(|limits| limits.updates_total_max = 1);
    kit.update("u").unwrap();
    kit.start_task();
    kit.say(vec![accept("u"), respond("u")]);
    let error = kit.update("v").unwrap_err();
    assert_eq!(error.kind, ErrorKind::FailedPrecondition);
    assert!(error.message.starts_with(
        "The limit on the total number of distinct updates in this workflow has been reached (1). Make sure"
    ));
    kit.update("u").unwrap();
}

#[test]
fn runs_that_take_none() {
    let mut kit = Kit::new();
    let mut request = update("u");
    request.first_execution_run_id = "another".to_owned();
    let error =
        kit.decide(|state, env| perdure_execution::workflow::calls::update::decide(state, &request, env)).unwrap_err();
    assert_eq!((error.kind, &*error.message), (ErrorKind::NotFound, "workflow execution not found"));
    kit.terminate().unwrap();
    let error = kit.update("u").unwrap_err();
    assert_eq!((error.kind, &*error.message), (ErrorKind::NotFound, "workflow execution already completed"));
}

#[test]
fn a_run_whose_tasks_keep_failing_takes_none() {
    let mut kit = Kit::new();
    for _ in 0..2 {
        kit.start_task();
        kit.update("early").unwrap();
        kit.fail_task(WorkflowTaskFailedCause::NonDeterministicError).unwrap();
    }
    let error = kit.update("u").unwrap_err();
    assert_eq!(error.kind, ErrorKind::WorkflowNotReady);
    assert_eq!(error.message, "Unable to perform workflow execution update due to Workflow Task in failed state.");
}

/// The worker answers a speculative task for `u` so.
fn answered(messages: Vec<Message>) -> (Kit, String) {
    let mut kit = Kit::new();
    kit.turn(Vec::new());
    kit.update("u").unwrap();
    kit.start_task();
    kit.skip_news();
    let answer = kit.complete_with(Vec::new(), |request| request.messages.clone_from(&messages)).unwrap();
    let text = answer.refused.unwrap().message.into_owned();
    (kit, text)
}

#[test]
fn words_that_make_no_sense_fail_the_task() {
    let with = |mut message: Message, adjust: fn(&mut Message)| {
        adjust(&mut message);
        message
    };
    let foreign = with(accept("u"), |message| {
        message.body.as_mut().unwrap().type_url = "type.googleapis.com/temporal.api.query.v1.Word".to_owned();
    });
    let unknown = with(accept("u"), |message| {
        message.body.as_mut().unwrap().type_url = "type.googleapis.com/temporal.api.update.v1.Request".to_owned();
    });
    let empty = with(accept("u"), |message| message.body.as_mut().unwrap().value.clear());
    let another = with(respond("v"), |message| message.protocol_instance_id = "u".to_owned());
    let cases = [
        (
            vec![respond("u")],
            "invalid state transition attempted for Update u: received *update.Response message while in state Sent",
        ),
        (
            vec![accept("u"), accept("u")],
            "invalid state transition attempted for Update u: received *update.Acceptance message while in state ProvisionallyAccepted",
        ),
        (
            vec![reject("u"), accept("u")],
            "invalid state transition attempted for Update u: received *update.Acceptance message while in state ProvisionallyCompleted",
        ),
        (
            vec![accept("v")],
            "update v wasn't found on the server. This is most likely a transient error which will be resolved automatically by retries",
        ),
        (vec![foreign], "unsupported protocol type temporal.api.query.v1"),
        (vec![unknown], "Message type *update.Request not supported"),
        (vec![empty], "invalid *update.Acceptance: accepted_request_sequencing_event_id is not set"),
        (vec![accept("u"), another], "invalid *update.Response: meta.update_id != u"),
    ];
    for (messages, text) in cases {
        let (mut kit, told) = answered(messages);
        assert_eq!(told, format!("BadUpdateWorkflowExecutionMessage: {text}"));
        assert_eq!(
            kit.news(),
            [EventType::WorkflowTaskScheduled, EventType::WorkflowTaskStarted, EventType::WorkflowTaskFailed,]
        );
        assert_eq!(last!(kit, WorkflowTaskFailedEventAttributes).identity, "worker");
        // Its worker has seen the update: it may be the reason.
        assert_eq!(kit.state.find_update("u"), Standing::Unknown);
        let [notice] = &kit.notices[..] else { panic!("{:?}", kit.notices) };
        let UpdateEnd::Refused(error) = &notice.end else { panic!("{notice:?}") };
        assert_eq!(error.kind, ErrorKind::WorkflowNotReady);
        assert_eq!(
            error.message,
            "Unable to perform workflow execution update due to unexpected workflow task failure."
        );
        assert_eq!(kit.state.task().map(|task| task.attempt), Some(2));
    }
}

#[test]
fn places_without_messages() {
    let mut kit = Kit::new();
    kit.start_task();
    let text = kit.refused(vec![place("nothing")]);
    assert_eq!(text, "BadUpdateWorkflowExecutionMessage: ProtocolMessageCommand referenced absent message ID nothing");
    let mut kit = Kit::new();
    kit.start_task();
    let text = kit.refused(vec![place("")]);
    assert_eq!(text, "BadUpdateWorkflowExecutionMessage: MessageID is not set on ProtocolMessageCommand.");
}

#[test]
fn an_answer_that_cannot_be_made_out_renews_the_task() {
    let mut nameless = accept("u");
    nameless.body = None;
    let (mut kit, text) = answered(vec![nameless]);
    assert_eq!(text, "nil message body");
    assert_eq!(kit.news(), []);
    assert_eq!(kit.new_tasks().len(), 1);
    kit.start_task();
    assert_eq!(kit.messages.len(), 1);
}

#[test]
fn a_word_too_large_ends_the_run() {
    let mut kit = limited(|limits| limits.blob_size_max = 10);
    kit.update("u").unwrap();
    kit.start_task();
    let answer = kit.complete_with(Vec::new(), |request| request.messages = vec![accept("u")]).unwrap();
    assert_eq!(
        answer.refused.unwrap().message,
        "BadUpdateWorkflowExecutionMessage: Message type temporal.api.update.v1.Acceptance exceeds size limit."
    );
    assert!(!kit.state.is_open());
}

#[test]
fn a_retry_that_fails_writes_nothing_and_its_updates_are_refused() {
    let mut kit = Kit::new();
    kit.start_task();
    kit.fail_task(WorkflowTaskFailedCause::NonDeterministicError).unwrap();
    kit.update("u").unwrap();
    kit.start_task();
    kit.skip_news();
    kit.refused(vec![place("nothing")]);
    assert_eq!(kit.news(), []);
    assert_eq!(kit.notices.len(), 1);
    assert!(kit.state.started_task().is_some(), "the task is left to time out");
}
