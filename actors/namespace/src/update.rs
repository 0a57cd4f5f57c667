//! `UpdateNamespace`: what a request changes in a record.

use perdure_kernel::{Limits, ServiceError, ServiceResult, Timestamp};
use perdure_proto::{
    api::{
        enums::{NamespaceState, ReplicationState},
        namespace::{BadBinaries, NamespaceConfig, UpdateNamespaceInfo},
        replication::NamespaceReplicationConfig,
        workflowservice::UpdateNamespaceRequest,
    },
    records,
};

use crate::{Settings, aliases, register, write::Edit};

/// Merges a request into a record. What the request leaves empty stays as it is.
pub(crate) fn merge(
    record: &mut records::Namespace,
    request: &UpdateNamespaceRequest,
    settings: &Settings,
    limits: &Limits,
    now: Timestamp,
) -> ServiceResult<Edit> {
    let before = record.clone();
    if let Some(info) = &request.update_info {
        merge_info(record, info)?;
    }
    if let Some(config) = &request.config {
        merge_config(record, config, settings, limits, now)?;
    }
    let checksum = &request.delete_bad_binary;
    if !checksum.is_empty() && record.bad_binaries.as_mut().and_then(|bad| bad.binaries.remove(checksum)).is_none() {
        return Err(ServiceError::invalid_argument(format!("Bad binary checksum {checksum} doesn't exists.")));
    }
    if let Some(replication) = &request.replication_config {
        check_replication(state(&before), replication, settings)?;
    }
    if request.promote_namespace {
        return Err(ServiceError::invalid_argument(format!(
            "global namespace is not enabled on this cluster, \
             cannot update global namespace or promote local namespace: {}",
            request.namespace
        )));
    }
    Ok(if *record == before { Edit::Same } else { Edit::Changed })
}

fn state(record: &records::Namespace) -> NamespaceState {
    NamespaceState::try_from(record.state).unwrap_or(NamespaceState::Unspecified)
}

fn merge_info(record: &mut records::Namespace, info: &UpdateNamespaceInfo) -> ServiceResult<()> {
    if !info.description.is_empty() {
        record.description.clone_from(&info.description);
    }
    if !info.owner_email.is_empty() {
        record.owner_email.clone_from(&info.owner_email);
    }
    record.data.extend(info.data.iter().map(|(key, value)| (key.clone(), value.clone())));
    if info.state != NamespaceState::Unspecified as i32 && info.state != record.state {
        check_state(state(record), info.state)?;
        record.state = info.state;
    }
    Ok(())
}

/// A namespace goes from registered over deprecated to deleted and never back.
fn check_state(from: NamespaceState, to: i32) -> ServiceResult<()> {
    let allowed: &[NamespaceState] = match from {
        NamespaceState::Registered => &[NamespaceState::Deprecated, NamespaceState::Deleted],
        NamespaceState::Deprecated => &[NamespaceState::Deleted],
        NamespaceState::Deleted | NamespaceState::Unspecified => &[],
    };
    if allowed.iter().any(|state| *state as i32 == to) {
        return Ok(());
    }
    Err(ServiceError::invalid_argument("Invalid namespace state update."))
}

fn merge_config(
    record: &mut records::Namespace,
    config: &NamespaceConfig,
    settings: &Settings,
    limits: &Limits,
    now: Timestamp,
) -> ServiceResult<()> {
    if let Some(retention) = &config.workflow_execution_retention_ttl {
        let retention = register::retention(Some(retention), settings, limits)?;
        record.retention = i64::try_from(retention.as_nanos()).unwrap_or(i64::MAX);
    }
    if let Some(bad) = &config.bad_binaries {
        merge_bad_binaries(record, bad, settings.bad_binaries_max, now)?;
    }
    if !config.custom_search_attribute_aliases.is_empty() {
        aliases::upsert(record, &config.custom_search_attribute_aliases)?;
    }
    Ok(())
}

fn merge_bad_binaries(
    record: &mut records::Namespace,
    bad: &BadBinaries,
    max: usize,
    now: Timestamp,
) -> ServiceResult<()> {
    let known = &mut record.bad_binaries.get_or_insert_default().binaries;
    for (checksum, info) in &bad.binaries {
        let mut info = info.clone();
        info.create_time = Some(now.to_proto());
        known.insert(checksum.clone(), info);
    }
    if known.len() > max {
        return Err(ServiceError::invalid_argument(format!("Total resetBinaries cannot exceed the max limit: {max}")));
    }
    Ok(())
}

/// A namespace of one cluster can only be told what it already is.
fn check_replication(
    state: NamespaceState,
    replication: &NamespaceReplicationConfig,
    settings: &Settings,
) -> ServiceResult<()> {
    match ReplicationState::try_from(replication.state) {
        Ok(ReplicationState::Unspecified | ReplicationState::Normal) => {}
        Ok(ReplicationState::Handover) if state != NamespaceState::Registered => {
            return Err(ServiceError::invalid_argument(format!(
                "update ReplicationState is only supported when namespace is in Registered state, \
                 current state: {state:?}"
            )));
        }
        Ok(ReplicationState::Handover) => {
            return Err(ServiceError::invalid_argument("Handover can only be set for global namespace"));
        }
        Err(_unknown) => {
            return Err(ServiceError::invalid_argument(format!("Invalid replication state: {}", replication.state)));
        }
    }
    register::clusters(&replication.active_cluster_name, &replication.clusters, settings)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::time::Duration;

    use perdure_proto::{
        Duration as ProtoDuration,
        api::{namespace::BadBinaryInfo, replication::ClusterReplicationConfig},
    };

    use super::*;

    const NOW: Timestamp = Timestamp::from_nanos(1_700_000_000_000_000_000);

    fn base() -> records::Namespace {
        register::fresh(Duration::from_secs(86_400))
    }

    fn update(record: &mut records::Namespace, request: UpdateNamespaceRequest) -> Result<Edit, String> {
        let request = UpdateNamespaceRequest { namespace: "n".into(), ..request };
        merge(record, &request, &Settings::default(), &Limits::default(), NOW)
            .map_err(|error| error.message.into_owned())
    }

    fn info(info: UpdateNamespaceInfo) -> UpdateNamespaceRequest {
        UpdateNamespaceRequest { update_info: Some(info), ..UpdateNamespaceRequest::default() }
    }

    fn config(config: NamespaceConfig) -> UpdateNamespaceRequest {
        UpdateNamespaceRequest { config: Some(config), ..UpdateNamespaceRequest::default() }
    }

    fn binaries(checksums: impl IntoIterator<Item = String>) -> UpdateNamespaceRequest {
        let info = BadBinaryInfo { reason: "leaks".into(), operator: "me".into(), create_time: None };
        let binaries = checksums.into_iter().map(|checksum| (checksum, info.clone())).collect();
        config(NamespaceConfig { bad_binaries: Some(BadBinaries { binaries }), ..NamespaceConfig::default() })
    }

    fn state(state: i32) -> UpdateNamespaceRequest {
        info(UpdateNamespaceInfo { state, ..UpdateNamespaceInfo::default() })
    }

    #[test]
    fn an_empty_request_changes_nothing() {
        let mut record = base();
        assert_eq!(update(&mut record, UpdateNamespaceRequest::default()), Ok(Edit::Same));
        assert_eq!(record, base());
    }

    #[test]
    fn info_is_merged() {
        let mut record = base();
        record.description = "old".into();
        record.data.insert("kept".into(), "1".into());
        let data = [("added".to_owned(), "2".to_owned())].into();
        let request = info(UpdateNamespaceInfo { owner_email: "o".into(), data, ..UpdateNamespaceInfo::default() });
        assert_eq!(update(&mut record, request), Ok(Edit::Changed));
        assert_eq!((record.description.as_str(), record.owner_email.as_str()), ("old", "o"));
        assert_eq!(record.data.len(), 2);
    }

    #[test]
    fn states_only_go_forward() {
        use NamespaceState::{Deleted, Deprecated, Registered};
        let wrong = Err("Invalid namespace state update.".to_owned());
        let cases = [
            (Registered, Registered as i32, Ok(Edit::Same)),
            (Registered, Deprecated as i32, Ok(Edit::Changed)),
            (Registered, Deleted as i32, Ok(Edit::Changed)),
            (Registered, 99, wrong.clone()),
            (Deprecated, Registered as i32, wrong.clone()),
            (Deprecated, Deleted as i32, Ok(Edit::Changed)),
            (Deleted, Registered as i32, wrong.clone()),
            (Deleted, Deprecated as i32, wrong),
        ];
        for (from, to, expected) in cases {
            let mut record = records::Namespace { state: from.into(), ..base() };
            assert_eq!(update(&mut record, state(to)), expected, "{from:?} to {to}");
        }
    }

    #[test]
    fn bad_binaries_are_merged_stamped_bounded_and_deleted() {
        let mut record = base();
        assert_eq!(update(&mut record, binaries(["a".into()])), Ok(Edit::Changed));
        assert_eq!(update(&mut record, binaries(["b".into()])), Ok(Edit::Changed));
        let bad = record.bad_binaries.clone().unwrap().binaries;
        assert_eq!(bad.keys().collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(bad["a"].create_time, Some(NOW.to_proto()));
        assert_eq!(
            update(&mut record.clone(), binaries((0..9).map(|number| number.to_string()))),
            Err("Total resetBinaries cannot exceed the max limit: 10".into())
        );
        let delete = |checksum: &str| UpdateNamespaceRequest {
            delete_bad_binary: checksum.into(),
            ..UpdateNamespaceRequest::default()
        };
        assert_eq!(update(&mut record, delete("a")), Ok(Edit::Changed));
        assert_eq!(update(&mut record, delete("a")), Err("Bad binary checksum a doesn't exists.".into()));
    }

    #[test]
    fn retention_is_checked() {
        let with = |seconds| {
            config(NamespaceConfig {
                workflow_execution_retention_ttl: Some(ProtoDuration { seconds, nanos: 0 }),
                ..NamespaceConfig::default()
            })
        };
        let mut record = base();
        assert_eq!(update(&mut record, with(7200)), Ok(Edit::Changed));
        assert_eq!(record.retention, 7_200_000_000_000);
        assert_eq!(update(&mut record, with(5)), Err("A valid retention period is not set on request.".into()));
    }

    #[test]
    fn a_local_namespace_stays_local() {
        let replication = |replication| UpdateNamespaceRequest {
            replication_config: Some(replication),
            ..UpdateNamespaceRequest::default()
        };
        let active = |name: &str| NamespaceReplicationConfig {
            active_cluster_name: name.into(),
            ..NamespaceReplicationConfig::default()
        };
        let handover = || NamespaceReplicationConfig { state: 2, ..NamespaceReplicationConfig::default() };
        let mut record = base();
        assert_eq!(update(&mut record, replication(active("active"))), Ok(Edit::Same));
        assert_eq!(update(&mut record, replication(active("zz"))), Err("Invalid cluster name: zz".into()));
        let clusters = vec![ClusterReplicationConfig { cluster_name: "zz".into(), ..Default::default() }];
        assert_eq!(
            update(&mut record, replication(NamespaceReplicationConfig { clusters, ..active("") })),
            Err("Invalid cluster name: zz".into())
        );
        assert_eq!(
            update(&mut record, replication(handover())),
            Err("Handover can only be set for global namespace".into())
        );
        record.state = NamespaceState::Deprecated.into();
        assert_eq!(
            update(&mut record, replication(handover())),
            Err("update ReplicationState is only supported when namespace is in Registered state, \
                 current state: Deprecated"
                .into())
        );
        let promote = UpdateNamespaceRequest { promote_namespace: true, ..UpdateNamespaceRequest::default() };
        assert_eq!(
            update(&mut record, promote),
            Err("global namespace is not enabled on this cluster, \
                 cannot update global namespace or promote local namespace: n"
                .into())
        );
    }
}
