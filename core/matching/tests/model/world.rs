//! Store, history, workers and parent partition, as a partition meets them.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Bound,
    sync::Arc,
    time::Duration,
};

use perdure_kernel::Timestamp;
use perdure_proto::{api::common::Priority, records::QueuedTask};
use perdure_task_queue::{
    AddRefusal, AskId, BacklogSurvey, Forwarded, Input, LevelSurvey, Output, PollId, Position, QueryId, QueryRefusal,
    QueueMachine, Role, Settings, StartOutcome, StoredTask, Work,
    settings::{UNACKNOWLEDGED_TASKS_MAX, WAITING_TASKS_MAX},
};
use proptest::sample::Index;

/// What happens next.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// Priority and fairness key.
    Add(i32, u8),
    AddExpiring(i32, u64),
    Poll,
    PollGone(Index),
    Query(u64),
    AnswerQuery(Index),
    /// Completes one pending IO, in the way the number says.
    Io(Index, u8),
    Wait(u64),
    Rate(u8),
    /// The partition is lost and comes back on the same store.
    Restart,
}

/// What may go wrong.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Faults {
    pub(crate) starts: bool,
    pub(crate) pollers: bool,
    pub(crate) store: bool,
    pub(crate) restarts: bool,
    pub(crate) parent: bool,
}

impl Faults {
    pub(crate) const NONE: Self = Self { starts: false, pollers: false, store: false, restarts: false, parent: false };
    pub(crate) const ALL: Self = Self { starts: true, pollers: true, store: true, restarts: true, parent: true };
}

/// Which task: its execution's run id is its number.
type Number = u64;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// Whoever added it waits.
    Pending,
    Acked,
    Refused,
}

pub(crate) struct World {
    role: Role,
    faults: Faults,
    machine: QueueMachine,
    now: Timestamp,
    ids: u64,
    io: Vec<Output>,
    rows: BTreeMap<Position, (u64, Arc<QueuedTask>)>,
    range_id: i64,
    /// Fate of every task ever added.
    fates: BTreeMap<Number, Fate>,
    asks: BTreeMap<AskId, Number>,
    expiring: BTreeSet<Number>,
    /// Tasks that history has started.
    started: BTreeSet<Number>,
    /// Tasks in the order in which they were given to pollers.
    dispatched: Vec<Number>,
    levels: BTreeMap<Number, (i32, u8)>,
    polls: BTreeMap<PollId, bool>,
    queries: BTreeSet<QueryId>,
    queries_at_workers: BTreeSet<QueryId>,
    /// Something happened after which history may be asked twice about one task.
    disturbed: bool,
    /// Built without any faults.
    calm: bool,
}

fn settings() -> Settings {
    // Small pages and batches, so that short runs cross their borders.
    Settings { append_batch_max: 3, page_size: 4, reload_at: 2, delete_batch: 2, ..Settings::default() }
}

fn number_of(task: &QueuedTask) -> Number {
    task.scheduled_event_id.unsigned_abs()
}

impl World {
    pub(crate) fn new(role: Role, faults: Faults) -> Self {
        let now = Timestamp::from_nanos(1_700_000_000_000_000_000);
        let mut world = Self {
            role,
            faults,
            machine: QueueMachine::new(role, settings(), now),
            now,
            ids: 0,
            io: Vec::new(),
            rows: BTreeMap::new(),
            range_id: 0,
            fates: BTreeMap::new(),
            asks: BTreeMap::new(),
            expiring: BTreeSet::new(),
            started: BTreeSet::new(),
            dispatched: Vec::new(),
            levels: BTreeMap::new(),
            polls: BTreeMap::new(),
            queries: BTreeSet::new(),
            queries_at_workers: BTreeSet::new(),
            disturbed: false,
            calm: !faults.starts && !faults.store && !faults.pollers,
        };
        world.input(Input::Opened);
        world
    }

    pub(crate) fn stored(&self) -> &BTreeMap<Position, (u64, Arc<QueuedTask>)> {
        &self.rows
    }

    fn id(&mut self) -> u64 {
        self.ids += 1;
        self.ids
    }

    fn input(&mut self, input: Input) {
        let mut out = Vec::new();
        self.machine.handle(self.now, input, &mut out);
        for output in out {
            self.output(output);
        }
        let waiting = usize::try_from(self.machine.backlog_count()).unwrap();
        assert!(waiting <= UNACKNOWLEDGED_TASKS_MAX + WAITING_TASKS_MAX + self.rows.len() + self.io.len() * 4);
    }

    fn output(&mut self, output: Output) {
        match output {
            Output::AnswerPollEmpty { poll } | Output::RefusePoll { poll } => self.answer(poll),
            Output::AckAdd { ask } => self.fate(ask, Fate::Acked),
            Output::RefuseAdd { ask, refusal } => {
                match refusal {
                    AddRefusal::StickyWorkerUnavailable => assert_eq!(self.role, Role::Sticky),
                    AddRefusal::NotStored => assert!(self.faults.store),
                    AddRefusal::Overloaded | AddRefusal::NoPoller | AddRefusal::Stopping => panic!("{refusal:?}"),
                }
                self.fate(ask, Fate::Refused);
            }
            Output::FailQuery { query, refusal } => {
                assert!(self.queries.remove(&query), "{query:?} ended twice");
                self.queries_at_workers.remove(&query);
                assert_ne!(refusal, QueryRefusal::Overloaded);
            }
            Output::TaskExpired | Output::GoIdle => {}
            Output::Start { work: Work::Task { ref task, .. }, .. } => {
                self.check_priority(number_of(task));
                self.dispatched.push(number_of(task));
                self.io.push(output);
            }
            Output::Start { .. }
            | Output::AcquireLease
            | Output::Append { .. }
            | Output::Survey
            | Output::Read { .. }
            | Output::Ack { .. }
            | Output::ForwardPoll { .. }
            | Output::ForwardTask { .. }
            | Output::ForwardQuery { .. } => self.io.push(output),
        }
    }

    fn answer(&mut self, poll: PollId) {
        let gone = self.polls.remove(&poll).unwrap_or_else(|| panic!("{poll:?} answered twice"));
        assert!(!gone, "{poll:?} answered after it left");
    }

    /// No task of a better priority is in the store, on its way there, or (without a parent, where some may be)
    /// waiting in memory.
    fn check_priority(&self, number: Number) {
        if self.disturbed || !self.calm || self.role != Role::Root {
            return;
        }
        let level = self.levels[&number].0;
        let waiting = |other: &Number| {
            let unfinished = matches!(self.fates[other], Fate::Pending)
                || self.rows.values().any(|(_, task)| number_of(task) == *other);
            unfinished && !self.dispatched.contains(other) && !self.expiring.contains(other)
        };
        let overtaken = self.levels.iter().find(|(other, (better, _))| *better < level && waiting(other));
        assert!(overtaken.is_none(), "task {number} of level {level} goes before {overtaken:?}");
    }

    fn fate(&mut self, ask: AskId, fate: Fate) {
        let number = self.asks.remove(&ask).unwrap_or_else(|| panic!("{ask:?} answered twice"));
        self.fates.insert(number, fate);
    }

    fn add(&mut self, priority_key: i32, fairness_key: u8, expires_at: i64) {
        let number = self.id();
        // The keys' weights differ.
        let fairness_key_text = if fairness_key == 0 { String::new() } else { fairness_key.to_string() };
        let priority =
            Some(Priority { priority_key, fairness_key: fairness_key_text, fairness_weight: f32::from(fairness_key) });
        let task = QueuedTask {
            scheduled_event_id: i64::try_from(number).unwrap(),
            created_at: self.now.as_nanos(),
            expires_at,
            priority,
            ..QueuedTask::default()
        };
        if expires_at != 0 {
            self.expiring.insert(number);
        }
        self.levels.insert(number, (priority_key, fairness_key));
        self.fates.insert(number, Fate::Pending);
        self.asks.insert(AskId(number), number);
        self.input(Input::TaskAdded { ask: AskId(number), task: Arc::new(task), until: None });
    }

    fn poll(&mut self) {
        let poll = PollId(self.id());
        self.polls.insert(poll, false);
        self.input(Input::PollArrived { poll, deadline: self.now + Duration::from_secs(59) });
    }

    pub(crate) fn step(&mut self, step: Step) {
        match step {
            Step::Add(priority, key) => self.add(priority, key, 0),
            Step::AddExpiring(priority, millis) => {
                self.add(priority, 0, (self.now + Duration::from_millis(millis)).as_nanos())
            }
            Step::Poll => self.poll(),
            Step::PollGone(index) => {
                if self.faults.pollers && !self.polls.is_empty() {
                    let poll = *index.get(&self.polls.keys().copied().collect::<Vec<_>>());
                    // While a start is under way the leaver is noticed only when its answer cannot be given.
                    let starting = self.io.iter().any(|io| matches!(io, Output::Start { poll: p, .. } if *p == poll));
                    if starting {
                        self.polls.insert(poll, true);
                    } else {
                        self.polls.remove(&poll);
                        self.io.retain(|io| !matches!(io, Output::ForwardPoll { poll: p } if *p == poll));
                    }
                    self.input(Input::PollGone { poll });
                }
            }
            Step::Query(millis) => {
                let query = QueryId(self.id());
                self.queries.insert(query);
                self.input(Input::QueryAdded { query, deadline: self.now + Duration::from_millis(millis) });
            }
            Step::AnswerQuery(index) => {
                if !self.queries_at_workers.is_empty() {
                    let query = *index.get(&self.queries_at_workers.iter().copied().collect::<Vec<_>>());
                    self.queries_at_workers.remove(&query);
                    self.queries.remove(&query);
                    self.input(Input::QueryAnswered { query });
                }
            }
            Step::Io(index, luck) => {
                if !self.io.is_empty() {
                    self.complete_nth(index.index(self.io.len()), luck);
                }
            }
            Step::Wait(millis) => self.wait(Duration::from_millis(millis)),
            Step::Rate(rate) => self.input(Input::RateSet((rate > 0).then(|| f64::from(rate) * 50.0))),
            Step::Restart => {
                if self.faults.restarts {
                    self.restart();
                }
            }
        }
    }

    fn wait(&mut self, span: Duration) {
        let until = self.now + span;
        while let Some(at) = self.machine.next_wake(self.now).filter(|at| *at <= until) {
            assert!(at > self.now, "a tick at {} left the wake at {at}", self.now);
            self.now = at;
            self.input(Input::Tick);
        }
        self.now = self.now.max(until);
        self.input(Input::Tick);
    }

    /// Completes the pending IO of this number.
    pub(crate) fn complete_nth(&mut self, position: usize, luck: u8) {
        let io = self.io.remove(position);
        self.complete(io, luck);
    }

    fn complete(&mut self, io: Output, luck: u8) {
        match io {
            Output::Start { start, poll, work } => {
                let outcome = if self.polls.get(&poll) == Some(&true) {
                    self.polls.remove(&poll);
                    StartOutcome::PollerGone
                } else {
                    self.start(work, luck)
                };
                if outcome == StartOutcome::Delivered {
                    self.answer(poll);
                }
                self.input(Input::Started { start, outcome });
            }
            Output::AcquireLease if self.faults.store && luck < 40 => self.input(Input::LeaseFailed),
            Output::AcquireLease => {
                self.range_id += 1;
                self.input(Input::LeaseAcquired { range_id: self.range_id });
            }
            Output::Append { range_id, tasks } => {
                assert_eq!(range_id, self.range_id);
                let failed = self.faults.store && luck < 40;
                if !failed || luck < 20 {
                    self.disturbed |= failed;
                    for task in tasks {
                        let id = task.place.id;
                        assert!(self.rows.keys().all(|place| place.id < id), "ids must ascend");
                        self.rows.insert(task.place, (task.key, task.task));
                    }
                }
                self.input(if failed { Input::AppendFailed } else { Input::Appended });
            }
            Output::Read { .. } | Output::Survey if self.faults.store && luck < 40 => self.input(Input::ReadFailed),
            Output::Survey => self.input(Input::Surveyed(self.survey())),
            Output::Read { after, limit } => {
                let rows: Vec<StoredTask> = self
                    .rows
                    .range((Bound::Excluded(after), Bound::Unbounded))
                    .take_while(|(place, _)| place.level == after.level)
                    .take(limit)
                    .map(|(place, (key, task))| StoredTask { place: *place, key: *key, task: task.clone() })
                    .collect();
                let (last, full) = (rows.last().map(|row| row.place), rows.len() == limit);
                self.input(Input::PageRead { tasks: rows, last, full });
            }
            Output::Ack { .. } if self.faults.store && luck < 40 => self.input(Input::AckFailed),
            Output::Ack { range_id, through } => {
                assert_eq!(range_id, self.range_id);
                let finished = |place: &Position| through.iter().any(|last| place.level == last.level && place <= last);
                self.rows.retain(|place, _| !finished(place));
                self.input(Input::Acked);
            }
            Output::ForwardPoll { poll } => {
                let outcome = self.parent(luck);
                if outcome == Forwarded::Done {
                    self.answer(poll);
                }
                self.input(Input::PollForwarded { poll, outcome });
            }
            Output::ForwardTask { forward, task, until } => {
                let outcome = if until <= self.now { Forwarded::Empty } else { self.parent(luck) };
                if outcome == Forwarded::Done {
                    self.record(&task);
                }
                self.input(Input::TaskForwarded { forward, outcome });
            }
            Output::ForwardQuery { query } => {
                if self.queries.remove(&query) {
                    self.input(Input::QueryAnswered { query });
                }
            }
            other => panic!("{other:?} is no IO"),
        }
    }

    fn survey(&self) -> BacklogSurvey {
        let mut levels: BTreeMap<usize, LevelSurvey> = BTreeMap::new();
        for (place, (key, task)) in &self.rows {
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

    fn parent(&self, luck: u8) -> Forwarded {
        match luck % 3 {
            0 => Forwarded::Done,
            1 => Forwarded::Empty,
            _ if self.faults.parent => Forwarded::Failed,
            _ => Forwarded::Empty,
        }
    }

    fn start(&mut self, work: Work, luck: u8) -> StartOutcome {
        match work {
            Work::Query { query } => {
                // A query whose time was over meanwhile has nobody to tell.
                if self.faults.starts && luck < 30 {
                    self.queries.remove(&query);
                    return StartOutcome::Later;
                }
                if self.queries.contains(&query) {
                    self.queries_at_workers.insert(query);
                }
                StartOutcome::Delivered
            }
            Work::Task { task, .. } => {
                if self.faults.starts && luck < 30 {
                    return StartOutcome::Later;
                }
                if self.record(&task) { StartOutcome::Delivered } else { StartOutcome::Dropped }
            }
        }
    }

    /// History starts a task once; false when it was started before.
    fn record(&mut self, task: &QueuedTask) -> bool {
        let number = number_of(task);
        let first = self.started.insert(number);
        assert!(first || self.disturbed, "task {number} was started twice");
        first
    }

    /// The partition and all that was under way with it is lost.
    fn restart(&mut self) {
        self.disturbed = true;
        self.io.clear();
        self.polls.clear();
        self.queries.clear();
        self.queries_at_workers.clear();
        for number in std::mem::take(&mut self.asks).into_values() {
            self.fates.insert(number, Fate::Refused);
        }
        self.machine = QueueMachine::new(self.role, settings(), self.now);
        self.input(Input::Opened);
    }

    /// Lets everything come to rest, with willing workers and no more faults.
    pub(crate) fn settle(&mut self) {
        self.faults = Faults { pollers: self.faults.pollers, ..Faults::NONE };
        self.input(Input::RateSet(None));
        for _ in 0..300 {
            while !self.io.is_empty() {
                let io = self.io.remove(0);
                self.complete(io, 250);
            }
            let waiting = self.fates.values().any(|fate| *fate == Fate::Pending);
            // Rows of a write that seemed to fail are not counted until they are read.
            if !waiting && self.machine.backlog_count() == 0 && self.machine.is_loaded() && self.rows.is_empty() {
                break;
            }
            self.poll();
            self.wait(Duration::from_millis(300));
        }
        self.wait(Duration::from_secs(120));
        while !self.io.is_empty() {
            let io = self.io.remove(0);
            self.complete(io, 250);
        }
    }

    /// What must hold once everything has come to rest.
    pub(crate) fn check_all_delivered(&self) {
        for (number, fate) in &self.fates {
            match fate {
                Fate::Acked => assert!(
                    self.started.contains(number) || self.expiring.contains(number),
                    "task {number} was acknowledged and never delivered"
                ),
                Fate::Refused => assert!(!self.calm, "task {number} was refused"),
                Fate::Pending => panic!("task {number} was never answered"),
            }
        }
        assert!(self.polls.is_empty(), "unanswered polls: {:?}", self.polls);
        assert!(self.queries.iter().all(|query| self.queries_at_workers.contains(query)));
        assert!(self.rows.is_empty(), "left in the backlog: {:?}", self.rows.keys());
        if !self.disturbed && self.role == Role::Root && self.calm {
            self.check_order();
        }
    }

    /// First in, first out within a priority and fairness key.
    fn check_order(&self) {
        let mut last: BTreeMap<(i32, u8), Number> = BTreeMap::new();
        for number in &self.dispatched {
            let before = last.insert(self.levels[number], *number);
            assert!(before < Some(*number), "task {number} was overtaken by {before:?}");
        }
    }
}
