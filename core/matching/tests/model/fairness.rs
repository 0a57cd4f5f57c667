//! Shares of fairness keys and stats, against a model.

use std::{collections::BTreeMap, ops::Bound, sync::Arc, time::Duration};

use perdure_kernel::Timestamp;
use perdure_proto::{api::common::Priority, records::QueuedTask};
use perdure_task_queue::{
    AskId, BacklogSurvey, Input, LevelSurvey, Output, PollId, Position, QueueMachine, Role, Settings, StartOutcome,
    StoredTask, Work,
};
use proptest::prelude::*;

/// Weights of the keys.
const WEIGHTS: [f32; 5] = [1.0, 2.0, 0.5, 7.0, 1.0];

/// A task: priority, key and number.
type Task = (i32, usize, u64);

/// A partition on a store that answers at once, and whose workers come when they are called.
struct Bench {
    machine: QueueMachine,
    now: Timestamp,
    numbers: u64,
    range_id: i64,
    rows: BTreeMap<Position, (u64, Arc<QueuedTask>)>,
    waiting: Vec<Task>,
    served: Vec<Task>,
    reads: usize,
}

fn settings() -> Settings {
    Settings { append_batch_max: 7, page_size: 5, reload_at: 2, delete_batch: 3, ..Settings::default() }
}

impl Bench {
    fn new() -> Self {
        let now = Timestamp::from_nanos(1_700_000_000_000_000_000);
        let mut bench = Self {
            machine: QueueMachine::new(Role::Root, settings(), now),
            now,
            numbers: 0,
            range_id: 0,
            rows: BTreeMap::new(),
            waiting: Vec::new(),
            served: Vec::new(),
            reads: 0,
        };
        bench.input(Input::Opened);
        bench
    }

    fn number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }

    fn input(&mut self, input: Input) {
        let mut out = Vec::new();
        self.machine.handle(self.now, input, &mut out);
        for output in out {
            match output {
                Output::AcquireLease => {
                    self.range_id += 1;
                    self.input(Input::LeaseAcquired { range_id: self.range_id });
                }
                Output::Survey => self.input(Input::Surveyed(survey(&self.rows))),
                Output::Append { tasks, .. } => {
                    self.rows.extend(tasks.into_iter().map(|task| (task.place, (task.key, task.task))));
                    self.input(Input::Appended);
                }
                Output::Read { after, limit } => {
                    self.reads += 1;
                    let behind = self.rows.range((Bound::Excluded(after), Bound::Unbounded));
                    let rows: Vec<StoredTask> = behind
                        .take_while(|(place, _)| place.level == after.level)
                        .take(limit)
                        .map(|(place, (key, task))| StoredTask { place: *place, key: *key, task: task.clone() })
                        .collect();
                    let (last, full) = (rows.last().map(|row| row.place), rows.len() == limit);
                    self.input(Input::PageRead { tasks: rows, last, full });
                }
                Output::Ack { through, .. } => {
                    let done = |place: &Position| through.iter().any(|at| at.level == place.level && place <= at);
                    self.rows.retain(|place, _| !done(place));
                    self.input(Input::Acked);
                }
                Output::Start { start, work: Work::Task { task, .. }, .. } => {
                    let number = task.scheduled_event_id.unsigned_abs();
                    // History drops what it has started before.
                    let known = self.waiting.iter().position(|(_, _, waiting)| *waiting == number);
                    let outcome = known.map_or(StartOutcome::Dropped, |at| {
                        let task = self.waiting.remove(at);
                        self.served.push(task);
                        StartOutcome::Delivered
                    });
                    self.input(Input::Started { start, outcome });
                }
                Output::AckAdd { .. } | Output::GoIdle => {}
                other => panic!("{other:?}"),
            }
        }
    }

    fn add(&mut self, priority_key: i32, key: usize) {
        let number = self.number();
        let priority = Priority { priority_key, fairness_key: format!("key {key}"), fairness_weight: WEIGHTS[key] };
        let task = QueuedTask {
            scheduled_event_id: i64::try_from(number).unwrap(),
            created_at: self.now.as_nanos(),
            priority: Some(priority),
            ..QueuedTask::default()
        };
        self.waiting.push((priority_key, key, number));
        self.input(Input::TaskAdded { ask: AskId(number), task: Arc::new(task), until: None });
    }

    fn poll(&mut self) {
        let poll = PollId(self.number());
        self.input(Input::PollArrived { poll, deadline: self.now + Duration::from_secs(60) });
    }

    fn wait(&mut self, span: Duration) {
        self.now = self.now + span;
        self.input(Input::Tick);
    }

    fn restart(&mut self) {
        self.wait(Duration::from_secs(1));
        self.machine = QueueMachine::new(Role::Root, settings(), self.now);
        self.input(Input::Opened);
    }

    /// Counts and ages must be those of what waits.
    fn check_stats(&self) {
        let stats = self.machine.describe(self.now).stats;
        for priority in 1..=5 {
            let waiting = self.waiting.iter().filter(|task| task.0 == priority).count();
            let counted = stats.get(&priority).map_or(0, |stats| stats.approximate_backlog_count);
            assert_eq!(usize::try_from(counted).unwrap(), waiting, "at priority {priority}");
        }
        assert_eq!(usize::try_from(self.machine.backlog_count()).unwrap(), self.waiting.len());
    }
}

fn survey(rows: &BTreeMap<Position, (u64, Arc<QueuedTask>)>) -> BacklogSurvey {
    let mut levels: BTreeMap<usize, LevelSurvey> = BTreeMap::new();
    for (place, (key, task)) in rows {
        let level = levels.entry(place.level).or_insert_with(|| LevelSurvey {
            level: place.level,
            first_pass: place.pass,
            ..LevelSurvey::default()
        });
        level.ages.push((Timestamp::from_nanos(task.created_at), 1));
        level.last_passes.retain(|(known, _)| known != key);
        level.last_passes.push((*key, place.pass));
    }
    BacklogSurvey { levels: levels.into_values().collect() }
}

/// While both of two keys have tasks waiting, what they got for their weight differs by one task of each at
/// most; `slack` tasks more where the partition changed hands.
fn check_shares(served: &[Task], left: &[Task], slack: f32) {
    let all: Vec<Task> = served.iter().chain(left).copied().collect();
    for priority in 1..=5 {
        for (a, b) in (0..WEIGHTS.len()).flat_map(|a| (0..a).map(move |b| (a, b))) {
            let mut rest = [a, b].map(|key| all.iter().filter(|task| (task.0, task.1) == (priority, key)).count());
            let mut got = [0.0_f32; 2];
            for task in served.iter().filter(|task| task.0 == priority && [a, b].contains(&task.1)) {
                if rest.contains(&0) {
                    break;
                }
                let side = usize::from(task.1 == b);
                rest[side] -= 1;
                got[side] += 1.0 / WEIGHTS[task.1];
                let bound = (1.0 / WEIGHTS[a] + 1.0 / WEIGHTS[b]) * (1.0 + slack) + 0.001;
                assert!((got[0] - got[1]).abs() <= bound, "keys {a} and {b} got {got:?}, bound {bound}");
            }
        }
    }
}

proptest! {
    /// Any backlog is served by priority, in shares by weight, each key in its own order; in memory, from the
    /// store, and across a change of hands.
    #[test]
    fn a_backlog_is_shared_out(
        tasks in prop::collection::vec((1..=3_i32, 0..WEIGHTS.len()), 1..200),
        restart in any::<bool>(),
        stored in any::<bool>(),
        calls in 1..200_usize,
    ) {
        let mut bench = Bench::new();
        for (priority, key) in &tasks {
            bench.add(*priority, *key);
            bench.check_stats();
        }
        if stored || restart {
            bench.wait(Duration::from_secs(1));
        }
        if restart {
            bench.restart();
        }
        bench.check_stats();
        for _ in 0..calls {
            bench.poll();
            bench.check_stats();
        }
        prop_assert_eq!(bench.served.len(), calls.min(tasks.len()));
        prop_assert!(bench.served.is_sorted_by_key(|task| task.0), "a worse priority went first");
        for (priority, key) in (1..=3).flat_map(|priority| (0..WEIGHTS.len()).map(move |key| (priority, key))) {
            let of_key = bench.served.iter().filter(|task| (task.0, task.1) == (priority, key));
            prop_assert!(of_key.is_sorted_by_key(|task| task.2));
        }
        check_shares(&bench.served, &bench.waiting, 0.0);
    }

    /// Tasks that come while others are served, with restarts between: nothing is lost, stats stay exact.
    #[test]
    fn stats_are_those_of_what_waits(
        steps in prop::collection::vec((0..8_u8, 1..=3_i32, 0..WEIGHTS.len()), 1..250),
    ) {
        let mut bench = Bench::new();
        for (step, priority, key) in steps {
            match step {
                0..=3 => bench.add(priority, key),
                4 | 5 if !bench.waiting.is_empty() => bench.poll(),
                6 => bench.wait(Duration::from_millis(150)),
                7 if key == 0 => bench.restart(),
                _ => {}
            }
            // What is finished and not deleted comes back at a restart, until history has dropped it.
            if bench.rows.values().all(|(_, task)| {
                bench.waiting.iter().any(|waiting| waiting.2 == task.scheduled_event_id.unsigned_abs())
            }) {
                bench.check_stats();
            }
        }
    }
}

/// A newcomer does not wait for those who filled the queue before it.
#[test]
fn a_newcomer_is_served_next_from_a_long_backlog() {
    let mut bench = Bench::new();
    for _ in 0..1_000 {
        bench.add(3, 0);
    }
    bench.wait(Duration::from_secs(1));
    (0..10).for_each(|_| bench.poll());
    bench.add(3, 1);
    bench.wait(Duration::from_secs(1));
    let before = bench.served.len();
    (0..2).for_each(|_| bench.poll());
    assert!(bench.served[before..].iter().any(|task| task.1 == 1), "{:?}", &bench.served[before..]);
    assert!(bench.reads <= 6, "{} pages were read for a dozen tasks", bench.reads);
    let oldest = bench.machine.describe(bench.now).stats[&3].approximate_backlog_age.unwrap();
    assert_eq!(oldest.seconds, 2);
}
