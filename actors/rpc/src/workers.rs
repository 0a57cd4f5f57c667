//! What the worker registry can be asked.

use perdure_kernel::NamespaceId;
use perdure_proto::api::{worker::WorkerHeartbeat, workflowservice as ws};

use crate::ask::calls;

/// What workers of a namespace tell about themselves.
#[derive(Clone, Debug, PartialEq)]
pub struct RecordHeartbeats {
    /// Their namespace.
    pub namespace_id: NamespaceId,
    /// One for each worker.
    pub heartbeats: Vec<WorkerHeartbeat>,
}

/// A question about the workers of a namespace.
#[derive(Clone, Debug, PartialEq)]
pub struct AboutWorkers<Q> {
    /// Their namespace.
    pub namespace_id: NamespaceId,
    /// The request as the client sent it.
    pub request: Q,
}

calls! {
    /// A request to the registry of workers.
    WorkersCall {
        /// Remembers heartbeats.
        Record(RecordHeartbeats) -> ();
        /// Lists workers.
        List(AboutWorkers<ws::ListWorkersRequest>) -> ws::ListWorkersResponse;
        /// Counts workers.
        Count(AboutWorkers<ws::CountWorkersRequest>) -> ws::CountWorkersResponse;
        /// Shows what a worker told last. `NOT_FOUND` when it was not heard of of late.
        Describe(AboutWorkers<ws::DescribeWorkerRequest>) -> Box<ws::DescribeWorkerResponse>;
    }
}
