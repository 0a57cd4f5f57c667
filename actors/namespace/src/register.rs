//! `RegisterNamespace`, and the namespaces that a server makes for itself.

use std::time::Duration;

use perdure_kernel::{Limits, ServiceError, ServiceResult, time::span};
use perdure_proto::{
    Duration as ProtoDuration,
    api::{
        enums::{ArchivalState, NamespaceState},
        replication::ClusterReplicationConfig,
        workflowservice::RegisterNamespaceRequest,
    },
    records,
};

use crate::{Settings, fault};

/// Checks a registration and makes the record to store.
pub(crate) fn record(
    request: RegisterNamespaceRequest,
    settings: &Settings,
    limits: &Limits,
) -> ServiceResult<records::Namespace> {
    name(&request.namespace, limits)?;
    if request.is_global_namespace {
        return Err(ServiceError::invalid_argument("Cannot register global namespace when not enabled"));
    }
    let retention = retention(request.workflow_execution_retention_period.as_ref(), settings, limits)?;
    clusters(&request.active_cluster_name, &request.clusters, settings)?;
    Ok(records::Namespace {
        description: request.description,
        owner_email: request.owner_email,
        data: request.data,
        ..fresh(retention)
    })
}

/// A registered namespace that nobody described. Archives are not kept, so archival is off whatever a
/// request asks for, as in a Temporal cluster without an archive.
pub(crate) fn fresh(retention: Duration) -> records::Namespace {
    records::Namespace {
        state: NamespaceState::Registered.into(),
        retention: i64::try_from(retention.as_nanos()).unwrap_or(i64::MAX),
        history_archival_state: ArchivalState::Disabled.into(),
        visibility_archival_state: ArchivalState::Disabled.into(),
        ..records::Namespace::default()
    }
}

/// Checks a name. Any text will do that is neither empty nor too long.
pub(crate) fn name(name: &str, limits: &Limits) -> ServiceResult<()> {
    if name.is_empty() {
        return Err(fault::not_set());
    }
    if name.len() > limits.id_length_max {
        return Err(ServiceError::invalid_argument("Namespace length exceeds limit."));
    }
    Ok(())
}

/// The retention asked for, cut to the longest duration kept.
pub(crate) fn retention(
    value: Option<&ProtoDuration>,
    settings: &Settings,
    limits: &Limits,
) -> ServiceResult<Duration> {
    let mixed = value.is_some_and(|value| value.seconds.signum() * i64::from(value.nanos.signum()) < 0);
    let retention = span(value);
    if mixed || retention < settings.retention_min {
        return Err(ServiceError::invalid_argument("A valid retention period is not set on request."));
    }
    Ok(retention.min(limits.duration_max))
}

/// Checks the clusters of a namespace that lives in this cluster alone. Empty means this cluster.
pub(crate) fn clusters(active: &str, clusters: &[ClusterReplicationConfig], settings: &Settings) -> ServiceResult<()> {
    let ours = &settings.cluster_name;
    let names = clusters.iter().map(|cluster| cluster.cluster_name.as_str());
    if let Some(foreign) =
        Some(active).filter(|name| !name.is_empty()).into_iter().chain(names).find(|name| name != ours)
    {
        return Err(ServiceError::invalid_argument(format!("Invalid cluster name: {foreign}")));
    }
    if clusters.len() > 1 {
        return Err(ServiceError::invalid_argument("Invalid local namespace clusters"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn request(name: &str, seconds: i64, nanos: i32) -> RegisterNamespaceRequest {
        RegisterNamespaceRequest {
            namespace: name.into(),
            workflow_execution_retention_period: Some(ProtoDuration { seconds, nanos }),
            ..RegisterNamespaceRequest::default()
        }
    }

    fn check(request: RegisterNamespaceRequest) -> Result<i64, String> {
        record(request, &Settings::default(), &Limits::default())
            .map(|record| record.retention / 1_000_000_000)
            .map_err(|error| error.message.into_owned())
    }

    #[test]
    fn retention_has_a_floor_and_a_ceiling() {
        const WRONG: &str = "A valid retention period is not set on request.";
        assert_eq!(check(request("n", 3600, 0)), Ok(3600));
        for (seconds, nanos) in [(3599, 999_999_999), (0, 0), (-3600, 0), (3600, -5)] {
            assert_eq!(check(request("n", seconds, nanos)), Err(WRONG.into()), "{seconds} {nanos}");
        }
        let none = RegisterNamespaceRequest { namespace: "n".into(), ..RegisterNamespaceRequest::default() };
        assert_eq!(check(none), Err(WRONG.into()));
        let century = 100 * 365 * 86_400;
        assert_eq!(check(request("n", 50 * century, 0)), Ok(century));
        assert_eq!(check(request("n", i64::MAX, 0)), Ok(century));
    }

    #[test]
    fn names() {
        assert_eq!(check(request("", 3600, 0)), Err("Namespace not set on request.".into()));
        assert_eq!(check(request(&"n".repeat(1001), 3600, 0)), Err("Namespace length exceeds limit.".into()));
        assert_eq!(check(request("a b/ü*", 3600, 0)), Ok(3600));
    }

    #[test]
    fn clusters_are_this_one() {
        let cluster = |name: &str| ClusterReplicationConfig { cluster_name: name.into(), ..Default::default() };
        let with = |active: &str, clusters: &[&str]| {
            check(RegisterNamespaceRequest {
                active_cluster_name: active.into(),
                clusters: clusters.iter().map(|name| cluster(name)).collect(),
                ..request("n", 3600, 0)
            })
        };
        assert_eq!(with("active", &["active"]), Ok(3600));
        assert_eq!(with("elsewhere", &[]), Err("Invalid cluster name: elsewhere".into()));
        assert_eq!(with("", &["elsewhere"]), Err("Invalid cluster name: elsewhere".into()));
        assert_eq!(with("", &["active", "active"]), Err("Invalid local namespace clusters".into()));
        let global = RegisterNamespaceRequest { is_global_namespace: true, ..request("n", 3600, 0) };
        assert_eq!(check(global), Err("Cannot register global namespace when not enabled".into()));
    }
}
