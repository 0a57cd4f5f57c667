//! A node: every service of the cluster in one process, wired together.
//!
//! This is the embedding API: [`Node::start`] runs a server inside any program, [`Node::stop`] ends it
//! without losing anything that was acknowledged.

use std::{
    fmt, io,
    net::{SocketAddr, TcpListener},
    sync::Arc,
    time::Duration,
};

use perdure_config::DynamicConfig;
use perdure_execution::archetype::{Actor, Registry};
use perdure_frontend::{ClusterInfo, Frontend, FrontendParts, FrontendSettings, NodeFacts, NodeSource};
use perdure_history::{History, HistoryParts, HistorySettings};
use perdure_kernel::{Clock, ErrorKind, ServiceError, ServiceResult};
use perdure_matching::{Matching, MatchingParts, QueueSettings};
use perdure_namespace::{DeletionRules, Namespaces};
use perdure_outbound::HttpSender;
use perdure_persistence::{SeparateVisibility, SharedStore, VisibilityStore};
use perdure_proto::api::enums::{IndexedValueType, TaskQueueType};
use perdure_rpc::{HistoryClient, NamespaceService, QueueName, TaskType};
use perdure_runtime::{ActorSystem, Permits, Placement, ShutdownReport, SystemClock};
use perdure_task_queue::workers::RegistrySettings;
use perdure_worker::{Jobs, JobsParts, WorkerSettings};
use tokio::{net::TcpStream, sync::mpsc};
use tokio_stream::wrappers::ReceiverStream;

use crate::{StartError, VERSION, actors::Actors, cluster};

/// Requests in flight at once, long polls included; more are refused with `RESOURCE_EXHAUSTED`.
const REQUESTS_MAX: usize = 50_000;

/// Connections that may wait for their thread to take them.
const CONNECTIONS_WAITING_MAX: usize = 1024;

/// Wait after the operating system refused a connection (out of descriptors) before the next is accepted.
const ACCEPT_RETRY_DELAY: Duration = Duration::from_millis(50);

/// How long a first namespace keeps closed workflows.
const FIRST_RETENTION: Duration = Duration::from_secs(24 * 3600);

/// Task queue partitions in memory at once.
const QUEUES_MAX: usize = 200_000;

/// Stage of task queues in the order of stopping: before the history shards (10), which they call.
const MATCHING_STAGE: u32 = 20;

/// Stage of the server's own jobs in the order of stopping: first of all, since they call all others.
const JOBS_STAGE: u32 = 30;

/// Stage of the namespaces in the order of stopping: last, since everything reads them.
const NAMESPACE_STAGE: u32 = 0;

/// What a node is made of.
pub struct NodeOptions {
    /// Where state lives.
    pub store: SharedStore,
    /// Where lists are kept, if not in `store`: rows follow the commits then, with a delay. The node does not close it.
    pub visibility: Option<Arc<dyn SeparateVisibility>>,
    /// Where clients connect: a listening socket that does not block.
    pub listener: TcpListener,
    /// Dynamic configuration, followed live.
    pub config: DynamicConfig,
    /// Namespaces that exist once the node is up.
    pub namespaces: Vec<String>,
    /// Search attributes registered in each of them.
    pub search_attributes: Vec<(String, IndexedValueType)>,
    /// History shards of a new cluster; an existing one keeps its own.
    pub shards: u32,
    /// Threads that actors and connections are spread over.
    pub threads: usize,
    /// Kinds of durable actors beside the server's own.
    pub archetypes: Registry,
    /// Seed of ids and jitter. Differs between processes.
    pub seed: u64,
}

/// A running node.
pub struct Node {
    system: ActorSystem,
    store: SharedStore,
    frontend: Frontend,
    address: SocketAddr,
    history: HistoryClient,
    namespaces: Arc<dyn NamespaceService>,
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Node").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Node {
    /// Starts every service. Requests are served once this returns.
    ///
    /// # Errors
    ///
    /// The store fails, or the operating system refuses threads or the socket.
    pub async fn start(options: NodeOptions) -> Result<Self, StartError> {
        let address = options.listener.local_addr().map_err(|error| failed("the gRPC socket is unusable", &error))?;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let system = ActorSystem::threads(options.threads, Arc::clone(&clock))
            .map_err(|error| failed("actor threads cannot be started", &error))?;
        let store = options.store;
        let cluster = cluster::load_or_create(&store, options.shards, options.seed).await?;

        let namespaces = Arc::new(namespaces(&system, &store, &options.config, options.seed).await?);
        for name in &options.namespaces {
            namespaces.ensure(name, FIRST_RETENTION).await.map_err(|error| refused(name, &error))?;
            if !options.search_attributes.is_empty() {
                let attributes = &options.search_attributes;
                namespaces.add_search_attributes(name, attributes).await.map_err(|error| refused(name, &error))?;
            }
        }
        let namespaces: Arc<dyn NamespaceService> = namespaces;

        let history = History::new(cluster.shard_map.clone());
        let matching = Matching::new(MatchingParts {
            system: system.clone(),
            history: history.client(),
            store: Arc::clone(&store) as _,
            settings: Arc::new(MatchingSettings(options.config.clone())),
            queues_max: QUEUES_MAX,
            stage: MATCHING_STAGE,
            seed: options.seed.rotate_left(17),
        });
        let archetypes = Arc::new(options.archetypes);
        let cache_bytes = options.config.settings().execution_cache_size();
        let parts = HistoryParts {
            store: Arc::clone(&store),
            shard_map: cluster.shard_map.clone(),
            namespaces: namespaces.clone(),
            archetypes: Arc::clone(&archetypes),
            callbacks: Arc::new(HttpSender::new()),
            visibility: options.visibility.clone().map(|visibility| visibility as _),
            settings: HistorySettings { owner: address.to_string(), cache_bytes, ..HistorySettings::default() },
            seed: options.seed,
        };
        history.start(&system, &parts, &matching.client());
        let jobs = Jobs::start(
            &system,
            JobsParts {
                store: Arc::clone(&store),
                lists: options.visibility.is_none(),
                history: history.client(),
                namespaces: namespaces.clone(),
                archetypes,
                settings: job_settings(&options.config),
                stage: JOBS_STAGE,
                seed: options.seed.rotate_left(7),
            },
        );

        let (visibility, visibility_store): (Arc<dyn VisibilityStore>, _) = match options.visibility {
            Some(separate) => (Arc::clone(&separate) as _, separate.visibility_backend()),
            None => (Arc::clone(&store) as _, store.backend()),
        };
        let frontend = Frontend::new(FrontendParts {
            history: history.client(),
            matching: matching.client(),
            namespaces: Arc::clone(&namespaces),
            visibility,
            cluster: ClusterInfo {
                cluster_id: cluster.id,
                cluster_name: cluster.name,
                rpc_address: address.to_string(),
                history_shard_count: u32::try_from(cluster.shard_map.shards().count()).unwrap_or(u32::MAX),
                persistence_store: store.backend().to_owned(),
                visibility_store: visibility_store.to_owned(),
                initial_failover_version: 1,
                failover_version_increment: 10,
            },
            clock,
            settings: frontend_settings(&options.config),
            permits: Permits::new("frontend requests", REQUESTS_MAX),
            jobs: Arc::new(jobs),
            node: facts(&system, matching),
            seed: options.seed.rotate_left(33),
        })
        .await;
        serve(&system, &frontend, options.listener)?;
        frontend.set_serving().await;
        Ok(Self { system, store, frontend, address, history: history.client(), namespaces })
    }

    /// Where clients connect.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Reaches the executions of an archetype in a namespace. It must be among [`NodeOptions::archetypes`].
    ///
    /// # Errors
    ///
    /// There is no such namespace.
    pub async fn archetype<A: Actor>(&self, namespace: &str) -> ServiceResult<Actors<A>> {
        let namespace = match self.namespaces.by_name(namespace) {
            Some(namespace) => namespace,
            None => self.namespaces.resolve(namespace).await?,
        };
        Ok(Actors::new(self.history.clone(), self.namespaces.clone(), namespace.id.clone()))
    }

    /// Stops in order: no new connections, open requests answered, actors drained, database closed. What
    /// has not ended by `deadline` is cut off; nothing acknowledged is lost by that.
    pub async fn stop(self, deadline: Duration) -> ShutdownReport {
        self.frontend.set_not_serving().await;
        let report = self.system.shutdown(deadline).await;
        self.store.close().await;
        report
    }
}

async fn namespaces(
    system: &ActorSystem,
    store: &SharedStore,
    config: &DynamicConfig,
    seed: u64,
) -> Result<Namespaces, StartError> {
    let limits = {
        let config = config.clone();
        Arc::new(move |namespace: &str| config.settings().limits(namespace))
    };
    let settings =
        perdure_namespace::Settings { retention_min: config.settings().retention_min(), ..Default::default() };
    let options = perdure_namespace::Options {
        store: Arc::clone(store),
        settings,
        limits,
        new_id: cluster::ids(seed.rotate_left(49)),
        deletions: {
            let config = config.clone();
            Arc::new(move || {
                let settings = config.settings();
                DeletionRules { delay: settings.deletion_delay(), protected: settings.protected_namespaces() }
            })
        },
        stage: NAMESPACE_STAGE,
    };
    Namespaces::start(system, options).await.map_err(|error| failed("namespaces cannot be read", &error))
}

/// What the node knows of itself.
fn facts(system: &ActorSystem, matching: Matching) -> NodeSource {
    let (system, started) = (system.clone(), system.clock().now());
    Arc::new(move || NodeFacts {
        version: VERSION.to_owned(),
        started,
        threads: system.thread_count(),
        actors: system.actor_count(),
        task_queues: matching.queue_count(),
        resident_bytes: resident_bytes(),
    })
}

/// Memory that this process holds, from `/proc`; 0 where there is none.
fn resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib: Option<u64> = resident.and_then(|text| text.trim().trim_end_matches("kB").trim().parse().ok());
    kib.unwrap_or_default() * 1024
}

/// The knobs of the server's own jobs.
fn job_settings(config: &DynamicConfig) -> perdure_worker::SettingsSource {
    let config = config.clone();
    let rate = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    Arc::new(move || {
        let jobs = config.settings().jobs();
        WorkerSettings {
            deletion_rate: rate(jobs.deletion_rate),
            deletion_page: jobs.deletion_page,
            scavenger: jobs.scavenger,
            scavenger_rate: rate(jobs.scavenger_rate),
            scavenger_histories: jobs.scavenger_histories,
        }
    })
}

/// The frontend's knobs, computed anew only when the configuration has changed.
fn frontend_settings(config: &DynamicConfig) -> perdure_frontend::SettingsSource {
    let config = config.clone();
    let read = move |settings: &perdure_config::Settings| {
        let rates = settings.frontend_rates("");
        Arc::new(FrontendSettings {
            rps: rates.host_rps as f64,
            namespace_rps: rates.namespace_rps as f64,
            burst_ratio: rates.namespace_burst_ratio,
            namespace_long_polls_max: u32::try_from(rates.namespace_long_requests).unwrap_or(u32::MAX),
            ..FrontendSettings::default()
        })
    };
    let cached = arc_swap::ArcSwap::from_pointee((config.settings().version(), read(&config.settings())));
    Arc::new(move || {
        let settings = config.settings();
        let known = cached.load();
        if known.0 == settings.version() {
            return Arc::clone(&known.1);
        }
        let fresh = read(&settings);
        cached.store(Arc::new((settings.version(), Arc::clone(&fresh))));
        fresh
    })
}

/// Settings of task queues, as the configuration has them now.
struct MatchingSettings(DynamicConfig);

impl perdure_matching::SettingsSource for MatchingSettings {
    fn queue(&self, namespace: &str, queue: &QueueName) -> QueueSettings {
        let found = self.0.settings().task_queue(namespace, &queue.name, queue_type(queue));
        let machine = perdure_task_queue::Settings {
            sync_match_wait: found.sync_match_wait,
            idle_max: found.idle_max,
            priority_levels: found.priority_levels,
            scaling_wait: found.scaling_wait,
            scaling_backlog_age: found.scaling_backlog_age,
            scaling_rate: found.scaling_rate,
            scaling_ratio: found.scaling_ratio,
            ..Default::default()
        };
        let (read_partitions, write_partitions) = partitions(&found);
        QueueSettings {
            read_partitions,
            write_partitions,
            dispatch_rate_max: found.dispatch_rate_max,
            long_poll: found.long_poll,
            machine,
        }
    }

    fn partitions(&self, namespace: &str, queue: &QueueName) -> (u32, u32) {
        partitions(&self.0.settings().task_queue(namespace, &queue.name, queue_type(queue)))
    }

    fn workers(&self) -> RegistrySettings {
        let found = self.0.settings().worker_registry();
        RegistrySettings {
            ttl: found.ttl,
            entries_max: found.entries_max,
            evict_age_min: found.evict_age_min,
            evict_interval: found.evict_interval,
        }
    }
}

fn queue_type(queue: &QueueName) -> TaskQueueType {
    match queue.task_type {
        TaskType::Workflow => TaskQueueType::Workflow,
        TaskType::Activity => TaskQueueType::Activity,
    }
}

fn partitions(settings: &perdure_config::TaskQueueSettings) -> (u32, u32) {
    let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    (number(settings.read_partitions), number(settings.write_partitions))
}

/// One thread accepts; connections are dealt out to all threads in turn, and each is served where it lands.
fn serve(system: &ActorSystem, frontend: &Frontend, listener: TcpListener) -> Result<(), StartError> {
    listener.set_nonblocking(true).map_err(|error| failed("the gRPC socket is unusable", &error))?;
    let mut lanes = Vec::with_capacity(system.thread_count());
    for thread in 0..system.thread_count() {
        let (lane, connections) = mpsc::channel::<io::Result<TcpStream>>(CONNECTIONS_WAITING_MAX);
        lanes.push(lane);
        let (frontend, stopping) = (frontend.clone(), system.stopping());
        system.spawn_task(Placement::Thread(thread), format!("frontend {thread}"), move || async move {
            if let Err(error) = frontend.serve(ReceiverStream::new(connections), stopping).await {
                tracing::error!(%error, "frontend stopped serving");
            }
        });
    }
    let stopping = system.stopping();
    system.spawn_task(Placement::Thread(0), "listener", move || async move {
        let accepting = accept(listener, lanes);
        tokio::select! {
            () = accepting => {}
            () = stopping => {}
        }
    });
    Ok(())
}

async fn accept(listener: TcpListener, lanes: Vec<mpsc::Sender<io::Result<TcpStream>>>) {
    let listener = match tokio::net::TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => return tracing::error!(%error, "gRPC socket cannot be accepted on"),
    };
    let mut turn = 0;
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                turn = (turn + 1) % lanes.len();
                if lanes[turn].send(Ok(stream)).await.is_err() {
                    return;
                }
            }
            Err(error) => {
                tracing::warn!(%error, "connection not accepted");
                tokio::time::sleep(ACCEPT_RETRY_DELAY).await;
            }
        }
    }
}

fn failed(what: &str, error: &dyn fmt::Display) -> StartError {
    StartError::Failed(format!("{what}: {error}"))
}

fn refused(name: &str, error: &ServiceError) -> StartError {
    match error.kind {
        ErrorKind::InvalidArgument => StartError::Usage(format!("namespace {name}: {error}")),
        _ => failed(&format!("namespace {name} cannot be made"), error),
    }
}
