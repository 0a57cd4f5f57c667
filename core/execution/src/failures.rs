//! Failures that the server makes, and how much of a client's it keeps.

use perdure_proto::api::{
    enums::TimeoutType,
    failure::{Failure, ServerFailureInfo, TimeoutFailureInfo, failure::FailureInfo},
};
use prost::Message;

/// What stands for a failure that is too large to be kept.
const TOO_LARGE: &str = "Failure exceeds size limit.";

/// A failure that is kept with an execution, in at most about `max` bytes: it is rewritten with every attempt.
pub(crate) fn bounded(failure: &Failure, max: usize) -> Failure {
    if failure.encoded_len() <= max {
        return failure.clone();
    }
    let mut message = failure.message.clone();
    let mut end = message.len().min(max / 2);
    while !message.is_char_boundary(end) {
        end -= 1;
    }
    message.truncate(end);
    Failure {
        message: TOO_LARGE.to_owned(),
        source: "Server".to_owned(),
        cause: Some(Box::new(Failure { message, source: failure.source.clone(), ..Default::default() })),
        failure_info: Some(FailureInfo::ServerFailureInfo(ServerFailureInfo { non_retryable: false })),
        ..Default::default()
    }
}

/// One of an activity's timeouts is over, for the reason `message`.
pub(crate) fn timeout(message: &str, kind: TimeoutType) -> Failure {
    let info = TimeoutFailureInfo { timeout_type: kind.into(), ..Default::default() };
    Failure {
        message: message.to_owned(),
        failure_info: Some(FailureInfo::TimeoutFailureInfo(info)),
        ..Default::default()
    }
}

/// Why an activity timed out whose next attempt would have begun too late.
pub(crate) const NO_TIME_FOR_RETRY: &str =
    "Not enough time to schedule next retry before activity ScheduleToClose timeout, giving up retrying";
