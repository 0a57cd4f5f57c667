//! The task-queue machine: pairs pollers with tasks.
