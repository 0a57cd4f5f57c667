//! RPCs that start workflows.

use perdure_kernel::{BusinessKey, ServiceResult};
use perdure_proto::api::workflowservice as ws;

use crate::{
    call::{Call, Shared},
    validate::start::{self, Rules},
};

pub(super) async fn start_workflow_execution(
    shared: &Shared,
    call: Call<()>,
    request: ws::StartWorkflowExecutionRequest,
) -> ServiceResult<ws::StartWorkflowExecutionResponse> {
    let mut request = Box::new(request);
    let fresh_id = || shared.ids.uuid();
    start::start(&mut request, &rules(&call, &fresh_id))?;
    let key = BusinessKey::workflow(call.namespace_id(), &request.workflow_id);
    shared.history.ask(&key, call.caller, request, call.permit).await
}

pub(super) async fn signal_with_start_workflow_execution(
    shared: &Shared,
    call: Call<()>,
    request: ws::SignalWithStartWorkflowExecutionRequest,
) -> ServiceResult<ws::SignalWithStartWorkflowExecutionResponse> {
    let mut request = Box::new(request);
    let fresh_id = || shared.ids.uuid();
    start::signal_with_start(&mut request, &rules(&call, &fresh_id))?;
    let key = BusinessKey::workflow(call.namespace_id(), &request.workflow_id);
    shared.history.ask(&key, call.caller, request, call.permit).await
}

pub(super) fn rules<'a>(call: &'a Call<()>, fresh_id: &'a dyn Fn() -> String) -> Rules<'a> {
    Rules { namespace: &call.caller.namespace, now: call.now, fresh_id }
}
