//! Pollers seen of late, for describe.

use std::{collections::BTreeMap, time::Duration};

use perdure_kernel::Timestamp;
use perdure_proto::api::{
    common::WorkerVersionCapabilities, deployment::WorkerDeploymentOptions, taskqueue::PollerInfo,
};

use crate::settings::POLLERS_REMEMBERED_MAX;

/// What Temporal shows as the rate of a poller that set none.
pub(crate) const RATE_UNSET: f64 = 100_000.0;

/// What a poll tells about its worker.
#[derive(Clone, Copy, Debug, Default)]
pub struct PollerNote<'a> {
    /// The worker's name for itself.
    pub identity: &'a str,
    /// Dispatches a second that it asked for.
    pub rate: Option<f64>,
    /// Its build id, as old SDKs send it.
    pub capabilities: Option<&'a WorkerVersionCapabilities>,
    /// Its deployment.
    pub deployment: Option<&'a WorkerDeploymentOptions>,
}

#[derive(Debug, Default)]
pub(crate) struct Seen {
    pollers: BTreeMap<String, Poller>,
}

#[derive(Debug)]
struct Poller {
    last_access: Timestamp,
    rate: Option<f64>,
    capabilities: Option<WorkerVersionCapabilities>,
    deployment: Option<WorkerDeploymentOptions>,
}

impl Seen {
    pub(crate) fn note(&mut self, now: Timestamp, note: PollerNote<'_>) {
        if let Some(poller) = self.pollers.get_mut(note.identity) {
            poller.last_access = now;
            poller.rate = note.rate;
            if poller.capabilities.as_ref() != note.capabilities {
                poller.capabilities = note.capabilities.cloned();
            }
            if poller.deployment.as_ref() != note.deployment {
                poller.deployment = note.deployment.cloned();
            }
            return;
        }
        if self.pollers.len() >= POLLERS_REMEMBERED_MAX {
            let oldest = self.pollers.iter().min_by_key(|(_, poller)| poller.last_access);
            if let Some(identity) = oldest.map(|(identity, _)| identity.clone()) {
                self.pollers.remove(&identity);
            }
        }
        self.pollers.insert(
            note.identity.to_owned(),
            Poller {
                last_access: now,
                rate: note.rate,
                capabilities: note.capabilities.cloned(),
                deployment: note.deployment.cloned(),
            },
        );
    }

    pub(crate) fn forget(&mut self, identity: &str) {
        self.pollers.remove(identity);
    }

    pub(crate) fn count(&self) -> usize {
        self.pollers.len()
    }

    /// Pollers seen within `window`, by identity.
    pub(crate) fn list(&self, now: Timestamp, window: Duration) -> Vec<PollerInfo> {
        self.pollers
            .iter()
            .filter(|(_, poller)| now.since(poller.last_access) < window)
            .map(|(identity, poller)| {
                // Deprecated in the API, but what older clients show.
                #[allow(deprecated)]
                PollerInfo {
                    last_access_time: Some(poller.last_access.to_proto()),
                    identity: identity.clone(),
                    rate_per_second: poller.rate.unwrap_or(RATE_UNSET),
                    worker_version_capabilities: poller.capabilities.clone(),
                    deployment_options: poller.deployment.clone(),
                }
            })
            .collect()
    }
}
