//! Workflows of one timer, started at a fixed rate whether or not the server keeps up.

use std::time::Duration;

use perdure_proto::api::{
    enums::EventType,
    history::{HistoryEvent, history_event::Attributes},
};

use crate::{
    messages::{is, micros, now_micros},
    run::ThreadContext,
};

/// Time of the TimerFired event after the time the timer was due, both by the server's clock.
const FIRED_LATE: &str = "timer fired after due";
/// When the worker had the task in hand, by its own clock, after the time the timer was due.
const TASK_LATE: &str = "task in hand after due";

pub(super) async fn drive(context: ThreadContext, slot: usize) {
    let rpc = context.connections.pick(slot);
    let mut started = Vec::new();
    while let Some(number) = context.next_operation() {
        // The number of an operation gives the time it is due to start: slots need no ticker.
        let offset = Duration::from_secs_f64(number as f64 / context.options.rate);
        tokio::time::sleep_until((context.launch + offset).into()).await;
        let workflow_id = context.workflow_id(number);
        if let Some(run_id) = super::start(&context, &rpc, &workflow_id).await {
            started.push((workflow_id, run_id));
        }
    }
    for (workflow_id, run_id) in started {
        super::wait_completed(&context, &rpc, &workflow_id, &run_id).await;
    }
}

/// Measures the timer whose firing the task carries.
pub(super) fn observe(context: &ThreadContext, events: &[HistoryEvent]) {
    let Some(fired) = events.iter().find(|event| is(event, EventType::TimerFired)) else { return };
    let Some((started, attributes)) = events.iter().find_map(|event| match &event.attributes {
        Some(Attributes::TimerStartedEventAttributes(attributes)) => Some((event, attributes)),
        _ => None,
    }) else {
        return;
    };
    let timeout = attributes.start_to_fire_timeout.unwrap_or_default();
    let timeout = timeout.seconds * 1_000_000 + i64::from(timeout.nanos) / 1_000;
    let due = micros(started.event_time.as_ref()) + timeout;
    let late = micros(fired.event_time.as_ref()) - due;
    if late < 0 {
        context.tally.lock().violation(format!("a timer fired {} µs early", -late));
    }
    context.operation_measured(&[(FIRED_LATE, micros_since(late)), (TASK_LATE, micros_since(now_micros() - due))]);
}

fn micros_since(micros: i64) -> Duration {
    Duration::from_micros(u64::try_from(micros).unwrap_or(0))
}
