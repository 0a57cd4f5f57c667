//! Completion callbacks. This server delivers none yet, so it takes none: as Temporal does until an operator
//! allows addresses.

use perdure_kernel::{ErrorKind, ServiceError, ServiceResult};
use perdure_proto::api::common::{Callback, callback::Variant};

use super::invalid;

/// Refuses callbacks.
pub(crate) fn check(callbacks: &[Callback]) -> ServiceResult<()> {
    let Some(callback) = callbacks.first() else { return Ok(()) };
    match &callback.variant {
        Some(Variant::Nexus(nexus)) => {
            let (scheme, rest) = nexus.url.split_once("://").unwrap_or(("", &nexus.url));
            if scheme != "http" && scheme != "https" {
                return Err(invalid(format!("invalid url: unknown scheme: {}", nexus.url)));
            }
            if rest.is_empty() || rest.starts_with('/') {
                return Err(invalid("invalid url: missing host"));
            }
            Err(invalid(format!("invalid url: url does not match any configured callback address: {}", nexus.url)))
        }
        Some(Variant::Internal(_) | Variant::NexusHandler(_)) | None => {
            Err(ServiceError::new(ErrorKind::Unimplemented, "completion callbacks are not served by this server yet"))
        }
    }
}
