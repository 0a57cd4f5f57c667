//! What the workers of [`crate::random_runs`] say of updates.

use perdure_execution::workflow::{Standing, calls};
use perdure_proto::api::{
    command::Command,
    enums::{EventType, UpdateAdmittedEventOrigin},
    protocol::Message,
};
use proptest::prelude::*;

use crate::kit::{Kit, make::*};

/// What a worker says of an update.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Word {
    Accept,
    AcceptAsIs,
    Reject,
    Respond,
    Place,
}

pub(crate) fn any_words() -> impl Strategy<Value = Vec<(Word, u8)>> {
    let word = prop::sample::select(vec![
        Word::Accept,
        Word::Accept,
        Word::AcceptAsIs,
        Word::Reject,
        Word::Reject,
        Word::Respond,
        Word::Respond,
        Word::Place,
    ]);
    prop::collection::vec((word, 0..8u8), 0..5)
}

/// A reset takes an update along, once.
pub(crate) fn reapply(kit: &mut Kit, id: u8) {
    let id = id.to_string();
    let waits = kit.state.volatile.buffered.iter().filter_map(|waiting| waiting.event.as_ref());
    if kit.state.find_update(&id) == Standing::Unknown
        && !waits.into_iter().any(|event| event.event_type() == EventType::WorkflowExecutionUpdateAdmitted)
    {
        let (request, origin) = (update_request(&id), UpdateAdmittedEventOrigin::Reapply);
        let _ = kit.decide(|state, env| calls::update::reapply(state, request.clone(), origin, env));
    }
}

/// What the worker says of updates.
pub(crate) fn words_of(kit: &Kit, words: &[(Word, u8)], careless: bool) -> (Vec<Message>, Vec<Command>) {
    let (mut messages, mut places) = (Vec::new(), Vec::new());
    let fits = |kit: &Kit, id: &str, word: Word| match word {
        Word::Accept | Word::AcceptAsIs | Word::Reject => kit.state.find_update(id) == Standing::Admitted,
        Word::Respond => kit.state.find_update(id) == Standing::Accepted,
        Word::Place => true,
    };
    for (index, (word, id)) in words.iter().enumerate() {
        let id = id.to_string();
        let odd = careless || *word as usize == 2;
        if !odd && !fits(kit, &id, *word) {
            continue;
        }
        match word {
            Word::Accept => messages.push(accept(&id)),
            Word::AcceptAsIs => messages.push(accept_as(&id, Some(update_request(&id)))),
            Word::Reject => messages.push(reject(&id)),
            Word::Respond => messages.push(respond(&id)),
            Word::Place => {
                if let Some(message) = messages.get(index / 2) {
                    places.push(place(&message.id));
                }
            }
        }
    }
    (messages, places)
}
