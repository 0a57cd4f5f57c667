//! The worker registry: what workers told about themselves of late, in memory only.
//!
//! A worker that is not heard of for [`RegistrySettings::ttl`] is forgotten. Over
//! [`RegistrySettings::entries_max`] those not heard of for longest go first, but never within
//! [`RegistrySettings::evict_age_min`]; at [`OVERSHOOT_MAX`] times that number new ones are not taken in.

mod filter;
mod query;

use std::{collections::BTreeMap, ops::Bound, sync::Arc, time::Duration};

use perdure_kernel::{NamespaceId, Timestamp};
use perdure_proto::api::{enums::WorkerStatus, worker::WorkerHeartbeat};

pub use filter::Filter;
pub use query::QueryError;

/// Workers of the server itself poll queues whose names begin like this.
const SYSTEM_QUEUE_PREFIXES: [&str; 2] = ["temporal-sys-", "temporal-archival-tq"];

/// Times [`RegistrySettings::entries_max`] at which new workers are no longer taken in.
pub const OVERSHOOT_MAX: usize = 2;

/// Bounds of a registry (dynamic config keys in the field docs).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegistrySettings {
    /// Silence after which a worker is forgotten: `matching.workerRegistryEntryTTL`
    pub ttl: Duration,
    /// Workers of all namespaces together: `matching.workerRegistryMaxEntries`
    pub entries_max: usize,
    /// Workers heard of within this time are kept whatever their number:
    /// `matching.workerRegistryMinEvictAge`
    pub evict_age_min: Duration,
    /// How often the old are looked for: `matching.workerRegistryEvictionInterval`
    pub evict_interval: Duration,
}

impl Default for RegistrySettings {
    fn default() -> Self {
        Self {
            ttl: Duration::from_secs(5 * 60),
            entries_max: 1_000_000,
            evict_age_min: Duration::from_secs(60),
            evict_interval: Duration::from_secs(60),
        }
    }
}

#[derive(Debug)]
struct Worker {
    heartbeat: Arc<WorkerHeartbeat>,
    /// Its place in [`WorkerRegistry::by_age`].
    heard: (Timestamp, u64),
    system: bool,
}

/// Workers by namespace and instance key.
#[derive(Debug, Default)]
pub struct WorkerRegistry {
    workers: BTreeMap<(NamespaceId, String), Worker>,
    /// Those not heard of for longest first. The number tells heartbeats of one instant apart.
    by_age: BTreeMap<(Timestamp, u64), (NamespaceId, String)>,
    numbers: u64,
}

/// A page of a list.
#[derive(Debug, PartialEq)]
pub struct Page {
    /// Ascending by instance key.
    pub workers: Vec<Arc<WorkerHeartbeat>>,
    /// Instance key of the last one when there are more.
    pub more_after: Option<String>,
}

impl WorkerRegistry {
    /// Takes in heartbeats. A worker that shuts down is forgotten at once.
    pub fn record(
        &mut self,
        now: Timestamp,
        namespace: &NamespaceId,
        heartbeats: Vec<WorkerHeartbeat>,
        settings: &RegistrySettings,
    ) {
        for heartbeat in heartbeats {
            let key = (namespace.clone(), heartbeat.worker_instance_key.clone());
            if let Some(known) = self.workers.remove(&key) {
                self.by_age.remove(&known.heard);
            }
            if heartbeat.status == i32::from(WorkerStatus::Shutdown) {
                continue;
            }
            if self.workers.len() >= settings.entries_max {
                self.evict_surplus(now, settings, 1);
                if self.workers.len() >= settings.entries_max.saturating_mul(OVERSHOOT_MAX) {
                    continue;
                }
            }
            self.numbers += 1;
            let heard = (now, self.numbers);
            let system = SYSTEM_QUEUE_PREFIXES.iter().any(|prefix| heartbeat.task_queue.starts_with(prefix));
            self.by_age.insert(heard, key.clone());
            self.workers.insert(key, Worker { heartbeat: Arc::new(heartbeat), heard, system });
        }
    }

    /// Forgets those not heard of for too long, and the oldest of too many.
    pub fn evict(&mut self, now: Timestamp, settings: &RegistrySettings) {
        while self.forget_oldest(now, settings.ttl) {}
        self.evict_surplus(now, settings, 0);
    }

    fn evict_surplus(&mut self, now: Timestamp, settings: &RegistrySettings, room: usize) {
        while self.workers.len() + room > settings.entries_max && self.forget_oldest(now, settings.evict_age_min) {}
    }

    /// Forgets the worker not heard of for longest, when that is longer than `age`.
    fn forget_oldest(&mut self, now: Timestamp, age: Duration) -> bool {
        let Some(oldest) = self.by_age.first_entry().filter(|oldest| now.since(oldest.key().0) > age) else {
            return false;
        };
        let key = oldest.remove();
        self.workers.remove(&key);
        true
    }

    /// Workers known, of all namespaces.
    pub fn len(&self) -> usize {
        self.workers.len()
    }

    /// Whether no worker is known.
    pub fn is_empty(&self) -> bool {
        self.workers.is_empty()
    }

    /// What a worker told last.
    pub fn get(&self, namespace: &NamespaceId, instance_key: &str) -> Option<Arc<WorkerHeartbeat>> {
        let key = (namespace.clone(), instance_key.to_owned());
        self.workers.get(&key).map(|worker| Arc::clone(&worker.heartbeat))
    }

    /// Workers that the filter lets through, after instance key `after`, at most `limit`.
    pub fn list(
        &self,
        namespace: &NamespaceId,
        filter: &Filter,
        with_system: bool,
        after: Option<&str>,
        limit: usize,
    ) -> Page {
        let mut found = self.matching(namespace, filter, with_system, after);
        let workers: Vec<_> = found.by_ref().take(limit).cloned().collect();
        let more = found.next().is_some();
        let more_after = workers.last().filter(|_| more).map(|last| last.worker_instance_key.clone());
        Page { workers, more_after }
    }

    /// How many workers the filter lets through.
    pub fn count(&self, namespace: &NamespaceId, filter: &Filter, with_system: bool) -> usize {
        self.matching(namespace, filter, with_system, None).count()
    }

    fn matching<'a>(
        &'a self,
        namespace: &'a NamespaceId,
        filter: &'a Filter,
        with_system: bool,
        after: Option<&str>,
    ) -> impl Iterator<Item = &'a Arc<WorkerHeartbeat>> {
        let from = match after {
            Some(after) => Bound::Excluded((namespace.clone(), after.to_owned())),
            None => Bound::Included((namespace.clone(), String::new())),
        };
        self.workers
            .range((from, Bound::Unbounded))
            .take_while(move |((found, _), _)| found == namespace)
            .filter(move |(_, worker)| (with_system || !worker.system) && filter.matches(&worker.heartbeat))
            .map(|(_, worker)| &worker.heartbeat)
    }
}

#[cfg(test)]
mod tests;
