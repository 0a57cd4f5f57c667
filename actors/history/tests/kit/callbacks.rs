//! The other side of completion callbacks, as the test plays it.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use perdure_outbound::{CallbackRequest, CallbackSender, Undelivered};

/// What the other side does with a request.
pub(crate) enum Play {
    /// Answers.
    Answer(Result<(), Undelivered>),
    /// Answers after so long.
    After(Duration, Result<(), Undelivered>),
}

/// Answers by script; what is not in the script is taken. Outlives nodes.
#[derive(Clone, Default)]
pub(crate) struct Callbacks(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    script: VecDeque<Play>,
    seen: Vec<CallbackRequest>,
}

impl Callbacks {
    pub(crate) fn play(&self, plays: impl IntoIterator<Item = Play>) {
        self.0.lock().unwrap().script.extend(plays);
    }

    /// Requests since the last look.
    pub(crate) fn seen(&self) -> Vec<CallbackRequest> {
        std::mem::take(&mut self.0.lock().unwrap().seen)
    }
}

#[async_trait]
impl CallbackSender for Callbacks {
    async fn send(&self, request: CallbackRequest) -> Result<(), Undelivered> {
        let play = {
            let mut inner = self.0.lock().unwrap();
            inner.seen.push(request);
            inner.script.pop_front()
        };
        match play {
            None => Ok(()),
            Some(Play::Answer(answer)) => answer,
            Some(Play::After(wait, answer)) => {
                tokio::time::sleep(wait).await;
                answer
            }
        }
    }
}
