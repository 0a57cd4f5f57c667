//! Queries and their answers.

use perdure_kernel::{NamespaceId, ServiceResult};
use perdure_proto::{
    api::{
        enums::{QueryRejectCondition, QueryResultType},
        workflowservice as ws,
    },
    tokens,
};
use perdure_rpc::{QueueKind, QueueName, TaskType, matching::AnswerQuery};

use super::executions::key_of;
use crate::{
    call::{Call, Shared},
    validate::{blobs, invalid},
};

pub(super) async fn query_workflow(
    shared: &Shared,
    call: Call<()>,
    mut request: ws::QueryWorkflowRequest,
) -> ServiceResult<ws::QueryWorkflowResponse> {
    let key = key_of(&call, request.execution.as_ref())?;
    let query = request.query.as_ref().ok_or_else(|| invalid("WorkflowQuery is not set on request."))?;
    if query.query_type.is_empty() {
        return Err(invalid("QueryType is not set on request."));
    }
    if request.query_reject_condition == i32::from(QueryRejectCondition::Unspecified) {
        request.query_reject_condition = QueryRejectCondition::None.into();
    }
    blobs::check(query.query_args.as_ref(), call.limits())?;
    shared.history.ask(&key, call.caller, Box::new(request), call.permit).await
}

pub(super) async fn respond_query_task_completed(
    shared: &Shared,
    call: Call<tokens::QueryTask>,
    mut request: ws::RespondQueryTaskCompletedRequest,
) -> ServiceResult<ws::RespondQueryTaskCompletedResponse> {
    let queue = queue_of(&call.token, call.namespace_id())?;
    if blobs::too_large(request.query_result.as_ref(), call.limits()) {
        request.completed_type = QueryResultType::Failed.into();
        request.query_result = None;
        request.error_message = "Blob data size exceeds limit.".to_owned();
        request.failure = None;
    }
    let answer = AnswerQuery { queue: queue.clone(), query_id: call.token.query_id, request };
    shared.matching.ask(&queue, call.caller, Box::new(answer), call.permit).await
}

/// The partition that holds the query.
fn queue_of(token: &tokens::QueryTask, namespace_id: &NamespaceId) -> ServiceResult<QueueName> {
    let unusable = || invalid("Invalid TaskToken.");
    if token.task_queue.is_empty() || token.query_id.is_empty() {
        return Err(unusable());
    }
    let (name, partition) = QueueName::parse_rpc_name(&token.task_queue).ok_or_else(unusable)?;
    let kind = if token.sticky { QueueKind::Sticky } else { QueueKind::Normal };
    Ok(QueueName {
        namespace_id: namespace_id.clone(),
        name: name.into(),
        task_type: TaskType::Workflow,
        kind,
        partition,
    })
}
