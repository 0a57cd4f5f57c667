//! Connections to a server, and calls that are repeated until the server acknowledges them.

use std::{
    future::Future,
    time::{Duration, Instant},
};

use perdure_proto::{
    api::workflowservice::DescribeNamespaceRequest,
    temporal::api::workflowservice::v1::workflow_service_client::WorkflowServiceClient,
};
use tonic::{
    Code, Request, Response, Status,
    transport::{Channel, Endpoint},
};

/// The stub that all calls go through. A clone shares its connection.
pub type Rpc = WorkflowServiceClient<Channel>;

/// Deadline of calls that are answered at once.
pub const SHORT_CALL: Duration = Duration::from_secs(10);
/// Deadline of worker polls: what SDKs give.
pub const POLL: Duration = Duration::from_secs(70);
/// Deadline of a wait for a workflow's close; servers answer empty after 20 s.
pub const WAIT_FOR_CLOSE: Duration = Duration::from_secs(30);
/// Pause before a failed call is made again.
pub const RETRY_PAUSE: Duration = Duration::from_millis(20);
/// Calls in flight on one connection. HTTP/2 servers commonly allow 100 to 250 streams, and long
/// polls that fill them would starve everything else.
pub const STREAMS_PER_CONNECTION: usize = 100;

/// A fixed set of HTTP/2 connections to one address.
#[derive(Debug, Clone)]
pub struct Connections(Vec<Rpc>);

impl Connections {
    /// Connections for `streams` calls in flight, opened when first used and reopened when broken.
    ///
    /// # Errors
    /// When `address` is not `host:port`.
    pub fn for_streams(address: &str, streams: usize) -> Result<Self, tonic::transport::Error> {
        let endpoint = Endpoint::from_shared(format!("http://{address}"))?
            .tcp_nodelay(true)
            .connect_timeout(Duration::from_secs(5))
            .initial_connection_window_size(4 << 20)
            .initial_stream_window_size(1 << 20);
        let count = streams.div_ceil(STREAMS_PER_CONNECTION).max(1);
        Ok(Self((0..count).map(|_| Rpc::new(endpoint.connect_lazy())).collect()))
    }

    /// The connection of the `index`-th user; users are spread evenly.
    pub fn pick(&self, index: usize) -> Rpc {
        self.0[index % self.0.len()].clone()
    }

    /// Waits until the server serves `namespace`, asking every `pause`.
    ///
    /// # Errors
    /// The last refusal, when `limit` has passed.
    pub async fn wait_ready(&self, namespace: &str, pause: Duration, limit: Duration) -> Result<(), Status> {
        let given_up = Instant::now() + limit;
        loop {
            let request = DescribeNamespaceRequest { namespace: namespace.to_owned(), ..Default::default() };
            match self.pick(0).describe_namespace(with_deadline(request, SHORT_CALL)).await {
                Ok(_) => return Ok(()),
                Err(status) if Instant::now() >= given_up => return Err(status),
                Err(_) => tokio::time::sleep(pause).await,
            }
        }
    }
}

/// `message` with the deadline that the server is told of.
pub fn with_deadline<T>(message: T, deadline: Duration) -> Request<T> {
    let mut request = Request::new(message);
    request.set_timeout(deadline);
    request
}

/// Whether the same call may succeed later. A broken connection comes as `Unknown` or `Internal`.
pub fn may_retry(status: &Status) -> bool {
    match status.code() {
        Code::Unavailable
        | Code::Unknown
        | Code::Internal
        | Code::DeadlineExceeded
        | Code::Cancelled
        | Code::Aborted
        | Code::ResourceExhausted => true,
        Code::Ok
        | Code::InvalidArgument
        | Code::NotFound
        | Code::AlreadyExists
        | Code::PermissionDenied
        | Code::FailedPrecondition
        | Code::OutOfRange
        | Code::Unimplemented
        | Code::DataLoss
        | Code::Unauthenticated => false,
    }
}

/// What became of a call that was made until it was acknowledged or refused.
#[derive(Debug)]
pub struct Answer<T> {
    /// The acknowledgement, or the refusal that ended the attempts.
    pub result: Result<T, Status>,
    /// Whether an earlier attempt had an unknown outcome, and so may have taken effect.
    pub ambiguous: bool,
}

/// Makes `call` until it is acknowledged, refused for good, or `given_up` has passed. Every failed
/// attempt is shown to `failed`.
pub async fn until_acknowledged<T, F>(
    given_up: Instant,
    mut failed: impl FnMut(&Status),
    mut call: impl FnMut() -> F,
) -> Answer<T>
where
    F: Future<Output = Result<Response<T>, Status>>,
{
    let mut ambiguous = false;
    loop {
        match call().await {
            Ok(response) => return Answer { result: Ok(response.into_inner()), ambiguous },
            Err(status) => {
                failed(&status);
                if !may_retry(&status) || Instant::now() >= given_up {
                    return Answer { result: Err(status), ambiguous };
                }
                ambiguous = true;
                tokio::time::sleep(RETRY_PAUSE).await;
            }
        }
    }
}

/// Makes the same request with `deadline` through `rpc` until it is acknowledged or refused for good, for at
/// most `within`.
pub async fn repeat<Q, R, F>(
    rpc: &Rpc,
    within: Duration,
    deadline: Duration,
    request: &Q,
    call: impl Fn(Rpc, Request<Q>) -> F,
) -> Answer<R>
where
    Q: Clone,
    F: Future<Output = Result<Response<R>, Status>>,
{
    let attempt = || call(rpc.clone(), with_deadline(request.clone(), deadline));
    until_acknowledged(Instant::now() + within, |_| (), attempt).await
}
