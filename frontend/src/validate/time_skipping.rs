//! Time skipping, which no namespace has switched on.

use perdure_kernel::{ErrorKind, ServiceError, ServiceResult};
use perdure_proto::api::common::TimeSkippingConfig;

/// Refuses a configuration of time skipping; none is fine.
pub(crate) fn check(config: Option<&TimeSkippingConfig>) -> ServiceResult<()> {
    match config {
        Some(_) => {
            let text = "The Time-Skipping feature is not enabled for namespace.";
            Err(ServiceError::new(ErrorKind::Unimplemented, text))
        }
        None => Ok(()),
    }
}
