//! Long polls.

use std::time::Duration;

use perdure_kernel::{Namespace, ServiceError, ServiceResult, Timestamp};

use super::invalid;

/// A poll whose caller waits for less than this is refused: it would end before it can bring anything.
const TIMEOUT_MIN: Duration = Duration::from_secs(2);

/// A poll needs a deadline that leaves it time.
pub(crate) fn deadline(deadline: Option<Timestamp>, now: Timestamp) -> ServiceResult<()> {
    let deadline = deadline.ok_or_else(|| invalid("Context timeout is not set."))?;
    if deadline.since(now) < TIMEOUT_MIN {
        return Err(ServiceError::failed_precondition("Context timeout is too short."));
    }
    Ok(())
}

/// A worker whose binary was marked as bad gets no workflow tasks.
pub(crate) fn binary(checksum: &str, namespace: &Namespace) -> ServiceResult<()> {
    if namespace.bad_binaries.contains_key(checksum) {
        return Err(invalid(format!("Binary {checksum} already marked as bad deployment.")));
    }
    Ok(())
}
