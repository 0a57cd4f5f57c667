//! What holds after every step of every run.

use std::{collections::BTreeMap, sync::Arc};

use imbl::OrdSet;
use perdure_execution::{
    items::{self, WorkflowItem, encode_record},
    workflow::{
        Change, Durability, NewTask, Standing, Transition, WorkflowState, deadline, shown_otherwise, visibility_record,
    },
};
use perdure_kernel::{Timestamp, VisibilityRecord};
use perdure_proto::{
    api::{
        enums::{CallbackState, EventType, ParentClosePolicy},
        history::{HistoryEvent, history_event::Attributes},
    },
    records,
};

use super::{Kit, Stored};

/// Two answers to one question are equal.
pub(crate) fn same(first: &Transition, second: &Transition) {
    assert_eq!(first.state, second.state);
    assert_eq!(first.changes, second.changes);
    assert_eq!(first.tasks, second.tasks);
    assert_eq!(first.durability, second.durability);
    assert_eq!(first.notices, second.notices);
    match (&first.successor, &second.successor) {
        (Some(first), Some(second)) => same(first, second),
        (None, None) => {}
        (first, second) => panic!("{first:?} and {second:?}"),
    }
}

/// The laws of a transition that `kit` is about to take over.
pub(crate) fn check(kit: &Kit, transition: &Transition) {
    let (before, after) = (&kit.state, &transition.state);
    assert!(
        before.is_open() || before.next_event_id() == 1 || transition.events().next().is_none(),
        "a closed run goes on: {transition:?}"
    );
    applies(before, transition);
    let mut history = kit.events.clone();
    history.extend(transition.events().cloned());
    rebuilds(&history, after);
    numbered(&history, after);
    linked(&history);
    indexed(after);
    task_is_sound(&history, after);
    dispatched(before, transition);
    family(before, transition);
    callbacks(before, transition);
    woken(&history, after);
    remembered(after);
    if transition.durability == Durability::InMemory {
        assert_eq!((transition.events().count(), transition.touched_items().len()), (0, 0), "nothing of it is stored");
    }
    if !after.is_open() {
        closed(&history, after);
    }
    assert!(transition.successor.is_none() || !after.is_open(), "only a closed run has a successor");
}

/// The changes, applied to the state before, give the state after.
fn applies(before: &WorkflowState, transition: &Transition) {
    let mut state = before.clone();
    for change in &transition.changes {
        state.apply(change);
    }
    assert_eq!(state, transition.state, "applying the changes");
}

/// The history gives the state, but for what is volatile. What waiting events end is over already.
fn rebuilds(history: &[Arc<HistoryEvent>], after: &WorkflowState) {
    let mut rebuilt = WorkflowState::rebuild(after.key.clone(), history);
    for waiting in &after.volatile.buffered {
        rebuilt.apply(&Change::Buffer(Arc::clone(waiting)));
    }
    assert_eq!(rebuilt.without_volatile(), after.without_volatile(), "rebuilding from history");
}

/// Event ids count from 1, and the run knows how many there are.
fn numbered(history: &[Arc<HistoryEvent>], after: &WorkflowState) {
    for (index, event) in history.iter().enumerate() {
        assert_eq!(event.event_id, i64::try_from(index).unwrap() + 1);
        assert_ne!(event.event_type(), EventType::Unspecified);
    }
    assert_eq!(after.next_event_id(), i64::try_from(history.len()).unwrap() + 1);
}

/// Events refer to events of the right kind.
fn linked(history: &[Arc<HistoryEvent>]) {
    let kind = |id: i64| history[usize::try_from(id - 1).unwrap()].event_type();
    let activity = |scheduled: i64, started: i64| {
        assert_eq!(kind(scheduled), EventType::ActivityTaskScheduled);
        if started != 0 {
            let event = &history[usize::try_from(started - 1).unwrap()];
            let Some(Attributes::ActivityTaskStartedEventAttributes(start)) = &event.attributes else {
                panic!("not a start: {event:?}");
            };
            assert_eq!(start.scheduled_event_id, scheduled);
        }
    };
    let child = |initiated: i64, started: Option<i64>| {
        assert_eq!(kind(initiated), EventType::StartChildWorkflowExecutionInitiated);
        assert!(started.is_none_or(|started| kind(started) == EventType::ChildWorkflowExecutionStarted));
    };
    let task = |scheduled: i64, started: i64| {
        assert_eq!(kind(scheduled), EventType::WorkflowTaskScheduled);
        assert!(started == 0 || kind(started) == EventType::WorkflowTaskStarted);
    };
    for event in history {
        match event.attributes.as_ref().unwrap() {
            Attributes::WorkflowTaskStartedEventAttributes(event) => task(event.scheduled_event_id, 0),
            Attributes::WorkflowTaskCompletedEventAttributes(event) => {
                task(event.scheduled_event_id, event.started_event_id);
            }
            Attributes::WorkflowTaskFailedEventAttributes(event) => {
                task(event.scheduled_event_id, event.started_event_id);
            }
            Attributes::WorkflowTaskTimedOutEventAttributes(event) => {
                task(event.scheduled_event_id, event.started_event_id);
            }
            Attributes::ActivityTaskStartedEventAttributes(event) => activity(event.scheduled_event_id, 0),
            Attributes::ActivityTaskCompletedEventAttributes(event) => {
                assert_ne!(event.started_event_id, 0);
                activity(event.scheduled_event_id, event.started_event_id);
            }
            Attributes::ActivityTaskFailedEventAttributes(event) => {
                assert_ne!(event.started_event_id, 0);
                activity(event.scheduled_event_id, event.started_event_id);
            }
            Attributes::ActivityTaskTimedOutEventAttributes(event) => {
                activity(event.scheduled_event_id, event.started_event_id);
            }
            Attributes::ActivityTaskCanceledEventAttributes(event) => {
                assert_eq!(kind(event.latest_cancel_requested_event_id), EventType::ActivityTaskCancelRequested);
                activity(event.scheduled_event_id, event.started_event_id);
            }
            Attributes::ChildWorkflowExecutionStartedEventAttributes(event) => child(event.initiated_event_id, None),
            Attributes::StartChildWorkflowExecutionFailedEventAttributes(event) => {
                child(event.initiated_event_id, None)
            }
            Attributes::ChildWorkflowExecutionCompletedEventAttributes(event) => {
                child(event.initiated_event_id, Some(event.started_event_id));
            }
            Attributes::ChildWorkflowExecutionFailedEventAttributes(event) => {
                child(event.initiated_event_id, Some(event.started_event_id));
            }
            Attributes::ChildWorkflowExecutionCanceledEventAttributes(event) => {
                child(event.initiated_event_id, Some(event.started_event_id));
            }
            Attributes::ChildWorkflowExecutionTimedOutEventAttributes(event) => {
                child(event.initiated_event_id, Some(event.started_event_id));
            }
            Attributes::ChildWorkflowExecutionTerminatedEventAttributes(event) => {
                child(event.initiated_event_id, Some(event.started_event_id));
            }
            Attributes::ExternalWorkflowExecutionSignaledEventAttributes(event) => {
                assert_eq!(kind(event.initiated_event_id), EventType::SignalExternalWorkflowExecutionInitiated);
            }
            Attributes::SignalExternalWorkflowExecutionFailedEventAttributes(event) => {
                assert_eq!(kind(event.initiated_event_id), EventType::SignalExternalWorkflowExecutionInitiated);
            }
            Attributes::ExternalWorkflowExecutionCancelRequestedEventAttributes(event) => {
                assert_eq!(kind(event.initiated_event_id), EventType::RequestCancelExternalWorkflowExecutionInitiated);
            }
            Attributes::RequestCancelExternalWorkflowExecutionFailedEventAttributes(event) => {
                assert_eq!(kind(event.initiated_event_id), EventType::RequestCancelExternalWorkflowExecutionInitiated);
            }
            Attributes::WorkflowExecutionUpdateCompletedEventAttributes(event) => {
                assert_eq!(kind(event.accepted_event_id), EventType::WorkflowExecutionUpdateAccepted);
            }
            Attributes::TimerFiredEventAttributes(event) => {
                assert_eq!(kind(event.started_event_id), EventType::TimerStarted);
            }
            Attributes::TimerCanceledEventAttributes(event) => {
                assert_eq!(kind(event.started_event_id), EventType::TimerStarted);
            }
            _ => {}
        }
    }
}

/// Indexes say what the things they index say.
fn indexed(state: &WorkflowState) {
    let ids = state.activities.iter().map(|(id, activity)| {
        assert_eq!(*id, activity.scheduled_event_id);
        (activity.attributes.as_ref().unwrap().activity_id.clone(), *id)
    });
    assert_eq!(ids.collect::<BTreeMap<_, _>>(), state.activity_ids.clone().into_iter().collect());
    let attempts: Vec<_> = state.volatile.attempts.keys().collect();
    assert_eq!(attempts, state.activities.keys().collect::<Vec<_>>());
    let ids = state.timers.iter().map(|(id, timer)| {
        assert_eq!(*id, timer.started_event_id);
        (timer.timer_id.clone(), *id)
    });
    assert_eq!(ids.collect::<BTreeMap<_, _>>(), state.timer_ids.clone().into_iter().collect());
    let mut deadlines: OrdSet<_> = state.timers.values().map(|timer| deadline::of_timer(timer)).collect();
    for (id, activity) in &state.activities {
        deadlines.extend(deadline::of_activity(activity, state.attempt(*id).unwrap()));
    }
    assert_eq!(deadlines, state.volatile.deadlines);
}

/// The workflow task is where its events say it is, and nothing waits without one that runs.
fn task_is_sound(history: &[Arc<HistoryEvent>], state: &WorkflowState) {
    assert!(state.volatile.buffered.is_empty() || state.started_task().is_some(), "events wait for nothing");
    let numbers: Vec<_> = state.volatile.buffered.iter().map(|waiting| waiting.id).collect();
    assert!(numbers.is_sorted_by(|one, next| one < next), "{numbers:?}");
    let Some(task) = state.task() else { return };
    let kind = |id: i64| history.get(usize::try_from(id - 1).unwrap()).map(|event| event.event_type());
    let started = task.started_time != 0;
    assert_eq!(started, task.started_event_id != 0);
    assert_eq!(state.task_is_transient(), task.attempt > 1 || task.speculative);
    assert!(!task.speculative || task.attempt == 1);
    if !state.task_is_transient() {
        assert_eq!(kind(task.scheduled_event_id), Some(EventType::WorkflowTaskScheduled));
        assert!(!started || kind(task.started_event_id) == Some(EventType::WorkflowTaskStarted));
        assert_eq!(state.transient_tail(), Vec::new());
    } else {
        let tail = state.transient_tail();
        assert_eq!(tail.len(), if started { 2 } else { 1 });
        assert!(!started || tail[0].event_id == state.next_event_id(), "a worker sees ids that will be given");
        assert_eq!(tail[0].event_id, task.scheduled_event_id);
        assert!(tail.get(1).is_none_or(|event| event.event_id == task.started_event_id));
    }
}

/// What is newly scheduled goes to matching once, unless its worker has it already.
fn dispatched(before: &WorkflowState, transition: &Transition) {
    let after = &transition.state;
    let name = |task: &perdure_proto::records::WorkflowTask| (task.scheduled_event_id, task.attempt);
    let fresh = after.task().filter(|task| {
        task.started_time == 0
            && before.task().is_none_or(|old| {
                name(old) != name(task)
                    || old.scheduled_time != task.scheduled_time
                    || old.stamp != task.stamp
                    || old.started_time != 0
            })
    });
    let sent: Vec<_> = transition
        .tasks
        .iter()
        .filter_map(|task| match task {
            NewTask::Workflow(task) => Some((task.scheduled_event_id, task.attempt)),
            _ => None,
        })
        .collect();
    if after.is_open() {
        assert_eq!(sent, Vec::from_iter(fresh.map(name)), "workflow tasks for matching");
    }
    for (id, attempt) in &after.volatile.attempts {
        let old = before.attempt(*id);
        let fresh = attempt.started_time == 0
            && !attempt.waits_for_retry
            && attempt.pause.is_none()
            && !after.is_paused()
            && (before.is_paused()
                || old.is_none_or(|old| {
                    old.attempt != attempt.attempt || old.waits_for_retry || old.stamp != attempt.stamp
                }));
        let sent = transition.tasks.iter().filter(|task| match task {
            NewTask::Activity(task) => task.scheduled_event_id == *id,
            _ => false,
        });
        if after.is_open() {
            assert_eq!(sent.count(), usize::from(fresh), "tasks for matching of activity {id}: {attempt:?}");
        }
    }
}

/// What is newly initiated has a task; a run that closes tells its parent, unless another run follows, and
/// deals with the children that it knows to be started.
fn family(before: &WorkflowState, transition: &Transition) {
    let (after, tasks) = (&transition.state, &transition.tasks);
    let count = |wanted: &dyn Fn(&NewTask) -> bool| tasks.iter().filter(|task| wanted(task)).count();
    for (id, child) in &after.children {
        let sent = count(&|task| matches!(task, NewTask::StartChild(task) if task.initiated_event_id == *id));
        // A reset gives a run children that are started already.
        let fresh = !before.children.contains_key(id) && child.started_run_id.is_empty();
        assert_eq!(sent, usize::from(fresh), "tasks that start child {id}");
    }
    for id in after.external_signals.keys() {
        let sent = count(&|task| matches!(task, NewTask::SignalExternal(task) if task.initiated_event_id == *id));
        assert_eq!(sent, usize::from(!before.external_signals.contains_key(id)), "tasks of signal {id}");
    }
    for id in after.external_cancels.keys() {
        let sent = count(&|task| matches!(task, NewTask::CancelExternal(task) if task.initiated_event_id == *id));
        assert_eq!(sent, usize::from(!before.external_cancels.contains_key(id)), "tasks of cancellation {id}");
    }
    let closes = before.is_open() && !after.is_open();
    let has_parent = after.start.parent_workflow_execution.is_some();
    let run = &after.volatile.run;
    let last = after.record.new_execution_run_id.is_empty() && !run.was_reset;
    let reports = count(&|task| matches!(task, NewTask::ReportClose(_)));
    assert_eq!(reports, usize::from(closes && has_parent && last), "the parent hears of the end once");
    let left = after
        .children
        .values()
        .filter(|child| !child.started_run_id.is_empty() && child.parent_close_policy() != ParentClosePolicy::Abandon);
    let taken_over = run.was_reset && !run.reset_run_id.is_empty();
    let expected = if closes && !taken_over { left.count() } else { 0 };
    assert_eq!(count(&|task| matches!(task, NewTask::CloseChild(_))), expected, "children of a parent that closes");
}

/// Callbacks stand by while the run is open, are known, and each try has its task.
fn callbacks(before: &WorkflowState, transition: &Transition) {
    let after = &transition.state;
    let mut fresh = Vec::new();
    for (id, progress) in &after.volatile.callbacks {
        assert!(after.callbacks.contains_key(id), "{id:?}");
        assert_eq!(progress.state() == CallbackState::BackingOff, progress.next_attempt_time != 0);
        let scheduled = |progress: &records::CallbackProgress| progress.state() == CallbackState::Scheduled;
        if scheduled(progress) && !before.volatile.callbacks.get(id).is_some_and(|before| scheduled(before)) {
            fresh.push((id.request_id.clone(), id.index, progress.attempt));
        }
    }
    let sent = transition.tasks.iter().filter_map(|task| match task {
        NewTask::Callback(task) => Some((task.request_id.clone(), task.index, task.attempt)),
        _ => None,
    });
    let mut sent: Vec<_> = sent.collect();
    sent.sort();
    assert_eq!(sent, fresh, "tasks of callbacks");
    assert!(!after.is_open() || after.volatile.callbacks.is_empty(), "the run is open");
    let due = after.volatile.callbacks.iter().filter(|(_, progress)| progress.next_attempt_time != 0);
    let due = due.map(|(id, progress)| (Timestamp::from_nanos(progress.next_attempt_time), id.clone()));
    assert_eq!(due.collect::<OrdSet<_>>(), after.volatile.callback_retries);
}

/// The workflow hears of whatever happened to it.
fn woken(history: &[Arc<HistoryEvent>], after: &WorkflowState) {
    if !after.is_open()
        || after.volatile.run.first_task_held
        || after.is_paused()
        || after.task().is_some()
        || after.volatile.run.first_task_at != 0
    {
        return;
    }
    let answered = history.iter().rposition(|event| event.event_type() == EventType::WorkflowTaskCompleted);
    for event in &history[answered.map_or(0, |index| index + 1)..] {
        let quiet = matches!(
            event.event_type(),
            EventType::ActivityTaskScheduled
                | EventType::ActivityTaskCancelRequested
                | EventType::StartChildWorkflowExecutionInitiated
                | EventType::SignalExternalWorkflowExecutionInitiated
                | EventType::RequestCancelExternalWorkflowExecutionInitiated
                | EventType::TimerStarted
                | EventType::TimerCanceled
                | EventType::MarkerRecorded
                | EventType::WorkflowExecutionUpdateAccepted
                | EventType::WorkflowExecutionUpdateCompleted
                | EventType::UpsertWorkflowSearchAttributes
                | EventType::WorkflowPropertiesModified
                | EventType::WorkflowExecutionOptionsUpdated
        );
        assert!(quiet, "no workflow task after {event:?}");
    }
}

/// Updates are counted, each is known once, and none is forgotten while it could go out.
fn remembered(state: &WorkflowState) {
    let count = |fits: fn(&perdure_proto::records::Update) -> bool| {
        i64::try_from(state.updates.values().filter(|update| fits(update)).count()).unwrap()
    };
    assert_eq!(state.record.completed_updates, count(|update| update.completed_event_id != 0));
    assert_eq!(state.record.admitted_updates, count(|update| update.accepted_event_id == 0));
    let mut ids: Vec<_> = state.volatile.updates.iter().map(|pending| &pending.id).collect();
    ids.sort();
    assert!(ids.windows(2).all(|pair| pair[0] != pair[1]), "{ids:?}");
    for pending in &state.volatile.updates {
        assert!(pending.request.is_none() || !state.updates.contains_key(&pending.id), "{pending:?}");
        if state.is_open() && state.find_update(&pending.id) == Standing::Admitted {
            assert!(state.task().is_some() || state.is_paused(), "nothing takes {pending:?} along");
        }
    }
}

/// A closed run ends with its closing event and waits for nothing but its deletion.
fn closed(history: &[Arc<HistoryEvent>], after: &WorkflowState) {
    assert_eq!(after.record.close_event_id, history.last().unwrap().event_id);
    assert_eq!(after.task(), None);
    assert_eq!(after.volatile.buffered, Vec::new());
    let next = after.next_deadline().map(|(_, deadline)| deadline);
    assert!(matches!(next, Some(deadline::Deadline::Delete | deadline::Deadline::Callbacks)), "{next:?}");
}

/// What the store holds is all of the run, and gives it back.
pub(crate) fn check_stored(kit: &Kit) {
    let state = &kit.state;
    let mut all = vec![WorkflowItem::Start, WorkflowItem::Memo, WorkflowItem::SearchAttributes];
    all.extend(state.activities.keys().copied().map(WorkflowItem::Activity));
    all.extend(state.volatile.attempts.keys().copied().map(WorkflowItem::Attempt));
    all.extend(state.timers.keys().copied().map(WorkflowItem::Timer));
    all.extend(state.volatile.signal_requests.iter().cloned().map(WorkflowItem::SignalRequest));
    all.extend(state.children.keys().copied().map(WorkflowItem::Child));
    all.extend(state.external_signals.keys().copied().map(WorkflowItem::ExternalSignal));
    all.extend(state.external_cancels.keys().copied().map(WorkflowItem::ExternalCancel));
    all.extend(state.volatile.buffered.iter().map(|waiting| WorkflowItem::Buffered(waiting.id)));
    all.extend(state.updates.keys().cloned().map(WorkflowItem::Update));
    all.extend(state.callbacks.keys().cloned().map(WorkflowItem::Callback));
    all.extend(state.attached_requests.keys().cloned().map(WorkflowItem::AttachedRequest));
    let all: Stored = all.iter().filter_map(|item| Some((item.stored_key(), item.encode(state)?))).collect();
    assert_eq!(kit.stored, all, "the touched items bring the store up to date");
    let decoded = items::decode(state.key.clone(), &encode_record(state), all).unwrap();
    assert_eq!(decoded, state.without_memory(), "what is stored gives the run back");
}

/// A list shows a run otherwise only after a change that writes its row, and its attributes only after one that
/// writes these.
pub(super) fn check_shown(before: &WorkflowState, after: &WorkflowState) {
    let shown = shown_otherwise(before, after);
    let (before, after) = (visibility_record(before), visibility_record(after));
    if shown != Some(true) {
        assert_eq!(before.search_attributes, after.search_attributes);
    }
    if shown.is_none() {
        assert_eq!(before.closed.is_some(), after.closed.is_some());
        // What only closed runs show is that of the close.
        assert_eq!(VisibilityRecord { closed: None, ..before }, VisibilityRecord { closed: None, ..after });
    }
}
