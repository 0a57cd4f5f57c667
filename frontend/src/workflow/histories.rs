//! RPCs that read histories.

use perdure_kernel::{Limits, ServiceResult};
use perdure_proto::{
    api::{common::WorkflowExecution, enums::HistoryEventFilterType, workflowservice as ws},
    tokens,
};
use perdure_rpc::history::WithToken;
use prost::Message;

use super::executions::key_of;
use crate::{
    call::{Call, Shared},
    validate::invalid,
};

pub(super) async fn get_workflow_execution_history(
    shared: &Shared,
    call: Call<()>,
    mut request: ws::GetWorkflowExecutionHistoryRequest,
) -> ServiceResult<ws::GetWorkflowExecutionHistoryResponse> {
    let key = key_of(&call, request.execution.as_ref())?;
    request.maximum_page_size = page_size(request.maximum_page_size, call.limits());
    if request.history_event_filter_type == i32::from(HistoryEventFilterType::Unspecified) {
        request.history_event_filter_type = HistoryEventFilterType::AllEvent.into();
    }
    let token = page_token(&request.next_page_token, request.execution.as_ref())?;
    shared.history.ask(&key, call.caller, WithToken { token, request }, call.permit).await
}

pub(super) async fn get_workflow_execution_history_reverse(
    shared: &Shared,
    call: Call<()>,
    mut request: ws::GetWorkflowExecutionHistoryReverseRequest,
) -> ServiceResult<ws::GetWorkflowExecutionHistoryReverseResponse> {
    let key = key_of(&call, request.execution.as_ref())?;
    request.maximum_page_size = page_size(request.maximum_page_size, call.limits());
    let token = page_token(&request.next_page_token, request.execution.as_ref())?;
    shared.history.ask(&key, call.caller, WithToken { token, request }, call.permit).await
}

/// None asked for, or more than there may be: the most there may be.
fn page_size(asked: i32, limits: &Limits) -> i32 {
    let max = i32::try_from(limits.history_page_size_max).unwrap_or(i32::MAX);
    if asked <= 0 { max } else { asked.min(max) }
}

/// A token pins the run that its first page showed.
fn page_token(token: &[u8], execution: Option<&WorkflowExecution>) -> ServiceResult<Option<tokens::HistoryPage>> {
    if token.is_empty() {
        return Ok(None);
    }
    let token = tokens::HistoryPage::decode(token)
        .ok()
        .filter(|token| !token.run_id.is_empty())
        .ok_or_else(|| invalid("Invalid NextPageToken."))?;
    let run_id = execution.map_or("", |execution| &execution.run_id);
    if !run_id.is_empty() && run_id != token.run_id {
        return Err(invalid("RunId in the request does not match the NextPageToken."));
    }
    Ok(Some(token))
}
