//! `perdure.admin.v1.AdminService`: what operators ask of a running server beyond Temporal's API. The commands
//! `perdure db check --address` and `perdure describe` are its clients.

mod check;
mod namespace;
mod node;
mod queue;
mod shard;

use std::{pin::Pin, sync::Arc};

use futures::Stream;
use perdure_kernel::{Namespace, ServiceResult, Timestamp};
use perdure_proto::{admin, perdure::admin::v1::admin_service_server::AdminService};
use perdure_rpc::{Caller, jobs::JobService};
use perdure_runtime::Permit;
use tonic::{Request, Response, Status};

use crate::{
    call::{Shared, no_room},
    status,
};

/// What only the node itself knows.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NodeFacts {
    /// The program's version.
    pub version: String,
    /// When the node was started.
    pub started: Timestamp,
    /// Threads that actors live on.
    pub threads: usize,
    /// Actors.
    pub actors: usize,
    /// Task queue partitions in memory.
    pub task_queues: usize,
    /// Bytes of memory that the process holds; 0 where the system does not say.
    pub resident_bytes: u64,
}

/// Gives them as they are now.
pub type NodeSource = Arc<dyn Fn() -> NodeFacts + Send + Sync>;

/// The service's server side.
#[derive(Clone)]
pub(crate) struct Admin {
    pub(crate) shared: Arc<Shared>,
    pub(crate) jobs: Arc<dyn JobService>,
    pub(crate) node: NodeSource,
}

impl Admin {
    fn permit(&self) -> Result<Permit, Status> {
        self.shared.permits.try_acquire().ok_or_else(|| self.refuse(no_room()))
    }

    fn refuse(&self, error: perdure_kernel::ServiceError) -> Status {
        status::to_status(error, (self.shared.settings)().error_message_length_max)
    }

    fn answer<R>(&self, result: ServiceResult<R>) -> Result<Response<R>, Status> {
        result.map(Response::new).map_err(|error| self.refuse(error))
    }

    /// A namespace by its name, else by its id.
    async fn namespace(&self, name_or_id: &str) -> ServiceResult<Arc<Namespace>> {
        let namespaces = &self.shared.namespaces;
        if let Some(namespace) = namespaces.by_name(name_or_id).or_else(|| namespaces.by_id(&name_or_id.into())) {
            return Ok(namespace);
        }
        namespaces.resolve(name_or_id).await
    }

    /// On the server's own behalf.
    fn caller(namespace: Arc<Namespace>) -> Caller {
        Caller::server(namespace)
    }
}

#[tonic::async_trait]
impl AdminService for Admin {
    type CheckDatabaseStream = Pin<Box<dyn Stream<Item = Result<admin::CheckDatabaseResponse, Status>> + Send>>;

    async fn check_database(
        &self,
        request: Request<admin::CheckDatabaseRequest>,
    ) -> Result<Response<Self::CheckDatabaseStream>, Status> {
        let permit = self.permit()?;
        self.answer(self.check(request.into_inner(), permit).await)
    }

    async fn describe_shard(
        &self,
        request: Request<admin::DescribeShardRequest>,
    ) -> Result<Response<admin::DescribeShardResponse>, Status> {
        let _permit = self.permit()?;
        self.answer(self.shard(request.into_inner()).await)
    }

    async fn describe_queue(
        &self,
        request: Request<admin::DescribeQueueRequest>,
    ) -> Result<Response<admin::DescribeQueueResponse>, Status> {
        let _permit = self.permit()?;
        self.answer(self.queue(request.into_inner()).await)
    }

    async fn describe_namespace(
        &self,
        request: Request<admin::DescribeNamespaceRequest>,
    ) -> Result<Response<admin::DescribeNamespaceResponse>, Status> {
        let _permit = self.permit()?;
        self.answer(self.described_namespace(request.into_inner()).await)
    }

    async fn describe_node(
        &self,
        _request: Request<admin::DescribeNodeRequest>,
    ) -> Result<Response<admin::DescribeNodeResponse>, Status> {
        let _permit = self.permit()?;
        Ok(Response::new(self.described_node()))
    }
}
