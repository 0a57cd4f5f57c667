//! What workers answer to workflow tasks.

use perdure_kernel::{BusinessKey, ServiceResult};
use perdure_proto::{
    api::{
        command::{Command, command::Attributes},
        workflowservice as ws,
    },
    tokens,
};
use perdure_rpc::history::WithToken;

use crate::{
    call::{Call, Shared},
    validate::{blobs, ids, versioning},
};

pub(super) async fn respond_workflow_task_completed(
    shared: &Shared,
    call: Call<tokens::WorkflowTask>,
    request: ws::RespondWorkflowTaskCompletedRequest,
) -> ServiceResult<ws::RespondWorkflowTaskCompletedResponse> {
    ids::identity(&request.identity, call.limits())?;
    #[expect(deprecated, reason = "older workers still send it")]
    let stamp = request.worker_version_stamp.as_ref();
    versioning::check(
        stamp.map_or("", |stamp| &stamp.build_id),
        stamp.is_some_and(|stamp| stamp.use_versioning),
        request.deployment_options.as_ref(),
        request.sticky_attributes.as_ref().and_then(|sticky| sticky.worker_task_queue.as_ref()),
        call.limits(),
    )?;
    let key = key_of(&call)?;
    find_namespaces(shared, &call, &request.commands).await;
    let request = Box::new(WithToken { token: call.token, request });
    shared.history.ask(&key, call.caller, request, call.permit).await
}

/// Other namespaces that commands name are read into the cache, where the shard looks. One that does not exist
/// is the shard's to refuse.
async fn find_namespaces(shared: &Shared, call: &Call<tokens::WorkflowTask>, commands: &[Command]) {
    for name in commands.iter().filter_map(named_namespace) {
        if !name.is_empty() && name != call.caller.namespace.name {
            let _ = shared.namespaces.resolve(name).await;
        }
    }
}

/// The namespace that a command names.
fn named_namespace(command: &Command) -> Option<&str> {
    match command.attributes.as_ref()? {
        Attributes::StartChildWorkflowExecutionCommandAttributes(start) => Some(&start.namespace),
        Attributes::SignalExternalWorkflowExecutionCommandAttributes(signal) => Some(&signal.namespace),
        Attributes::RequestCancelExternalWorkflowExecutionCommandAttributes(cancel) => Some(&cancel.namespace),
        _ => None,
    }
}

pub(super) async fn respond_workflow_task_failed(
    shared: &Shared,
    call: Call<tokens::WorkflowTask>,
    mut request: ws::RespondWorkflowTaskFailedRequest,
) -> ServiceResult<ws::RespondWorkflowTaskFailedResponse> {
    ids::identity(&request.identity, call.limits())?;
    if let Some(replacement) = blobs::replacement(request.failure.as_ref(), call.limits()) {
        request.failure = Some(replacement);
    }
    let key = key_of(&call)?;
    let request = Box::new(WithToken { token: call.token, request });
    shared.history.ask(&key, call.caller, request, call.permit).await
}

fn key_of(call: &Call<tokens::WorkflowTask>) -> ServiceResult<BusinessKey> {
    ids::workflow_and_run(&call.token.workflow_id, &call.token.run_id)?;
    Ok(BusinessKey::workflow(call.namespace_id(), &call.token.workflow_id))
}
