//! `temporal.api.workflowservice.v1.WorkflowService`: a file per family of RPCs.

mod activities;
mod activity_operations;
mod cluster;
mod executions;
mod histories;
mod namespaces;
mod polls;
mod queries;
pub(crate) mod service;
mod standalone_activities;
mod starts;
mod task_queues;
mod updates;
mod visibility;
mod workers;
mod workflow_rules;
mod workflow_tasks;
