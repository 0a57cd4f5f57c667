//! Task queues.

use perdure_kernel::{Limits, ServiceResult};
use perdure_proto::api::{enums::TaskQueueKind, taskqueue::TaskQueue};

use super::invalid;

/// Begins the names of partitions.
pub(crate) const PARTITION_PREFIX: &str = "/_sys/";
/// Begins the names of queues that the server's own per-namespace workers poll.
const PER_NAMESPACE_PREFIX: &str = "temporal-sys-per-ns-";
/// Another queue of the server's own.
const WORKER_CONTROLLER: &str = "temporal-sys-worker-controller-per-ns-tq";

/// Which names are taken.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Names {
    /// Names of whole queues.
    Queues,
    /// Names of their partitions too.
    Partitions,
}

/// Checks a queue that is polled or described, and fills in its kind.
pub(crate) fn normalize<'a>(
    queue: Option<&'a mut TaskQueue>,
    names: Names,
    limits: &Limits,
) -> ServiceResult<&'a TaskQueue> {
    let queue = queue.ok_or_else(|| invalid("taskQueue is not set"))?;
    if queue.kind == i32::from(TaskQueueKind::Unspecified) {
        queue.kind = TaskQueueKind::Normal.into();
    }
    if queue.name.is_empty() {
        return Err(invalid("missing task queue name"));
    }
    check_name(&queue.name, names, limits)?;
    if is_sticky(queue) && !queue.normal_name.is_empty() {
        check_name(&queue.normal_name, Names::Partitions, limits)?;
    }
    Ok(queue)
}

/// Checks the queue that a user gives a workflow.
pub(crate) fn normalize_user_defined(queue: Option<&mut TaskQueue>, limits: &Limits) -> ServiceResult<()> {
    let queue = normalize(queue, Names::Queues, limits)?;
    if queue.name.starts_with(PER_NAMESPACE_PREFIX) || queue.name == WORKER_CONTROLLER {
        return Err(invalid(format!("cannot use internal per-namespace task queue:{}", queue.name)));
    }
    Ok(())
}

/// Whether it is the queue of one worker.
pub(crate) fn is_sticky(queue: &TaskQueue) -> bool {
    queue.kind == i32::from(TaskQueueKind::Sticky)
}

fn check_name(name: &str, names: Names, limits: &Limits) -> ServiceResult<()> {
    if name.len() > limits.id_length_max {
        return Err(invalid("taskQueue length exceeds limit"));
    }
    if names == Names::Queues && name.starts_with(PARTITION_PREFIX) {
        return Err(invalid(format!("task queue name cannot start with reserved prefix {PARTITION_PREFIX}")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        let limits = Limits::default();
        let check = |name: &str| {
            let mut queue = TaskQueue { name: name.into(), ..TaskQueue::default() };
            normalize_user_defined(Some(&mut queue), &limits).map_err(|error| error.message.into_owned())?;
            Ok::<i32, String>(queue.kind)
        };
        assert_eq!(check("orders"), Ok(TaskQueueKind::Normal.into()));
        assert_eq!(check(""), Err("missing task queue name".into()));
        assert_eq!(check(&"x".repeat(1001)), Err("taskQueue length exceeds limit".into()));
        assert_eq!(check("/_sys/x/1"), Err("task queue name cannot start with reserved prefix /_sys/".into()));
        let internal = "temporal-sys-per-ns-tq";
        assert_eq!(check(internal), Err(format!("cannot use internal per-namespace task queue:{internal}")));
    }

    #[test]
    fn sticky_queues_may_name_a_partition_as_their_normal_queue() {
        let mut queue =
            TaskQueue { name: "host:1".into(), kind: TaskQueueKind::Sticky.into(), normal_name: "/_sys/x/1".into() };
        assert!(normalize(Some(&mut queue), Names::Queues, &Limits::default()).is_ok());
        queue.normal_name = "x".repeat(1001);
        assert!(normalize(Some(&mut queue), Names::Queues, &Limits::default()).is_err());
    }
}
