//! Matching: the task-queue actors.
