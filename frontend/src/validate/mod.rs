//! What a request must look like. Pure: no state, no IO. The texts are those that clients of Temporal know.

pub(crate) mod activities;
pub(crate) mod activity_options;
pub(crate) mod blobs;
pub(crate) mod callbacks;
pub(crate) mod durations;
pub(crate) mod ids;
pub(crate) mod links;
pub(crate) mod polls;
pub(crate) mod priorities;
pub(crate) mod queue_config;
pub(crate) mod start;
pub(crate) mod task_queues;
pub(crate) mod time_skipping;
pub(crate) mod versioning;

use perdure_kernel::ServiceError;

/// `InvalidArgument`.
pub(crate) fn invalid(message: impl Into<std::borrow::Cow<'static, str>>) -> ServiceError {
    ServiceError::invalid_argument(message)
}
