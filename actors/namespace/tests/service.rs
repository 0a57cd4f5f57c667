//! The service over the in-memory store: several nodes, faults, paused time.

#![allow(clippy::unwrap_used, missing_docs)]

use std::{
    collections::BTreeSet,
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use perdure_kernel::{ErrorKind, Limits, Random, ServiceError, Timestamp, random::SplitMix};
use perdure_namespace::{DeletionRules, LimitsSource, Namespaces, Options, SYSTEM_NAMESPACE, Settings};
use perdure_persistence::{
    Operation, SharedStore, StoreResult,
    decorator::{Decorated, FaultInjection, FaultStore, Interceptor, MethodFaults, StoreFaults},
    memory::MemoryStore,
};
use perdure_proto::{
    Duration as ProtoDuration,
    api::{
        enums::{IndexedValueType, NamespaceState},
        namespace::{NamespaceFilter, UpdateNamespaceInfo},
        workflowservice as ws,
    },
};
use perdure_rpc::{NamespaceService, NamespaceSnapshots};
use perdure_runtime::{ActorSystem, TokioClock};

/// Counts calls, and lets other tasks run in the middle of each.
#[derive(Clone, Default)]
struct Watch(Arc<AtomicUsize>);

impl Watch {
    fn calls(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

impl Interceptor for Watch {
    async fn around<T: Send>(
        &self,
        _operation: Operation,
        call: impl Future<Output = StoreResult<T>> + Send,
    ) -> StoreResult<T> {
        self.0.fetch_add(1, Ordering::SeqCst);
        tokio::task::yield_now().await;
        let result = call.await;
        tokio::task::yield_now().await;
        result
    }
}

fn watched() -> (SharedStore, Watch) {
    let watch = Watch::default();
    (Arc::new(Decorated::with(Arc::new(MemoryStore::new()), watch.clone())), watch)
}

fn ids(seed: u64) -> Arc<dyn Fn() -> String + Send + Sync> {
    let random = std::sync::Mutex::new(SplitMix::new(seed));
    Arc::new(move || random.lock().unwrap().uuid())
}

async fn node_with(store: &SharedStore, seed: u64, limits: LimitsSource) -> Namespaces {
    let system = ActorSystem::local(Arc::new(TokioClock::new(Timestamp::from_nanos(1_700_000_000_000_000_000))));
    let options = Options {
        store: Arc::clone(store),
        settings: Settings::default(),
        limits,
        new_id: ids(seed),
        deletions: Arc::new(DeletionRules::default),
        stage: 1,
    };
    Namespaces::start(&system, options).await.unwrap()
}

async fn node(store: &SharedStore, seed: u64) -> Namespaces {
    node_with(store, seed, Arc::new(|_| Limits::default())).await
}

/// On a `LocalSet`, in paused time.
fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    tokio::task::LocalSet::new().block_on(&runtime, test);
}

fn registration(name: &str) -> ws::RegisterNamespaceRequest {
    ws::RegisterNamespaceRequest {
        namespace: name.into(),
        workflow_execution_retention_period: Some(ProtoDuration { seconds: 86_400, nanos: 0 }),
        ..Default::default()
    }
}

fn named(name: &str) -> ws::DescribeNamespaceRequest {
    ws::DescribeNamespaceRequest { namespace: name.into(), ..Default::default() }
}

fn with_data(name: &str, key: &str) -> ws::UpdateNamespaceRequest {
    let data = [(key.to_owned(), String::new())].into();
    ws::UpdateNamespaceRequest {
        namespace: name.into(),
        update_info: Some(UpdateNamespaceInfo { data, ..Default::default() }),
        ..Default::default()
    }
}

fn with_state(name: &str, state: NamespaceState) -> ws::UpdateNamespaceRequest {
    ws::UpdateNamespaceRequest {
        namespace: name.into(),
        update_info: Some(UpdateNamespaceInfo { state: state.into(), ..Default::default() }),
        ..Default::default()
    }
}

fn not_found(name: &str) -> ServiceError {
    let kind = ErrorKind::NamespaceNotFound { namespace: name.into() };
    ServiceError::new(kind, format!("Namespace {name} is not found."))
}

#[test]
fn registers_and_describes() {
    run(async {
        let (store, _) = watched();
        let node = node(&store, 1).await;
        node.register(registration("orders")).await.unwrap();
        let taken = node.register(registration("orders")).await.unwrap_err();
        assert_eq!(taken.kind, ErrorKind::NamespaceAlreadyExists);
        assert_eq!(taken.message, "Namespace \"orders\" already exists");

        let shown = node.describe(named("orders")).await.unwrap();
        let info = shown.namespace_info.clone().unwrap();
        assert_eq!((info.name.as_str(), info.state), ("orders", NamespaceState::Registered as i32));
        assert!(info.capabilities.unwrap().eager_workflow_start && !info.supports_schedules);
        assert_eq!(info.limits.unwrap().blob_size_limit_error, 2 * 1024 * 1024);
        assert_eq!(shown.config.clone().unwrap().workflow_execution_retention_ttl.unwrap().seconds, 86_400);
        let replication = shown.replication_config.clone().unwrap();
        assert_eq!((replication.active_cluster_name.as_str(), replication.clusters.len()), ("active", 1));

        for weak_consistency in [false, true] {
            let by_id = ws::DescribeNamespaceRequest { id: info.id.clone(), weak_consistency, ..Default::default() };
            assert_eq!(node.describe(by_id).await.unwrap(), shown);
            let weak = |request| ws::DescribeNamespaceRequest { weak_consistency, ..request };
            let both = ws::DescribeNamespaceRequest { id: info.id.clone(), ..named("orders") };
            assert_eq!(
                node.describe(weak(both)).await.unwrap_err().message,
                "GetNamespace operation failed. Both ID and Name specified in request."
            );
            assert_eq!(node.describe(weak(named(""))).await.unwrap_err().message, "Namespace not set on request.");
            assert_eq!(node.describe(weak(named("nope"))).await.unwrap_err(), not_found("nope"));
        }
        assert_eq!(node.by_name("orders").unwrap().id.as_str(), info.id);
        let system = node.by_name(SYSTEM_NAMESPACE).unwrap();
        assert_eq!(system.id.as_str(), "32049b68-7872-4094-8e63-d0dd59896a83");
    });
}

#[test]
fn ensures_once() {
    run(async {
        let (store, _) = watched();
        let (one, two) = (node(&store, 1).await, node(&store, 2).await);
        let (day, week) = (Duration::from_secs(86_400), Duration::from_secs(7 * 86_400));
        let (made, found) = tokio::join!(one.ensure("default", day), two.ensure("default", week));
        let made = made.unwrap();
        assert_eq!(found.unwrap(), made);
        let other = if made.retention == day { week } else { day };
        assert_eq!(one.ensure("default", other).await.unwrap(), made);
        assert_eq!(one.ensure("", day).await.unwrap_err().message, "Namespace not set on request.");
    });
}

#[test]
fn reads_through_once_and_believes_an_absence_for_a_second() {
    run(async {
        let (store, watch) = watched();
        let (writer, reader) = (node(&store, 1).await, node(&store, 2).await);
        let before = watch.calls();
        let (a, b) = tokio::join!(reader.resolve("late"), reader.resolve("late"));
        assert_eq!((a.unwrap_err(), b.unwrap_err()), (not_found("late"), not_found("late")));
        assert_eq!(watch.calls() - before, 1);

        writer.register(registration("late")).await.unwrap();
        let before = watch.calls();
        assert_eq!(reader.resolve("late").await.unwrap_err(), not_found("late"));
        assert_eq!(watch.calls(), before);
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(reader.resolve("late").await.unwrap().name, "late");
        // What the node writes itself is never absent.
        assert_eq!(reader.resolve("soon").await.unwrap_err(), not_found("soon"));
        reader.register(registration("soon")).await.unwrap();
        assert_eq!(reader.resolve("soon").await.unwrap().name, "soon");
    });
}

#[test]
fn a_node_that_is_alone_reads_nothing_and_others_keep_up() {
    run(async {
        let (store, watch) = watched();
        let (writer, reader) = (node(&store, 1).await, node(&store, 2).await);
        writer.register(registration("gone")).await.unwrap();
        reader.resolve("gone").await.unwrap();
        let before = watch.calls();
        tokio::time::sleep(Duration::from_secs(3600)).await;
        assert_eq!(watch.calls(), before);

        reader.set_nodes(2);
        writer.register(registration("orders")).await.unwrap();
        store.delete_namespace(&writer.by_name("gone").unwrap().id).await.unwrap();
        tokio::time::sleep(Duration::from_millis(2100)).await;
        assert!(reader.by_name("orders").is_some() && reader.by_name("gone").is_none());
        writer
            .deprecate(ws::DeprecateNamespaceRequest { namespace: "orders".into(), ..Default::default() })
            .await
            .unwrap();
        tokio::time::sleep(Duration::from_millis(2100)).await;
        assert_eq!(reader.by_name("orders").unwrap().state, NamespaceState::Deprecated);

        reader.set_nodes(1);
        tokio::task::yield_now().await;
        let before = watch.calls();
        tokio::time::sleep(Duration::from_secs(3600)).await;
        assert_eq!(watch.calls(), before);
    });
}

/// Every acknowledged change is there at the end, whoever else was writing and whatever the store said.
async fn hold(store: SharedStore) {
    const WRITERS: usize = 4;
    const CHANGES: usize = 10;
    let mut nodes = Vec::new();
    for seed in 0..WRITERS {
        nodes.push(Arc::new(node(&store, seed as u64).await));
    }
    while nodes[0].ensure("busy", Duration::from_secs(86_400)).await.is_err() {}
    let mut tasks = Vec::new();
    for (number, node) in nodes.into_iter().enumerate() {
        #[expect(clippy::disallowed_methods, reason = "clients of the nodes")]
        let task = tokio::task::spawn_local(async move {
            for change in 0..CHANGES {
                let key = format!("{number}-{change}");
                while node.update(with_data("busy", &key)).await.is_err() {}
                assert!(node.describe(named("busy")).await.unwrap().namespace_info.unwrap().data.contains_key(&key));
            }
            node.by_name("busy").unwrap()
        });
        tasks.push(task);
    }
    for task in tasks {
        task.await.unwrap();
    }
    let last = node(&store, 99).await;
    let shown = last.describe(named("busy")).await.unwrap();
    assert_eq!(shown.namespace_info.unwrap().data.len(), WRITERS * CHANGES);
}

#[test]
fn concurrent_changes_all_hold() {
    run(async { hold(watched().0).await });
}

#[test]
fn changes_hold_when_outcomes_are_unknown() {
    run(async {
        let errors = [("ExecuteAndTimeout", 0.3), ("Timeout", 0.2), ("ConditionFailed", 0.1), ("Unavailable", 0.1)];
        let errors: std::collections::BTreeMap<String, f64> =
            errors.into_iter().map(|(name, rate)| (name.to_owned(), rate)).collect();
        let update = MethodFaults { errors, seed: Some(7), ..Default::default() };
        let methods = [("UpdateNamespace".to_owned(), update)].into();
        let config = FaultInjection { data_stores: [("MetadataStore".to_owned(), StoreFaults { methods })].into() };
        hold(Arc::new(FaultStore::new(watched().0, &config).unwrap())).await;
    });
}

#[test]
fn lists_in_pages() {
    run(async {
        let (store, _) = watched();
        let node = node(&store, 1).await;
        let mut expected = BTreeSet::from([SYSTEM_NAMESPACE.to_owned()]);
        for number in 0..24 {
            node.register(registration(&format!("n{number}"))).await.unwrap();
            expected.insert(format!("n{number}"));
        }
        let mut seen = BTreeSet::new();
        let mut request = ws::ListNamespacesRequest { page_size: 5, ..Default::default() };
        let mut pages = 0;
        loop {
            let page = node.list(request.clone()).await.unwrap();
            pages += 1;
            for shown in page.namespaces {
                assert!(seen.insert(shown.namespace_info.unwrap().name), "shown twice");
            }
            if page.next_page_token.is_empty() {
                break;
            }
            request.next_page_token = page.next_page_token;
        }
        assert_eq!((seen, pages), (expected, 5));

        node.update(with_state("n3", NamespaceState::Deleted)).await.unwrap();
        let count = |include_deleted| {
            let request = ws::ListNamespacesRequest {
                namespace_filter: Some(NamespaceFilter { include_deleted }),
                ..Default::default()
            };
            let node = &node;
            async move { node.list(request).await.unwrap().namespaces.len() }
        };
        assert_eq!((count(false).await, count(true).await), (24, 25));

        let refused = |request| {
            let node = &node;
            async move { node.list(request).await.unwrap_err().message }
        };
        let negative = ws::ListNamespacesRequest { page_size: -1, ..Default::default() };
        assert_eq!(refused(negative).await, "PageSize must not be negative.");
        let token = ws::ListNamespacesRequest { next_page_token: b"\xff".as_slice().into(), ..Default::default() };
        assert_eq!(refused(token).await, "Invalid NextPageToken.");
    });
}

#[test]
fn changes_show_in_snapshots_before_the_answer() {
    run(async {
        let (store, _) = watched();
        let node = node(&store, 1).await;
        node.register(registration("orders")).await.unwrap();
        let attributes = [("CustomerId".to_owned(), IndexedValueType::Keyword)];
        node.add_search_attributes("orders", &attributes).await.unwrap();
        assert_eq!(node.by_name("orders").unwrap().search_attributes["CustomerId"], IndexedValueType::Keyword);
        let aliases = node.describe(named("orders")).await.unwrap().config.unwrap().custom_search_attribute_aliases;
        assert_eq!(aliases["Keyword01"], "CustomerId");

        let deprecate = || ws::DeprecateNamespaceRequest { namespace: "orders".into(), ..Default::default() };
        node.deprecate(deprecate()).await.unwrap();
        node.deprecate(deprecate()).await.unwrap();
        let snapshot = node.by_name("orders").unwrap();
        assert_eq!(snapshot.state, NamespaceState::Deprecated);
        assert_eq!(node.by_id(&snapshot.id), Some(snapshot));
        let back = node.update(with_state("orders", NamespaceState::Registered)).await.unwrap_err();
        assert_eq!(back.message, "Invalid namespace state update.");
        assert_eq!(node.update(with_data("nope", "k")).await.unwrap_err(), not_found("nope"));
        assert_eq!(node.update(with_data("", "k")).await.unwrap_err().message, "Namespace not set on request.");
    });
}

#[test]
fn limits_are_refreshed_and_the_actor_survives_a_panic() {
    run(async {
        let (store, _) = watched();
        node(&store, 1).await.register(registration("orders")).await.unwrap();
        let (eager, panics) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicBool::new(false)));
        let limits: LimitsSource = {
            let (eager, panics) = (Arc::clone(&eager), Arc::clone(&panics));
            Arc::new(move |_| {
                assert!(!panics.load(Ordering::SeqCst), "the source of limits is broken");
                Limits { eager_workflow_start: eager.load(Ordering::SeqCst), ..Limits::default() }
            })
        };
        let reader = node_with(&store, 2, limits).await;
        eager.store(false, Ordering::SeqCst);
        assert!(reader.by_name("orders").unwrap().limits.eager_workflow_start);
        reader.refresh_limits();
        assert!(!reader.by_name("orders").unwrap().limits.eager_workflow_start);

        node(&store, 3).await.register(registration("late")).await.unwrap();
        panics.store(true, Ordering::SeqCst);
        assert_eq!(reader.resolve("late").await.unwrap_err().kind, ErrorKind::Unavailable);
        panics.store(false, Ordering::SeqCst);
        // The actor is back after its backoff.
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(reader.resolve("late").await.unwrap().name, "late");
    });
}
