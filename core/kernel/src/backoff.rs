//! Retry policies and the maths of backoff.
