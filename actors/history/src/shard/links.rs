//! Links that answers carry: to what the request led to.

use perdure_proto::api::{
    common::{
        Link,
        link::{
            self,
            workflow_event::{EventReference, Reference, RequestIdReference},
        },
    },
    enums::EventType,
};

/// The link to a run's first event.
pub(super) fn to_start(namespace: &str, workflow_id: &str, run_id: &str) -> Link {
    let event = EventReference { event_id: 1, event_type: EventType::WorkflowExecutionStarted.into() };
    to_event(namespace, workflow_id, run_id, Reference::EventRef(event))
}

/// The link to the event of a run that a request led to: known by the request, for the event may have no id yet.
pub(super) fn to_request(
    namespace: &str,
    workflow_id: &str,
    run_id: &str,
    request_id: &str,
    event_type: EventType,
) -> Link {
    let request = RequestIdReference { request_id: request_id.to_owned(), event_type: event_type.into() };
    to_event(namespace, workflow_id, run_id, Reference::RequestIdRef(request))
}

fn to_event(namespace: &str, workflow_id: &str, run_id: &str, reference: Reference) -> Link {
    let event = link::WorkflowEvent {
        namespace: namespace.to_owned(),
        workflow_id: workflow_id.to_owned(),
        run_id: run_id.to_owned(),
        reference: Some(reference),
    };
    Link { variant: Some(link::Variant::WorkflowEvent(event)) }
}
