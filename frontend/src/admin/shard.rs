//! `DescribeShard`.

use std::sync::Arc;

use perdure_kernel::{BusinessKey, ServiceError, ServiceResult, ShardId, ShardMap, time::span_to_proto};
use perdure_proto::admin;

use super::Admin;

/// All tokens.
const TOKENS: f64 = 4_294_967_296.0;

impl Admin {
    pub(super) async fn shard(
        &self,
        request: admin::DescribeShardRequest,
    ) -> ServiceResult<admin::DescribeShardResponse> {
        let map = self.shared.history.shard_map();
        let id = if request.shard != 0 {
            ShardId(request.shard)
        } else if request.workflow_id.is_empty() {
            return Err(ServiceError::invalid_argument("name a shard by its number, or a workflow that it holds"));
        } else {
            let namespace = self.namespace(&request.namespace).await?;
            map.shard_of(&BusinessKey::workflow(&namespace.id, &request.workflow_id))
        };
        let ranges = ranges(&map, id);
        if ranges.is_empty() {
            let numbers: Vec<u32> = map.shards().map(|shard| shard.0).collect();
            let (first, last) = (numbers.iter().min(), numbers.iter().max());
            let text = format!(
                "there is no shard {id}; shards are {} to {}",
                first.copied().unwrap_or_default(),
                last.copied().unwrap_or_default()
            );
            return Err(ServiceError::not_found(text));
        }
        let shard = self.shared.history.describe_shard(id, Self::caller(Arc::clone(&self.shared.no_namespace))).await?;
        let tokens: f64 = ranges.iter().map(|range| f64::from(range.last) - f64::from(range.first) + 1.0).sum();
        Ok(admin::DescribeShardResponse {
            shard: id.0,
            share: tokens / TOKENS,
            ranges,
            owner: shard.owner,
            range_id: shard.range_id.unwrap_or_default(),
            renewals: shard.renewals,
            executions: shard.executions as u64,
            cache_bytes: shard.cache_bytes as u64,
            cache_bytes_max: shard.cache_bytes_max as u64,
            tasks: shard.tasks as u64,
            timers: shard.timers as u64,
            next_timer: shard.next_timer.map(|at| at.to_proto()),
            timer_horizon: shard.timer_horizon.map(|at| at.to_proto()),
            long_polls: shard.long_polls as u64,
            waiting: shard.waiting as u64,
            commit_age: shard.commit_age.map(span_to_proto),
        })
    }
}

/// The token ranges that a shard holds, each with its last token.
fn ranges(map: &ShardMap, id: ShardId) -> Vec<admin::TokenRange> {
    let all = map.ranges();
    let last = |index: usize| all.get(index + 1).map_or(u32::MAX, |(next, _)| next.saturating_sub(1));
    let held = all.iter().enumerate().filter(|(_, (_, shard))| *shard == id);
    held.map(|(index, (first, _))| admin::TokenRange { first: *first, last: last(index) }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_end_where_the_next_begins() {
        let map = ShardMap::uniform(4);
        let range = |first, last| admin::TokenRange { first, last };
        assert_eq!(ranges(&map, ShardId(1)), [range(0, 0x3fff_ffff)]);
        assert_eq!(ranges(&map, ShardId(4)), [range(0xc000_0000, u32::MAX)]);
        assert_eq!(ranges(&map, ShardId(5)), []);
    }
}
