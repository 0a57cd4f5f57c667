//! HTTP requests to the world outside the cluster: completion callbacks.
//!
//! What goes over the wire is the completion request of the Nexus protocol, as Temporal sends it. Callers
//! hand over a [`CallbackRequest`] and learn whether it was taken, or why not and whether trying again makes
//! sense. Retries, backoff and circuit breakers are theirs.

mod answer;
mod failure_json;
mod http_sender;
mod payload;
mod request;

use std::time::Duration;

use async_trait::async_trait;
use perdure_execution::completion::Completion;
use perdure_proto::api::common::callback;

pub use http_sender::HttpSender;

/// A completion callback to deliver.
#[derive(Clone, Debug, PartialEq)]
pub struct CallbackRequest {
    /// Where it goes, and the header it carries.
    pub callback: callback::Nexus,
    /// What it tells.
    pub completion: Completion,
    /// How long the answer may take.
    pub timeout: Duration,
}

/// Why a callback was not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Undelivered {
    /// What went wrong, for whoever looks at the callback.
    pub text: String,
    /// Whether another try may succeed.
    pub retryable: bool,
}

impl Undelivered {
    /// Another try may succeed.
    pub fn retryable(text: impl Into<String>) -> Self {
        Self { text: text.into(), retryable: true }
    }

    /// No other try will succeed.
    pub fn for_good(text: impl Into<String>) -> Self {
        Self { text: text.into(), retryable: false }
    }
}

/// Delivers completion callbacks.
#[async_trait]
pub trait CallbackSender: Send + Sync + 'static {
    /// Delivers one, once. Whoever drops the future gives up waiting: it may have arrived all the same.
    async fn send(&self, request: CallbackRequest) -> Result<(), Undelivered>;
}
