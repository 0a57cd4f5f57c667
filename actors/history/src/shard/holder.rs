//! All that a shard has in memory about one business id.

use std::{collections::VecDeque, sync::Arc};

use super::{
    actor::ActorRun,
    run::Run,
    work::{Job, Selector},
};

/// Runs kept per id: the current one, the one before it while both are being written, and those that
/// readers asked for.
const RUNS_MAX: usize = 8;

/// Work for one business id is done one piece at a time, in order: a piece waits until the piece before
/// it is durable.
#[derive(Default)]
pub(super) struct Holder {
    /// The run the id points to now.
    pub(super) current: Current,
    /// Runs of a workflow id.
    pub(super) runs: Vec<Run>,
    /// Runs of an id of another archetype. An id has runs of one kind only.
    pub(super) actors: Vec<ActorRun>,
    /// A decision is in the open batch or on its way to the store.
    pub(super) uncommitted: bool,
    /// A run that the store was just asked for and does not have.
    pub(super) missing: Option<Arc<str>>,
    /// The store is being asked.
    pub(super) loading: bool,
    /// Work that waits, each piece with the run it is about.
    pub(super) waiting: VecDeque<(Selector, Job)>,
    /// Place in the order of last use.
    pub(super) used: u64,
    /// Bytes that the cache accounts for.
    pub(super) bytes: usize,
}

/// What is known of an id's current run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Current {
    /// Nothing yet.
    #[default]
    Unknown,
    /// There is none.
    Absent,
    /// This one.
    Run(Arc<str>),
}

impl Current {
    /// The run's id as the store has it.
    pub(super) fn run_id(&self) -> Option<String> {
        match self {
            Self::Unknown | Self::Absent => None,
            Self::Run(run_id) => Some(run_id.to_string()),
        }
    }
}

impl Holder {
    /// Whether the next piece of work must wait.
    pub(super) fn is_busy(&self) -> bool {
        self.uncommitted || self.loading
    }

    /// Position of a run in memory.
    pub(super) fn position(&self, run_id: &str) -> Option<usize> {
        let run = self.runs.iter().position(|run| *run.run_id == *run_id);
        run.or_else(|| self.actors.iter().position(|run| *run.run_id == *run_id))
    }

    /// Position of the current run, when it is known and in memory.
    pub(super) fn current_position(&self) -> Option<usize> {
        match &self.current {
            Current::Run(run_id) => self.position(run_id),
            Current::Unknown | Current::Absent => None,
        }
    }

    /// Adds a run. The positions of the others stay.
    pub(super) fn add(&mut self, run: Run) -> usize {
        self.runs.push(run);
        self.runs.len() - 1
    }

    /// Forgets runs that nobody needs while there are too many. Not in the middle of a piece of work, which
    /// knows its run by its position.
    pub(super) fn trim(&mut self) {
        while self.runs.len() > RUNS_MAX {
            let current = |run: &Run| matches!(&self.current, Current::Run(run_id) if *run_id == run.run_id);
            let Some(index) = self.runs.iter().position(|run| !current(run) && run.is_quiet()) else { break };
            self.runs.remove(index);
        }
        while self.actors.len() > RUNS_MAX {
            let current = |run: &ActorRun| matches!(&self.current, Current::Run(run_id) if *run_id == run.run_id);
            let Some(index) = self.actors.iter().position(|run| !current(run) && run.is_quiet()) else { break };
            self.actors.remove(index);
        }
    }

    /// Approximate memory.
    pub(super) fn measure(&self) -> usize {
        const HOLDER_BYTES: usize = 512;
        let runs = self.runs.iter().map(Run::bytes).chain(self.actors.iter().map(ActorRun::bytes));
        HOLDER_BYTES + runs.sum::<usize>()
    }

    /// Whether nothing would be lost by forgetting this id.
    pub(super) fn is_forgettable(&self) -> bool {
        let quiet = self.runs.iter().all(Run::is_quiet) && self.actors.iter().all(ActorRun::is_quiet);
        !self.is_busy() && self.waiting.is_empty() && quiet
    }
}
