//! Operations on open workflows: `signal` and `query`. Each slot has a workflow of its own.

use std::time::Instant;

use perdure_proto::api::{
    query::WorkflowQuery,
    workflowservice::{GetWorkflowExecutionHistoryRequest, QueryWorkflowRequest, SignalWorkflowExecutionRequest},
};
use tonic::Status;

use super::{FINISH, LOST_AFTER, signal_name};
use crate::{
    client::{Rpc, SHORT_CALL, until_acknowledged, with_deadline},
    messages,
    run::ThreadContext,
    worker::QUERY_ANSWER,
};

/// Name of the signals that are counted.
const COUNTED: &str = "counted";
/// Latency of an acknowledged signal.
const SIGNAL: &str = "signal acknowledged";
/// Latency of an answered query.
const QUERY: &str = "query answered";

/// A workflow that stays open until it gets [`FINISH`].
struct Open<'a> {
    context: &'a ThreadContext,
    rpc: &'a Rpc,
    workflow_id: String,
    run_id: String,
}

impl<'a> Open<'a> {
    async fn start(context: &'a ThreadContext, rpc: &'a Rpc, number: u64) -> Option<Self> {
        let workflow_id = context.workflow_id(number);
        let run_id = super::start(context, rpc, &workflow_id).await?;
        Some(Self { context, rpc, workflow_id, run_id })
    }

    /// Sends one signal; whether it was acknowledged.
    async fn signal(&self, name: &str, request_id: String) -> bool {
        let request = SignalWorkflowExecutionRequest {
            namespace: self.context.options.namespace.clone(),
            workflow_execution: Some(messages::execution(&self.workflow_id, &self.run_id)),
            signal_name: name.to_owned(),
            input: Some(messages::payloads(&request_id)),
            request_id,
            ..Default::default()
        };
        let answer = until_acknowledged(
            Instant::now() + LOST_AFTER,
            |status| self.context.tally.lock().error("SignalWorkflowExecution", status),
            || {
                let mut rpc = self.rpc.clone();
                let request = with_deadline(request.clone(), SHORT_CALL);
                async move { rpc.signal_workflow_execution(request).await }
            },
        )
        .await;
        answer.result.is_ok()
    }

    async fn finish(&self) {
        if self.signal(FINISH, format!("{}-finish", self.workflow_id)).await {
            super::wait_completed(self.context, self.rpc, &self.workflow_id, &self.run_id).await;
        } else {
            self.context.tally.lock().violation(format!("{} could not be finished", self.workflow_id));
        }
    }

    /// How many counted signals its history holds.
    async fn signals_in_history(&self) -> Result<u64, Status> {
        let mut request = GetWorkflowExecutionHistoryRequest {
            namespace: self.context.options.namespace.clone(),
            execution: Some(messages::execution(&self.workflow_id, &self.run_id)),
            ..Default::default()
        };
        let mut found = 0;
        loop {
            let mut rpc = self.rpc.clone();
            let response = rpc.get_workflow_execution_history(with_deadline(request.clone(), SHORT_CALL)).await?;
            let response = response.into_inner();
            let events = response.history.map(|history| history.events).unwrap_or_default();
            found += events.iter().map(|event| u64::from(signal_name(event) == Some(COUNTED))).sum::<u64>();
            if response.next_page_token.is_empty() {
                return Ok(found);
            }
            request.next_page_token = response.next_page_token;
        }
    }
}

/// Signals a workflow `signals_per_workflow` times, finishes it, counts the signals in its history;
/// then the next workflow.
pub(super) async fn signal(context: ThreadContext, slot: usize) {
    let rpc = context.connections.pick(slot);
    let mut next = context.next_operation();
    while let Some(first) = next {
        let Some(open) = Open::start(&context, &rpc, first).await else { return };
        let mut acknowledged = 0;
        while let Some(number) = next {
            let began = Instant::now();
            if open.signal(COUNTED, context.workflow_id(number)).await {
                acknowledged += 1;
                context.operation_ended(SIGNAL, began);
            }
            next = context.next_operation();
            if acknowledged >= context.options.signals_per_workflow {
                break;
            }
        }
        open.finish().await;
        match open.signals_in_history().await {
            Ok(found) if found == acknowledged => {}
            Ok(found) => context.tally.lock().violation(format!(
                "{}: {acknowledged} signals were acknowledged, {found} are in the history",
                open.workflow_id
            )),
            Err(status) => context.tally.lock().error("GetWorkflowExecutionHistory", &status),
        }
    }
}

/// Queries one workflow until the run is over, then finishes it.
pub(super) async fn query(context: ThreadContext, slot: usize) {
    let rpc = context.connections.pick(slot);
    let Some(first) = context.next_operation() else { return };
    let Some(open) = Open::start(&context, &rpc, first).await else { return };
    let request = QueryWorkflowRequest {
        namespace: context.options.namespace.clone(),
        execution: Some(messages::execution(&open.workflow_id, &open.run_id)),
        query: Some(WorkflowQuery { query_type: "state".to_owned(), ..Default::default() }),
        ..Default::default()
    };
    let mut next = Some(first);
    while next.is_some() {
        let began = Instant::now();
        match rpc.clone().query_workflow(with_deadline(request.clone(), SHORT_CALL)).await {
            Ok(response) => {
                let answer = messages::text(response.into_inner().query_result.as_ref());
                if answer == QUERY_ANSWER {
                    context.operation_ended(QUERY, began);
                } else {
                    context.tally.lock().violation(format!("a query was answered {answer:?}"));
                }
            }
            Err(status) => context.tally.lock().error("QueryWorkflow", &status),
        }
        next = context.next_operation();
    }
    open.finish().await;
}
