//! Workflow rules: kept with their namespace.

use perdure_kernel::{ServiceError, ServiceResult, Timestamp};
use perdure_proto::{
    api::{rules::WorkflowRule, workflowservice as ws},
    records,
};

use crate::write::Edit;

/// Adds a rule and gives it as it is kept. One over `limit` takes the place of the one that expires first, if any
/// ever does.
pub(crate) fn create(
    record: &mut records::Namespace,
    request: &ws::CreateWorkflowRuleRequest,
    limit: usize,
    now: Timestamp,
) -> ServiceResult<WorkflowRule> {
    let Some(spec) = &request.spec else {
        return Err(ServiceError::invalid_argument("Rule Specification is not set."));
    };
    let rules = &mut record.workflow_rules;
    if rules.len() >= limit {
        let expiration =
            |rule: &WorkflowRule| Some(Timestamp::from_proto(rule.spec.as_ref()?.expiration_time.as_ref()?));
        let expiring = rules.iter().filter_map(|(id, rule)| Some((expiration(rule)?, id.clone())));
        if let Some((_, id)) = expiring.min() {
            rules.remove(&id);
        }
    }
    // Checked even for the first rule, where Temporal forgets to.
    if rules.len() >= limit {
        return Err(ServiceError::invalid_argument(format!("Workflow Rule limit exceeded. Max: {limit}")));
    }
    if rules.contains_key(&spec.id) {
        return Err(ServiceError::invalid_argument("Workflow Rule with this ID already exists."));
    }
    let rule = WorkflowRule {
        create_time: now.to_proto_opt(),
        spec: Some(spec.clone()),
        created_by_identity: request.identity.clone(),
        description: request.description.clone(),
    };
    rules.insert(spec.id.clone(), rule.clone());
    Ok(rule)
}

/// Removes a rule.
pub(crate) fn delete(record: &mut records::Namespace, id: &str) -> ServiceResult<Edit> {
    match record.workflow_rules.remove(id) {
        Some(_) => Ok(Edit::Changed),
        None => Err(ServiceError::invalid_argument("Workflow Rule with this ID not Found.")),
    }
}
