//! A whole server in this process, and connections to it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use perdure_config::{Assignment, DynamicConfig, Sources, load};
use perdure_persistence::{SeparateVisibility, SharedStore, memory::MemoryStore};
use perdure_proto::{
    api::enums::IndexedValueType,
    perdure::admin::v1::admin_service_client::AdminServiceClient,
    temporal::api::{
        operatorservice::v1::operator_service_client::OperatorServiceClient,
        workflowservice::v1::workflow_service_client::WorkflowServiceClient,
    },
};
use perdure_server::{Node, NodeOptions, listen};
use tonic::transport::{Channel, Endpoint};

/// The stub of WorkflowService.
pub(crate) type Rpc = WorkflowServiceClient<Channel>;

/// The namespace that every server has.
pub(crate) const NAMESPACE: &str = "default";

/// A search attribute of that namespace.
pub(crate) const ATTRIBUTE: (&str, IndexedValueType) = ("Amount", IndexedValueType::Int);

/// Names a Temporal server to hold the tests against, in place of servers of their own. It must have been
/// started with `--search-attribute Amount=Int` and with the values of [`CONFIG`], each as a
/// `--dynamic-config-value`.
const ELSEWHERE: &str = "TEMPORAL_ADDRESS";

/// Ids may be used again at once, callbacks go to this machine, tests ask as often as they like, and workflows
/// may be paused. All else is by default.
const CONFIG: [(&str, &str); 5] = [
    ("callback.allowedAddresses", "[{\"Pattern\":\"127.0.0.1:*\",\"AllowInsecure\":true}]"),
    ("history.workflowIdReuseMinimalInterval", "\"0s\""),
    ("frontend.rps", "1000000"),
    ("frontend.namespaceRPS", "1000000"),
    ("frontend.WorkflowPauseEnabled", "true"),
];

/// Longest that any call takes before a test is taken to hang.
const HANG: Duration = Duration::from_secs(40);

/// How long a node may take to stop.
const STOP: Duration = Duration::from_secs(10);

/// A server under test.
pub(crate) struct Server {
    node: Option<Node>,
    address: String,
    channel: Channel,
}

impl Server {
    /// A server with state in memory.
    pub(crate) async fn start() -> Self {
        match std::env::var(ELSEWHERE) {
            Ok(address) => Self { node: None, channel: connect(&address).await, address },
            Err(_) => Self::with(&[]).await,
        }
    }

    /// A server with state in memory and its own values (JSON) of dynamic configuration.
    pub(crate) async fn with(config: &[(&str, &str)]) -> Self {
        Self::over(Arc::new(MemoryStore::new()), config).await
    }

    /// A server over a store.
    pub(crate) async fn over(store: SharedStore, config: &[(&str, &str)]) -> Self {
        Self::of(store, None, config).await
    }

    /// A server with state in memory whose lists are elsewhere.
    pub(crate) async fn listing(visibility: Arc<dyn SeparateVisibility>) -> Self {
        Self::of(Arc::new(MemoryStore::new()), Some(visibility), &[]).await
    }

    async fn of(store: SharedStore, visibility: Option<Arc<dyn SeparateVisibility>>, config: &[(&str, &str)]) -> Self {
        let assignment = |(key, value): &(&str, &str)| Assignment::from_flag(&format!("{key}={value}")).unwrap();
        // The last value of a key is in force.
        let overrides: Vec<Assignment> = CONFIG.iter().chain(config).map(assignment).collect();
        let loaded = load(Sources { overrides: &overrides, ..Default::default() }).unwrap();
        assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
        let node = Node::start(NodeOptions {
            store,
            visibility,
            listener: listen::listen("gRPC", "--port", ([127, 0, 0, 1], 0).into()).unwrap(),
            config: DynamicConfig::new(loaded.settings),
            namespaces: vec![NAMESPACE.to_owned()],
            search_attributes: vec![(ATTRIBUTE.0.to_owned(), ATTRIBUTE.1)],
            shards: 4,
            threads: 2,
            archetypes: Default::default(),
            seed: next(),
        })
        .await
        .unwrap();
        let address = node.address().to_string();
        let channel = connect(&address).await;
        Self { node: Some(node), address, channel }
    }

    /// Whether this is a Temporal server, which lists what it did with a delay.
    pub(crate) fn is_elsewhere(&self) -> bool {
        self.node.is_none()
    }

    /// WorkflowService.
    pub(crate) fn rpc(&self) -> Rpc {
        WorkflowServiceClient::new(self.channel.clone())
    }

    /// WorkflowService over a connection of its own.
    pub(crate) async fn connection(&self) -> Rpc {
        WorkflowServiceClient::new(connect(&self.address).await)
    }

    /// OperatorService.
    pub(crate) fn operator(&self) -> OperatorServiceClient<Channel> {
        OperatorServiceClient::new(self.channel.clone())
    }

    /// The service for operators that only this server has.
    pub(crate) fn admin(&self) -> AdminServiceClient<Channel> {
        AdminServiceClient::new(self.channel.clone())
    }

    /// What other services are reached through.
    pub(crate) fn channel(&self) -> Channel {
        self.channel.clone()
    }

    /// Stops the server; everything in it must end by itself.
    pub(crate) async fn stop(self) {
        let Some(node) = self.node else { return };
        let report = node.stop(STOP).await;
        assert!(report.complete && report.abandoned.is_empty(), "{report:?}");
    }
}

async fn connect(address: &str) -> Channel {
    Endpoint::from_shared(format!("http://{address}")).unwrap().timeout(HANG).connect().await.unwrap()
}

/// A number that was not given before.
fn next() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// A name that nothing else has, also on a server that other tests have used.
pub(crate) fn unique(name: &str) -> String {
    format!("{name}-{:x}-{}", std::process::id(), next())
}
