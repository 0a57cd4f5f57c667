//! SQL stores over sqlx.
