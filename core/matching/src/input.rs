//! What a partition is told, and what it wants done.

use std::{sync::Arc, time::Duration};

use perdure_kernel::Timestamp;
use perdure_proto::records::QueuedTask;

/// A poll. Numbered by the shell, ascending: the number is the poll's place in line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PollId(pub u64);

/// A request to add a task, waiting for its answer. Numbered by the shell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AskId(pub u64);

/// A query. Numbered by the shell, ascending: the number is the query's place in line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QueryId(pub u64);

/// A poller paired with work, until history has answered. Numbered by the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StartId(pub u64);

/// A task that waits at the parent partition. Numbered by the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ForwardId(pub u64);

/// Where a task stands in the backlog; they are served in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// Index of its priority level.
    pub level: usize,
    /// Its place within the level.
    pub pass: i64,
    /// Unique in the queue, ascending with time.
    pub id: i64,
}

/// A task in the backlog.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredTask {
    /// Its position.
    pub place: Position,
    /// Number of its fairness key: see [`crate::fairness`].
    pub key: u64,
    /// The task.
    pub task: Arc<QueuedTask>,
}

/// What earlier owners left in the backlog, summed up.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BacklogSurvey {
    /// Levels with tasks.
    pub levels: Vec<LevelSurvey>,
}

/// What earlier owners left of a level.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LevelSurvey {
    /// Index of the priority level.
    pub level: usize,
    /// Pass of the first task.
    pub first_pass: i64,
    /// Tasks by time of creation: that of the oldest, and how many.
    pub ages: Vec<(Timestamp, u64)>,
    /// Numbers of fairness keys with their last passes; of many keys those of the greatest.
    pub last_passes: Vec<(u64, i64)>,
}

/// What an operator has set for a queue, as it is for one partition.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct QueueConfig {
    /// Dispatches a second of a fairness key of weight 1; `None` for no limit.
    pub key_rate: Option<f64>,
    /// Weights by the number of the fairness key, in place of those that tasks bring.
    pub weights: std::collections::BTreeMap<u64, f32>,
}

/// What history said about a start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartOutcome {
    /// The start counts; the shell has answered the poll.
    Delivered,
    /// The task is no longer wanted (or can never be started): drop it and let the poller wait on.
    Dropped,
    /// It may work later: keep the task and let the poller wait on.
    Later,
    /// The poller's client had left before anything was asked of history.
    PollerGone,
}

/// How a forwarded poll, task or query ended at the parent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forwarded {
    /// The poll got work (and is answered), the task got a poller, the query an answer.
    Done,
    /// Nothing was found in time.
    Empty,
    /// The parent could not be asked.
    Failed,
}

/// What happens to a partition.
#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    /// The partition came to life.
    Opened,
    /// A worker asks for work.
    PollArrived {
        /// Its number.
        poll: PollId,
        /// When to answer that there was none.
        deadline: Timestamp,
    },
    /// A poll's client left.
    PollGone {
        /// Which poll.
        poll: PollId,
    },
    /// History, or a child partition, offers a task.
    TaskAdded {
        /// Where the acknowledgement goes.
        ask: AskId,
        /// The task.
        task: Arc<QueuedTask>,
        /// Set by a child partition: keep the task in memory until then, never store it.
        until: Option<Timestamp>,
    },
    /// History, or a child partition, asks a worker.
    QueryAdded {
        /// Its number.
        query: QueryId,
        /// When its caller stops waiting.
        deadline: Timestamp,
    },
    /// A worker, or the parent partition, answered a query; the shell has passed the answer on.
    QueryAnswered {
        /// Which query.
        query: QueryId,
    },
    /// History answered a start.
    Started {
        /// Which start.
        start: StartId,
        /// What it said.
        outcome: StartOutcome,
    },
    /// The store granted the lease.
    LeaseAcquired {
        /// The lease's range id.
        range_id: i64,
    },
    /// The store summed up the backlog.
    Surveyed(BacklogSurvey),
    /// The store could not grant the lease.
    LeaseFailed,
    /// The store wrote the tasks of [`Output::Append`].
    Appended,
    /// The store did not write them, or may not have.
    AppendFailed,
    /// The store read a page.
    PageRead {
        /// Tasks of one level, ascending, without those that could not be decoded.
        tasks: Vec<StoredTask>,
        /// Place of the last row; `None` when there were no rows.
        last: Option<Position>,
        /// Whether the page was full, so that more may follow.
        full: bool,
    },
    /// The store could not read, or sum up.
    ReadFailed,
    /// The store deleted finished tasks.
    Acked,
    /// The store could not delete.
    AckFailed,
    /// A forwarded poll came back.
    PollForwarded {
        /// Which poll.
        poll: PollId,
        /// How it ended.
        outcome: Forwarded,
    },
    /// A forwarded task came back.
    TaskForwarded {
        /// Which task.
        forward: ForwardId,
        /// How it ended.
        outcome: Forwarded,
    },
    /// Dispatches a second this partition may make; `None` for no limit, 0 for none at all.
    RateSet(Option<f64>),
    /// What an operator has set.
    Configured(Box<QueueConfig>),
    /// Time passed: see [`crate::QueueMachine::next_wake`].
    Tick,
    /// The partition is about to stop: hand everything back.
    Drain,
}

/// Where a dispatched task came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TaskSource {
    /// Straight from whoever added it.
    Memory,
    /// From the backlog.
    Backlog,
}

/// What a poller is paired with.
#[derive(Clone, Debug, PartialEq)]
pub enum Work {
    /// A task.
    Task {
        /// The task.
        task: Arc<QueuedTask>,
        /// Names the start: the same number for the same task until a start succeeds.
        request: u64,
        /// Where it came from.
        source: TaskSource,
        /// Since it came to this partition's memory.
        waited: Duration,
    },
    /// A query.
    Query {
        /// Which one.
        query: QueryId,
    },
}

/// Why a task is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddRefusal {
    /// Nobody polls the sticky queue.
    StickyWorkerUnavailable,
    /// Too many tasks are waiting to be written.
    Overloaded,
    /// The backlog could not be written; it may hold the task all the same.
    NotStored,
    /// No poller came in the time the child partition gave.
    NoPoller,
    /// The partition stops.
    Stopping,
}

/// Why a query ends without an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QueryRefusal {
    /// Nobody polls the sticky queue.
    StickyWorkerUnavailable,
    /// Nobody polled the queue of late.
    NoPoller,
    /// Its caller's time is over.
    DeadlineExceeded,
    /// Too many queries are under way.
    Overloaded,
    /// The partition stops.
    Stopping,
}

/// What a partition wants done.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// Ask history to record the start; answer with [`Input::Started`].
    Start {
        /// Names the pair.
        start: StartId,
        /// Who gets the work.
        poll: PollId,
        /// The work.
        work: Work,
    },
    /// Tell a poller that there was nothing. Ends a forwarded poll too.
    AnswerPollEmpty {
        /// Which poll.
        poll: PollId,
    },
    /// Tell a poller that too many polls wait.
    RefusePoll {
        /// Which poll.
        poll: PollId,
    },
    /// Acknowledge a task.
    AckAdd {
        /// Whose.
        ask: AskId,
    },
    /// Refuse a task.
    RefuseAdd {
        /// Whose.
        ask: AskId,
        /// Why.
        refusal: AddRefusal,
    },
    /// End a query without an answer.
    FailQuery {
        /// Which query.
        query: QueryId,
        /// Why.
        refusal: QueryRefusal,
    },
    /// Take the lease; answer with [`Input::LeaseAcquired`] or [`Input::LeaseFailed`].
    AcquireLease,
    /// Write to the backlog; answer with [`Input::Appended`] or [`Input::AppendFailed`].
    Append {
        /// Fence.
        range_id: i64,
        /// Ascending by id.
        tasks: Vec<StoredTask>,
    },
    /// Sum up the backlog; answer with [`Input::Surveyed`] or [`Input::ReadFailed`].
    Survey,
    /// Read a level of the backlog; answer with [`Input::PageRead`] or [`Input::ReadFailed`].
    Read {
        /// Tasks of this level behind this place.
        after: Position,
        /// Rows at most.
        limit: usize,
    },
    /// Delete finished tasks; answer with [`Input::Acked`] or [`Input::AckFailed`].
    Ack {
        /// Fence.
        range_id: i64,
        /// Of the levels named: every task up to this place.
        through: Vec<Position>,
    },
    /// Let a poll wait at the parent; answer with [`Input::PollForwarded`].
    ForwardPoll {
        /// Which poll.
        poll: PollId,
    },
    /// Offer a task to the parent; answer with [`Input::TaskForwarded`].
    ForwardTask {
        /// Names it.
        forward: ForwardId,
        /// The task.
        task: Arc<QueuedTask>,
        /// How long the parent keeps it.
        until: Timestamp,
    },
    /// Let a query wait at the parent; pass its answer on and tell [`Input::QueryAnswered`].
    ForwardQuery {
        /// Which query.
        query: QueryId,
    },
    /// A task was dropped because its time was over.
    TaskExpired,
    /// Nothing happened for [`crate::Settings::idle_max`]: the partition may leave memory.
    GoIdle,
}
