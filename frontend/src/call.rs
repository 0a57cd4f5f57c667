//! What every request passes before its handler, and after it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use perdure_kernel::{
    Clock, ErrorKind, Limits, Namespace, NamespaceId, Random, ServiceError, ServiceResult, Timestamp, random::SplitMix,
};
use perdure_persistence::VisibilityStore;
use perdure_proto::api::enums::{NamespaceState, ResourceExhaustedCause, ResourceExhaustedScope};
use perdure_rpc::{Caller, HistoryClient, MatchingClient};
use perdure_runtime::{Permit, Permits};
use tonic::{Request, Response, Status, metadata::MetadataMap};

use crate::{
    ClusterInfo, FrontendSettings, NamespaceService, SettingsSource,
    admission::{Gate, Gates, TokenBucket},
    client_version::{self, CheckError, ClientNames},
    operations::Operation,
    scope::{Scope, Scoped},
    status,
};

/// Nanoseconds in a second.
const SECOND: u64 = 1_000_000_000;

/// What handlers share.
pub(crate) struct Shared {
    pub(crate) history: HistoryClient,
    pub(crate) matching: MatchingClient,
    pub(crate) namespaces: Arc<dyn NamespaceService>,
    pub(crate) visibility: Arc<dyn VisibilityStore>,
    pub(crate) cluster: ClusterInfo,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) settings: SettingsSource,
    pub(crate) permits: Permits,
    pub(crate) ids: Ids,
    pub(crate) gates: Gates,
    pub(crate) host_rate: TokenBucket,
    pub(crate) client_names: ClientNames,
    /// Stands in for the namespace of calls that have none.
    pub(crate) no_namespace: Arc<Namespace>,
}

/// A request that was let in.
pub(crate) struct Call<T> {
    /// Who asks. Its namespace is nameless for calls about the cluster.
    pub(crate) caller: Caller,
    /// When the call came.
    pub(crate) now: Timestamp,
    /// The request's task token.
    pub(crate) token: T,
    /// To be handed on with the request.
    pub(crate) permit: Option<Permit>,
}

impl<T> Call<T> {
    /// The namespace's limits.
    pub(crate) fn limits(&self) -> &Limits {
        &self.caller.namespace.limits
    }

    /// The namespace's id.
    pub(crate) fn namespace_id(&self) -> &NamespaceId {
        &self.caller.namespace.id
    }
}

impl Shared {
    /// Lets a request in: places it in its namespace, then checks the namespace's state, rates, client
    /// version and room. What comes back with it measures the call and turns its result into an answer.
    pub(crate) async fn enter<Q: Scoped>(
        &self,
        rpc: Operation,
        request: Request<Q>,
    ) -> Result<(Measure, Call<Q::Token>, Q), Status> {
        let (headers, _extensions, request) = request.into_parts();
        let now = self.clock.now();
        let settings = (self.settings)();
        let mut measure = Measure {
            gate: self.gates.none(),
            operation: request.operation(rpc),
            started: now,
            clock: Arc::clone(&self.clock),
            message_length_max: settings.error_message_length_max,
            waits: false,
        };
        let (namespace, token) = match self.place(&request, &settings).await {
            Ok(placed) => placed,
            Err(error) => return Err(measure.refuse(error)),
        };
        if let Some(namespace) = &namespace {
            measure.gate = self.gates.of(namespace);
        }
        if let Err(error) = measure.admit(namespace.as_deref(), &settings, now, &self.host_rate) {
            return Err(measure.refuse(error));
        }
        match client_version::check(&headers) {
            Ok(()) => {}
            Err(CheckError::Invalid(error)) => return Err(measure.refuse(error)),
            Err(CheckError::Status(status)) => return Err(measure.fail(*status, "ClientVersionNotSupported")),
        }
        let Some(permit) = self.permits.try_acquire() else { return Err(measure.refuse(no_room())) };
        let caller = Caller {
            namespace: namespace.unwrap_or_else(|| Arc::clone(&self.no_namespace)),
            deadline: timeout(&headers).map(|timeout| now + timeout),
            client_name: self.client_names.of(&headers),
        };
        Ok((measure, Call { caller, now, token, permit: Some(permit) }, request))
    }

    async fn place<Q: Scoped>(
        &self,
        request: &Q,
        settings: &FrontendSettings,
    ) -> ServiceResult<(Option<Arc<Namespace>>, Q::Token)> {
        let scope = request.scope();
        let named = match scope {
            Scope::Cluster | Scope::Optional("") | Scope::ByToken("") => None,
            Scope::Unresolved("") | Scope::Administered("") => return Err(name_not_set()),
            Scope::Named("") => return Err(ServiceError::invalid_argument("Namespace is empty.")),
            Scope::Unresolved(name) => {
                check_length(name, settings)?;
                None
            }
            Scope::Optional(name) | Scope::Administered(name) | Scope::Named(name) | Scope::ByToken(name) => {
                check_length(name, settings)?;
                Some(self.by_name(name).await?)
            }
        };
        let token = request.token()?;
        let namespace = match scope {
            Scope::ByToken(_) => Some(self.by_token(named, Q::token_namespace(&token))?),
            Scope::Cluster | Scope::Unresolved(_) | Scope::Optional(_) | Scope::Administered(_) | Scope::Named(_) => {
                named
            }
        };
        Ok((namespace, token))
    }

    async fn by_name(&self, name: &str) -> ServiceResult<Arc<Namespace>> {
        match self.namespaces.by_name(name) {
            Some(namespace) => Ok(namespace),
            None => self.namespaces.resolve(name).await,
        }
    }

    /// The namespace of a token; the one that the request names, when it names one, must be the same.
    fn by_token(&self, named: Option<Arc<Namespace>>, id: &str) -> ServiceResult<Arc<Namespace>> {
        if id.is_empty() {
            return Err(name_not_set());
        }
        match named {
            Some(named) if named.id.as_str() == id => Ok(named),
            named => {
                let of_token = self.namespaces.by_id(&NamespaceId::from(id)).ok_or_else(|| {
                    let kind = ErrorKind::NamespaceNotFound { namespace: id.to_owned() };
                    ServiceError::new(kind, format!("Namespace {id} is not found."))
                })?;
                if named.is_some() {
                    let text = "Operation requested with a token from a different namespace.";
                    return Err(ServiceError::invalid_argument(text));
                }
                Ok(of_token)
            }
        }
    }
}

fn check_length(name: &str, settings: &FrontendSettings) -> ServiceResult<()> {
    if name.len() > settings.namespace_name_length_max {
        return Err(ServiceError::invalid_argument("Namespace length exceeds limit."));
    }
    Ok(())
}

fn name_not_set() -> ServiceError {
    ServiceError::invalid_argument("Namespace not set on request.")
}

pub(crate) fn no_room() -> ServiceError {
    ServiceError::exhausted(
        ResourceExhaustedCause::ConcurrentLimit,
        ResourceExhaustedScope::System,
        "too many requests are in flight on this host; try again later",
    )
}

/// Measures a call until it is dropped, and holds its place among the long polls.
pub(crate) struct Measure {
    gate: Arc<Gate>,
    operation: Operation,
    started: Timestamp,
    clock: Arc<dyn Clock>,
    message_length_max: usize,
    waits: bool,
}

impl Measure {
    fn admit(
        &mut self,
        namespace: Option<&Namespace>,
        settings: &FrontendSettings,
        now: Timestamp,
        host_rate: &TokenBucket,
    ) -> ServiceResult<()> {
        if let Some(namespace) = namespace {
            check_state(namespace, self.operation)?;
            if self.operation.waits() {
                if !self.gate.begin_long_poll(self.operation, settings.namespace_long_polls_max) {
                    return Err(ServiceError::exhausted(
                        ResourceExhaustedCause::ConcurrentLimit,
                        ResourceExhaustedScope::Namespace,
                        "namespace concurrent poller limit exceeded",
                    ));
                }
                self.waits = true;
                self.gate.metrics(self.operation).pending.increment(1.0);
            }
            if !self.gate.rate.take(now, settings.namespace_rps, settings.burst_ratio) {
                return Err(rate_limited(ResourceExhaustedScope::Namespace, "namespace rate limit exceeded"));
            }
        }
        if !host_rate.take(now, settings.rps, settings.burst_ratio) {
            return Err(rate_limited(ResourceExhaustedScope::System, "service rate limit exceeded"));
        }
        Ok(())
    }

    /// The handler's result as the client gets it.
    pub(crate) fn finish<R>(self, result: ServiceResult<R>) -> Result<Response<R>, Status> {
        match result {
            Ok(response) => Ok(Response::new(response)),
            Err(error) => Err(self.refuse(error)),
        }
    }

    fn refuse(self, error: ServiceError) -> Status {
        if let ErrorKind::ResourceExhausted { cause, scope } = &error.kind {
            self.gate.count_exhausted(self.operation, status::cause_name(*cause), status::scope_name(*scope));
        }
        let type_name = type_name(&error.kind);
        if is_unexpected(&error.kind) {
            self.gate.metrics(self.operation).errors.increment(1);
            tracing::warn!(
                operation = self.operation.label(),
                namespace = self.gate.namespace(),
                error = %error,
                "a request failed"
            );
        }
        let status = status::to_status(error, self.message_length_max);
        self.fail(status, type_name)
    }

    fn fail(self, status: Status, type_name: &'static str) -> Status {
        self.gate.count_error(self.operation, type_name);
        status
    }
}

impl Drop for Measure {
    fn drop(&mut self) {
        let metrics = self.gate.metrics(self.operation);
        metrics.requests.increment(1);
        metrics.latency.record(self.clock.now().since(self.started).as_secs_f64());
        if self.waits {
            metrics.pending.decrement(1.0);
            self.gate.end_long_poll(self.operation);
        }
    }
}

fn check_state(namespace: &Namespace, operation: Operation) -> ServiceResult<()> {
    let allowed = operation.namespace_states();
    if allowed.contains(&namespace.state) {
        return Ok(());
    }
    let names: Vec<String> = allowed.iter().copied().map(status::state_name).collect();
    let message = format!(
        "Namespace has invalid state: {}. Must be {}.",
        status::state_name(namespace.state),
        names.join(" or ")
    );
    let kind = ErrorKind::NamespaceInvalidState {
        namespace: namespace.name.clone(),
        state: namespace.state,
        allowed: allowed.to_vec(),
    };
    Err(ServiceError::new(kind, message))
}

fn rate_limited(scope: ResourceExhaustedScope, message: &'static str) -> ServiceError {
    ServiceError::exhausted(ResourceExhaustedCause::RpsLimit, scope, message)
}

/// Whether an error counts as a failure of the service.
fn is_unexpected(kind: &ErrorKind) -> bool {
    match kind {
        ErrorKind::ResourceExhausted { scope, .. } => *scope != ResourceExhaustedScope::Namespace,
        ErrorKind::DeadlineExceeded
        | ErrorKind::Unavailable
        | ErrorKind::Unimplemented
        | ErrorKind::DataLoss
        | ErrorKind::Internal
        | ErrorKind::StaleTask
        | ErrorKind::StickyWorkerUnavailable => true,
        ErrorKind::InvalidArgument
        | ErrorKind::NotFound
        | ErrorKind::NamespaceNotFound { .. }
        | ErrorKind::NamespaceAlreadyExists
        | ErrorKind::NamespaceInvalidState { .. }
        | ErrorKind::WorkflowExecutionAlreadyStarted { .. }
        | ErrorKind::ActivityExecutionAlreadyStarted { .. }
        | ErrorKind::FailedPrecondition
        | ErrorKind::WorkflowNotReady
        | ErrorKind::QueryFailed { .. }
        | ErrorKind::Aborted
        | ErrorKind::MultiOperation { .. }
        | ErrorKind::MultiOperationAborted
        | ErrorKind::PermissionDenied
        | ErrorKind::Canceled => false,
    }
}

/// The metric label `error_type`.
fn type_name(kind: &ErrorKind) -> &'static str {
    match kind {
        ErrorKind::InvalidArgument => "serviceerror_InvalidArgument",
        ErrorKind::NotFound => "serviceerror_NotFound",
        ErrorKind::NamespaceNotFound { .. } => "serviceerror_NamespaceNotFound",
        ErrorKind::NamespaceAlreadyExists => "serviceerror_NamespaceAlreadyExists",
        ErrorKind::NamespaceInvalidState { .. } => "serviceerror_NamespaceInvalidState",
        ErrorKind::WorkflowExecutionAlreadyStarted { .. } => "serviceerror_WorkflowExecutionAlreadyStarted",
        ErrorKind::ActivityExecutionAlreadyStarted { .. } => "serviceerror_ActivityExecutionAlreadyStarted",
        ErrorKind::FailedPrecondition => "serviceerror_FailedPrecondition",
        ErrorKind::WorkflowNotReady => "serviceerror_WorkflowNotReady",
        ErrorKind::QueryFailed { .. } => "serviceerror_QueryFailed",
        ErrorKind::ResourceExhausted { .. } => "serviceerror_ResourceExhausted",
        ErrorKind::Aborted => "serviceerror_Aborted",
        ErrorKind::MultiOperation { .. } => "serviceerror_MultiOperationExecution",
        ErrorKind::MultiOperationAborted => "serviceerror_MultiOperationAborted",
        ErrorKind::PermissionDenied => "serviceerror_PermissionDenied",
        ErrorKind::DeadlineExceeded => "serviceerror_DeadlineExceeded",
        ErrorKind::Canceled => "serviceerror_Canceled",
        ErrorKind::Unavailable => "serviceerror_Unavailable",
        ErrorKind::Unimplemented => "serviceerror_Unimplemented",
        ErrorKind::DataLoss => "serviceerror_DataLoss",
        ErrorKind::Internal => "serviceerror_Internal",
        ErrorKind::StaleTask => "serviceerror_ObsoleteMatchingTask",
        ErrorKind::StickyWorkerUnavailable => "serviceerror_StickyWorkerUnavailable",
    }
}

/// The `grpc-timeout` header: up to eight digits and a unit.
fn timeout(headers: &MetadataMap) -> Option<Duration> {
    let text = headers.get("grpc-timeout")?.to_str().ok()?;
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let amount: u64 = digits.parse().ok()?;
    let nanos = match unit {
        "H" => 3600 * SECOND,
        "M" => 60 * SECOND,
        "S" => SECOND,
        "m" => 1_000_000,
        "u" => 1000,
        "n" => 1,
        _unknown => return None,
    };
    Some(Duration::from_nanos(amount.saturating_mul(nanos)))
}

/// Makes request ids for clients that send none. A counter, mixed: no lock.
#[derive(Debug)]
pub(crate) struct Ids(AtomicU64);

impl Ids {
    pub(crate) fn new(seed: u64) -> Self {
        Self(AtomicU64::new(seed))
    }

    /// A fresh version 4 UUID.
    pub(crate) fn uuid(&self) -> String {
        // An odd step visits every seed before one repeats.
        let seed = self.0.fetch_add(0xd134_2543_de82_ef95, Ordering::Relaxed);
        SplitMix::new(SplitMix::new(seed).next_u64()).uuid()
    }
}

/// The namespace of calls about the cluster: nameless, with default limits.
pub(crate) fn no_namespace() -> Arc<Namespace> {
    let namespace = Namespace::new(NamespaceId::from(""), "");
    Arc::new(Namespace { state: NamespaceState::Unspecified, ..namespace })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn reads_timeouts() {
        let parse = |text: &'static str| {
            let mut headers = MetadataMap::new();
            headers.insert("grpc-timeout", text.parse().unwrap());
            timeout(&headers)
        };
        assert_eq!(parse("70S"), Some(Duration::from_secs(70)));
        assert_eq!(parse("1H"), Some(Duration::from_secs(3600)));
        assert_eq!(parse("1999m"), Some(Duration::from_millis(1999)));
        assert_eq!(parse("99999999H"), Some(Duration::from_nanos(u64::MAX)));
        for bad in ["S", "", "10", "10x", "-1S"] {
            assert_eq!(parse(bad), None, "{bad}");
        }
        assert_eq!(timeout(&MetadataMap::new()), None);
    }

    #[test]
    fn ids_differ() {
        let ids = Ids::new(1);
        let made: std::collections::BTreeSet<String> = (0..10_000).map(|_| ids.uuid()).collect();
        assert_eq!(made.len(), 10_000);
    }
}
