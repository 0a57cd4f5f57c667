//! For whom an entry holds, and in which order entries are tried.

use std::fmt;

use perdure_proto::api::enums::TaskQueueType;

/// For whom an entry holds. An entry is found only by a look-up for exactly these.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Constraints {
    /// Namespace name.
    pub namespace: Option<String>,
    /// Task queue name.
    pub task_queue: Option<String>,
    /// Task queue type.
    pub task_type: Option<TaskQueueType>,
}

/// What a value is wanted for.
#[derive(Clone, Copy, Debug)]
pub enum At<'a> {
    /// The whole server.
    Server,
    /// A namespace.
    Namespace(&'a str),
    /// A task queue.
    TaskQueue {
        /// Namespace name.
        namespace: &'a str,
        /// Task queue name.
        name: &'a str,
        /// Task queue type.
        kind: TaskQueueType,
    },
}

/// A borrowed [`Constraints`].
type Pattern<'a> = (Option<&'a str>, Option<&'a str>, Option<TaskQueueType>);

impl Constraints {
    /// True when the entry holds for everybody.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    fn is(&self, (namespace, task_queue, task_type): Pattern<'_>) -> bool {
        self.namespace.as_deref() == namespace
            && self.task_queue.as_deref() == task_queue
            && self.task_type == task_type
    }
}

impl At<'_> {
    /// The first entry that holds here: the most specific constraints win, and among equal ones the entry
    /// given first.
    pub(crate) fn find<'e, E>(&self, entries: &'e [E], constraints: impl Fn(&E) -> &Constraints) -> Option<&'e E> {
        if entries.is_empty() {
            return None;
        }
        let everybody: Pattern<'_> = (None, None, None);
        let search = |patterns: &[Pattern<'_>]| {
            patterns.iter().find_map(|pattern| entries.iter().find(|entry| constraints(entry).is(*pattern)))
        };
        match *self {
            Self::Server => search(&[everybody]),
            Self::Namespace(namespace) => search(&[(Some(namespace), None, None), everybody]),
            Self::TaskQueue { namespace, name, kind } => search(&[
                (Some(namespace), Some(name), Some(kind)),
                (Some(namespace), Some(name), None),
                (None, Some(name), None),
                (Some(namespace), None, None),
                everybody,
            ]),
        }
    }
}

impl fmt::Display for Constraints {
    /// In the form a file takes: `{namespace: "a", taskQueueName: "b", taskType: Workflow}`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // JSON text is YAML text, whatever the name holds.
        let quoted = |text: &str| serde_json::Value::from(text).to_string();
        let parts = [
            self.namespace.as_ref().map(|name| format!("namespace: {}", quoted(name))),
            self.task_queue.as_ref().map(|name| format!("taskQueueName: {}", quoted(name))),
            self.task_type.map(|kind| format!("taskType: {kind:?}")),
        ];
        write!(f, "{{{}}}", parts.into_iter().flatten().collect::<Vec<_>>().join(", "))
    }
}
