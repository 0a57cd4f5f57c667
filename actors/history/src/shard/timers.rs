//! The timer queue: which run wakes when.
//!
//! Rows that are due soon are in memory; when there are too many, the latest are left to the store and
//! read when their turn comes. A shard without distant timers reads nothing.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use perdure_execution::{Env, workflow::timers::Woken};
use perdure_kernel::{Archetype, BusinessKey, ExecutionKey, Timestamp};
use perdure_persistence::{StoreError, shard::TimerRow};
use perdure_proto::records;
use perdure_runtime::Ctx;
use prost::Message;

use super::{Shard, holder::Holder, immediate::execution_key, message::ShardMsg, run::Run, work::Job};

/// Rows read at a time.
pub(super) const PAGE: usize = 2_500;

/// Rows kept in memory.
const ROWS_MAX: usize = 5_000;

/// Below so many rows in memory the next page is read.
const ROWS_LOW: usize = 500;

/// Timers fired before other messages get their turn.
const FIRES_PER_TICK_MAX: usize = 1_000;

/// Wait before timers of a namespace that is not known here are tried again.
pub(super) const UNKNOWN_NAMESPACE_DELAY: Duration = Duration::from_secs(1);

/// Wait before the deletion of a run that is starting a child is tried again.
const CHILD_START_DELAY: Duration = Duration::from_millis(100);

/// Wait before a page is read again after the store failed.
const READ_RETRY_DELAY: Duration = Duration::from_secs(1);

/// Position of a timer: when, and which.
type Entry = (Timestamp, i64);

/// Later than every entry.
const END: Entry = (Timestamp::MAX, i64::MAX);

/// Timers in memory.
pub(super) struct TimerQueue {
    entries: BTreeMap<Entry, Pending>,
    /// Stored rows before this are all in memory.
    horizon: Entry,
    /// Stored rows that fired and are being worked off.
    firing: BTreeSet<Entry>,
    /// Rows that are on their way to the store.
    staged: BTreeSet<Entry>,
    finished: usize,
    reading: bool,
    /// When the next page may be read: later than now after the store failed.
    read_at: Timestamp,
}

struct Pending {
    key: ExecutionKey,
    stored: bool,
    /// The timer that could not be worked off and is tried again.
    again: Option<Entry>,
}

impl Pending {
    fn stored(key: ExecutionKey) -> Self {
        Self { key, stored: true, again: None }
    }
}

impl Default for TimerQueue {
    fn default() -> Self {
        Self {
            entries: BTreeMap::new(),
            horizon: END,
            firing: BTreeSet::new(),
            staged: BTreeSet::new(),
            finished: 0,
            reading: false,
            read_at: Timestamp::EPOCH,
        }
    }
}

impl TimerQueue {
    /// Takes in the first page that an earlier owner left.
    pub(super) fn resume(&mut self, rows: Vec<TimerRow>, page: usize) {
        let full = rows.len() >= page;
        let mut last = None;
        for row in rows {
            last = Some((row.fire_at, row.id));
            self.take_row(row);
        }
        self.horizon = match last {
            Some((at, id)) if full => (at, id + 1),
            Some(_) | None => END,
        };
    }

    fn take_row(&mut self, row: TimerRow) {
        let execution = records::WakeTask::decode(row.task).ok().and_then(|task| task.execution);
        match execution {
            Some(execution) => {
                self.entries.insert((row.fire_at, row.id), Pending::stored(execution_key(&execution)));
            }
            None => tracing::error!(id = row.id, "timer row is damaged"),
        }
    }

    /// Notes a row that goes to the store: no range may delete it before it is known to be there.
    pub(super) fn stage(&mut self, entry: Entry) {
        self.staged.insert(entry);
    }

    /// Adds a timer whose row is in the store.
    pub(super) fn insert_stored(&mut self, fire_at: Timestamp, id: i64, key: ExecutionKey) {
        self.staged.remove(&(fire_at, id));
        // The page that is being read may miss it.
        if (fire_at, id) >= self.horizon && !self.reading {
            return;
        }
        self.entries.insert((fire_at, id), Pending::stored(key));
        if self.entries.len() > ROWS_MAX && !self.reading {
            let latest = self.entries.iter().rev().find(|(_, pending)| pending.stored).map(|(entry, _)| *entry);
            if let Some(entry) = latest {
                self.entries.remove(&entry);
                self.horizon = entry;
            }
        }
    }

    /// Adds a timer that is in memory only.
    pub(super) fn insert_volatile(&mut self, entry: Entry, key: ExecutionKey) {
        self.entries.insert(entry, Pending { key, stored: false, again: None });
    }

    /// Lets a timer that fired but could not be worked off fire again. Its row, if it has one, stays.
    pub(super) fn postpone(&mut self, entry: Entry, until: Timestamp, key: ExecutionKey) {
        self.entries.insert((until, entry.1), Pending { key, stored: false, again: Some(entry) });
    }

    /// Takes a timer back.
    pub(super) fn remove(&mut self, entry: Entry) {
        if self.entries.remove(&entry).is_some_and(|pending| pending.stored) {
            self.finished += 1;
        }
    }

    /// Timers in memory, when the first of them is due, and until when all stored ones are among them (`None`:
    /// all are).
    pub(super) fn describe(&self) -> (usize, Option<Timestamp>, Option<Timestamp>) {
        (self.entries.len(), self.first_due(), (self.horizon < END).then_some(self.horizon.0))
    }

    /// When the next timer is due, or the next page of them.
    pub(super) fn next_due(&self) -> Option<Timestamp> {
        let page = self.wants_page().then_some(self.read_at);
        self.first_due().into_iter().chain(page).min()
    }

    fn first_due(&self) -> Option<Timestamp> {
        self.entries.first_key_value().map(|((at, _), _)| *at)
    }

    /// The instant before which all rows are finished, once that is worth a write. Never later than `now`.
    pub(super) fn take_ack(&mut self, worth: usize, now: Timestamp) -> Option<Timestamp> {
        if self.finished < worth {
            return None;
        }
        self.finished = 0;
        let pending = self.entries.iter().find(|(_, pending)| pending.stored).map(|(entry, _)| *entry);
        let open = [pending, self.firing.first().copied(), self.staged.first().copied(), Some(self.horizon)];
        open.into_iter().flatten().min().map(|(at, _)| at.min(now))
    }

    fn pop_due(&mut self, now: Timestamp) -> Option<(Entry, ExecutionKey)> {
        if self.first_due().is_none_or(|at| at > now) {
            return None;
        }
        let (entry, pending) = self.entries.pop_first()?;
        let entry = pending.again.unwrap_or(entry);
        if pending.stored {
            self.firing.insert(entry);
        }
        Some((entry, pending.key))
    }

    /// A timer that fired is worked off: its row is not needed any more.
    pub(super) fn finish(&mut self, entry: Entry) {
        if self.firing.remove(&entry) {
            self.finished += 1;
        }
    }

    fn wants_page(&self) -> bool {
        !self.reading && self.horizon < END && self.entries.len() < ROWS_LOW
    }
}

impl Shard {
    /// Wakes the runs whose time has come.
    pub(super) fn fire_timers(&mut self, now: Timestamp, ctx: &mut Ctx<Self>) {
        for _ in 0..FIRES_PER_TICK_MAX {
            let Some((entry, key)) = self.timers.pop_due(now) else { break };
            self.submit(Job::Wake { key, entry }, ctx);
        }
        if self.timers.wants_page() && self.timers.read_at <= now {
            self.timers.reading = true;
            let (store, shard, (at, id)) = (self.store.clone(), self.id, self.timers.horizon);
            let page = async move { store.read_timers(shard, (at, id - 1), Timestamp::MAX, PAGE).await };
            let epoch = self.epoch;
            ctx.spawn_io(page, move |rows| ShardMsg::TimersRead { epoch, rows });
        }
    }

    /// A page of rows came.
    pub(super) fn timers_read(&mut self, rows: Result<Vec<TimerRow>, StoreError>, now: Timestamp) {
        self.timers.reading = false;
        match rows {
            Ok(rows) => self.timers.resume(rows, PAGE),
            Err(error) => {
                tracing::warn!(shard = %self.id, %error, "timers cannot be read; trying again");
                self.timers.read_at = now + READ_RETRY_DELAY;
            }
        }
    }

    /// A run's time has come: it sees what is due.
    pub(super) fn wake(
        &mut self,
        key: &BusinessKey,
        holder: &mut Holder,
        found: Option<usize>,
        entry: Entry,
        ctx: &Ctx<Self>,
    ) {
        if key.archetype != Archetype::WORKFLOW {
            return self.wake_actor(key, holder, found, entry, ctx);
        }
        let Some(index) = found.filter(|index| is_expected(&holder.runs[*index], entry)) else {
            // The run is gone, or waits for another instant by now.
            return self.timers.finish(entry);
        };
        let Some(namespace) = self.namespaces.by_id(&key.namespace_id) else {
            let again = ctx.now() + UNKNOWN_NAMESPACE_DELAY;
            return self.timers.postpone(entry, again, holder.runs[index].state.key.clone());
        };
        let run = &mut holder.runs[index];
        if !run.state.is_open() && self.immediate.starts_child_of(&run.run_id) {
            // The child would wait for ever for a parent that is gone: what has begun ends first.
            let again = ctx.now() + CHILD_START_DELAY;
            return self.timers.postpone(entry, again, run.state.key.clone());
        }
        let stored = run.state.volatile.run.wake_id == entry.1;
        if stored {
            run.state.volatile.run.wake_at = 0;
            run.state.volatile.run.wake_id = 0;
        } else {
            run.volatile_wake = None;
        }
        let mut env = Env { now: ctx.now(), namespace: &namespace, random: &mut self.random };
        match perdure_execution::workflow::timers::decide(&run.state, &mut env) {
            Woken::Changed(transition) => {
                let after = move |shard: &mut Self, _: perdure_kernel::ServiceResult<()>, _: &mut Ctx<Self>| {
                    shard.timers.finish(entry);
                };
                self.commit(key, holder, index, *transition, Box::new(after), ctx);
            }
            // What it waits for lies further ahead: the store must know before the old row goes.
            Woken::TooEarly if stored && run.state.next_deadline().is_some() => {
                let after = move |shard: &mut Self, _: perdure_kernel::ServiceResult<()>, _: &mut Ctx<Self>| {
                    shard.timers.finish(entry);
                };
                self.stage(key, holder, index, Vec::new(), None, Box::new(after));
            }
            Woken::TooEarly => {
                self.timers.finish(entry);
                self.arm_volatile_wake(&mut holder.runs[index]);
            }
            Woken::Delete => {
                let after = move |shard: &mut Self, _: perdure_kernel::ServiceResult<()>, _: &mut Ctx<Self>| {
                    shard.timers.finish(entry);
                };
                metrics::counter!("workflow_cleanup_delete").increment(1);
                self.stage_delete(key, holder, index, Box::new(after));
            }
        }
    }

    /// A start that is in memory only has a timeout that is in memory only.
    pub(super) fn arm_volatile_wake(&mut self, run: &mut Run) {
        let Some((at, _)) = run.state.next_deadline() else { return };
        let stored = Timestamp::from_nanos(run.state.volatile.run.wake_at);
        let earlier = (!stored.is_unset() && stored <= at) || run.volatile_wake.is_some_and(|(armed, _)| armed <= at);
        let Some(lease) = self.lease.as_mut().filter(|_| !earlier) else { return };
        let entry = (at, lease.take_id());
        if let Some(before) = run.volatile_wake.replace(entry) {
            self.timers.remove(before);
        }
        self.timers.insert_volatile(entry, run.state.key.clone());
    }

    /// Takes back the timers of runs that leave memory. What is stored stays.
    pub(super) fn forget_wakes(&mut self, holder: &Holder) {
        for wake in holder.runs.iter().filter_map(|run| run.volatile_wake) {
            self.timers.remove(wake);
        }
    }
}

/// Whether the run still waits for this entry.
fn is_expected(run: &Run, (_, id): Entry) -> bool {
    run.state.volatile.run.wake_id == id || run.volatile_wake.is_some_and(|(_, armed)| armed == id)
}

#[cfg(test)]
mod tests {
    use perdure_kernel::NamespaceId;

    use super::*;

    fn key() -> ExecutionKey {
        ExecutionKey::workflow(&NamespaceId::from("ns"), "order", "run")
    }

    fn row(second: i64) -> TimerRow {
        let task = records::WakeTask { execution: Some(super::super::immediate::execution_ref(&key())) };
        TimerRow { fire_at: at(second), id: second, task: task.encode_to_vec().into() }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::EPOCH + Duration::from_secs(u64::try_from(second).unwrap_or(0))
    }

    fn fire(queue: &mut TimerQueue, now: Timestamp) -> Vec<i64> {
        std::iter::from_fn(|| queue.pop_due(now)).map(|((_, id), _)| id).collect()
    }

    #[test]
    fn rows_beyond_the_horizon_are_left_to_the_store_but_not_while_a_page_is_read() {
        let mut queue = TimerQueue::default();
        queue.resume(vec![row(1), row(2), row(3)], 3);
        queue.insert_stored(at(10), 10, key());
        assert_eq!(queue.first_due(), Some(at(1)));
        assert_eq!(fire(&mut queue, at(9)), [1, 2, 3]);
        // The page was read before row 12 was written: it is not on it.
        queue.reading = true;
        queue.insert_stored(at(12), 12, key());
        queue.resume(vec![row(10), row(11), row(13)], 3);
        assert_eq!(fire(&mut queue, at(20)), [10, 11, 12, 13]);
    }

    #[test]
    fn ranges_spare_what_is_pending_firing_or_on_its_way() {
        let mut queue = TimerQueue::default();
        let end = |queue: &mut TimerQueue, entry| {
            queue.finish(entry);
            queue.take_ack(0, at(100))
        };
        queue.resume((1..=4).map(row).collect(), 10);
        fire(&mut queue, at(3));
        queue.stage((at(2), 99));
        assert_eq!(end(&mut queue, (at(3), 3)), Some(at(1)));
        assert_eq!(end(&mut queue, (at(1), 1)), Some(at(2)));
        assert_eq!(end(&mut queue, (at(2), 2)), Some(at(2)), "a row is on its way");
        queue.insert_stored(at(2), 99, key());
        fire(&mut queue, at(3));
        assert_eq!(end(&mut queue, (at(2), 99)), Some(at(4)));
        fire(&mut queue, at(4));
        assert_eq!(end(&mut queue, (at(4), 4)), Some(at(100)), "never beyond the present");
    }

    #[test]
    fn a_postponed_timer_fires_again_under_its_own_name() {
        let mut queue = TimerQueue::default();
        queue.resume(vec![row(1)], 10);
        assert_eq!(fire(&mut queue, at(1)), [1]);
        queue.postpone((at(1), 1), at(5), key());
        assert_eq!(queue.take_ack(0, at(100)), Some(at(1)), "its row stays");
        assert_eq!(queue.pop_due(at(5)).map(|(entry, _)| entry), Some((at(1), 1)));
        queue.finish((at(1), 1));
        assert_eq!(queue.take_ack(0, at(100)), Some(at(100)));
    }
}
