//! `perdure describe`.

use perdure_proto::admin::{
    self, DescribeNamespaceRequest, DescribeNodeRequest, DescribeQueueRequest, DescribeShardRequest,
};

use super::{
    client::{connect, refused},
    facts::{Fact, Facts},
    flags::{DescribeOptions, Subject},
    print,
};
use crate::StartError;

pub(super) async fn describe(options: DescribeOptions) -> Result<(), StartError> {
    let DescribeOptions { subject, address, json } = options;
    let mut client = connect(&address).await?;
    let facts = match subject {
        Subject::Shard { number, workflow_id, namespace } => {
            let workflow_id = workflow_id.unwrap_or_default();
            let request = DescribeShardRequest { shard: number.unwrap_or_default(), namespace, workflow_id };
            client.describe_shard(request).await.map(|answer| shard(answer.into_inner()))
        }
        Subject::Queue { name, namespace } => {
            let request = DescribeQueueRequest { namespace, name };
            client.describe_queue(request).await.map(|answer| queue(answer.into_inner()))
        }
        Subject::Namespace { name } => {
            let request = DescribeNamespaceRequest { namespace: name };
            client.describe_namespace(request).await.map(|answer| namespace(answer.into_inner()))
        }
        Subject::Node => client.describe_node(DescribeNodeRequest {}).await.map(|answer| node(answer.into_inner())),
    };
    let facts = facts.map_err(|status| refused(&address, &status))?;
    print(&if json { facts.json().to_string() } else { facts.text() });
    Ok(())
}

fn shard(shard: admin::DescribeShardResponse) -> Facts {
    let range = |range: admin::TokenRange| {
        let token = |token: u32| format!("{token:#010x}");
        Facts::default().with("First", token(range.first)).with("Last", token(range.last))
    };
    let lease = match shard.range_id {
        0 => "waits for its lease".to_owned(),
        id => id.to_string(),
    };
    Facts::default()
        .with("Shard", shard.shard)
        .with("Share of ids", Fact::Share(shard.share))
        .with("Owner", shard.owner)
        .with("Range id", lease)
        .with("Started anew", shard.renewals)
        .with("Executions in memory", shard.executions)
        .with("Cache", Fact::Bytes(shard.cache_bytes))
        .with("Cache at most", Fact::Bytes(shard.cache_bytes_max))
        .with("Immediate tasks", shard.tasks)
        .with("Timers in memory", shard.timers)
        .with("Next timer", shard.next_timer)
        .with("Timers in memory until", shard.timer_horizon)
        .with("Long polls", shard.long_polls)
        .with("Requests waiting", shard.waiting)
        .with("Commit under way for", shard.commit_age)
        .with("Token ranges", shard.ranges.into_iter().map(range).collect::<Vec<_>>())
}

fn queue(queue: admin::DescribeQueueResponse) -> Facts {
    let mut pollers = Vec::new();
    let mut partitions = Vec::new();
    for part in queue.partitions {
        for poller in &part.pollers {
            pollers.push(
                Facts::default()
                    .with("Type", part.r#type.as_str())
                    .with("Partition", part.partition)
                    .with("Identity", poller.identity.as_str())
                    .with("Last seen", poller.last_seen),
            );
        }
        partitions.push(
            Facts::default()
                .with("Type", part.r#type)
                .with("Partition", part.partition)
                .with("Backlog", u64::try_from(part.backlog).unwrap_or_default())
                .with("Age", part.backlog_age)
                .with("Added", Fact::Rate(part.added_per_second.into()))
                .with("Dispatched", Fact::Rate(part.dispatched_per_second.into()))
                .with("Rate limit", Fact::Rate(part.rate_limit.into())),
        );
    }
    Facts::default()
        .with("Task queue", queue.name)
        .with("Namespace", queue.namespace)
        .with("Partitions", partitions)
        .with("Pollers", pollers)
}

fn namespace(namespace: admin::DescribeNamespaceResponse) -> Facts {
    let count = |count: admin::Count| Facts::default().with("Status", count.name).with("Count", count.count);
    let facts = Facts::default()
        .with("Namespace", namespace.name)
        .with("Id", namespace.id)
        .with("State", namespace.state)
        .with("Retention", namespace.retention)
        .with("Search attributes", namespace.search_attributes)
        .with("Workflow rules", namespace.workflow_rules)
        .with("Standalone activities", namespace.standalone_activities);
    let facts = match namespace.deletion {
        None => facts,
        Some(deletion) => facts
            .with("Name before deletion", deletion.former_name)
            .with("Deletion asked for", deletion.requested_at)
            .with("Removed not before", deletion.remove_at)
            .with("Deletion", deletion.stage)
            .with("Executions removed", deletion.removed)
            .with("Executions left", deletion.left)
            .with("Last failure", Some(deletion.trouble).filter(|trouble| !trouble.is_empty())),
    };
    facts.with("Workflows", namespace.workflows.into_iter().map(count).collect::<Vec<_>>())
}

fn node(node: admin::DescribeNodeResponse) -> Facts {
    let check = node.last_check;
    Facts::default()
        .with("Version", node.version)
        .with("Address", node.address)
        .with("Cluster", node.cluster_name)
        .with("Cluster id", node.cluster_id)
        .with("Started", node.started)
        .with("Store", node.store)
        .with("Shards", node.shards)
        .with("Threads", node.threads)
        .with("Actors", node.actors)
        .with("Task queue partitions", node.task_queues)
        .with("Requests in flight", node.requests)
        .with("Requests at most", node.requests_max)
        .with("Memory", Fact::Bytes(node.resident_bytes))
        .with("Last check", check.as_ref().and_then(|check| check.ended))
        .with("Runs checked", check.as_ref().map(|check| check.runs))
        .with("Findings", check.as_ref().map(|check| check.findings))
        .with("Repaired", check.as_ref().map(|check| check.repaired))
}
