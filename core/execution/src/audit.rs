//! What must hold of a stored run, for checks of a whole database.
//!
//! A check reads a run's record and items ([`expect`]), then looks for what these say must be there too: the
//! pointer of the id, the history, the wake-up, the row of lists ([`Expected::compare`]). Whoever reads sees one
//! moment after another, so on a running server a difference counts only when the record has the same version
//! before and after.

use std::{fmt, time::Duration};

use bytes::Bytes;
use perdure_kernel::{Archetype, ExecutionKey, Timestamp, VisibilityRecord};
use perdure_proto::{api::enums::WorkflowExecutionStatus, records};
use prost::Message;

use crate::{
    archetype::{ItemName, Registry},
    items,
    workflow::visibility_record,
};

/// What a run's record says must be stored beside it.
#[derive(Clone, Debug, PartialEq)]
pub struct Expected {
    /// Whether it has not closed; `None` where its archetype does not say.
    pub is_open: Option<bool>,
    /// Id of the last event of its history; `None` for archetypes without one.
    pub last_event_id: Option<i64>,
    /// Its row of lists; `None` for archetypes that are not listed.
    pub shown: Option<VisibilityRecord>,
    /// When it waits for something next, if it does.
    pub due: Option<Timestamp>,
    /// Its wake-up's row in the timer queue, as the record names it.
    pub wake: Option<(Timestamp, i64)>,
}

/// What was found beside a run's record.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// The run that the id points to.
    pub current: Option<String>,
    /// First and last event ids of the history's batches, in order; `None` when it was not read.
    pub history: Option<Vec<(i64, i64)>>,
    /// The row of lists.
    pub shown: Option<VisibilityRecord>,
    /// Whether the timer queue holds the wake-up that the record names.
    pub wake_is_there: bool,
}

/// Something that does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Problem {
    /// The record or an item cannot be read.
    Unreadable(String),
    /// The server does not know the run's archetype.
    UnknownArchetype(u16),
    /// The run is open, but its id points elsewhere.
    NotCurrent {
        /// The run it points to; `None` for nothing.
        current: Option<String>,
    },
    /// An event id is missing, or stands there twice.
    HistoryBroken {
        /// The event that should come next.
        expected: i64,
        /// The event that does.
        found: i64,
    },
    /// The history ends too early or too late.
    HistoryEnd {
        /// Id of the last event according to the record.
        expected: i64,
        /// Id of the last event there is; 0 for none.
        found: i64,
    },
    /// Lists do not show the run.
    NotShown,
    /// Lists show the run otherwise than it is.
    ShownWrongly {
        /// The first field that differs.
        field: &'static str,
    },
    /// Lists show a run of an archetype that is not listed.
    ShownInVain,
    /// The run waits for something, but nothing will wake it.
    NotWoken,
}

impl Problem {
    /// A name for metrics and scripts: lower case with underscores.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Unreadable(_) => "unreadable",
            Self::UnknownArchetype(_) => "unknown_archetype",
            Self::NotCurrent { .. } => "not_current",
            Self::HistoryBroken { .. } => "history_broken",
            Self::HistoryEnd { .. } => "history_end",
            Self::NotShown => "not_shown",
            Self::ShownWrongly { .. } => "shown_wrongly",
            Self::ShownInVain => "shown_in_vain",
            Self::NotWoken => "not_woken",
        }
    }

    /// Whether the run's shard can set it right from the record.
    pub fn is_mendable(&self) -> bool {
        match self {
            Self::NotShown | Self::ShownWrongly { .. } | Self::NotWoken => true,
            Self::Unreadable(_)
            | Self::UnknownArchetype(_)
            | Self::NotCurrent { .. }
            | Self::HistoryBroken { .. }
            | Self::HistoryEnd { .. }
            | Self::ShownInVain => false,
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(why) => write!(f, "its stored state cannot be read: {why}"),
            Self::UnknownArchetype(number) => write!(f, "archetype {number} is not known to this server"),
            Self::NotCurrent { current: None } => write!(f, "it is open, but its id points to no run"),
            Self::NotCurrent { current: Some(run_id) } => write!(f, "it is open, but its id points to run {run_id}"),
            Self::HistoryBroken { expected, found } => {
                write!(f, "its history goes on with event {found} where event {expected} belongs")
            }
            Self::HistoryEnd { expected, found } => {
                write!(f, "its history ends with event {found}, its state with event {expected}")
            }
            Self::NotShown => write!(f, "lists do not show it"),
            Self::ShownWrongly { field } => write!(f, "lists show another {field}"),
            Self::ShownInVain => write!(f, "lists show it, but runs of its kind are not listed"),
            Self::NotWoken => write!(f, "it waits, but nothing will wake it"),
        }
    }
}

/// How long a wake-up that is due may take: until then its row may be on its way, or gone already.
const WAKE_GRACE: Duration = Duration::from_secs(60);

/// What a stored run says must be there.
///
/// # Errors
///
/// The one problem with a record that says nothing.
pub fn expect(
    registry: &Registry,
    key: &ExecutionKey,
    record: &Bytes,
    items: Vec<(ItemName, Bytes)>,
) -> Result<Expected, Problem> {
    let archetype = key.business.archetype;
    if archetype == Archetype::WORKFLOW {
        let state =
            items::decode(key.clone(), record, items).map_err(|damage| Problem::Unreadable(damage.to_string()))?;
        let run = &state.volatile.run;
        return Ok(Expected {
            is_open: Some(state.is_open()),
            last_event_id: Some(state.next_event_id() - 1),
            shown: Some(visibility_record(&state)),
            due: state.next_deadline().map(|(at, _)| at),
            wake: row(run.wake_at, run.wake_id),
        });
    }
    let machine = registry.machine(archetype).ok_or(Problem::UnknownArchetype(archetype.0))?;
    let actor = records::Actor::decode(record.clone()).map_err(|error| Problem::Unreadable(error.to_string()))?;
    let state =
        machine.restore(key.clone(), actor.record, items).map_err(|damage| Problem::Unreadable(damage.to_string()))?;
    let shown = machine.visibility(&state);
    Ok(Expected {
        is_open: shown.as_ref().map(|shown| shown.status == WorkflowExecutionStatus::Running),
        last_event_id: None,
        due: machine.wake_at(&state),
        wake: row(actor.wake_at, actor.wake_id),
        shown,
    })
}

fn row(at: i64, id: i64) -> Option<(Timestamp, i64)> {
    (at != 0).then(|| (Timestamp::from_nanos(at), id))
}

impl Expected {
    /// Every way in which what was found differs.
    pub fn compare(&self, found: &Found, run_id: &str, now: Timestamp) -> Vec<Problem> {
        let mut problems = Vec::new();
        if self.is_open == Some(true) && found.current.as_deref() != Some(run_id) {
            problems.push(Problem::NotCurrent { current: found.current.clone() });
        }
        if let (Some(last), Some(batches)) = (self.last_event_id, &found.history) {
            problems.extend(history_problem(last, batches));
        }
        problems.extend(match (&self.shown, &found.shown) {
            (None, None) => None,
            (None, Some(_)) => Some(Problem::ShownInVain),
            (Some(_), None) => Some(Problem::NotShown),
            (Some(expected), Some(found)) => {
                differing_field(expected, found).map(|field| Problem::ShownWrongly { field })
            }
        });
        // What is just due may be at work right now: the record is written when that is over.
        let is_settled = |at: Timestamp| at > now || at + WAKE_GRACE < now;
        if let Some(due) = self.due.filter(|due| is_settled(*due)) {
            let is_woken = match self.wake {
                Some((at, _)) if at <= due => found.wake_is_there || !is_settled(at),
                Some(_) | None => false,
            };
            if !is_woken {
                problems.push(Problem::NotWoken);
            }
        }
        problems
    }
}

fn history_problem(last: i64, batches: &[(i64, i64)]) -> Option<Problem> {
    let mut next = 1;
    for (first, end) in batches {
        if *first != next {
            return Some(Problem::HistoryBroken { expected: next, found: *first });
        }
        next = end + 1;
    }
    (next != last + 1).then_some(Problem::HistoryEnd { expected: last, found: next - 1 })
}

/// The first field of a row that is not as it should be. What may change after a close without a new row
/// (transitions of callbacks) is not compared.
fn differing_field(expected: &VisibilityRecord, found: &VisibilityRecord) -> Option<&'static str> {
    let closed = |record: &VisibilityRecord| {
        record.closed.map(|closed| (closed.close_time, closed.history_length, closed.execution_duration))
    };
    [
        ("key", expected.key != found.key),
        ("type", expected.type_name != found.type_name),
        ("status", expected.status != found.status),
        ("start time", expected.start_time != found.start_time),
        ("execution time", expected.execution_time != found.execution_time),
        ("task queue", expected.task_queue != found.task_queue),
        ("end", closed(expected) != closed(found)),
        ("parent", expected.parent != found.parent),
        ("root", expected.root != found.root),
        ("memo", expected.memo != found.memo),
        ("set of search attributes", expected.search_attributes != found.search_attributes),
    ]
    .into_iter()
    .find_map(|(field, differs)| differs.then_some(field))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::sync::Arc;

    use perdure_kernel::{ClosedRecord, NamespaceId};
    use perdure_proto::api::common::{Memo, Payload};

    use super::*;

    const NOW: Timestamp = Timestamp::from_nanos(1_700_000_000_000_000_000);

    fn shown() -> VisibilityRecord {
        VisibilityRecord {
            key: ExecutionKey::workflow(&NamespaceId::from("ns"), "order", "run"),
            type_name: "Order".to_owned(),
            status: WorkflowExecutionStatus::Running,
            start_time: NOW,
            execution_time: NOW,
            task_queue: "queue".to_owned(),
            closed: None,
            parent: None,
            root: None,
            memo: Arc::default(),
            search_attributes: Arc::default(),
        }
    }

    /// An open run that waits for something in a minute, and all that belongs to it.
    fn whole() -> (Expected, Found) {
        let due = NOW + Duration::from_secs(60);
        let expected = Expected {
            is_open: Some(true),
            last_event_id: Some(5),
            shown: Some(shown()),
            due: Some(due),
            wake: Some((due, 7)),
        };
        let found = Found {
            current: Some("run".to_owned()),
            history: Some(vec![(1, 2), (3, 5)]),
            shown: Some(shown()),
            wake_is_there: true,
        };
        (expected, found)
    }

    #[track_caller]
    fn check(change: impl FnOnce(&mut Expected, &mut Found), problems: &[Problem]) {
        let (mut expected, mut found) = whole();
        change(&mut expected, &mut found);
        assert_eq!(expected.compare(&found, "run", NOW), problems);
    }

    #[test]
    fn a_run_with_all_that_belongs_to_it_is_well() {
        check(|_, _| {}, &[]);
        check(|_, found| found.history = None, &[]);
        check(|expected, found| (expected.is_open, found.current) = (Some(false), None), &[]);
    }

    #[test]
    fn an_open_run_is_the_one_that_its_id_points_to() {
        let current = Some("other".to_owned());
        check(|_, found| found.current = None, &[Problem::NotCurrent { current: None }]);
        check(|_, found| found.current.clone_from(&current), &[Problem::NotCurrent { current: current.clone() }]);
    }

    #[test]
    fn histories_have_every_event_once() {
        let broken = |expected, found| Problem::HistoryBroken { expected, found };
        for (batches, problem) in [
            (vec![(1, 2), (4, 5)], broken(3, 4)),
            (vec![(1, 2), (2, 5)], broken(3, 2)),
            (vec![(2, 5)], broken(1, 2)),
            (vec![(1, 2)], Problem::HistoryEnd { expected: 5, found: 2 }),
            (vec![(1, 6)], Problem::HistoryEnd { expected: 5, found: 6 }),
            (vec![], Problem::HistoryEnd { expected: 5, found: 0 }),
        ] {
            check(|_, found| found.history = Some(batches), &[problem]);
        }
    }

    #[test]
    fn lists_show_a_run_as_it_is() {
        check(|_, found| found.shown = None, &[Problem::NotShown]);
        check(|expected, _| expected.shown = None, &[Problem::ShownInVain]);
        let wrong = |change: fn(&mut VisibilityRecord), field| {
            check(|_, found| change(found.shown.as_mut().unwrap()), &[Problem::ShownWrongly { field }]);
        };
        wrong(|row| row.status = WorkflowExecutionStatus::Completed, "status");
        wrong(|row| row.task_queue.clear(), "task queue");
        wrong(|row| row.parent = Some(("p".to_owned(), "r".to_owned())), "parent");
        wrong(
            |row| {
                row.memo = Arc::new(Memo { fields: [("a".to_owned(), Payload::default())].into() });
            },
            "memo",
        );
        // Transitions after the close write no row.
        let closed = |transitions| ClosedRecord {
            close_time: NOW,
            history_length: 5,
            history_size_bytes: 9,
            execution_duration: 0,
            state_transition_count: transitions,
        };
        check(
            |expected, found| {
                expected.shown.as_mut().unwrap().closed = Some(closed(3));
                found.shown.as_mut().unwrap().closed = Some(closed(4));
            },
            &[],
        );
    }

    #[test]
    fn whatever_waits_is_woken() {
        let wrong = [Problem::NotWoken];
        check(|_, found| found.wake_is_there = false, &wrong);
        check(|expected, _| expected.wake = None, &wrong);
        check(|expected, _| expected.wake = Some((NOW + Duration::from_secs(61), 7)), &wrong);
        // An earlier wake-up looks again.
        check(|expected, _| expected.wake = Some((NOW + Duration::from_secs(1), 7)), &[]);
        // What is just due is at work; what has been due for long is not.
        let at_work = |seconds| {
            move |expected: &mut Expected, found: &mut Found| {
                let due = NOW - Duration::from_secs(seconds);
                (expected.due, expected.wake, found.wake_is_there) = (Some(due), Some((due, 7)), false);
            }
        };
        check(at_work(1), &[]);
        check(at_work(61), &wrong);
        check(|expected, _| (expected.due, expected.wake) = (None, None), &[]);
    }
}
