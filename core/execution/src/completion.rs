//! What those who wait for an execution from outside the cluster are told of its end.

use perdure_kernel::Timestamp;
use perdure_proto::api::{
    common::{Payload, Payloads, link},
    failure::{CanceledFailureInfo, Failure, TerminatedFailureInfo, TimeoutFailureInfo, failure::FailureInfo},
    history::history_event::Attributes,
};

/// The end of an execution, as a completion callback tells it. It may go to anybody, so it says what came of
/// the execution and nothing of why somebody ended it.
#[derive(Clone, Debug, PartialEq)]
pub struct Completion {
    /// When the execution started.
    pub start_time: Timestamp,
    /// When it closed.
    pub close_time: Timestamp,
    /// The event that the callback came with.
    pub link: link::WorkflowEvent,
    /// What came of it.
    pub outcome: Outcome,
}

/// What came of an execution.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// It succeeded, with the first of its results.
    Succeeded(Option<Payload>),
    /// It failed, was terminated or timed out.
    Failed(Box<Failure>),
    /// It was cancelled.
    Canceled(Box<Failure>),
}

impl Outcome {
    /// Success with the first of several results: there is room for one.
    pub fn success(result: Option<&Payloads>) -> Self {
        Self::Succeeded(result.and_then(|result| result.payloads.first().cloned()))
    }

    /// The outcome that an event closing a workflow tells; `None` for events that do not end a chain of runs.
    pub fn of_close(attributes: &Attributes) -> Option<Self> {
        let failure = |message: &str, info| {
            Box::new(Failure { message: message.to_owned(), failure_info: Some(info), ..Default::default() })
        };
        match attributes {
            Attributes::WorkflowExecutionCompletedEventAttributes(close) => Some(Self::success(close.result.as_ref())),
            Attributes::WorkflowExecutionFailedEventAttributes(close) => {
                Some(Self::Failed(Box::new(close.failure.clone().unwrap_or_default())))
            }
            Attributes::WorkflowExecutionCanceledEventAttributes(close) => {
                let info = CanceledFailureInfo { details: close.details.clone(), ..Default::default() };
                Some(Self::Canceled(failure("operation canceled", FailureInfo::CanceledFailureInfo(info))))
            }
            Attributes::WorkflowExecutionTerminatedEventAttributes(_) => {
                let info = FailureInfo::TerminatedFailureInfo(TerminatedFailureInfo::default());
                Some(Self::Failed(failure("operation terminated", info)))
            }
            Attributes::WorkflowExecutionTimedOutEventAttributes(_) => {
                let info = FailureInfo::TimeoutFailureInfo(TimeoutFailureInfo::default());
                Some(Self::Failed(failure("operation exceeded internal timeout", info)))
            }
            _ => None,
        }
    }
}
