//! What waits to be written to a visibility store beside the main database.
//!
//! An entry is a run, not a row: what lists show of it is asked for when its turn comes, so many changes of one
//! run become one row. Its task stays in the main database until the row is written.

use std::{
    collections::{BTreeSet, HashMap, HashSet, VecDeque},
    sync::Arc,
    time::Duration,
};

use perdure_kernel::{ExecutionKey, Random, Timestamp, backoff};
use perdure_persistence::{VisibilityChange, VisibilityWriter};
use tokio::sync::watch;

/// Rows in one write.
const BATCH_MAX: usize = 256;

/// Tasks that were left to the store are read when so small a part of the room is used.
const LOW_PART: usize = 5;

/// Wait after a write failed; it doubles with every failure in a row.
const RETRY_INITIAL: Duration = Duration::from_millis(100);

/// Longest such wait.
const RETRY_MAX: Duration = Duration::from_secs(10);

/// Share of the wait that jitter may take away.
const RETRY_JITTER: f64 = 0.2;

/// A shard's visibility queue. Without a writer it is always empty: rows go with the commits.
pub(in crate::shard) struct VisibilityQueue {
    pub(super) writer: Option<Arc<dyn VisibilityWriter>>,
    /// Tasks in memory whose commits are durable.
    held: HashMap<i64, Held>,
    /// As many as there may be. Beyond it tasks are left to the store, and read again when there is room.
    held_max: usize,
    /// Those whose turn has not come, in order.
    waiting: VecDeque<i64>,
    /// Runs of the waiting ones: what changes of them meanwhile needs no task of its own.
    expected: HashSet<ExecutionKey>,
    /// Tasks whose runs were asked what lists show of them.
    asked: BTreeSet<i64>,
    /// What they said, for the next write.
    ready: Vec<(i64, VisibilityChange)>,
    /// Tasks of the write under way; empty without one.
    writing: Vec<i64>,
    /// Rows that the next write may have. A write that fails halves it, so that a row which the store does not
    /// take ends up alone and holds up no other for long.
    batch: usize,
    failures: i32,
    /// Until when nothing is tried.
    pause: Option<Timestamp>,
    /// Tasks from this one on were left to the store; some of them may be in memory.
    left: Option<i64>,
    reading: bool,
    /// Says that the shard stops.
    pub(super) stopping: watch::Sender<bool>,
}

struct Held {
    key: ExecutionKey,
    /// When its commit was durable, or when this owner of the shard found it.
    since: Timestamp,
}

/// What becomes of a task that is due.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// It is in the queue.
    Held,
    /// It is done with: an earlier task of its run waits, or there is no store to tell.
    Needless,
    /// There is no room: it must be read again.
    Left,
}

impl VisibilityQueue {
    pub(in crate::shard) fn new(writer: Option<Arc<dyn VisibilityWriter>>, held_max: usize) -> Self {
        Self {
            writer,
            held: HashMap::new(),
            held_max,
            waiting: VecDeque::new(),
            expected: HashSet::new(),
            asked: BTreeSet::new(),
            ready: Vec::new(),
            writing: Vec::new(),
            batch: BATCH_MAX,
            failures: 0,
            pause: None,
            left: None,
            reading: false,
            stopping: watch::Sender::new(false),
        }
    }

    /// An empty queue in place of this one.
    pub(in crate::shard) fn anew(&self) -> Self {
        Self::new(self.writer.clone(), self.held_max)
    }

    /// Whether rows are written by this queue, not by the commits.
    pub(in crate::shard) fn is_separate(&self) -> bool {
        self.writer.is_some()
    }

    /// Whether a change of what lists show of a run needs a task.
    pub(in crate::shard) fn wants_task(&self, key: &ExecutionKey) -> bool {
        self.is_separate() && !self.expected.contains(key)
    }

    /// The first task that was left to the store: rows from it on must stay.
    pub(in crate::shard) fn left(&self) -> Option<i64> {
        self.left
    }

    /// Begins no more writes, and gives the one under way little time. What was not written stays in the store.
    pub(in crate::shard) fn stop(&self) {
        self.stopping.send_replace(true);
    }

    /// When the next try is due that no message brings about: the end of a write is one.
    pub(in crate::shard) fn next_try(&self) -> Option<Timestamp> {
        self.pause.filter(|_| self.writing.is_empty() && !self.is_empty() && !*self.stopping.borrow())
    }

    /// Takes in a task whose commit is durable, or one that is to be tried again.
    pub(super) fn due(&mut self, id: i64, key: ExecutionKey, now: Timestamp) -> Due {
        if !self.wants_task(&key) {
            self.held.remove(&id);
            return Due::Needless;
        }
        // The page that is being read may miss it.
        if !self.held.contains_key(&id) && !self.reading && (self.left.is_some() || !self.has_room()) {
            self.left = Some(self.left.map_or(id, |left| left.min(id)));
            return Due::Left;
        }
        self.held.entry(id).or_insert_with(|| Held { key: key.clone(), since: now });
        self.waiting.push_back(id);
        self.expected.insert(key);
        Due::Held
    }

    pub(super) fn has_room(&self) -> bool {
        self.held.len() < self.held_max
    }

    /// Whether there is nothing to do, now or later.
    pub(super) fn is_empty(&self) -> bool {
        self.held.is_empty() && self.left.is_none()
    }

    /// Whether something may be done now.
    pub(super) fn can_go_on(&mut self, now: Timestamp) -> bool {
        if !self.writing.is_empty() || *self.stopping.borrow() {
            return false;
        }
        if self.pause.is_some_and(|until| until > now) {
            return false;
        }
        self.pause = None;
        true
    }

    /// A task whose run is to be asked now.
    pub(super) fn ask_next(&mut self) -> Option<(i64, ExecutionKey)> {
        if self.asked.len() + self.ready.len() >= self.batch {
            return None;
        }
        let id = self.waiting.pop_front()?;
        let key = self.held.get(&id)?.key.clone();
        self.expected.remove(&key);
        self.asked.insert(id);
        Some((id, key))
    }

    /// What lists show of a run that was asked.
    pub(in crate::shard) fn answer(&mut self, id: i64, change: VisibilityChange) {
        if self.asked.remove(&id) {
            self.ready.push((id, change));
        }
    }

    /// A run that was asked cannot say. Its task is tried again by whoever found out.
    pub(in crate::shard) fn no_answer(&mut self, id: i64) {
        self.asked.remove(&id);
    }

    /// Nothing is to be said for a task.
    pub(super) fn forget(&mut self, id: i64) {
        self.asked.remove(&id);
        self.held.remove(&id);
    }

    /// The changes of the next write, which is under way from here on.
    pub(super) fn take_ready(&mut self) -> Option<Vec<VisibilityChange>> {
        let count = self.ready.len().min(self.batch);
        let (ids, changes): (Vec<i64>, Vec<VisibilityChange>) = self.ready.drain(..count).unzip();
        self.writing = ids;
        (count > 0).then_some(changes)
    }

    /// The write went well. Gives its tasks, which are done with, and since when each was due.
    pub(super) fn written(&mut self) -> Vec<(i64, Timestamp)> {
        self.failures = 0;
        self.batch = (self.batch * 2).min(BATCH_MAX);
        let ids = std::mem::take(&mut self.writing);
        ids.into_iter().filter_map(|id| self.held.remove(&id).map(|held| (id, held.since))).collect()
    }

    /// The write failed: its tasks go to the end of the line. Gives those that are not needed any more.
    pub(super) fn failed(&mut self, now: Timestamp, random: &mut dyn Random) -> Vec<i64> {
        self.failures = self.failures.saturating_add(1);
        let wait = backoff::exponential(RETRY_INITIAL, 2.0, RETRY_MAX, self.failures);
        self.pause_until(now + backoff::jitter_down(wait, RETRY_JITTER, random));
        let ids = std::mem::take(&mut self.writing);
        self.batch = (ids.len() / 2).max(1);
        let mut needless = Vec::new();
        for id in ids {
            let Some(held) = self.held.get(&id) else { continue };
            if self.expected.insert(held.key.clone()) {
                self.waiting.push_back(id);
            } else {
                self.held.remove(&id);
                needless.push(id);
            }
        }
        needless
    }

    pub(super) fn pause_until(&mut self, until: Timestamp) {
        self.pause = Some(until);
    }

    /// From where tasks that were left are to be read now, if there is room for them. From here on they are
    /// being read.
    pub(super) fn begin_reading(&mut self) -> Option<i64> {
        let from = self.left.filter(|_| !self.reading && self.held.len() <= self.held_max / LOW_PART)?;
        self.reading = true;
        Some(from)
    }

    /// Reading has ended: tasks from `left` on are still in the store only.
    pub(super) fn end_reading(&mut self, left: Option<i64>) {
        self.reading = false;
        self.left = left;
    }

    /// Tasks in memory.
    pub(super) fn len(&self) -> usize {
        self.held.len()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use async_trait::async_trait;
    use perdure_kernel::{NamespaceId, random::SplitMix};
    use perdure_persistence::StoreResult;

    use super::*;

    struct Nowhere;

    #[async_trait]
    impl VisibilityWriter for Nowhere {
        async fn write_visibility(&self, _: Vec<VisibilityChange>) -> StoreResult<()> {
            Ok(())
        }

        fn visibility_backend(&self) -> &'static str {
            "nowhere"
        }
    }

    const NOW: Timestamp = Timestamp::from_nanos(1_700_000_000_000_000_000);

    fn key(run: &str) -> ExecutionKey {
        ExecutionKey::workflow(&NamespaceId::from("ns"), "order", run)
    }

    fn queue(max: usize) -> VisibilityQueue {
        VisibilityQueue::new(Some(Arc::new(Nowhere)), max)
    }

    /// Asks and answers as far as it goes. Gives the tasks of the write that begins, if it is time for one.
    fn turn(queue: &mut VisibilityQueue, now: Timestamp) -> Option<Vec<i64>> {
        if queue.is_empty() || !queue.can_go_on(now) {
            return None;
        }
        while let Some((id, key)) = queue.ask_next() {
            queue.answer(id, VisibilityChange::Remove { key });
        }
        queue.take_ready();
        Some(queue.writing.clone())
    }

    fn queue_with_pause(now: Timestamp) -> VisibilityQueue {
        let mut queue = queue(10);
        queue.due(1, key("a"), now);
        queue.pause_until(now + RETRY_INITIAL);
        assert!(queue.next_try().is_some());
        queue
    }

    #[test]
    fn a_waiting_task_covers_what_changes_of_its_run() {
        let mut queue = queue(10);
        assert!(queue.wants_task(&key("a")));
        assert_eq!(queue.due(1, key("a"), NOW), Due::Held);
        assert!(!queue.wants_task(&key("a")) && queue.wants_task(&key("b")));
        assert_eq!(queue.due(2, key("a"), NOW), Due::Needless);
        // Once the run was asked, what changes after that is news.
        assert_eq!(turn(&mut queue, NOW), Some(vec![1]));
        assert!(queue.wants_task(&key("a")));
        assert_eq!(queue.due(3, key("a"), NOW), Due::Held);
        // The later task of the run covers the write that failed.
        assert_eq!(queue.failed(NOW, &mut SplitMix::new(1)), [1]);
        assert_eq!(turn(&mut queue, NOW + RETRY_MAX), Some(vec![3]));
        assert_eq!(queue.written(), [(3, NOW)]);
        assert_eq!(queue.len(), 0);
    }

    #[test]
    fn one_write_at_a_time_and_a_pause_after_each_that_failed() {
        let mut queue = queue(10);
        queue.due(1, key("a"), NOW);
        assert_eq!(turn(&mut queue, NOW), Some(vec![1]));
        queue.due(2, key("b"), NOW);
        assert_eq!((turn(&mut queue, NOW), queue.next_try()), (None, None));
        queue.pause_until(NOW + RETRY_INITIAL);
        assert_eq!(queue.next_try(), None, "the end of the write comes first");
        let mut random = SplitMix::new(1);
        let mut now = NOW;
        let mut waits = Vec::new();
        for _ in 0..12 {
            assert_eq!(queue.failed(now, &mut random), [0; 0]);
            let next = queue.next_try().unwrap();
            waits.push(next.since(now));
            now = next;
            assert_eq!(turn(&mut queue, now - Duration::from_nanos(1)), None);
            assert!(turn(&mut queue, now).is_some());
        }
        assert!(waits[0] <= RETRY_INITIAL && waits.iter().all(|wait| *wait <= RETRY_MAX));
        assert!(*waits.last().unwrap() >= RETRY_MAX.mul_f64(1.0 - RETRY_JITTER));
        // Without anything left to do nothing is due.
        let mut emptied = queue_with_pause(now);
        emptied.forget(1);
        assert_eq!(emptied.next_try(), None);
        queue.stop();
        queue.failed(now, &mut random);
        assert_eq!((queue.next_try(), turn(&mut queue, now + RETRY_MAX)), (None, None));
    }

    /// One row in many is not taken: the others get through within a few writes.
    #[test]
    fn a_row_that_is_not_taken_ends_up_alone() {
        const ROWS: i64 = 1000;
        let mut queue = queue(2000);
        (0..ROWS).for_each(|id| assert_eq!(queue.due(id, key(&id.to_string()), NOW), Due::Held));
        let (mut now, mut writes) = (NOW, 0);
        while queue.len() > 1 {
            let Some(ids) = turn(&mut queue, now) else { panic!("it stands still") };
            assert!(!ids.is_empty() && ids.len() <= BATCH_MAX);
            writes += 1;
            if ids.contains(&7) {
                queue.failed(now, &mut SplitMix::new(1));
                now = queue.next_try().unwrap();
            } else {
                queue.written();
            }
        }
        assert!(writes < 60, "{writes} writes");
        assert!(now.since(NOW) < Duration::from_secs(60), "{:?}", now.since(NOW));
    }

    #[test]
    fn beyond_the_bound_tasks_are_left_until_there_is_room() {
        let mut queue = queue(2);
        let due = |queue: &mut VisibilityQueue, id: i64| queue.due(id, key(&id.to_string()), NOW);
        let outcomes: Vec<Due> = (1..=4).map(|id| due(&mut queue, id)).collect();
        assert_eq!(outcomes, [Due::Held, Due::Held, Due::Left, Due::Left]);
        assert_eq!((queue.left(), queue.begin_reading()), (Some(3), None));
        turn(&mut queue, NOW);
        queue.written();
        // Room alone is not enough: those that were left come first.
        assert_eq!(due(&mut queue, 5), Due::Left);
        assert_eq!((queue.begin_reading(), queue.begin_reading()), (Some(3), None));
        // The page that is being read may miss it.
        assert_eq!(due(&mut queue, 6), Due::Held);
        assert_eq!(due(&mut queue, 3), Due::Held);
        queue.end_reading(Some(4));
        assert_eq!(due(&mut queue, 7), Due::Left);
        assert_eq!(queue.left(), Some(4));
        // One that is tried again was not left.
        turn(&mut queue, NOW);
        queue.failed(NOW, &mut SplitMix::new(1));
        assert!(queue.can_go_on(NOW + RETRY_MAX));
        let (id, _) = queue.ask_next().unwrap();
        queue.no_answer(id);
        assert_eq!(due(&mut queue, id), Due::Held);
    }
}
