//! RPCs about workflow rules. The namespace service keeps them. They are off unless the operator allows them.

use perdure_kernel::{ErrorKind, ServiceError, ServiceResult};
use perdure_proto::api::workflowservice as ws;

use crate::{
    call::{Call, Shared},
    validate::invalid,
};

pub(super) async fn create_workflow_rule(
    shared: &Shared,
    call: Call<()>,
    request: ws::CreateWorkflowRuleRequest,
) -> ServiceResult<ws::CreateWorkflowRuleResponse> {
    require_allowed(&call, "CreateWorkflowRule")?;
    let Some(spec) = &request.spec else { return Err(invalid("Rule Specification is not set.")) };
    require_id(&spec.id)?;
    if spec.id.len() > call.limits().id_length_max {
        return Err(invalid("Workflow Rule Id length exceeds limit."));
    }
    shared.namespaces.create_workflow_rule(request, call.limits().workflow_rules_max).await
}

pub(super) async fn describe_workflow_rule(
    shared: &Shared,
    call: Call<()>,
    request: ws::DescribeWorkflowRuleRequest,
) -> ServiceResult<ws::DescribeWorkflowRuleResponse> {
    require_allowed(&call, "DescribeWorkflowRule")?;
    require_id(&request.rule_id)?;
    let mut rules = shared.namespaces.workflow_rules(&request.namespace).await?;
    match rules.remove(&request.rule_id) {
        Some(rule) => Ok(ws::DescribeWorkflowRuleResponse { rule: Some(rule) }),
        None => Err(invalid("Workflow Rule with this ID not Found.")),
    }
}

pub(super) async fn delete_workflow_rule(
    shared: &Shared,
    call: Call<()>,
    request: ws::DeleteWorkflowRuleRequest,
) -> ServiceResult<ws::DeleteWorkflowRuleResponse> {
    require_allowed(&call, "DeleteWorkflowRule")?;
    require_id(&request.rule_id)?;
    shared.namespaces.delete_workflow_rule(request).await
}

/// All of them at once: a namespace has few.
pub(super) async fn list_workflow_rules(
    shared: &Shared,
    call: Call<()>,
    request: ws::ListWorkflowRulesRequest,
) -> ServiceResult<ws::ListWorkflowRulesResponse> {
    require_allowed(&call, "ListWorkflowRules")?;
    let rules = shared.namespaces.workflow_rules(&request.namespace).await?;
    Ok(ws::ListWorkflowRulesResponse { rules: rules.into_values().collect(), ..Default::default() })
}

/// Refused always, as by Temporal.
pub(super) async fn trigger_workflow_rule(
    _shared: &Shared,
    _call: Call<()>,
    _request: ws::TriggerWorkflowRuleRequest,
) -> ServiceResult<ws::TriggerWorkflowRuleResponse> {
    Err(not_supported("TriggerWorkflowRule"))
}

fn require_allowed(call: &Call<()>, rpc: &str) -> ServiceResult<()> {
    if call.limits().workflow_rules { Ok(()) } else { Err(not_supported(rpc)) }
}

fn not_supported(rpc: &str) -> ServiceError {
    ServiceError::new(ErrorKind::Unimplemented, format!("method {rpc} not supported"))
}

fn require_id(id: &str) -> ServiceResult<()> {
    if id.is_empty() { Err(invalid("Workflow Rule ID is not set.")) } else { Ok(()) }
}
