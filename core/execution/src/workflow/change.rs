//! What a decision changes.

use std::{collections::BTreeSet, sync::Arc};

use perdure_proto::{api::history::HistoryEvent, records};

use super::{
    callbacks::CallbackId,
    state::WorkflowState,
    updates::{PendingUpdate, UpdateNotice},
};
use crate::items::WorkflowItem;

/// One step of a run's state. [`WorkflowState::apply`] carries it out.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// A history event with its final id.
    Event(Arc<HistoryEvent>),
    /// An open activity's attempt, as it is from now on.
    Attempt {
        /// Which activity.
        scheduled_event_id: i64,
        /// Its attempt.
        attempt: Arc<records::ActivityAttempt>,
    },
    /// An event joins the buffer. What it ends (an activity, a timer) is over at once, and options and pauses
    /// hold at once; the rest of its effect comes when it joins the history.
    Buffer(Arc<records::BufferedEvent>),
    /// The buffer is emptied: its events, named by their numbers, follow as [`Change::Event`], or the run is closed.
    ClearBuffer(Vec<i64>),
    /// How far a completion callback's delivery is from now on.
    Callback {
        /// Which callback.
        id: CallbackId,
        /// Its progress.
        progress: Arc<records::CallbackProgress>,
    },
    /// A signal's request id is remembered.
    SignalRequest(String),
    /// The volatile facts of the run, as they are from now on.
    Run(Box<records::WorkflowVolatile>),
    /// The updates that are in memory only, as they are from now on.
    Updates(Vec<Arc<PendingUpdate>>),
}

impl Change {
    /// The event that joins the history with this change.
    pub(crate) fn event(&self) -> Option<&Arc<HistoryEvent>> {
        match self {
            Self::Event(event) => Some(event),
            Self::Attempt { .. }
            | Self::Buffer(_)
            | Self::ClearBuffer(_)
            | Self::Callback { .. }
            | Self::SignalRequest(_)
            | Self::Run(_)
            | Self::Updates(_) => None,
        }
    }
}

/// Something to do outside the run once the transition is durable.
#[derive(Clone, Debug, PartialEq)]
pub enum NewTask {
    /// A workflow task for matching.
    Workflow(records::DispatchWorkflowTask),
    /// An activity attempt for matching.
    Activity(records::DispatchActivityTask),
    /// Start a pending child.
    StartChild(records::StartChild),
    /// Deliver a pending signal to another workflow.
    SignalExternal(records::SignalExternal),
    /// Deliver a pending cancellation to another workflow.
    CancelExternal(records::CancelExternal),
    /// Tell the parent how this run ended.
    ReportClose(Box<records::ReportClose>),
    /// Apply the parent close policy to a child.
    CloseChild(Box<records::CloseChild>),
    /// A completion callback to deliver.
    Callback(records::DeliverCallback),
}

/// When a transition must be on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// Before anybody hears of it.
    BeforeReply,
    /// With the run's next commit. Losing it only makes a task be dispatched again.
    WithNext,
    /// Never: it changes only what is not stored. Losing it is healed by whoever asked.
    InMemory,
}

/// The outcome of a decision: all that changes, and all that is to be done, as data.
#[derive(Clone, Debug)]
pub struct Transition {
    /// The run as it is afterwards.
    pub state: WorkflowState,
    /// How it got there, in order.
    pub changes: Vec<Change>,
    /// Tasks to enqueue.
    pub tasks: Vec<NewTask>,
    /// When it must be on disk.
    pub durability: Durability,
    /// Updates that ended without a trace in the run. Whoever waits for them is told once it is on disk.
    pub notices: Vec<UpdateNotice>,
    /// A run that starts in the same commit: by continue-as-new, retry, cron, or in place of this one.
    pub successor: Option<Box<Transition>>,
}

impl Transition {
    /// New history events, in order.
    pub fn events(&self) -> impl Iterator<Item = &Arc<HistoryEvent>> {
        self.changes.iter().filter_map(Change::event)
    }

    /// Stored items that may differ from what the store holds.
    pub fn touched_items(&self) -> BTreeSet<WorkflowItem> {
        let mut items = BTreeSet::new();
        for change in &self.changes {
            WorkflowItem::touched_by(change, &mut items);
        }
        items
    }
}
