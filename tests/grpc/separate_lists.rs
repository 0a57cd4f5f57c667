//! A node whose lists are kept beside its store: they show everything in the end.

use std::{collections::BTreeMap, future::Future, sync::Arc};

use perdure_persistence::{
    Operation, StoreResult,
    decorator::{Decorated, FaultInjection, Faults, Interceptor, MethodFaults, StoreFaults},
    memory::MemoryStore,
};
use perdure_proto::api::{enums::WorkflowExecutionStatus as Status, workflowservice as ws};
use tokio::sync::watch;

use super::lists::{list, some_workflows};
use crate::kit::*;

/// Says when rows were written.
struct Told(watch::Sender<u64>);

impl Interceptor for Told {
    async fn around<T: Send>(
        &self,
        operation: Operation,
        call: impl Future<Output = StoreResult<T>> + Send,
    ) -> StoreResult<T> {
        let result = call.await;
        if operation == Operation::WriteVisibility {
            self.0.send_modify(|writes| *writes += 1);
        }
        result
    }
}

/// Every third write fails or is not heard of.
fn faults() -> Faults {
    let errors = [("Unavailable", 0.15), ("ExecuteAndTimeout", 0.15)];
    let errors = errors.map(|(name, rate)| (name.to_owned(), rate)).into();
    let method = MethodFaults { errors, delay: None, seed: Some(11) };
    let methods = BTreeMap::from([("UpsertWorkflowExecution".to_owned(), method)]);
    let data_stores = BTreeMap::from([("VisibilityStore".to_owned(), StoreFaults { methods })]);
    Faults::new(&FaultInjection { data_stores }).unwrap()
}

#[tokio::test]
async fn lists_beside_the_store_show_everything_in_the_end() {
    let faulty = Decorated::with(Arc::new(MemoryStore::new()), faults());
    let (told, mut writes) = watch::channel(0);
    let server = Server::listing(Arc::new(Decorated::with(Arc::new(faulty), Told(told)))).await;
    let (kind, flows) = some_workflows(&server, 25).await;
    for flow in &flows[..10] {
        flow.terminate().await;
    }
    for flow in &flows[..5] {
        let workflow_execution = flow.execution();
        let request = ws::DeleteWorkflowExecutionRequest { namespace: NAMESPACE.to_owned(), workflow_execution };
        flow.rpc.clone().delete_workflow_execution(request).await.unwrap();
    }
    let query = format!("WorkflowType = '{kind}'");
    let mut expected: Vec<(String, Status)> = flows[5..]
        .iter()
        .enumerate()
        .map(|(index, flow)| (flow.id.clone(), if index < 5 { Status::Terminated } else { Status::Running }))
        .collect();
    expected.sort();
    loop {
        writes.borrow_and_update();
        let mut listed: Vec<(String, Status)> = list(&server, &query)
            .await
            .iter()
            .map(|info| (info.execution.clone().unwrap().workflow_id, info.status()))
            .collect();
        listed.sort();
        if listed == expected {
            break;
        }
        let more = tokio::time::timeout(PATIENCE, writes.changed()).await;
        assert!(more.is_ok_and(|more| more.is_ok()), "nothing is written any more, and lists show {listed:?}");
    }
    // Filters and counts read the same rows.
    let open = format!("{query} AND CloseTime IS NULL");
    let request = ws::CountWorkflowExecutionsRequest { namespace: NAMESPACE.to_owned(), query: open };
    assert_eq!(server.rpc().count_workflow_executions(request).await.unwrap().into_inner().count, 15);
    let info = server.rpc().get_cluster_info(ws::GetClusterInfoRequest::default()).await.unwrap().into_inner();
    assert_eq!((info.persistence_store.as_str(), info.visibility_store.as_str()), ("memory", "memory"));
    server.stop().await;
}
