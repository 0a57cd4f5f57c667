//! Ids and names.

use perdure_kernel::{BusinessKey, Limits, NamespaceId, ServiceResult};
use perdure_proto::api::common::WorkflowExecution;

use super::invalid;

/// A workflow, and perhaps one run of it.
pub(crate) fn execution(execution: Option<&WorkflowExecution>) -> ServiceResult<&WorkflowExecution> {
    let execution = execution.ok_or_else(|| invalid("Execution is not set on request."))?;
    workflow_and_run(&execution.workflow_id, &execution.run_id)?;
    Ok(execution)
}

/// A workflow id that must be there, and a run id that may be empty.
pub(crate) fn workflow_and_run(workflow_id: &str, run_id: &str) -> ServiceResult<()> {
    if workflow_id.is_empty() {
        return Err(invalid("WorkflowId is not set on request."));
    }
    if !run_id.is_empty() && !is_uuid(run_id) {
        return Err(invalid("Invalid RunId."));
    }
    Ok(())
}

/// The key of a run, as the history service checks it: for RPCs whose ids the frontend passes on unread.
pub(crate) fn key_of_run(namespace: &NamespaceId, workflow_id: &str, run_id: &str) -> ServiceResult<BusinessKey> {
    if workflow_id.is_empty() {
        return Err(invalid("Can't load workflow execution.  WorkflowId not set."));
    }
    if !run_id.is_empty() && !is_uuid(run_id) {
        return Err(invalid("RunId is not valid UUID."));
    }
    Ok(BusinessKey::workflow(namespace, workflow_id))
}

/// The texts that come with a pause and with its end.
pub(crate) fn pause_texts(reason: &str, request_id: &str, identity: &str, limits: &Limits) -> ServiceResult<()> {
    for (field, value) in [("reason", reason), ("request id", request_id), ("identity", identity)] {
        if value.len() > limits.id_length_max {
            return Err(invalid(format!("{field} is too long.")));
        }
    }
    Ok(())
}

/// The id of a workflow that is to start.
pub(crate) fn new_workflow_id(workflow_id: &str, limits: &Limits) -> ServiceResult<()> {
    if workflow_id.is_empty() {
        return Err(invalid("WorkflowId is not set on request."));
    }
    let (length, max) = (workflow_id.len(), limits.id_length_max);
    if length > max {
        return Err(invalid(format!("WorkflowId exceeds maximum allowed length ({length}/{max})")));
    }
    Ok(())
}

/// The name of a signal to an existing workflow.
pub(crate) fn signal_name(name: &str, limits: &Limits) -> ServiceResult<()> {
    if name.is_empty() {
        return Err(invalid("SignalName is not set on request."));
    }
    if name.len() > limits.id_length_max {
        return Err(invalid("SignalName length exceeds limit."));
    }
    Ok(())
}

/// Who speaks.
pub(crate) fn identity(identity: &str, limits: &Limits) -> ServiceResult<()> {
    if identity.len() > limits.id_length_max {
        return Err(invalid("Identity length exceeds limit."));
    }
    Ok(())
}

/// What makes a repeated request recognisable.
pub(crate) fn request_id(request_id: &str, limits: &Limits) -> ServiceResult<()> {
    if request_id.len() > limits.id_length_max {
        return Err(invalid("RequestId length exceeds limit."));
    }
    Ok(())
}

/// Whether `text` is a UUID in one of the forms that Temporal takes: plain, in braces, as a URN, or without
/// hyphens.
pub(crate) fn is_uuid(text: &str) -> bool {
    let plain = match text.len() {
        36 => text,
        38 => match text.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
            Some(inner) => inner,
            None => return false,
        },
        45 => match text.split_at_checked(9) {
            Some((urn, rest)) if urn.eq_ignore_ascii_case("urn:uuid:") => rest,
            Some(_) | None => return false,
        },
        32 => return text.bytes().all(|byte| byte.is_ascii_hexdigit()),
        _other => return false,
    };
    plain.bytes().enumerate().all(|(index, byte)| match index {
        8 | 13 | 18 | 23 => byte == b'-',
        _digit => byte.is_ascii_hexdigit(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_uuids() {
        let plain = "2f1d4d1c-6a0e-4d4f-9a52-0f3f3c1f9a11";
        for good in [plain.to_owned(), format!("{{{plain}}}"), format!("URN:uuid:{plain}"), plain.replace('-', "")] {
            assert!(is_uuid(&good), "{good}");
        }
        for bad in [
            "",
            "x",
            "2f1d4d1c-6a0e-4d4f-9a52-0f3f3c1f9a1g",
            "2f1d4d1c06a0e-4d4f-9a52-0f3f3c1f9a11",
            "ééééééééééééééééée-é",
        ] {
            assert!(!is_uuid(bad), "{bad}");
        }
        assert!(!is_uuid(&"é".repeat(18)));
        assert!(!is_uuid(&format!("({plain})")));
        assert!(!is_uuid(&format!("urn:uuix:{plain}")));
    }
}
