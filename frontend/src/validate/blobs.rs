//! Sizes of what clients send, and what becomes of what is too large.

use perdure_kernel::{Limits, ServiceResult};
use perdure_proto::api::{
    common::{Memo, Payloads},
    failure::{ApplicationFailureInfo, Failure, ServerFailureInfo, failure::FailureInfo},
};
use prost::Message;

use super::invalid;

/// Causes of a failure that are kept when it is cut.
const TRUNCATED_DEPTH_MAX: usize = 20;
/// Bytes counted for the encoding of a field, of an info without text, and of one with text.
const FIELD_OVERHEAD: usize = 4;
const TYPED_INFO_OVERHEAD: usize = 8;

/// Whether payloads are over the limit.
pub(crate) fn too_large(payloads: Option<&Payloads>, limits: &Limits) -> bool {
    payloads.is_some_and(|payloads| payloads.encoded_len() > limits.blob_size_max)
}

/// Refuses payloads over the limit.
pub(crate) fn check(payloads: Option<&Payloads>, limits: &Limits) -> ServiceResult<()> {
    if too_large(payloads, limits) {
        return Err(invalid("Blob data size exceeds limit."));
    }
    Ok(())
}

/// Refuses a memo over the limit.
pub(crate) fn check_memo(memo: Option<&Memo>, limits: &Limits) -> ServiceResult<()> {
    if memo.is_some_and(|memo| memo.encoded_len() > limits.memo_size_max) {
        return Err(invalid("Memo size exceeds limit."));
    }
    Ok(())
}

/// A failure of the server's own making that is not retried.
pub(crate) fn server_failure(message: &str) -> Failure {
    Failure {
        message: message.to_owned(),
        source: "Server".to_owned(),
        failure_info: Some(FailureInfo::ServerFailureInfo(ServerFailureInfo { non_retryable: true })),
        ..Failure::default()
    }
}

/// Replaces a failure over the limit by one that says so and keeps what fits of it as its cause. `None`
/// when it fits.
pub(crate) fn replacement(failure: Option<&Failure>, limits: &Limits) -> Option<Failure> {
    let failure = failure.filter(|failure| failure.encoded_len() > limits.blob_size_max)?;
    let cause = truncate(failure, limits.blob_size_warn, TRUNCATED_DEPTH_MAX);
    Some(Failure { cause: Some(Box::new(cause)), ..server_failure("Failure exceeds size limit.") })
}

/// What fits of `failure` into `size` bytes: texts in the order of their use, then causes.
fn truncate(failure: &Failure, size: usize, depth: usize) -> Failure {
    let mut left = size;
    let failure_info = match &failure.failure_info {
        Some(FailureInfo::ApplicationFailureInfo(info)) => {
            let info = ApplicationFailureInfo {
                non_retryable: info.non_retryable,
                r#type: take(&info.r#type, &mut left),
                ..ApplicationFailureInfo::default()
            };
            left = left.saturating_sub(TYPED_INFO_OVERHEAD);
            Some(FailureInfo::ApplicationFailureInfo(info))
        }
        Some(FailureInfo::ServerFailureInfo(info)) => {
            left = left.saturating_sub(FIELD_OVERHEAD);
            Some(FailureInfo::ServerFailureInfo(*info))
        }
        Some(_) | None => None,
    };
    let source = take(&failure.source, &mut left);
    let message = take(&failure.message, &mut left);
    let stack_trace = take(&failure.stack_trace, &mut left);
    let cause = failure
        .cause
        .as_ref()
        .filter(|_| left > FIELD_OVERHEAD && depth > 0)
        .map(|cause| Box::new(truncate(cause, left - FIELD_OVERHEAD, depth - 1)));
    Failure { message, source, stack_trace, cause, failure_info, encoded_attributes: None }
}

fn take(text: &str, left: &mut usize) -> String {
    let mut end = text.len().min(*left);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    if end > 0 {
        *left = left.saturating_sub(end + FIELD_OVERHEAD);
    }
    text[..end].to_owned()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn keeps_what_fits() {
        let inner = Failure { message: "é".repeat(100), ..Failure::default() };
        let failure = Failure {
            message: "outer".into(),
            cause: Some(Box::new(inner)),
            failure_info: Some(FailureInfo::ApplicationFailureInfo(ApplicationFailureInfo {
                r#type: "T".into(),
                non_retryable: true,
                ..ApplicationFailureInfo::default()
            })),
            ..Failure::default()
        };
        let limits = Limits { blob_size_max: 100, blob_size_warn: 50, ..Limits::default() };
        let replaced = replacement(Some(&failure), &limits).unwrap();
        assert_eq!(replaced.message, "Failure exceeds size limit.");
        let cause = replaced.cause.unwrap();
        assert_eq!(cause.message, "outer");
        assert!(cause.encoded_len() <= 50, "{}", cause.encoded_len());
        let Some(FailureInfo::ApplicationFailureInfo(info)) = &cause.failure_info else { panic!("{cause:?}") };
        assert!(info.non_retryable);
        assert!(cause.cause.unwrap().message.starts_with('é'));
        assert_eq!(replacement(Some(&failure), &Limits::default()), None);
    }
}
