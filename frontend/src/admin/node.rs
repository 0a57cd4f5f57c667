//! `DescribeNode`.

use perdure_proto::admin;

use super::Admin;

impl Admin {
    pub(super) fn described_node(&self) -> admin::DescribeNodeResponse {
        let facts = (self.node)();
        let (cluster, permits) = (&self.shared.cluster, &self.shared.permits);
        admin::DescribeNodeResponse {
            version: facts.version,
            address: cluster.rpc_address.clone(),
            cluster_name: cluster.cluster_name.clone(),
            cluster_id: cluster.cluster_id.clone(),
            started: Some(facts.started.to_proto()),
            store: cluster.persistence_store.clone(),
            shards: cluster.history_shard_count,
            threads: u32::try_from(facts.threads).unwrap_or(u32::MAX),
            actors: facts.actors as u64,
            task_queues: facts.task_queues as u64,
            requests: permits.in_use() as u64,
            requests_max: permits.limit() as u64,
            resident_bytes: facts.resident_bytes,
            last_check: self.jobs.last_check().map(Into::into),
        }
    }
}
