//! Links between executions.

use perdure_kernel::{Limits, ServiceResult};
use perdure_proto::api::common::{
    Link,
    link::{Variant, workflow_event::Reference},
};
use prost::Message;

use super::invalid;

/// Checks how many there are, how large, and that each names what it links to.
pub(crate) fn check(links: &[Link], limits: &Limits) -> ServiceResult<()> {
    let (count, count_max) = (links.len(), limits.links_per_request_max);
    if count > count_max {
        return Err(invalid(format!("cannot attach more than {count_max} links per request, got {count}")));
    }
    for link in links {
        let (size, size_max) = (link.encoded_len(), limits.link_size_max);
        if size > size_max {
            return Err(invalid(format!("link exceeds allowed size of {size_max}, got {size}")));
        }
        check_variant(link)?;
    }
    Ok(())
}

fn check_variant(link: &Link) -> ServiceResult<()> {
    match &link.variant {
        Some(Variant::WorkflowEvent(to)) => {
            let ids = [
                ("namespace field", &to.namespace),
                ("workflow ID field", &to.workflow_id),
                ("run ID field", &to.run_id),
            ];
            not_empty("workflow event", &ids)?;
            match &to.reference {
                Some(Reference::EventRef(event)) if event.event_type == 0 && event.event_id != 0 => Err(invalid(
                    "workflow event link ref cannot have an unspecified event type and a non-zero event ID",
                )),
                Some(Reference::EventRef(_) | Reference::RequestIdRef(_)) | None => Ok(()),
            }
        }
        Some(Variant::BatchJob(to)) => not_empty("batch job", &[("job ID", &to.job_id)]),
        Some(Variant::NexusOperation(to)) => {
            let ids = [
                ("namespace field", &to.namespace),
                ("operation ID field", &to.operation_id),
                ("run ID field", &to.run_id),
            ];
            not_empty("nexus operation", &ids)
        }
        Some(Variant::Activity(to)) => {
            let ids = [
                ("namespace field", &to.namespace),
                ("activity ID field", &to.activity_id),
                ("run ID field", &to.run_id),
            ];
            not_empty("activity", &ids)
        }
        Some(Variant::Workflow(to)) => {
            let ids = [
                ("namespace field", &to.namespace),
                ("workflow ID field", &to.workflow_id),
                ("run ID field", &to.run_id),
            ];
            not_empty("workflow", &ids)
        }
        Some(Variant::Callback(_)) | None => Err(invalid("unsupported link variant")),
    }
}

fn not_empty(kind: &str, fields: &[(&str, &String)]) -> ServiceResult<()> {
    match fields.iter().find(|(_, value)| value.is_empty()) {
        Some((field, _)) => Err(invalid(format!("{kind} link must not have an empty {field}"))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use perdure_proto::api::common::link::{BatchJob, Workflow, WorkflowEvent, workflow_event::EventReference};

    use super::*;

    fn text(links: &[Link]) -> String {
        check(links, &Limits::default()).err().map(|error| error.message.into_owned()).unwrap_or_default()
    }

    fn link(variant: Variant) -> Link {
        Link { variant: Some(variant) }
    }

    #[test]
    fn links() {
        let event = |run: &str, event_id| {
            link(Variant::WorkflowEvent(WorkflowEvent {
                namespace: "n".into(),
                workflow_id: "w".into(),
                run_id: run.into(),
                reference: Some(Reference::EventRef(EventReference { event_id, event_type: 0 })),
            }))
        };
        assert_eq!(text(&[event("r", 0)]), "");
        assert_eq!(text(&[event("", 0)]), "workflow event link must not have an empty run ID field");
        assert_eq!(
            text(&[event("r", 1)]),
            "workflow event link ref cannot have an unspecified event type and a non-zero event ID"
        );
        assert_eq!(text(&vec![event("r", 0); 11]), "cannot attach more than 10 links per request, got 11");
        let job = |id: String| link(Variant::BatchJob(BatchJob { job_id: id }));
        assert_eq!(text(&[job(String::new())]), "batch job link must not have an empty job ID");
        assert_eq!(text(&[job("x".repeat(4000))]), "link exceeds allowed size of 4000, got 4006");
        assert_eq!(text(&[Link::default()]), "unsupported link variant");
        let workflow = link(Variant::Workflow(Workflow { namespace: "n".into(), ..Workflow::default() }));
        assert_eq!(text(&[workflow]), "workflow link must not have an empty workflow ID field");
    }
}
