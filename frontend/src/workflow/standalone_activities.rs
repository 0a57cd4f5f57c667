//! RPCs on activities that clients start without a workflow.

use perdure_execution::activity::{FromReply, Input, Reply};
use perdure_kernel::{BusinessKey, ErrorKind, ServiceError, ServiceResult};
use perdure_proto::{api::workflowservice as ws, tokens};
use prost::Message;

use crate::{
    call::{Call, Shared},
    validate::{activities as check, invalid},
};

pub(super) async fn start_activity_execution(
    shared: &Shared,
    call: Call<()>,
    mut request: ws::StartActivityExecutionRequest,
) -> ServiceResult<ws::StartActivityExecutionResponse> {
    require_enabled(&call)?;
    fill_request_id(&mut request.request_id, shared);
    check::start(&mut request, &call.caller.namespace)?;
    let id = request.activity_id.clone();
    let answer: Box<_> = ask(shared, call, id, String::new(), Input::Start(Box::new(request))).await?;
    Ok(*answer)
}

pub(super) async fn describe_activity_execution(
    shared: &Shared,
    call: Call<()>,
    request: ws::DescribeActivityExecutionRequest,
) -> ServiceResult<ws::DescribeActivityExecutionResponse> {
    require_enabled(&call)?;
    check::activity_id(&request.activity_id, call.limits())?;
    if !request.long_poll_token.is_empty() && request.run_id.is_empty() {
        return Err(invalid("run id is required when long poll token is provided"));
    }
    check::run_id(&request.run_id)?;
    let watch = if request.long_poll_token.is_empty() {
        None
    } else {
        let token = tokens::ActivityWatch::decode(request.long_poll_token.clone()).ok();
        Some(token.filter(|token| !token.run_id.is_empty()).ok_or_else(|| invalid("invalid long poll token"))?)
    };
    let (id, run_id) = (request.activity_id.clone(), request.run_id.clone());
    let answer: Box<_> = ask(shared, call, id, run_id, Input::Describe(Box::new(request), watch)).await?;
    Ok(*answer)
}

pub(super) async fn poll_activity_execution(
    shared: &Shared,
    call: Call<()>,
    request: ws::PollActivityExecutionRequest,
) -> ServiceResult<ws::PollActivityExecutionResponse> {
    require_enabled(&call)?;
    check::activity_id(&request.activity_id, call.limits())?;
    check::run_id(&request.run_id)?;
    let answer: Box<_> = ask(shared, call, request.activity_id, request.run_id, Input::Poll).await?;
    Ok(*answer)
}

pub(super) async fn request_cancel_activity_execution(
    shared: &Shared,
    call: Call<()>,
    mut request: ws::RequestCancelActivityExecutionRequest,
) -> ServiceResult<ws::RequestCancelActivityExecutionResponse> {
    require_enabled(&call)?;
    check::activity_id(&request.activity_id, call.limits())?;
    fill_request_id(&mut request.request_id, shared);
    check::command(&request.request_id, &request.identity, &request.run_id, &request.reason, call.limits())?;
    let (id, run_id) = (request.activity_id.clone(), request.run_id.clone());
    ask::<()>(shared, call, id, run_id, Input::RequestCancel(request)).await?;
    Ok(ws::RequestCancelActivityExecutionResponse {})
}

pub(super) async fn terminate_activity_execution(
    shared: &Shared,
    call: Call<()>,
    mut request: ws::TerminateActivityExecutionRequest,
) -> ServiceResult<ws::TerminateActivityExecutionResponse> {
    require_enabled(&call)?;
    check::activity_id(&request.activity_id, call.limits())?;
    fill_request_id(&mut request.request_id, shared);
    check::command(&request.request_id, &request.identity, &request.run_id, &request.reason, call.limits())?;
    let (id, run_id) = (request.activity_id.clone(), request.run_id.clone());
    ask::<()>(shared, call, id, run_id, Input::Terminate(request)).await?;
    Ok(ws::TerminateActivityExecutionResponse {})
}

pub(super) async fn delete_activity_execution(
    shared: &Shared,
    call: Call<()>,
    request: ws::DeleteActivityExecutionRequest,
) -> ServiceResult<ws::DeleteActivityExecutionResponse> {
    require_enabled(&call)?;
    check::activity_id(&request.activity_id, call.limits())?;
    check::run_id(&request.run_id)?;
    ask::<()>(shared, call, request.activity_id, request.run_id, Input::Delete).await?;
    Ok(ws::DeleteActivityExecutionResponse {})
}

/// Asks the activity and waits for its answer.
pub(super) async fn ask<R: FromReply>(
    shared: &Shared,
    call: Call<()>,
    activity_id: String,
    run_id: String,
    input: Input,
) -> ServiceResult<R> {
    let key = BusinessKey::activity(call.namespace_id(), &activity_id);
    let reply: Reply = shared.history.act(key, run_id, call.caller, input, call.permit).await?;
    R::from_reply(reply)
}

/// Whether the namespace has standalone activities.
pub(super) fn require_enabled<T>(call: &Call<T>) -> ServiceResult<()> {
    if call.limits().standalone_activities {
        return Ok(());
    }
    Err(ServiceError::new(ErrorKind::Unimplemented, "Standalone activity is disabled"))
}

/// A request without an id gets one of its own: a repeat by the transport then finds what it did.
fn fill_request_id(request_id: &mut String, shared: &Shared) {
    if request_id.is_empty() {
        *request_id = shared.ids.uuid();
    }
}
