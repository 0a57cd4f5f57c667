//! What a queue tells about itself: its own partition's share, and the sum over partitions.

use std::{collections::BTreeMap, time::Duration};

use perdure_kernel::{ServiceResult, time};
use perdure_proto::api::{
    enums::{BuildIdTaskReachability, DescribeTaskQueueMode},
    taskqueue::{
        PollerInfo, TaskQueueStats, TaskQueueStatus, TaskQueueTypeInfo, TaskQueueVersionInfo, TaskQueueVersioningInfo,
    },
    workflowservice as ws,
};
use perdure_rpc::{Ask, Caller, MatchingClient, QueueKind, QueueName, TaskType, matching::DescribeQueue};
use perdure_runtime::Ctx;

use super::{DESCRIBES_WAITING_MAX, Msg, TaskQueue};

type DescribeAsk = Ask<DescribeQueue, Box<ws::DescribeTaskQueueResponse>>;

impl TaskQueue {
    pub(super) fn describe(&mut self, ask: DescribeAsk, ctx: &mut Ctx<Self>) {
        // Before the backlog's first page is read it would look empty.
        if self.machine.is_loaded() || self.describes.len() >= DESCRIBES_WAITING_MAX {
            self.answer_describe(ask, ctx);
        } else {
            self.describes.push(ask);
        }
        // A caller may have brought new settings with it.
        self.feed(perdure_task_queue::Input::Tick, ctx);
    }

    pub(super) fn answer_describes(&mut self, ctx: &mut Ctx<Self>) {
        for ask in std::mem::take(&mut self.describes) {
            self.answer_describe(ask, ctx);
        }
    }

    fn answer_describe(&self, ask: DescribeAsk, ctx: &mut Ctx<Self>) {
        let DescribeAsk { caller, request: DescribeQueue { request, .. }, reply, permit } = ask;
        let client = self.shared.matching.clone();
        let name = self.name.clone();
        if request.api_mode == DescribeTaskQueueMode::Enhanced as i32 {
            ctx.spawn_io(
                async move {
                    reply.send(describe_types(&client, &name, &caller, request).await.map(Box::new));
                    drop(permit);
                },
                |()| Msg::Described,
            );
            return;
        }
        let own = self.own_description(&request, ctx);
        let partitions = self.settings.partitions();
        if name.partition != 0 || name.kind == QueueKind::Sticky || partitions == 1 {
            return reply.send(Ok(Box::new(own)));
        }
        ctx.spawn_io(
            async move {
                reply.send(describe_partitions(&client, &name, &caller, request, own, partitions).await.map(Box::new));
                drop(permit);
            },
            |()| Msg::Described,
        );
    }

    // The status is deprecated in the API, but what older clients ask for.
    #[allow(deprecated)]
    fn own_description(
        &self,
        request: &ws::DescribeTaskQueueRequest,
        ctx: &Ctx<Self>,
    ) -> ws::DescribeTaskQueueResponse {
        let description = self.machine.describe(ctx.now());
        let rate = self.effective_rate();
        let mut response = ws::DescribeTaskQueueResponse { pollers: description.pollers, ..Default::default() };
        if request.report_stats {
            let mut total = TaskQueueStats::default();
            description.stats.values().for_each(|stats| merge_stats(&mut total, stats));
            response.stats = Some(total);
            response.stats_by_priority_key = description.stats;
        }
        if request.report_config {
            response.config = self.shown_config();
        }
        if request.include_task_queue_status {
            let rate_per_second = f64::from(rate.requests_per_second);
            response.task_queue_status = Some(TaskQueueStatus { rate_per_second, ..description.status });
        }
        response.effective_rate_limit = Some(rate);
        if self.name.kind == QueueKind::Normal {
            response.versioning_info = Some(unversioned());
        }
        response
    }
}

/// What Temporal tells of a queue without versions.
#[allow(deprecated)]
fn unversioned() -> TaskQueueVersioningInfo {
    TaskQueueVersioningInfo {
        current_version: "__unversioned__".to_owned(),
        // The first instant of the year 1.
        update_time: Some(perdure_proto::Timestamp { seconds: -62_135_596_800, nanos: 0 }),
        ..TaskQueueVersioningInfo::default()
    }
}

/// The sum over all partitions of a root's queue.
async fn describe_partitions(
    client: &MatchingClient,
    root: &QueueName,
    caller: &Caller,
    request: ws::DescribeTaskQueueRequest,
    own: ws::DescribeTaskQueueResponse,
    partitions: u32,
) -> ServiceResult<ws::DescribeTaskQueueResponse> {
    let mut sum = own;
    for partition in 1..partitions {
        let queue = root.with_partition(partition);
        let ask = DescribeQueue { queue: queue.clone(), request: request.clone() };
        let part = client.ask_partition(&queue, caller.clone(), ask).await?;
        merge(&mut sum, *part);
    }
    Ok(sum)
}

/// The types that Temporal tells of in the enhanced mode, where no Nexus queues are.
const TYPES: [TaskType; 2] = [TaskType::Workflow, TaskType::Activity];

/// The enhanced mode: every asked type of every asked version. Only the unversioned queue has pollers and tasks; no
/// version is active beside it, and `all_active` does not mean it.
// Deprecated in the API, but what older clients ask for.
#[allow(deprecated)]
async fn describe_types(
    client: &MatchingClient,
    name: &QueueName,
    caller: &Caller,
    request: ws::DescribeTaskQueueRequest,
) -> ServiceResult<ws::DescribeTaskQueueResponse> {
    use BuildIdTaskReachability::{Reachable, Unreachable};
    let wanted: Vec<TaskType> = TYPES
        .into_iter()
        .filter(|kind| request.task_queue_types.is_empty() || request.task_queue_types.contains(&(*kind as i32)))
        .collect();
    let build_ids = request.versions.as_ref().map_or(&[][..], |versions| &versions.build_ids);
    let unversioned = request.versions.as_ref().is_none_or(|versions| versions.unversioned);
    let reachability = |is: BuildIdTaskReachability| if request.report_task_reachability { is.into() } else { 0 };

    let mut versions_info = BTreeMap::new();
    for build_id in build_ids.iter().filter(|build_id| !build_id.is_empty()) {
        let stats = request.report_stats.then(|| TaskQueueStats {
            approximate_backlog_age: Some(time::span_to_proto(Duration::ZERO)),
            ..Default::default()
        });
        let none = TaskQueueTypeInfo { pollers: Vec::new(), stats };
        let types_info = wanted.iter().map(|kind| (*kind as i32, none.clone())).collect();
        let info = TaskQueueVersionInfo { types_info, task_reachability: reachability(Unreachable) };
        versions_info.insert(build_id.clone(), info);
    }
    if unversioned || build_ids.iter().any(String::is_empty) {
        let mut types_info = BTreeMap::new();
        for task_type in wanted {
            let queue = QueueName { task_type, ..name.clone() };
            let plain = ws::DescribeTaskQueueRequest {
                api_mode: DescribeTaskQueueMode::Unspecified.into(),
                task_queue_type: task_type as i32,
                report_stats: request.report_stats,
                ..Default::default()
            };
            let ask = DescribeQueue { queue: queue.clone(), request: plain };
            let part = client.ask_partition(&queue, caller.clone(), ask).await?;
            let pollers = if request.report_pollers { part.pollers } else { Vec::new() };
            types_info.insert(task_type as i32, TaskQueueTypeInfo { pollers, stats: part.stats });
        }
        let info = TaskQueueVersionInfo { types_info, task_reachability: reachability(Reachable) };
        versions_info.insert(String::new(), info);
    }
    Ok(ws::DescribeTaskQueueResponse { versions_info, ..Default::default() })
}

// As above.
#[allow(deprecated)]
fn merge(sum: &mut ws::DescribeTaskQueueResponse, part: ws::DescribeTaskQueueResponse) {
    merge_pollers(&mut sum.pollers, part.pollers);
    if let Some(stats) = part.stats {
        merge_stats(sum.stats.get_or_insert_default(), &stats);
    }
    for (key, stats) in part.stats_by_priority_key {
        merge_stats(sum.stats_by_priority_key.entry(key).or_default(), &stats);
    }
    if let Some(status) = part.task_queue_status {
        // Levels and ids are a partition's own: those of the root are shown.
        let total: &mut TaskQueueStatus = sum.task_queue_status.get_or_insert_default();
        total.backlog_count_hint += status.backlog_count_hint;
    }
    if sum.effective_rate_limit.is_none() {
        sum.effective_rate_limit = part.effective_rate_limit;
    }
}

/// A worker that polls several partitions is shown once, as last seen.
fn merge_pollers(sum: &mut Vec<PollerInfo>, part: Vec<PollerInfo>) {
    let mut latest: BTreeMap<String, PollerInfo> = BTreeMap::new();
    let age = |poller: &PollerInfo| poller.last_access_time.map(|at| (at.seconds, at.nanos));
    for poller in std::mem::take(sum).into_iter().chain(part) {
        match latest.get(&poller.identity) {
            Some(known) if age(known) >= age(&poller) => {}
            Some(_) | None => {
                latest.insert(poller.identity.clone(), poller);
            }
        }
    }
    sum.extend(latest.into_values());
}

fn merge_stats(sum: &mut TaskQueueStats, part: &TaskQueueStats) {
    let age = time::span(sum.approximate_backlog_age.as_ref()).max(time::span(part.approximate_backlog_age.as_ref()));
    sum.approximate_backlog_count += part.approximate_backlog_count;
    sum.approximate_backlog_age = Some(time::span_to_proto(age));
    sum.tasks_add_rate += part.tasks_add_rate;
    sum.tasks_dispatch_rate += part.tasks_dispatch_rate;
    sum.rate_limiting_active |= part.rate_limiting_active;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn poller(identity: &str, seconds: i64) -> PollerInfo {
        let last_access_time = Some(perdure_proto::Timestamp { seconds, nanos: 0 });
        PollerInfo { identity: identity.to_owned(), last_access_time, ..PollerInfo::default() }
    }

    #[test]
    fn a_worker_is_shown_once_as_last_seen() {
        let mut sum = vec![poller("a", 5), poller("b", 1)];
        merge_pollers(&mut sum, vec![poller("b", 3), poller("a", 2), poller("c", 4)]);
        assert_eq!(sum, vec![poller("a", 5), poller("b", 3), poller("c", 4)]);
    }
}
