//! `DescribeNamespace`.

use perdure_kernel::{NamespaceId, ServiceError, ServiceResult, time::span_to_proto};
use perdure_persistence::StoreError;
use perdure_proto::admin;
use perdure_visibility::{ArchetypeNames, Comparison, Field, Filter, GroupBy, Query, Scalar};

use super::Admin;

impl Admin {
    pub(super) async fn described_namespace(
        &self,
        request: admin::DescribeNamespaceRequest,
    ) -> ServiceResult<admin::DescribeNamespaceResponse> {
        let namespace = self.namespace(&request.namespace).await?;
        let unreadable = |error: StoreError| {
            ServiceError::unavailable(format!("the counts cannot be read now, try again: {}", error.message))
        };
        let visibility = &self.shared.visibility;
        let workflows = Query {
            filter: Some(Filter::IsNull { field: Field::division(), negated: false }),
            group_by: Some(GroupBy::ExecutionStatus),
        };
        let counts = visibility
            .count_visibility_groups(&namespace.id, &workflows, &GroupBy::ExecutionStatus)
            .await
            .map_err(unreadable)?;
        let division = Scalar::Keyword(ArchetypeNames::ACTIVITY.division.to_owned());
        let activities = Query {
            filter: Some(Filter::Compare { field: Field::division(), comparison: Comparison::Equal, value: division }),
            group_by: None,
        };
        let standalone_activities =
            visibility.count_visibility(&namespace.id, &activities).await.map_err(unreadable)?;
        let everything = Query { filter: None, group_by: None };
        let left = visibility.count_visibility(&namespace.id, &everything).await.map_err(unreadable)?;
        Ok(admin::DescribeNamespaceResponse {
            name: namespace.name.clone(),
            id: namespace.id.to_string(),
            state: format!("{:?}", namespace.state),
            retention: Some(span_to_proto(namespace.retention)),
            workflows: counts.into_iter().map(|(name, count)| admin::Count { name, count }).collect(),
            standalone_activities,
            search_attributes: u32::try_from(namespace.search_attributes.len()).unwrap_or(u32::MAX),
            workflow_rules: u32::try_from(namespace.workflow_rules.len()).unwrap_or(u32::MAX),
            deletion: self.deletion(&namespace.id, left),
        })
    }

    fn deletion(&self, id: &NamespaceId, left: u64) -> Option<admin::NamespaceDeletion> {
        let deletion = self.shared.namespaces.deletions().into_iter().find(|deletion| deletion.id == *id)?;
        let progress = self.jobs.deletion(id).unwrap_or_default();
        Some(admin::NamespaceDeletion {
            former_name: deletion.former_name,
            requested_at: Some(deletion.requested_at.to_proto()),
            remove_at: Some(deletion.remove_at.to_proto()),
            stage: progress.stage.to_string(),
            removed: progress.removed,
            left,
            trouble: progress.trouble,
        })
    }
}
