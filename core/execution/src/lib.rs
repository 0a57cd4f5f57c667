//! The deterministic state machines of durable executions.
