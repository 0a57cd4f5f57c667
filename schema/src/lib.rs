//! Versioned database schemas, embedded as data.
