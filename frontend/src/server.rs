//! The frontend as a whole, and how connections are served.

use std::{future::Future, io, sync::Arc, time::Duration};

use perdure_kernel::Clock;
use perdure_persistence::VisibilityStore;
use perdure_proto::{
    perdure::admin::v1::admin_service_server::AdminServiceServer,
    temporal::api::{
        operatorservice::v1::operator_service_server::OperatorServiceServer,
        workflowservice::v1::workflow_service_server::WorkflowServiceServer,
    },
};
use perdure_rpc::{HistoryClient, MatchingClient, jobs::JobService};
use perdure_runtime::Permits;
use tokio::net::TcpStream;
use tokio_stream::{Stream, StreamExt};
use tonic::{
    codec::CompressionEncoding,
    service::Routes,
    transport::{self, Server},
};

use crate::{
    ClusterInfo, NamespaceService, NodeSource, SettingsSource,
    admin::Admin,
    admission::{Gates, TokenBucket},
    call::{Ids, Shared, no_namespace},
    client_version::ClientNames,
    health::Health,
    operator::Operator,
    oversize::Oversize,
    reflection,
    workflow::service::Workflow,
};

/// Bytes of one request.
pub const REQUEST_SIZE_MAX: usize = 4 * 1024 * 1024;
/// Streams that one connection may have open. SDKs put hundreds of polls on one.
const STREAMS_PER_CONNECTION_MAX: u32 = 100_000;
/// How often a silent connection is pinged, and how long it may take to answer.
const PING_INTERVAL: Duration = Duration::from_secs(60);
const PING_TIMEOUT: Duration = Duration::from_secs(10);
/// After this long a connection is asked to come again, so that load spreads over new nodes.
const CONNECTION_AGE_MAX: Duration = Duration::from_secs(5 * 60);
/// How long its open requests, long polls among them, may still take then.
const CONNECTION_AGE_GRACE: Duration = Duration::from_secs(70);

/// What a frontend is made of.
pub struct FrontendParts {
    /// Reaches history shards.
    pub history: HistoryClient,
    /// Reaches task queues.
    pub matching: MatchingClient,
    /// Knows the namespaces.
    pub namespaces: Arc<dyn NamespaceService>,
    /// Answers lists and counts.
    pub visibility: Arc<dyn VisibilityStore>,
    /// Tells about the cluster.
    pub cluster: ClusterInfo,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Gives the settings in force.
    pub settings: SettingsSource,
    /// Bounds the requests in flight, long polls included.
    pub permits: Permits,
    /// The server's own jobs.
    pub jobs: Arc<dyn JobService>,
    /// Tells what only the node knows.
    pub node: NodeSource,
    /// Seed of the request ids made for clients that send none. Differs between processes.
    pub seed: u64,
}

/// The public gRPC services. Cheap to clone; clones share everything.
///
/// Metric handles are taken from the global recorder when an operation is first used: install it before.
#[derive(Clone)]
pub struct Frontend {
    routes: Routes,
    health: Health,
}

impl Frontend {
    /// Puts the services together. WorkflowService is reported as not serving until
    /// [`Frontend::set_serving`].
    pub async fn new(parts: FrontendParts) -> Self {
        let shared = Arc::new(Shared {
            history: parts.history,
            matching: parts.matching,
            namespaces: parts.namespaces,
            visibility: parts.visibility,
            cluster: parts.cluster,
            clock: parts.clock,
            settings: parts.settings,
            permits: parts.permits,
            ids: Ids::new(parts.seed),
            gates: Gates::new(),
            host_rate: TokenBucket::default(),
            client_names: ClientNames::new(),
            no_namespace: no_namespace(),
        });
        let health = Health::new().await;
        // Go clients compress what they send; answers go out as they are, which costs less on a fast network.
        let workflow = WorkflowServiceServer::new(Workflow(Arc::clone(&shared)))
            .max_decoding_message_size(REQUEST_SIZE_MAX)
            .accept_compressed(CompressionEncoding::Gzip);
        let admin = Admin { shared: Arc::clone(&shared), jobs: parts.jobs, node: parts.node };
        let operator = OperatorServiceServer::new(Operator(shared))
            .max_decoding_message_size(REQUEST_SIZE_MAX)
            .accept_compressed(CompressionEncoding::Gzip);
        let (reflection_v1, reflection_v1_alpha) = reflection::services();
        let routes = Routes::new(Oversize(workflow))
            .add_service(Oversize(operator))
            .add_service(AdminServiceServer::new(admin))
            .add_service(health.service())
            .add_service(reflection_v1)
            .add_service(reflection_v1_alpha)
            .prepare();
        Self { routes, health }
    }

    /// The services, for a server that the caller configures.
    pub fn routes(&self) -> Routes {
        self.routes.clone()
    }

    /// Tells health checks that requests are welcome.
    pub async fn set_serving(&self) {
        self.health.set_serving().await;
    }

    /// Tells health checks that this server is going away. Requests are still answered.
    pub async fn set_not_serving(&self) {
        self.health.set_not_serving().await;
    }

    /// Serves connections until `shutdown` resolves and the requests under way then are done. May run on
    /// several threads at once, each with connections of its own.
    ///
    /// # Errors
    ///
    /// When the stream of connections fails.
    pub async fn serve(
        &self,
        connections: impl Stream<Item = io::Result<TcpStream>>,
        shutdown: impl Future<Output = ()>,
    ) -> Result<(), transport::Error> {
        let connections = connections.map(|connection| {
            connection.inspect(|stream| {
                // A connection without it works, only slower.
                let _ = stream.set_nodelay(true);
            })
        });
        Server::builder()
            .max_concurrent_streams(STREAMS_PER_CONNECTION_MAX)
            .http2_keepalive_interval(Some(PING_INTERVAL))
            .http2_keepalive_timeout(Some(PING_TIMEOUT))
            .max_connection_age(CONNECTION_AGE_MAX)
            .max_connection_age_grace(CONNECTION_AGE_GRACE)
            .add_routes(self.routes())
            .serve_with_incoming_shutdown(connections, shutdown)
            .await
    }
}
