//! Operations on open workflows: `signal`, `query` and `update`. Each slot has a workflow of its own.

use std::time::Instant;

use perdure_proto::api::{
    enums::EventType,
    history::HistoryEvent,
    query::WorkflowQuery,
    workflowservice::{GetWorkflowExecutionHistoryRequest, QueryWorkflowRequest, SignalWorkflowExecutionRequest},
};
use tonic::Status;

use super::{FINISH, LOST_AFTER, signal_name};
use crate::{
    client::{Rpc, SHORT_CALL, WAIT_FOR_CLOSE, until_acknowledged, with_deadline},
    messages,
    run::ThreadContext,
    updates,
    worker::QUERY_ANSWER,
};

/// Name of the signals that are counted.
const COUNTED: &str = "counted";
/// Latency of an acknowledged signal.
const SIGNAL: &str = "signal acknowledged";
/// Latency of an answered query.
const QUERY: &str = "query answered";

/// Latency of an update from its request until its outcome.
const UPDATE: &str = "update completed";

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

    /// Makes one update; whether it was answered with what it was given.
    async fn update(&self, update_id: &str) -> bool {
        let request = updates::request(&self.context.options.namespace, &self.workflow_id, &self.run_id, update_id);
        let given_up = Instant::now() + LOST_AFTER;
        while Instant::now() < given_up {
            let answer = until_acknowledged(
                given_up,
                |status| self.context.tally.lock().error("UpdateWorkflowExecution", status),
                || {
                    let mut rpc = self.rpc.clone();
                    let request = with_deadline(request.clone(), WAIT_FOR_CLOSE);
                    async move { rpc.update_workflow_execution(request).await }
                },
            )
            .await;
            match answer.result {
                Ok(response) => match updates::success(response.outcome.as_ref()) {
                    Some(answer) if messages::text(Some(answer)) == update_id => return true,
                    Some(_) => break,
                    // The server ended the wait before the worker had answered.
                    None => {}
                },
                Err(_) => return false,
            }
        }
        self.context.tally.lock().violation(format!("update {update_id} had no outcome, or a wrong one"));
        false
    }

    /// Every acknowledged operation must have left one event.
    async fn hold_against_history(&self, what: &str, acknowledged: u64, counted: impl Fn(&HistoryEvent) -> bool) {
        match self.events_in_history(counted).await {
            Ok(found) if found == acknowledged => {}
            Ok(found) => self.context.tally.lock().violation(format!(
                "{}: {acknowledged} {what} were acknowledged, {found} are in the history",
                self.workflow_id
            )),
            Err(status) => self.context.tally.lock().error("GetWorkflowExecutionHistory", &status),
        }
    }

    async fn finish(&self) {
        if self.signal(FINISH, format!("{}-finish", self.workflow_id)).await {
            super::wait_completed(self.context, self.rpc, &self.workflow_id, &self.run_id).await;
        } else {
            self.context.tally.lock().violation(format!("{} could not be finished", self.workflow_id));
        }
    }

    /// How many events of its history are `counted`.
    async fn events_in_history(&self, counted: impl Fn(&HistoryEvent) -> bool) -> Result<u64, Status> {
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
            found += events.iter().map(|event| u64::from(counted(event))).sum::<u64>();
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
        open.hold_against_history("signals", acknowledged, |event| signal_name(event) == Some(COUNTED)).await;
    }
}

/// Updates a workflow `signals_per_workflow` times, finishes it, counts the updates in its history; then the
/// next workflow.
pub(super) async fn update(context: ThreadContext, slot: usize) {
    let rpc = context.connections.pick(slot);
    let mut next = context.next_operation();
    while let Some(first) = next {
        let Some(open) = Open::start(&context, &rpc, first).await else { return };
        let mut acknowledged = 0;
        while let Some(number) = next {
            let began = Instant::now();
            if open.update(&context.workflow_id(number)).await {
                acknowledged += 1;
                context.operation_ended(UPDATE, began);
            }
            next = context.next_operation();
            if acknowledged >= context.options.signals_per_workflow {
                break;
            }
        }
        open.finish().await;
        let completed = |event: &HistoryEvent| messages::is(event, EventType::WorkflowExecutionUpdateCompleted);
        open.hold_against_history("updates", acknowledged, completed).await;
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
