//! Refusals as gRPC statuses with Temporal's error details.

use bytes::Bytes;
use perdure_kernel::{ErrorKind, ServiceError};
use perdure_proto::{
    Any,
    api::{
        enums::{NamespaceState, ResourceExhaustedCause, ResourceExhaustedScope},
        errordetails::{self as details, multi_operation_execution_failure::OperationStatus},
        failure::MultiOperationExecutionAborted,
    },
    google::rpc,
};
use prost::Message;
use tonic::{
    Code, Status,
    metadata::{MetadataMap, MetadataValue},
};

/// Marks an error text that was cut.
const TRUNCATED_SUFFIX: &str = "... <truncated>";
/// Response header with the cause of `RESOURCE_EXHAUSTED`.
pub const RESOURCE_EXHAUSTED_CAUSE_HEADER: &str = "x-resource-exhausted-cause";
/// Response header with the scope of `RESOURCE_EXHAUSTED`.
pub const RESOURCE_EXHAUSTED_SCOPE_HEADER: &str = "x-resource-exhausted-scope";

/// The status a client gets for `error`, its text cut to `message_length_max` bytes.
pub fn to_status(error: ServiceError, message_length_max: usize) -> Status {
    let ServiceError { kind, message } = error;
    let message = truncate(message.into_owned(), message_length_max);
    let code = code(&kind);
    let mut headers = MetadataMap::new();
    if let ErrorKind::ResourceExhausted { cause, scope } = &kind {
        insert(&mut headers, RESOURCE_EXHAUSTED_CAUSE_HEADER, &cause_name(*cause));
        insert(&mut headers, RESOURCE_EXHAUSTED_SCOPE_HEADER, &scope_name(*scope));
    }
    match detail(kind) {
        Some(detail) => with_detail(code, message, detail, headers),
        None => Status::with_metadata(code, message, headers),
    }
}

/// The header `supported-server-versions` leaves this server out.
pub(crate) fn server_version_not_supported(server_version: &str, client_supported: &str) -> Status {
    let failure = details::ServerVersionNotSupportedFailure {
        server_version: server_version.to_owned(),
        client_supported_server_versions: client_supported.to_owned(),
    };
    let message = format!(
        "Server version {server_version} is not supported. Client supports server versions: {client_supported}"
    );
    with_detail(
        Code::FailedPrecondition,
        message,
        any("ServerVersionNotSupportedFailure", &failure),
        MetadataMap::new(),
    )
}

/// The client is of a version that this server does not serve.
pub(crate) fn client_version_not_supported(name: &str, version: &str, supported: &str) -> Status {
    let failure = details::ClientVersionNotSupportedFailure {
        client_version: version.to_owned(),
        client_name: name.to_owned(),
        supported_versions: supported.to_owned(),
    };
    let message = format!("Client version {version} is not supported. Server supports {name} versions: {supported}");
    with_detail(
        Code::FailedPrecondition,
        message,
        any("ClientVersionNotSupportedFailure", &failure),
        MetadataMap::new(),
    )
}

/// The gRPC code of a kind of refusal.
pub(crate) fn code(kind: &ErrorKind) -> Code {
    match kind {
        ErrorKind::InvalidArgument | ErrorKind::QueryFailed { .. } => Code::InvalidArgument,
        ErrorKind::NotFound | ErrorKind::NamespaceNotFound { .. } => Code::NotFound,
        ErrorKind::NamespaceAlreadyExists
        | ErrorKind::WorkflowExecutionAlreadyStarted { .. }
        | ErrorKind::ActivityExecutionAlreadyStarted { .. } => Code::AlreadyExists,
        ErrorKind::NamespaceInvalidState { .. } | ErrorKind::FailedPrecondition | ErrorKind::WorkflowNotReady => {
            Code::FailedPrecondition
        }
        ErrorKind::ResourceExhausted { .. } => Code::ResourceExhausted,
        // The first operation that failed by itself gives the whole its code.
        ErrorKind::MultiOperation { operations } => {
            let failed = operations.iter().flatten().map(|error| &error.kind);
            let mut culprits = failed.filter(|kind| **kind != ErrorKind::MultiOperationAborted);
            culprits.next().map_or(Code::Aborted, code)
        }
        ErrorKind::Aborted | ErrorKind::MultiOperationAborted => Code::Aborted,
        ErrorKind::PermissionDenied => Code::PermissionDenied,
        ErrorKind::DeadlineExceeded => Code::DeadlineExceeded,
        ErrorKind::Canceled => Code::Cancelled,
        ErrorKind::Unimplemented => Code::Unimplemented,
        ErrorKind::DataLoss => Code::DataLoss,
        ErrorKind::Internal => Code::Internal,
        // The last two never leave the cluster; should one slip through, trying again is what helps.
        ErrorKind::Unavailable | ErrorKind::StaleTask | ErrorKind::StickyWorkerUnavailable => Code::Unavailable,
    }
}

/// The one detail that clients decode.
fn detail(kind: ErrorKind) -> Option<Any> {
    Some(match kind {
        ErrorKind::NotFound => any("NotFoundFailure", &details::NotFoundFailure::default()),
        ErrorKind::NamespaceNotFound { namespace } => {
            any("NamespaceNotFoundFailure", &details::NamespaceNotFoundFailure { namespace })
        }
        ErrorKind::NamespaceAlreadyExists => {
            any("NamespaceAlreadyExistsFailure", &details::NamespaceAlreadyExistsFailure {})
        }
        ErrorKind::NamespaceInvalidState { namespace, state, allowed } => {
            let allowed_states = allowed.into_iter().map(i32::from).collect();
            let failure = details::NamespaceInvalidStateFailure { namespace, state: state.into(), allowed_states };
            any("NamespaceInvalidStateFailure", &failure)
        }
        ErrorKind::WorkflowExecutionAlreadyStarted { start_request_id, run_id, first_execution_run_id } => {
            let failure =
                details::WorkflowExecutionAlreadyStartedFailure { start_request_id, run_id, first_execution_run_id };
            any("WorkflowExecutionAlreadyStartedFailure", &failure)
        }
        ErrorKind::ActivityExecutionAlreadyStarted { start_request_id, run_id } => {
            let failure = details::ActivityExecutionAlreadyStartedFailure { start_request_id, run_id };
            any("ActivityExecutionAlreadyStartedFailure", &failure)
        }
        ErrorKind::WorkflowNotReady => any("WorkflowNotReadyFailure", &details::WorkflowNotReadyFailure {}),
        ErrorKind::QueryFailed { failure } => {
            any("QueryFailedFailure", &details::QueryFailedFailure { failure: failure.map(|boxed| *boxed) })
        }
        ErrorKind::ResourceExhausted { cause, scope } => {
            let failure = details::ResourceExhaustedFailure { cause: cause.into(), scope: scope.into() };
            any("ResourceExhaustedFailure", &failure)
        }
        ErrorKind::MultiOperation { operations } => {
            let statuses = operations.into_iter().map(operation_status).collect();
            any("MultiOperationExecutionFailure", &details::MultiOperationExecutionFailure { statuses })
        }
        ErrorKind::MultiOperationAborted => Any {
            type_url: "type.googleapis.com/temporal.api.failure.v1.MultiOperationExecutionAborted".to_owned(),
            value: MultiOperationExecutionAborted {}.encode_to_vec(),
        },
        ErrorKind::PermissionDenied => any("PermissionDeniedFailure", &details::PermissionDeniedFailure::default()),
        ErrorKind::InvalidArgument
        | ErrorKind::FailedPrecondition
        | ErrorKind::Aborted
        | ErrorKind::DeadlineExceeded
        | ErrorKind::Canceled
        | ErrorKind::Unavailable
        | ErrorKind::Unimplemented
        | ErrorKind::DataLoss
        | ErrorKind::Internal
        | ErrorKind::StaleTask
        | ErrorKind::StickyWorkerUnavailable => return None,
    })
}

/// What one of several operations came to.
fn operation_status(error: Option<ServiceError>) -> OperationStatus {
    let Some(ServiceError { kind, message }) = error else { return OperationStatus::default() };
    OperationStatus {
        code: code(&kind) as i32,
        message: message.into_owned(),
        details: detail(kind).into_iter().collect(),
    }
}

fn any(name: &str, message: &impl Message) -> Any {
    Any { type_url: format!("type.googleapis.com/temporal.api.errordetails.v1.{name}"), value: message.encode_to_vec() }
}

fn with_detail(code: Code, message: String, detail: Any, headers: MetadataMap) -> Status {
    let full = rpc::Status { code: code as i32, message: message.clone(), details: vec![detail] };
    Status::with_details_and_metadata(code, message, Bytes::from(full.encode_to_vec()), headers)
}

fn insert(headers: &mut MetadataMap, key: &'static str, value: &str) {
    if let Ok(value) = MetadataValue::try_from(value) {
        headers.insert(key, value);
    }
}

fn truncate(mut message: String, length_max: usize) -> String {
    if message.len() <= length_max {
        return message;
    }
    let mut end = length_max.saturating_sub(TRUNCATED_SUFFIX.len());
    while !message.is_char_boundary(end) {
        end -= 1;
    }
    message.truncate(end);
    message.push_str(TRUNCATED_SUFFIX);
    message
}

/// A cause as headers and metrics show it: `RpsLimit`.
pub(crate) fn cause_name(cause: ResourceExhaustedCause) -> String {
    short_name(cause.as_str_name(), "RESOURCE_EXHAUSTED_CAUSE_")
}

/// A scope as headers and metrics show it: `Namespace`.
pub(crate) fn scope_name(scope: ResourceExhaustedScope) -> String {
    short_name(scope.as_str_name(), "RESOURCE_EXHAUSTED_SCOPE_")
}

/// A namespace state as error texts show it: `Deprecated`.
pub(crate) fn state_name(state: NamespaceState) -> String {
    short_name(state.as_str_name(), "NAMESPACE_STATE_")
}

/// `PREFIX_KEYWORD_LIST` as `KeywordList`.
pub(crate) fn short_name(full: &str, prefix: &str) -> String {
    let words = full.strip_prefix(prefix).unwrap_or(full).split('_');
    words.fold(String::with_capacity(full.len()), |mut name, word| {
        let mut letters = word.chars();
        name.extend(letters.next());
        name.extend(letters.map(|letter| letter.to_ascii_lowercase()));
        name
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use perdure_proto::api::failure::Failure;

    use super::*;

    fn kinds() -> Vec<(ErrorKind, Code, Option<&'static str>)> {
        let text = String::from;
        vec![
            (ErrorKind::InvalidArgument, Code::InvalidArgument, None),
            (ErrorKind::NotFound, Code::NotFound, Some("NotFoundFailure")),
            (ErrorKind::NamespaceNotFound { namespace: text("n") }, Code::NotFound, Some("NamespaceNotFoundFailure")),
            (ErrorKind::NamespaceAlreadyExists, Code::AlreadyExists, Some("NamespaceAlreadyExistsFailure")),
            (
                ErrorKind::NamespaceInvalidState {
                    namespace: text("n"),
                    state: NamespaceState::Deprecated,
                    allowed: vec![NamespaceState::Registered],
                },
                Code::FailedPrecondition,
                Some("NamespaceInvalidStateFailure"),
            ),
            (
                ErrorKind::WorkflowExecutionAlreadyStarted {
                    start_request_id: text("a"),
                    run_id: text("b"),
                    first_execution_run_id: text("c"),
                },
                Code::AlreadyExists,
                Some("WorkflowExecutionAlreadyStartedFailure"),
            ),
            (ErrorKind::FailedPrecondition, Code::FailedPrecondition, None),
            (ErrorKind::WorkflowNotReady, Code::FailedPrecondition, Some("WorkflowNotReadyFailure")),
            (ErrorKind::QueryFailed { failure: None }, Code::InvalidArgument, Some("QueryFailedFailure")),
            (
                ErrorKind::ResourceExhausted {
                    cause: ResourceExhaustedCause::BusyWorkflow,
                    scope: ResourceExhaustedScope::Namespace,
                },
                Code::ResourceExhausted,
                Some("ResourceExhaustedFailure"),
            ),
            (ErrorKind::Aborted, Code::Aborted, None),
            (
                ErrorKind::MultiOperation {
                    operations: vec![
                        Some(ServiceError::operation_aborted()),
                        Some(ServiceError::not_found("workflow not found")),
                    ],
                },
                Code::NotFound,
                Some("MultiOperationExecutionFailure"),
            ),
            (
                ErrorKind::MultiOperation { operations: vec![None, Some(ServiceError::operation_aborted())] },
                Code::Aborted,
                Some("MultiOperationExecutionFailure"),
            ),
            (ErrorKind::PermissionDenied, Code::PermissionDenied, Some("PermissionDeniedFailure")),
            (ErrorKind::DeadlineExceeded, Code::DeadlineExceeded, None),
            (ErrorKind::Canceled, Code::Cancelled, None),
            (ErrorKind::Unavailable, Code::Unavailable, None),
            (ErrorKind::Unimplemented, Code::Unimplemented, None),
            (ErrorKind::DataLoss, Code::DataLoss, None),
            (ErrorKind::Internal, Code::Internal, None),
            (ErrorKind::StaleTask, Code::Unavailable, None),
            (ErrorKind::StickyWorkerUnavailable, Code::Unavailable, None),
        ]
    }

    #[test]
    fn every_kind_has_its_code_and_at_most_one_detail() {
        for (kind, code, detail) in kinds() {
            let status = to_status(ServiceError::new(kind.clone(), "text"), 4000);
            assert_eq!((status.code(), status.message()), (code, "text"), "{kind:?}");
            let Some(detail) = detail else {
                assert!(status.details().is_empty(), "{kind:?}");
                continue;
            };
            let full = rpc::Status::decode(status.details()).unwrap();
            assert_eq!((full.code, full.message.as_str()), (code as i32, "text"));
            assert_eq!(full.details.len(), 1, "{kind:?}");
            let expected = format!("type.googleapis.com/temporal.api.errordetails.v1.{detail}");
            assert_eq!(full.details[0].type_url, expected);
        }
    }

    #[test]
    fn details_carry_their_fields() {
        let failure = Failure { message: "boom".into(), ..Failure::default() };
        let kind = ErrorKind::QueryFailed { failure: Some(Box::new(failure.clone())) };
        let status = to_status(ServiceError::new(kind, "boom"), 4000);
        let full = rpc::Status::decode(status.details()).unwrap();
        let detail = details::QueryFailedFailure::decode(full.details[0].value.as_slice()).unwrap();
        assert_eq!(detail.failure, Some(failure));
    }

    #[test]
    fn operations_tell_what_each_came_to() {
        let operations = vec![None, Some(ServiceError::not_found("gone")), Some(ServiceError::operation_aborted())];
        let status = to_status(ServiceError::multi_operation(operations), 4000);
        assert_eq!((status.code(), status.message()), (Code::NotFound, "Update-with-Start could not be executed."));
        let full = rpc::Status::decode(status.details()).unwrap();
        let failure = details::MultiOperationExecutionFailure::decode(full.details[0].value.as_slice()).unwrap();
        let told: Vec<_> = failure.statuses.iter().map(|status| (status.code, status.message.as_str())).collect();
        assert_eq!(told, [(0, ""), (5, "gone"), (10, "Operation was aborted.")]);
        assert_eq!(
            failure.statuses[2].details[0].type_url,
            "type.googleapis.com/temporal.api.failure.v1.MultiOperationExecutionAborted"
        );
    }

    #[test]
    fn exhaustion_is_told_in_headers_too() {
        let error =
            ServiceError::exhausted(ResourceExhaustedCause::RpsLimit, ResourceExhaustedScope::System, "slow down");
        let status = to_status(error, 4000);
        assert_eq!(status.metadata().get(RESOURCE_EXHAUSTED_CAUSE_HEADER).unwrap(), "RpsLimit");
        assert_eq!(status.metadata().get(RESOURCE_EXHAUSTED_SCOPE_HEADER).unwrap(), "System");
    }

    #[test]
    fn long_texts_are_cut_at_a_character() {
        let text = "é".repeat(50);
        let cut = truncate(text.clone(), 40);
        assert_eq!(cut, format!("{}{TRUNCATED_SUFFIX}", "é".repeat(12)));
        assert_eq!(truncate(text.clone(), 100), text);
    }
}
