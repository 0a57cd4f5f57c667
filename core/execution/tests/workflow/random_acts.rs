//! What may happen to a run at random, where it takes more than a line.

use perdure_execution::workflow::{
    callbacks::Delivery,
    calls::{
        attach::{self, Attachment},
        callback_tried,
    },
};
use perdure_proto::api::{
    common::{Callback, callback},
    enums::{EventType, ResetReapplyExcludeType},
    history::HistoryEvent,
};

use crate::kit::Kit;

/// A start finds the run open.
pub(crate) fn attach(kit: &mut Kit, request: u8, callbacks: usize) {
    let request_id = if request == 0 { String::new() } else { format!("attach-{request}") };
    let callbacks = vec![some_callback(); callbacks];
    let attachment = Attachment { request_id, callbacks, ..Default::default() };
    let _ = kit.decide(|state, env| attach::decide(state, attachment.clone(), env));
}

pub(crate) fn some_callback() -> Callback {
    let nexus = callback::Nexus { url: "http://localhost/".to_owned(), ..Default::default() };
    Callback { variant: Some(callback::Variant::Nexus(nexus)), ..Default::default() }
}

/// A try to deliver one of the callbacks ends.
pub(crate) fn deliver(kit: &mut Kit, pick: u8, end: u8, stale: bool) {
    let count = kit.state.callbacks.len().max(1);
    let Some(id) = kit.state.callbacks.keys().nth(usize::from(pick) % count).cloned() else { return };
    let attempt = kit.state.volatile.callbacks.get(&id).map_or(0, |progress| progress.attempt) + i32::from(stale);
    let delivery = match end {
        0 => Delivery::Succeeded,
        1 => Delivery::Retry("down".to_owned()),
        _ => Delivery::Failed("no".to_owned()),
    };
    kit.decide(|state, env| Ok(callback_tried::decide(state, &id, attempt, delivery.clone(), env))).unwrap();
}

/// Resets to one of the points where a workflow task was pending, or to any event.
pub(crate) fn reset(kit: &mut Kit, pick: u8, odd: bool, excluded: bool) {
    let points: Vec<i64> =
        kit.events.windows(2).filter(|pair| is_point(&pair[0])).map(|pair| pair[1].event_id).collect();
    let any = i64::from(pick) % 40 - 1;
    let point = points.get(usize::from(pick) % points.len().max(1)).copied().filter(|_| !odd);
    let outcome = kit.reset(point.unwrap_or(any), |request| {
        if excluded {
            request.reset_reapply_exclude_types = vec![ResetReapplyExcludeType::Signal.into()];
        }
    });
    assert!(outcome.is_ok() || point.is_none(), "{outcome:?} at {point:?}");
}

fn is_point(event: &HistoryEvent) -> bool {
    matches!(event.event_type(), EventType::WorkflowTaskScheduled | EventType::WorkflowTaskStarted)
}
