//! Runs at the mercy of chance: any sequence of requests, sensible or not, keeps the laws.

use std::time::Duration;

use perdure_execution::workflow::{calls::activity_outcome::Outcome, describe::describe, query::path};
use perdure_proto::{
    api::{
        command::{
            Command, ModifyWorkflowPropertiesCommandAttributes, UpsertWorkflowSearchAttributesCommandAttributes,
            command::Attributes,
        },
        common::{ActivityType, Memo, Payload, SearchAttributes},
        enums::{
            CancelExternalWorkflowExecutionFailedCause as CancelCause, CommandType, QueryRejectCondition,
            SignalExternalWorkflowExecutionFailedCause as SignalCause,
            StartChildWorkflowExecutionFailedCause as StartCause, WorkflowTaskFailedCause,
        },
        history::history_event::Attributes as HistoryAttributes,
        workflowservice::respond_workflow_task_completed_request::Capabilities,
    },
    records, tokens,
};
use proptest::prelude::*;

use crate::kit::{Kit, Worker, family::*, make::*};
use crate::random_acts::{attach, deliver, reset};
use crate::random_beginnings::{any_beginning, begin};
use crate::random_operations::{Operation, any_operation, any_policy, any_span, operate};
use crate::random_words::{Word, any_words, reapply, words_of};

/// One thing that happens.
#[derive(Clone, Debug)]
enum Step {
    StartTask { stale: bool, sticky: bool, request: bool },
    Complete(Box<Completion>),
    FailTask { cause: i32 },
    Signal { id: u8, size: usize, hasty: bool },
    Attach { request: u8, callbacks: usize },
    Deliver { pick: u8, end: u8, stale: bool },
    Cancel,
    Terminate,
    StartActivity { pick: u8, stale: bool },
    Outcome { pick: u8, outcome: Box<Outcome>, start: bool, by_id: bool, stale: bool },
    Heartbeat { pick: u8, by_id: bool },
    ChildStart { pick: u8, runs: bool },
    ChildEnd { pick: u8, end: usize, stranger: bool },
    Arrival { pick: u8, signal: bool, arrives: bool },
    FirstTask,
    ResetSticky,
    Operate { pick: u8, operation: Box<Operation> },
    Pause,
    Unpause,
    Options { priority: Option<i32>, overrides: bool },
    Delete,
    Reset { pick: u8, odd: bool, excluded: bool },
    Update { id: u8 },
    Reapply { id: u8 },
    Lose,
    Read,
    Pass(Duration),
    Oversleep(Duration),
}

/// How a worker answers a workflow task.
#[derive(Clone, Debug)]
struct Completion {
    commands: Vec<Command>,
    /// First cancels one of the open activities.
    cancel: Option<u8>,
    /// First cancels timers that have fired meanwhile.
    take_back: bool,
    /// Takes the pending task first.
    start: bool,
    force: bool,
    inline: bool,
    sticky: bool,
    stale: bool,
    /// What is said of updates, as far as it makes sense; and of some that it does not.
    words: Vec<(Word, u8)>,
    /// The worker can take events once more.
    discards: bool,
}

fn any_id() -> impl Strategy<Value = String> {
    let usual = prop::sample::select(vec!["a", "b", "c"]);
    let odd = prop::sample::select(vec!["", "far too long for an id"]);
    prop_oneof![40 => usual, 1 => odd].prop_map(str::to_owned)
}

/// Sizes of payloads, seldom over the limit.
fn any_size() -> impl Strategy<Value = usize> {
    prop_oneof![40 => 0..150usize, 1 => 200..400usize]
}

fn schedules() -> impl Strategy<Value = Command> {
    let attempt = prop_oneof![4 => Just(secs(10)), 1 => any_span()];
    let timeouts = (any_span(), any_span(), attempt, any_span());
    (any_id(), timeouts, any_policy(), any::<bool>(), any_size()).prop_map(
        |(id, (to_close, to_start, start_to_close, heartbeat), policy, eager, size)| {
            schedule_with(&id, |activity| {
                activity.activity_type = Some(ActivityType { name: "deed".to_owned() });
                activity.schedule_to_close_timeout = to_close;
                activity.schedule_to_start_timeout = to_start;
                activity.start_to_close_timeout = start_to_close;
                activity.heartbeat_timeout = heartbeat;
                activity.retry_policy.clone_from(&policy);
                activity.request_eager_execution = eager;
                activity.input = bulk(size);
            })
        },
    )
}

fn any_fields() -> impl Strategy<Value = std::collections::BTreeMap<String, Payload>> {
    prop::collection::btree_map(any_id(), any_size().prop_map(|size| bulk(size).unwrap().payloads[0].clone()), 0..3)
}

fn any_command() -> impl Strategy<Value = Command> {
    let closing = prop_oneof![
        Just(complete("done")),
        prop::sample::select(vec!["kind", "Fatal"]).prop_map(|kind| fail(failure(kind))),
        Just(cancel_workflow()),
        (any_span(), any_span(), any_policy(), prop::sample::select(vec!["", "@every 5s", "nonsense"])).prop_map(
            |(run, backoff, policy, cron)| continue_with(|next| {
                next.workflow_run_timeout = run;
                next.backoff_start_interval = backoff;
                next.retry_policy.clone_from(&policy);
                next.cron_schedule = cron.to_owned();
            })
        ),
    ];
    let state = prop_oneof![
        any_fields().prop_map(|fields| {
            let attributes = ModifyWorkflowPropertiesCommandAttributes { upserted_memo: Some(Memo { fields }) };
            let attributes = Attributes::ModifyWorkflowPropertiesCommandAttributes(attributes);
            command(CommandType::ModifyWorkflowProperties, attributes)
        }),
        any_fields().prop_map(|indexed_fields| {
            let search_attributes = Some(SearchAttributes { indexed_fields });
            let attributes = UpsertWorkflowSearchAttributesCommandAttributes { search_attributes };
            let attributes = Attributes::UpsertWorkflowSearchAttributesCommandAttributes(attributes);
            command(CommandType::UpsertWorkflowSearchAttributes, attributes)
        }),
    ];
    let plain = prop_oneof![
        12 => schedules(),
        1 => (-1..40i64).prop_map(cancel_activity),
        9 => (any_id(), any_span()).prop_map(|(id, span)| {
            let mut command = start_timer(&id, 0);
            if let Some(Attributes::StartTimerCommandAttributes(timer)) = &mut command.attributes {
                timer.start_to_fire_timeout = span;
            }
            command
        }),
        1 => any_id().prop_map(|id| cancel_timer(&id)),
        4 => (any_id(), any_span(), 0..4i32, any_size()).prop_map(|(id, run, policy, size)| {
            child_with(&id, |child| {
                child.workflow_run_timeout = run;
                child.parent_close_policy = policy;
                child.input = bulk(size);
            })
        }),
        2 => any_id().prop_map(|id| signal_other(&id)),
        2 => any_id().prop_map(|id| cancel_other(&id)),
        2 => any_id().prop_map(|name| marker(&name)),
        1 => state,
    ];
    let odd = (any_command_type(), prop::option::of(any_id().prop_map(|id| start_timer(&id, 1).attributes.unwrap())))
        .prop_map(|(command_type, attributes)| Command { command_type, attributes, ..Default::default() });
    prop_oneof![60 => plain, 5 => closing, 1 => odd]
}

fn any_command_type() -> impl Strategy<Value = i32> {
    0..20i32
}

/// Commands that mostly make sense together.
fn any_commands() -> impl Strategy<Value = Vec<Command>> {
    prop::collection::vec(any_command(), 0..5)
}

fn any_outcome() -> impl Strategy<Value = Outcome> {
    prop_oneof![
        Just(Outcome::Completed { result: payloads("result") }),
        (prop::sample::select(vec!["kind", "kind", "Fatal"]), 0..3usize, any_span()).prop_map(|(kind, size, delay)| {
            let mut failure = failure(kind);
            if let Some(perdure_proto::api::failure::failure::FailureInfo::ApplicationFailureInfo(info)) =
                &mut failure.failure_info
            {
                info.next_retry_delay = delay.filter(|_| size == 1);
            }
            failure.message = "ä".repeat(size * 3000);
            Outcome::Failed { failure: Some(failure.into()), last_heartbeat_details: bulk(size) }
        }),
        Just(Outcome::Failed { failure: None, last_heartbeat_details: None }),
        Just(Outcome::Canceled { details: None }),
    ]
}

fn any_time() -> impl Strategy<Value = Duration> {
    let usual = prop::sample::select(vec![Duration::from_nanos(1), SECOND, 4 * SECOND, 11 * SECOND, 70 * SECOND]);
    prop_oneof![30 => usual, 1 => prop::sample::select(vec![2 * HOUR, 100 * 365 * 24 * HOUR])]
}

fn rarely() -> impl Strategy<Value = bool> {
    prop::bool::weighted(0.1)
}

fn completions() -> impl Strategy<Value = Step> {
    let options = (prop::option::weighted(0.3, any::<u8>()), any::<bool>(), prop::bool::weighted(0.7));
    let commands = prop_oneof![3 => any_commands(), 1 => Just(Vec::new())];
    let words = (any_words(), any::<bool>());
    (commands, options, rarely(), any::<bool>(), any::<bool>(), rarely(), words).prop_map(
        |(commands, (cancel, take_back, start), force, inline, sticky, stale, (words, discards))| {
            let completion =
                Completion { commands, cancel, take_back, start, force, inline, sticky, stale, words, discards };
            Step::Complete(Box::new(completion))
        },
    )
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (rarely(), any::<bool>(), rarely())
            .prop_map(|(stale, sticky, request)| Step::StartTask { stale, sticky, request }),
        14 => completions(),
        1 => (0..40i32).prop_map(|cause| Step::FailTask { cause }),
        3 => (0..4u8, 0..3usize, rarely())
            .prop_map(|(id, size, hasty)| Step::Signal { id, size: size * 400, hasty }),
        1 => Just(Step::Cancel),
        2 => (0..4u8, 0..3usize).prop_map(|(request, callbacks)| Step::Attach { request, callbacks }),
        4 => (any::<u8>(), 0..3u8, rarely()).prop_map(|(pick, end, stale)| Step::Deliver { pick, end, stale }),
        5 => (any::<u8>(), rarely()).prop_map(|(pick, stale)| Step::StartActivity { pick, stale }),
        6 => (any::<u8>(), any_outcome(), prop::bool::weighted(0.7), rarely(), rarely())
            .prop_map(|(pick, outcome, start, by_id, stale)| {
                Step::Outcome { pick, outcome: Box::new(outcome), start, by_id, stale }
            }),
        2 => (any::<u8>(), rarely()).prop_map(|(pick, by_id)| Step::Heartbeat { pick, by_id }),
        1 => Just(Step::ResetSticky),
        4 => (any::<u8>(), prop::bool::weighted(0.8)).prop_map(|(pick, runs)| Step::ChildStart { pick, runs }),
        3 => (any::<u8>(), 0..5usize, rarely())
            .prop_map(|(pick, end, stranger)| Step::ChildEnd { pick, end, stranger }),
        3 => (any::<u8>(), any::<bool>(), any::<bool>())
            .prop_map(|(pick, signal, arrives)| Step::Arrival { pick, signal, arrives }),
        1 => Just(Step::FirstTask),
        5 => (any::<u8>(), any_operation())
            .prop_map(|(pick, operation)| Step::Operate { pick, operation: Box::new(operation) }),
        1 => Just(Step::Pause),
        2 => Just(Step::Unpause),
        1 => (any::<u8>(), rarely(), rarely())
            .prop_map(|(pick, odd, excluded)| Step::Reset { pick, odd, excluded }),
        1 => (prop::option::of(0..3i32), any::<bool>())
            .prop_map(|(priority, overrides)| Step::Options { priority, overrides }),
        6 => (0..8u8).prop_map(|id| Step::Update { id }),
        1 => rarely().prop_flat_map(|really| (0..8u8).prop_map(move |id| {
            if really { Step::Reapply { id: id + 8 } } else { Step::Update { id } }
        })),
        1 => rarely().prop_map(|really| if really { Step::Lose } else { Step::Read }),
        1 => Just(Step::Read),
        4 => any_time().prop_map(Step::Pass),
        2 => any_time().prop_map(Step::Oversleep),
        1 => prop::bool::weighted(0.1).prop_map(|really| if really { Step::Terminate } else { Step::Read }),
        1 => prop::bool::weighted(0.1).prop_map(|really| if really { Step::Delete } else { Step::Read }),
    ]
}

/// The scheduled event of one of the open activities; of none when there is none.
fn pick_activity(kit: &Kit, pick: u8) -> i64 {
    let count = kit.state.activities.len().max(1);
    kit.state.activities.keys().nth(usize::from(pick) % count).copied().unwrap_or_default()
}

/// One of the ids; of nothing when there is none.
fn pick_pending<'a>(ids: impl Iterator<Item = &'a i64>, pick: u8) -> i64 {
    let ids: Vec<i64> = ids.copied().collect();
    ids.get(usize::from(pick) % ids.len().max(1)).copied().unwrap_or_default()
}

/// Timers that fired while a worker decides.
fn fired_timers(kit: &Kit) -> impl Iterator<Item = String> {
    let waiting = kit.state.volatile.buffered.iter().filter_map(|waiting| waiting.event.as_ref()?.attributes.as_ref());
    waiting.filter_map(|attributes| match attributes {
        HistoryAttributes::TimerFiredEventAttributes(fired) => Some(fired.timer_id.clone()),
        _ => None,
    })
}

/// Lets something happen. Refusals are as good as anything: the kit checks that they change nothing.
fn happen(kit: &mut Kit, step: &Step) {
    match step {
        Step::StartTask { stale, sticky, request } => {
            let (scheduled, attempt) = kit.state.task().map_or((0, 0), |task| (task.scheduled_event_id, task.attempt));
            let request_id = if *request { "poll-2" } else { "poll-1" };
            let sticky_queue = (*sticky && kit.state.task().is_some_and(|task| task.sticky)).then_some("sticky");
            let worker = Worker { request_id, sticky_queue };
            let _ = kit.start_exactly(scheduled - i64::from(*stale), attempt, worker);
        }
        Step::Complete(completion) => complete_task(kit, completion),
        Step::FailTask { cause } => {
            let _ = kit.fail_task(WorkflowTaskFailedCause::try_from(*cause).unwrap_or_default());
        }
        Step::Signal { id, size, hasty } => {
            let mut signal = signal("s", &if *id == 0 { String::new() } else { id.to_string() });
            signal.attributes.input = bulk(*size);
            let _ = kit.signal_with(signal, *hasty);
        }
        Step::Attach { request, callbacks } => attach(kit, *request, *callbacks),
        Step::Deliver { pick, end, stale } => deliver(kit, *pick, *end, *stale),
        Step::Cancel => kit.cancel().unwrap(),
        Step::Terminate => drop(kit.terminate()),
        Step::StartActivity { pick, stale } => start_activity(kit, *pick, *stale),
        Step::Outcome { pick, outcome, start, by_id, stale } => {
            if *start {
                start_activity(kit, *pick, false);
            }
            let mut token = any_token(kit, *pick, *by_id);
            token.attempt += i32::from(*stale);
            let _ = kit.finish(&token, (**outcome).clone());
        }
        Step::Heartbeat { pick, by_id } => {
            let token = any_token(kit, *pick, *by_id);
            let _ = kit.heartbeat(&token, payloads("beat"));
        }
        Step::ChildStart { pick, runs } => {
            let id = pick_pending(kit.state.children.keys(), *pick);
            let _ = if *runs {
                kit.child_runs(id, CHILD_RUN)
            } else {
                kit.child_refused(id, StartCause::WorkflowAlreadyExists)
            };
        }
        Step::ChildEnd { pick, end, stranger } => {
            let id = pick_pending(kit.state.children.keys(), *pick);
            let _ = kit.child_closes(id, if *stranger { "another" } else { CHILD_RUN }, &ends()[*end]);
        }
        Step::Arrival { pick, signal: true, arrives } => {
            let id = pick_pending(kit.state.external_signals.keys(), *pick);
            let missing = SignalCause::ExternalWorkflowExecutionNotFound;
            let _ = kit.signal_arrives(id, arrives.then_some(()).ok_or(missing));
        }
        Step::Arrival { pick, signal: false, arrives } => {
            let id = pick_pending(kit.state.external_cancels.keys(), *pick);
            let missing = CancelCause::ExternalWorkflowExecutionNotFound;
            let _ = kit.cancel_arrives(id, arrives.then_some(()).ok_or(missing));
        }
        Step::FirstTask => drop(kit.first_task()),
        Step::ResetSticky => drop(kit.reset_sticky()),
        Step::Operate { pick, operation } => {
            let id = any_token(kit, *pick, true).activity_id;
            operate(kit, &id, operation);
        }
        Step::Pause => drop(kit.pause("pause")),
        Step::Unpause => drop(kit.unpause()),
        Step::Options { priority, overrides } => drop(kit.update_options(&options(*priority, Some(*overrides)))),
        Step::Delete => kit.delete(),
        Step::Reset { pick, odd, excluded } => reset(kit, *pick, *odd, *excluded),
        Step::Update { id } => drop(kit.update(&id.to_string())),
        Step::Reapply { id } => reapply(kit, *id),
        Step::Lose => kit.state = kit.state.without_memory(),
        Step::Read => {
            describe(&kit.state, &kit.namespace);
            let _ = path(&kit.state, QueryRejectCondition::NotCompletedCleanly, Some(kit.now));
        }
        Step::Pass(by) => kit.pass(*by),
        Step::Oversleep(by) => kit.oversleep(*by),
    }
}

fn complete_task(kit: &mut Kit, completion: &Completion) {
    if completion.start {
        let _ = kit.start_task_as(Worker::default());
    }
    let mut token = kit.token();
    token.attempt += i32::from(completion.stale);
    let open = completion.cancel.filter(|_| !kit.state.activities.is_empty());
    let cancelled = open.map(|pick| cancel_activity(pick_activity(kit, pick)));
    let fired = fired_timers(kit).filter(|_| completion.take_back).map(|id| cancel_timer(&id));
    let (messages, places) = words_of(kit, &completion.words, completion.stale);
    let commands: Vec<_> =
        places.into_iter().chain(fired).chain(cancelled).chain(completion.commands.iter().cloned()).collect();
    let _ = kit.complete_as(&token, commands, |request| {
        request.force_create_new_workflow_task = completion.force;
        request.return_new_workflow_task = completion.inline;
        request.sticky_attributes = completion.sticky.then(|| sticky("sticky", 5));
        request.messages.clone_from(&messages);
        request.capabilities =
            Some(Capabilities { discard_speculative_workflow_task_with_events: completion.discards });
        request.binary_checksum = if completion.inline { "v1".to_owned() } else { String::new() };
    });
}

fn start_activity(kit: &mut Kit, pick: u8, stale: bool) {
    let id = pick_activity(kit, pick);
    let unknown = || records::QueuedTask { scheduled_event_id: id, ..Default::default() };
    let mut task = kit.dispatched(id).unwrap_or_else(unknown);
    task.attempt -= i32::from(stale);
    let _ = kit.start_queued(&task, "poll-1");
}

fn any_token(kit: &Kit, pick: u8, by_id: bool) -> tokens::ActivityTask {
    let id = pick_activity(kit, pick);
    let mut token = kit.activity_token(id);
    if by_id {
        token.scheduled_event_id = 0;
        let activity = kit.state.activities.get(&id).and_then(|activity| activity.attributes.as_ref());
        token.activity_id = activity.map_or_else(|| "nobody".to_owned(), |activity| activity.activity_id.clone());
    }
    token
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_laws_hold(beginning in any_beginning(), steps in prop::collection::vec(any_step(), 1..80)) {
        let mut kit = begin(&beginning);
        for step in &steps {
            happen(&mut kit, step);
            if let Some(next) = kit.successor.take() {
                kit = *next;
            }
        }
    }
}
