//! What handlers can ask about namespaces.

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;
use perdure_kernel::{Namespace, NamespaceId, ServiceResult, Timestamp};
use perdure_proto::api::{enums::IndexedValueType, operatorservice as os, rules::WorkflowRule, workflowservice as ws};

/// A namespace that is being deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deletion {
    /// The namespace.
    pub id: NamespaceId,
    /// Its name now.
    pub name: String,
    /// Its name before, which is free.
    pub former_name: String,
    /// When its deletion was asked for.
    pub requested_at: Timestamp,
    /// Not before this is the namespace itself removed.
    pub remove_at: Timestamp,
}

/// Namespaces as shards see them: snapshots to read.
pub trait NamespaceSnapshots: Send + Sync + 'static {
    /// The cached snapshot of a name; `None` when it is not cached. Never waits.
    fn by_name(&self, name: &str) -> Option<Arc<Namespace>>;

    /// The cached snapshot of an id; `None` when it is not cached. Never waits.
    fn by_id(&self, id: &NamespaceId) -> Option<Arc<Namespace>>;
}

/// Namespaces as the job sees them that removes what is in them.
#[async_trait]
pub trait NamespaceDeletions: NamespaceSnapshots {
    /// Namespaces that are being deleted, as far as they are known here.
    fn deletions(&self) -> Vec<Deletion>;

    /// Has `tell` called whenever another namespace is to be deleted. It must not wait.
    fn on_deletion(&self, tell: Box<dyn Fn() + Send + Sync>);

    /// Removes a namespace that is being deleted. One that is gone is no error.
    async fn remove(&self, id: &NamespaceId) -> ServiceResult<()>;
}

/// Namespaces as the frontend sees them: requests to read and change them.
#[async_trait]
pub trait NamespaceService: NamespaceDeletions {
    /// The snapshot of a name, read from the store when it is not cached. `NamespaceNotFound` when there
    /// is none.
    async fn resolve(&self, name: &str) -> ServiceResult<Arc<Namespace>>;

    /// `RegisterNamespace`.
    async fn register(&self, request: ws::RegisterNamespaceRequest) -> ServiceResult<ws::RegisterNamespaceResponse>;

    /// `DescribeNamespace`.
    async fn describe(&self, request: ws::DescribeNamespaceRequest) -> ServiceResult<ws::DescribeNamespaceResponse>;

    /// `ListNamespaces`.
    async fn list(&self, request: ws::ListNamespacesRequest) -> ServiceResult<ws::ListNamespacesResponse>;

    /// `UpdateNamespace`.
    async fn update(&self, request: ws::UpdateNamespaceRequest) -> ServiceResult<ws::UpdateNamespaceResponse>;

    /// `DeprecateNamespace`.
    async fn deprecate(&self, request: ws::DeprecateNamespaceRequest) -> ServiceResult<ws::DeprecateNamespaceResponse>;

    /// `DeleteNamespace`: marks the namespace and gives it another name. What is in it is removed afterwards.
    async fn delete(&self, request: os::DeleteNamespaceRequest) -> ServiceResult<os::DeleteNamespaceResponse>;

    /// Gives a namespace custom search attributes. Names that it has are left as they are.
    async fn add_attributes(&self, name: &str, attributes: Vec<(String, IndexedValueType)>) -> ServiceResult<()>;

    /// Takes custom search attributes from a namespace. Names that nothing has are skipped.
    async fn remove_attributes(&self, name: &str, attributes: Vec<String>) -> ServiceResult<()>;

    /// `CreateWorkflowRule`: gives the rule as it is kept. `limit` is how many a namespace may have.
    async fn create_workflow_rule(
        &self,
        request: ws::CreateWorkflowRuleRequest,
        limit: usize,
    ) -> ServiceResult<ws::CreateWorkflowRuleResponse>;

    /// `DeleteWorkflowRule`.
    async fn delete_workflow_rule(
        &self,
        request: ws::DeleteWorkflowRuleRequest,
    ) -> ServiceResult<ws::DeleteWorkflowRuleResponse>;

    /// A namespace's workflow rules by their id, from the store.
    async fn workflow_rules(&self, namespace: &str) -> ServiceResult<BTreeMap<String, WorkflowRule>>;
}
