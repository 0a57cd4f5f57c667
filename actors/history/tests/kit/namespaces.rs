//! One namespace, whose service can forget it or panic.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, Ordering},
};

use async_trait::async_trait;
use perdure_kernel::{Namespace, NamespaceId, ServiceError, ServiceResult};
use perdure_proto::api::{enums::IndexedValueType, operatorservice as os, workflowservice as ws};
use perdure_rpc::{NamespaceService, namespaces::Deletion};

/// The namespace of the tests.
pub(crate) struct Namespaces {
    namespace: Mutex<Arc<Namespace>>,
    unknown: AtomicBool,
    panics: AtomicBool,
}

impl Namespaces {
    pub(crate) fn new(namespace: Namespace) -> Self {
        let namespace = Mutex::new(Arc::new(namespace));
        Self { namespace, unknown: AtomicBool::new(false), panics: AtomicBool::new(false) }
    }

    /// The snapshot in force.
    pub(crate) fn snapshot(&self) -> Arc<Namespace> {
        Arc::clone(&self.namespace.lock().unwrap())
    }

    /// Changes the settings.
    pub(crate) fn change(&self, change: impl FnOnce(&mut Namespace)) {
        change(Arc::make_mut(&mut self.namespace.lock().unwrap()));
    }

    /// Whether the namespace is not in the cache for a while.
    pub(crate) fn set_unknown(&self, unknown: bool) {
        self.unknown.store(unknown, Ordering::SeqCst);
    }

    /// The next look-up panics.
    pub(crate) fn panic_once(&self) {
        self.panics.store(true, Ordering::SeqCst);
    }

    fn look_up(&self) -> Option<Arc<Namespace>> {
        assert!(!self.panics.swap(false, Ordering::SeqCst), "a panic that the test ordered");
        (!self.unknown.load(Ordering::SeqCst)).then(|| self.snapshot())
    }
}

fn not_played<T>() -> ServiceResult<T> {
    Err(ServiceError::internal("not played in these tests"))
}

#[async_trait]
impl NamespaceService for Namespaces {
    fn by_name(&self, name: &str) -> Option<Arc<Namespace>> {
        self.look_up().filter(|namespace| namespace.name == name)
    }

    fn by_id(&self, id: &NamespaceId) -> Option<Arc<Namespace>> {
        self.look_up().filter(|namespace| namespace.id == *id)
    }

    async fn resolve(&self, _name: &str) -> ServiceResult<Arc<Namespace>> {
        not_played()
    }

    async fn register(&self, _request: ws::RegisterNamespaceRequest) -> ServiceResult<ws::RegisterNamespaceResponse> {
        not_played()
    }

    async fn describe(&self, _request: ws::DescribeNamespaceRequest) -> ServiceResult<ws::DescribeNamespaceResponse> {
        not_played()
    }

    async fn list(&self, _request: ws::ListNamespacesRequest) -> ServiceResult<ws::ListNamespacesResponse> {
        not_played()
    }

    async fn update(&self, _request: ws::UpdateNamespaceRequest) -> ServiceResult<ws::UpdateNamespaceResponse> {
        not_played()
    }

    async fn deprecate(
        &self,
        _request: ws::DeprecateNamespaceRequest,
    ) -> ServiceResult<ws::DeprecateNamespaceResponse> {
        not_played()
    }

    async fn delete(&self, _request: os::DeleteNamespaceRequest) -> ServiceResult<os::DeleteNamespaceResponse> {
        not_played()
    }

    fn deletions(&self) -> Vec<Deletion> {
        Vec::new()
    }

    fn on_deletion(&self, _tell: Box<dyn Fn() + Send + Sync>) {}

    async fn remove(&self, _id: &NamespaceId) -> ServiceResult<()> {
        not_played()
    }

    async fn add_attributes(&self, _name: &str, _attributes: Vec<(String, IndexedValueType)>) -> ServiceResult<()> {
        not_played()
    }

    async fn remove_attributes(&self, _name: &str, _attributes: Vec<String>) -> ServiceResult<()> {
        not_played()
    }

    async fn create_workflow_rule(
        &self,
        _request: ws::CreateWorkflowRuleRequest,
        _limit: usize,
    ) -> ServiceResult<ws::CreateWorkflowRuleResponse> {
        not_played()
    }

    async fn delete_workflow_rule(
        &self,
        _request: ws::DeleteWorkflowRuleRequest,
    ) -> ServiceResult<ws::DeleteWorkflowRuleResponse> {
        not_played()
    }

    async fn workflow_rules(
        &self,
        _namespace: &str,
    ) -> ServiceResult<std::collections::BTreeMap<String, perdure_proto::api::rules::WorkflowRule>> {
        not_played()
    }
}
