//! gRPC health: what `grpc.health.v1.Health` answers for which service.

use tonic::codec::CompressionEncoding;
use tonic_health::{
    ServingStatus,
    pb::health_server::HealthServer,
    server::{HealthReporter, HealthService},
};

/// The whole server.
const SERVER: &str = "";
const WORKFLOW_SERVICE: &str = "temporal.api.workflowservice.v1.WorkflowService";
const OPERATOR_SERVICE: &str = "temporal.api.operatorservice.v1.OperatorService";
/// Temporal's name for its admin service here, which is not that of its proto package.
const ADMIN_SERVICE: &str = "temporal.api.adminservice.v1.AdminService";

/// Reports the services' health.
#[derive(Clone, Debug)]
pub(crate) struct Health(HealthReporter);

impl Health {
    /// All are serving but WorkflowService.
    pub(crate) async fn new() -> Self {
        let health = Self(HealthReporter::new());
        health.set(&[SERVER, OPERATOR_SERVICE, ADMIN_SERVICE], ServingStatus::Serving).await;
        health.set(&[WORKFLOW_SERVICE], ServingStatus::NotServing).await;
        health
    }

    /// The gRPC service. Go clients compress its requests too.
    pub(crate) fn service(&self) -> HealthServer<HealthService> {
        HealthServer::new(HealthService::from_health_reporter(self.0.clone()))
            .accept_compressed(CompressionEncoding::Gzip)
    }

    pub(crate) async fn set_serving(&self) {
        self.set(&[SERVER, OPERATOR_SERVICE, ADMIN_SERVICE, WORKFLOW_SERVICE], ServingStatus::Serving).await;
    }

    pub(crate) async fn set_not_serving(&self) {
        self.set(&[SERVER, OPERATOR_SERVICE, ADMIN_SERVICE, WORKFLOW_SERVICE], ServingStatus::NotServing).await;
    }

    async fn set(&self, services: &[&str], status: ServingStatus) {
        for service in services {
            self.0.set_service_status(*service, status).await;
        }
    }
}
