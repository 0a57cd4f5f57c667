//! A frontend on a real socket, with fakes behind it.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, dead_code, unreachable_pub)]

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use perdure_frontend::{
    ClusterInfo, Frontend, FrontendParts, FrontendSettings, NamespaceDeletions, NamespaceService, NamespaceSnapshots,
    NodeFacts,
};
use perdure_kernel::{
    Clock, ErrorKind, Namespace, NamespaceId, ServiceError, ServiceResult, ShardId, ShardMap, Timestamp,
    clock::ManualClock,
};
use perdure_proto::{
    api::{
        enums::{IndexedValueType, NamespaceState},
        operatorservice as os, workflowservice as ws,
    },
    google::rpc,
    temporal::api::{
        operatorservice::v1::operator_service_client::OperatorServiceClient,
        workflowservice::v1::workflow_service_client::WorkflowServiceClient,
    },
};
use perdure_rpc::{
    HistoryCall, HistoryClient, HistoryDirectory, MatchingCall, MatchingClient, MatchingDirectory, QueueName,
    jobs::{CheckEnd, CheckScope, CheckSummary, DeletionProgress, FindingSink, JobService},
    namespaces::Deletion,
};
use perdure_runtime::{ActorRef, Permits, Recipient};
use prost::Message;
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{
    Status,
    transport::{Channel, Endpoint},
};

pub const RUN_ID: &str = "2f1d4d1c-6a0e-4d4f-9a52-0f3f3c1f9a11";
pub const DEFAULT_ID: &str = "id-of-default";
pub const OTHER_ID: &str = "id-of-other";

/// What the fakes were asked, as debug text.
pub type Log = Arc<Mutex<Vec<String>>>;

pub struct TestServer {
    pub channel: Channel,
    pub address: SocketAddr,
    pub frontend: Frontend,
    pub log: Log,
    pub clock: Arc<ManualClock>,
    pub permits: Permits,
}

impl TestServer {
    pub async fn start() -> Self {
        Self::start_with(FrontendSettings::default(), answer_history, answer_matching).await
    }

    pub async fn start_with(
        settings: FrontendSettings,
        history: impl Fn(HistoryCall, &Log) + Send + 'static,
        matching: impl Fn(MatchingCall, &Log) + Send + 'static,
    ) -> Self {
        let log = Log::default();
        let clock = Arc::new(ManualClock::new(Timestamp::from_nanos(1_700_000_000_000_000_000)));
        let permits = Permits::new("test", 1000);
        let settings = Arc::new(settings);
        let frontend = Frontend::new(FrontendParts {
            history: HistoryClient::new(Arc::new(Histories(fake("history", &log, history)))),
            matching: MatchingClient::new(Arc::new(Queues(fake("matching", &log, matching)))),
            namespaces: Arc::new(Namespaces::new()),
            visibility: Arc::new(perdure_persistence::memory::MemoryStore::new()),
            cluster: ClusterInfo {
                cluster_id: "cluster-id".into(),
                cluster_name: "active".into(),
                rpc_address: "127.0.0.1:7233".into(),
                history_shard_count: 4,
                persistence_store: "sqlite".into(),
                visibility_store: "sqlite".into(),
                initial_failover_version: 1,
                failover_version_increment: 10,
            },
            clock: Arc::clone(&clock) as Arc<dyn Clock>,
            settings: Arc::new(move || Arc::clone(&settings)),
            permits: permits.clone(),
            jobs: Arc::new(NoJobs),
            node: Arc::new(NodeFacts::default),
            seed: 7,
        })
        .await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let serving = frontend.clone();
        tokio::spawn(async move {
            serving.serve(TcpListenerStream::new(listener), std::future::pending()).await.unwrap();
        });
        let channel = Endpoint::from_shared(format!("http://{address}")).unwrap().connect().await.unwrap();
        Self { channel, address, frontend, log, clock, permits }
    }

    pub fn workflows(&self) -> WorkflowServiceClient<Channel> {
        WorkflowServiceClient::new(self.channel.clone())
    }

    pub fn operator(&self) -> OperatorServiceClient<Channel> {
        OperatorServiceClient::new(self.channel.clone())
    }

    /// The last thing a fake was asked.
    pub fn last(&self) -> String {
        self.log.lock().unwrap().last().cloned().unwrap_or_default()
    }
}

/// The full name's last part of a status' only detail; empty without one.
pub fn detail(status: &Status) -> String {
    if status.details().is_empty() {
        return String::new();
    }
    let full = rpc::Status::decode(status.details()).unwrap();
    assert_eq!(full.details.len(), 1);
    full.details[0].type_url.rsplit('.').next().unwrap().to_owned()
}

fn fake<M: Send + 'static>(name: &str, log: &Log, answer: impl Fn(M, &Log) + Send + 'static) -> Recipient<M> {
    let (actor, mut inbox) = ActorRef::<M>::inbox(name);
    let log = Arc::clone(log);
    tokio::spawn(async move {
        while let Some(call) = inbox.next().await {
            answer(call, &log);
        }
    });
    actor.recipient()
}

struct Histories(Recipient<HistoryCall>);

impl HistoryDirectory for Histories {
    fn shard(&self, _shard: ShardId) -> Option<Recipient<HistoryCall>> {
        Some(self.0.clone())
    }

    fn shard_map(&self) -> Arc<ShardMap> {
        Arc::new(ShardMap::uniform(4))
    }
}

struct Queues(Recipient<MatchingCall>);

impl MatchingDirectory for Queues {
    fn queue(&self, _queue: &QueueName) -> Option<Recipient<MatchingCall>> {
        Some(self.0.clone())
    }
}

fn note(log: &Log, text: String) {
    log.lock().unwrap().push(text);
}

/// Answers everything with an empty success and notes the request.
pub fn answer_history(call: HistoryCall, log: &Log) {
    macro_rules! answer {
        ($($name:ident),*) => {
            match call {
                $(HistoryCall::$name(ask) => {
                    note(log, format!("{} {:?}", stringify!($name), ask.request));
                    ask.reply.send(Ok(Default::default()));
                })*
                other => other.refuse(ServiceError::internal("a frontend does not ask this")),
            }
        };
    }
    answer!(
        StartWorkflow,
        SignalWithStart,
        Signal,
        RequestCancel,
        Terminate,
        DescribeWorkflow,
        ReadHistory,
        ReadHistoryReverse,
        Query,
        WorkflowTaskCompleted,
        WorkflowTaskFailed,
        ActivityOutcome,
        ActivityHeartbeat,
        ResetSticky
    );
}

/// Answers everything with an empty success and notes the request.
pub fn answer_matching(call: MatchingCall, log: &Log) {
    macro_rules! answer {
        ($($name:ident),*) => {
            match call {
                $(MatchingCall::$name(ask) => {
                    note(log, format!("{} {:?}", stringify!($name), ask.request));
                    ask.reply.send(Ok(Default::default()));
                })*
                other => other.refuse(ServiceError::internal("a frontend does not ask this")),
            }
        };
    }
    answer!(PollWorkflowTask, PollActivityTask, AnswerQuery, Describe);
}

/// Four namespaces: `default`, `other`, `old` (deprecated) and `gone` (deleted).
pub struct Namespaces(Vec<Arc<Namespace>>);

impl Namespaces {
    pub fn new() -> Self {
        let mut default = Namespace::new(NamespaceId::from(DEFAULT_ID), "default");
        default.bad_binaries.insert("bad".into(), "reason".into());
        default.search_attributes.insert("Amount".into(), IndexedValueType::Int);
        let other = Namespace::new(NamespaceId::from(OTHER_ID), "other");
        let mut old = Namespace::new(NamespaceId::from("id-of-old"), "old");
        old.state = NamespaceState::Deprecated;
        let mut gone = Namespace::new(NamespaceId::from("id-of-gone"), "gone");
        gone.state = NamespaceState::Deleted;
        Self([default, other, old, gone].into_iter().map(Arc::new).collect())
    }
}

impl NamespaceSnapshots for Namespaces {
    fn by_name(&self, name: &str) -> Option<Arc<Namespace>> {
        self.0.iter().find(|namespace| namespace.name == name).cloned()
    }

    fn by_id(&self, id: &NamespaceId) -> Option<Arc<Namespace>> {
        self.0.iter().find(|namespace| namespace.id == *id).cloned()
    }
}

#[async_trait]
impl NamespaceDeletions for Namespaces {
    fn deletions(&self) -> Vec<Deletion> {
        Vec::new()
    }

    fn on_deletion(&self, _tell: Box<dyn Fn() + Send + Sync>) {}

    async fn remove(&self, _id: &NamespaceId) -> ServiceResult<()> {
        Ok(())
    }
}

#[async_trait]
impl NamespaceService for Namespaces {
    async fn resolve(&self, name: &str) -> ServiceResult<Arc<Namespace>> {
        let kind = ErrorKind::NamespaceNotFound { namespace: name.to_owned() };
        Err(ServiceError::new(kind, format!("Namespace {name} is not found.")))
    }

    async fn register(&self, _request: ws::RegisterNamespaceRequest) -> ServiceResult<ws::RegisterNamespaceResponse> {
        Err(ServiceError::new(ErrorKind::NamespaceAlreadyExists, "Namespace already exists."))
    }

    async fn describe(&self, _request: ws::DescribeNamespaceRequest) -> ServiceResult<ws::DescribeNamespaceResponse> {
        Ok(ws::DescribeNamespaceResponse::default())
    }

    async fn list(&self, _request: ws::ListNamespacesRequest) -> ServiceResult<ws::ListNamespacesResponse> {
        Ok(ws::ListNamespacesResponse::default())
    }

    async fn update(&self, _request: ws::UpdateNamespaceRequest) -> ServiceResult<ws::UpdateNamespaceResponse> {
        Ok(ws::UpdateNamespaceResponse::default())
    }

    async fn deprecate(
        &self,
        _request: ws::DeprecateNamespaceRequest,
    ) -> ServiceResult<ws::DeprecateNamespaceResponse> {
        Ok(ws::DeprecateNamespaceResponse::default())
    }

    async fn delete(&self, request: os::DeleteNamespaceRequest) -> ServiceResult<os::DeleteNamespaceResponse> {
        Ok(os::DeleteNamespaceResponse { deleted_namespace: request.namespace })
    }

    async fn add_attributes(&self, _name: &str, _attributes: Vec<(String, IndexedValueType)>) -> ServiceResult<()> {
        Ok(())
    }

    async fn remove_attributes(&self, _name: &str, _attributes: Vec<String>) -> ServiceResult<()> {
        Ok(())
    }

    async fn create_workflow_rule(
        &self,
        _request: ws::CreateWorkflowRuleRequest,
        _limit: usize,
    ) -> ServiceResult<ws::CreateWorkflowRuleResponse> {
        Ok(ws::CreateWorkflowRuleResponse::default())
    }

    async fn delete_workflow_rule(
        &self,
        _request: ws::DeleteWorkflowRuleRequest,
    ) -> ServiceResult<ws::DeleteWorkflowRuleResponse> {
        Ok(ws::DeleteWorkflowRuleResponse::default())
    }

    async fn workflow_rules(
        &self,
        _namespace: &str,
    ) -> ServiceResult<std::collections::BTreeMap<String, perdure_proto::api::rules::WorkflowRule>> {
        Ok(std::collections::BTreeMap::new())
    }
}

/// A server without jobs.
struct NoJobs;

impl JobService for NoJobs {
    fn check(&self, _scope: CheckScope, _findings: Box<dyn FindingSink>) -> CheckEnd {
        Box::pin(async { Ok(CheckSummary::default()) })
    }

    fn last_check(&self) -> Option<CheckSummary> {
        None
    }

    fn deletion(&self, _namespace: &NamespaceId) -> Option<DeletionProgress> {
        None
    }
}
