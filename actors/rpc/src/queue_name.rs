//! Names of task queues and their partitions.

use std::{fmt, sync::Arc};

use perdure_kernel::NamespaceId;

/// What kind of tasks a queue holds. Numbers are those of `temporal.api.enums.v1.TaskQueueType`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TaskType {
    /// Workflow tasks and queries.
    Workflow = 1,
    /// Activity tasks.
    Activity = 2,
}

/// How long-lived a queue is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum QueueKind {
    /// Shared by workers, stored, partitioned.
    Normal,
    /// Of one worker process: one partition, never stored.
    Sticky,
}

/// One partition of a task queue.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QueueName {
    /// The queue's namespace.
    pub namespace_id: NamespaceId,
    /// The queue's name, without its partition.
    pub name: Arc<str>,
    /// What it holds.
    pub task_type: TaskType,
    /// Normal or sticky.
    pub kind: QueueKind,
    /// Partition number; 0 is the root.
    pub partition: u32,
}

/// Child partitions that one partition serves: the partitions of a queue form a tree of this degree.
const CHILDREN_MAX: u32 = 20;

/// Prefix of partition names, which users may not give to queues of their own.
const SYSTEM_PREFIX: &str = "/_sys/";

impl QueueName {
    /// The root partition of a normal queue.
    pub fn normal(namespace_id: &NamespaceId, name: &str, task_type: TaskType) -> Self {
        Self { namespace_id: namespace_id.clone(), name: name.into(), task_type, kind: QueueKind::Normal, partition: 0 }
    }

    /// A worker's sticky queue.
    pub fn sticky(namespace_id: &NamespaceId, name: &str) -> Self {
        Self {
            namespace_id: namespace_id.clone(),
            name: name.into(),
            task_type: TaskType::Workflow,
            kind: QueueKind::Sticky,
            partition: 0,
        }
    }

    /// The same queue's partition `partition`.
    pub fn with_partition(&self, partition: u32) -> Self {
        Self { partition, ..self.clone() }
    }

    /// The partition that this one hands polls and tasks to; `None` for a root and for sticky queues.
    pub fn parent(&self) -> Option<Self> {
        (self.partition > 0).then(|| self.with_partition((self.partition - 1) / CHILDREN_MAX))
    }

    /// The partition's name as Temporal writes it: `name` for the root, `/_sys/name/3` below it.
    pub fn rpc_name(&self) -> String {
        match self.partition {
            0 => self.name.to_string(),
            partition => format!("{SYSTEM_PREFIX}{}/{partition}", self.name),
        }
    }

    /// Base name and partition of a name in Temporal's form; `None` when it starts like a partition's
    /// name and is none.
    pub fn parse_rpc_name(text: &str) -> Option<(&str, u32)> {
        let Some(rest) = text.strip_prefix(SYSTEM_PREFIX) else { return Some((text, 0)) };
        let (base, partition) = rest.rsplit_once('/')?;
        let partition = partition.parse().ok().filter(|number| *number > 0)?;
        (!base.is_empty()).then_some((base, partition))
    }
}

impl fmt::Display for QueueName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace_id, self.rpc_name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partitions_form_a_tree() {
        let root = QueueName::normal(&NamespaceId::from("ns"), "orders", TaskType::Workflow);
        assert_eq!(root.parent(), None);
        for (child, parent) in [(1, 0), (20, 0), (21, 1), (40, 1), (41, 2)] {
            assert_eq!(root.with_partition(child).parent(), Some(root.with_partition(parent)), "{child}");
        }
    }

    #[test]
    fn partition_names_go_both_ways() {
        let root = QueueName::normal(&NamespaceId::from("ns"), "orders/eu", TaskType::Activity);
        assert_eq!(QueueName::parse_rpc_name(&root.rpc_name()), Some(("orders/eu", 0)));
        let third = root.with_partition(3);
        assert_eq!(third.rpc_name(), "/_sys/orders/eu/3");
        assert_eq!(QueueName::parse_rpc_name(&third.rpc_name()), Some(("orders/eu", 3)));
        for bad in ["/_sys/", "/_sys/x", "/_sys/x/0", "/_sys/x/y", "/_sys//1"] {
            assert_eq!(QueueName::parse_rpc_name(bad), None, "{bad}");
        }
    }
}
