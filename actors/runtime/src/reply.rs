//! One-shot answers.

use std::{
    fmt,
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll, Waker},
};

use crate::lock;

/// The question was dropped without an answer: the actor that held it panicked, ended, or was given away.
/// Whether state changed is unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReplyDropped;

impl fmt::Display for ReplyDropped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the question was dropped without an answer")
    }
}

impl std::error::Error for ReplyDropped {}

/// The right to answer a question once. Travels inside the message that asks. Dropped unanswered it tells
/// the asker so.
pub struct Reply<T> {
    route: Option<Route<T>>,
}

enum Route<T> {
    Channel(Arc<Mutex<State<T>>>),
    Callback(Box<dyn FnOnce(Option<T>) + Send>),
}

enum State<T> {
    Open {
        waker: Option<Waker>,
        on_closed: Option<Box<dyn FnOnce() + Send>>,
    },
    /// `None`: dropped without an answer.
    Answered(Option<T>),
    /// The asker went away, or has its answer.
    Closed,
}

impl<T> Reply<T> {
    /// A reply and the future of its answer. Dropping the future is how an asker goes away.
    pub fn channel() -> (Self, Answer<T>) {
        let state = Arc::new(Mutex::new(State::Open { waker: None, on_closed: None }));
        (Self { route: Some(Route::Channel(Arc::clone(&state))) }, Answer { state })
    }

    /// A reply that calls `answered`, on the answering thread, with the answer or with `None` when it is
    /// dropped unanswered. Never [`Reply::is_closed`].
    pub fn callback(answered: impl FnOnce(Option<T>) + Send + 'static) -> Self {
        Self { route: Some(Route::Callback(Box::new(answered))) }
    }

    /// A reply nobody waits for.
    pub fn ignored() -> Self {
        Self::callback(|_| {})
    }

    /// Answers. An asker that went away is not told.
    pub fn send(self, answer: T) {
        let _ = self.offer(answer);
    }

    /// Answers, or gives the answer back when the asker went away. `Ok` does not promise that the asker
    /// looks at it.
    ///
    /// # Errors
    ///
    /// The answer itself.
    pub fn offer(mut self, answer: T) -> Result<(), T> {
        match self.route.take() {
            Some(route) => route.answer(Some(answer)).map_or(Ok(()), Err),
            None => Err(answer),
        }
    }

    /// Whether the asker went away.
    pub fn is_closed(&self) -> bool {
        match &self.route {
            Some(Route::Channel(state)) => matches!(*lock(state), State::Closed),
            Some(Route::Callback(_)) | None => false,
        }
    }

    /// Has `told` called once when the asker goes away before the answer, on the asker's thread; at once if
    /// it has gone. Costs one allocation and no task: usually `told` tells an actor to drop what it holds.
    /// A second call replaces the first.
    pub fn on_closed(&self, told: impl FnOnce() + Send + 'static) {
        let Some(Route::Channel(state)) = &self.route else { return };
        match &mut *lock(state) {
            State::Open { on_closed, .. } => {
                *on_closed = Some(Box::new(told));
                return;
            }
            State::Answered(_) => return,
            State::Closed => {}
        }
        told();
    }
}

impl<T> Route<T> {
    /// Gives the answer back when nobody is there.
    fn answer(self, answer: Option<T>) -> Option<T> {
        match self {
            Self::Channel(state) => {
                let mut guard = lock(&state);
                match std::mem::replace(&mut *guard, State::Closed) {
                    State::Open { waker, on_closed } => {
                        *guard = State::Answered(answer);
                        // Both run or drop code of others: not under the lock.
                        drop(guard);
                        drop(on_closed);
                        if let Some(waker) = waker {
                            waker.wake();
                        }
                        None
                    }
                    State::Answered(_) | State::Closed => answer,
                }
            }
            Self::Callback(answered) => {
                // Replies are also dropped while an actor's panic unwinds; a second panic out of that drop
                // would end the process.
                if catch_unwind(AssertUnwindSafe(|| answered(answer))).is_err() {
                    tracing::error!("the callback of a reply panicked");
                }
                None
            }
        }
    }
}

impl<T> Drop for Reply<T> {
    fn drop(&mut self) {
        if let Some(route) = self.route.take() {
            route.answer(None);
        }
    }
}

impl<T> fmt::Debug for Reply<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Reply")
    }
}

/// The future of an answer. See [`Reply::channel`].
#[must_use = "dropping it tells the other side that nobody waits"]
pub struct Answer<T> {
    state: Arc<Mutex<State<T>>>,
}

impl<T> Answer<T> {
    /// The answer if it is already here; `None` while it is not. After an answer was taken: dropped.
    pub fn try_take(&mut self) -> Option<Result<T, ReplyDropped>> {
        Self::take(&mut lock(&self.state))
    }

    fn take(state: &mut State<T>) -> Option<Result<T, ReplyDropped>> {
        if matches!(state, State::Open { .. }) {
            return None;
        }
        match std::mem::replace(state, State::Closed) {
            State::Answered(answer) => Some(answer.ok_or(ReplyDropped)),
            State::Open { .. } | State::Closed => Some(Err(ReplyDropped)),
        }
    }
}

impl<T> Future for Answer<T> {
    type Output = Result<T, ReplyDropped>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = lock(&self.state);
        match &mut *state {
            State::Open { waker: Some(waker), .. } => {
                waker.clone_from(cx.waker());
                Poll::Pending
            }
            State::Open { waker, .. } => {
                *waker = Some(cx.waker().clone());
                Poll::Pending
            }
            State::Answered(_) | State::Closed => match Self::take(&mut state) {
                Some(answer) => Poll::Ready(answer),
                None => Poll::Pending,
            },
        }
    }
}

impl<T> Drop for Answer<T> {
    fn drop(&mut self) {
        let state = std::mem::replace(&mut *lock(&self.state), State::Closed);
        match state {
            State::Open { on_closed: Some(told), .. } => told(),
            State::Open { on_closed: None, .. } | State::Answered(_) | State::Closed => {}
        }
    }
}

impl<T> fmt::Debug for Answer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Answer")
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[tokio::test]
    async fn answers_across_tasks() {
        let (reply, answer) = Reply::channel();
        let waiting = tokio::spawn(answer);
        tokio::task::yield_now().await;
        reply.send(7);
        assert_eq!(waiting.await.unwrap(), Ok(7));
    }

    #[tokio::test]
    async fn dropped_unanswered() {
        let (reply, answer) = Reply::<u8>::channel();
        let waiting = tokio::spawn(answer);
        tokio::task::yield_now().await;
        drop(reply);
        assert_eq!(waiting.await.unwrap(), Err(ReplyDropped));

        let (reply, mut answer) = Reply::<u8>::channel();
        assert_eq!(answer.try_take(), None);
        drop(reply);
        assert_eq!(answer.try_take(), Some(Err(ReplyDropped)));
    }

    #[test]
    fn asker_goes_away() {
        let told = Arc::new(AtomicUsize::new(0));
        let count = |told: &Arc<AtomicUsize>| {
            let told = Arc::clone(told);
            move || {
                told.fetch_add(1, Ordering::SeqCst);
            }
        };
        let (reply, answer) = Reply::channel();
        reply.on_closed(count(&told));
        assert!(!reply.is_closed());
        drop(answer);
        assert!(reply.is_closed());
        assert_eq!(told.load(Ordering::SeqCst), 1);
        // Gone already: told at once.
        reply.on_closed(count(&told));
        assert_eq!(told.load(Ordering::SeqCst), 2);
        assert_eq!(reply.offer(5), Err(5));
    }

    #[test]
    fn an_answer_in_time_tells_nobody() {
        let told = Arc::new(AtomicUsize::new(0));
        let (reply, mut answer) = Reply::channel();
        reply.on_closed({
            let told = Arc::clone(&told);
            move || {
                told.fetch_add(1, Ordering::SeqCst);
            }
        });
        assert_eq!(reply.offer(5), Ok(()));
        assert_eq!(answer.try_take(), Some(Ok(5)));
        drop(answer);
        assert_eq!(told.load(Ordering::SeqCst), 0);
        assert_eq!(Arc::strong_count(&told), 1);
    }

    #[test]
    fn callbacks_hear_of_both_ends() {
        let heard = Arc::new(Mutex::new(Vec::new()));
        let callback = || {
            let heard = Arc::clone(&heard);
            Reply::callback(move |answer| heard.lock().unwrap().push(answer))
        };
        callback().send(1);
        drop(callback());
        assert_eq!(*heard.lock().unwrap(), [Some(1), None]);
        drop(Reply::<u8>::callback(|_| panic!("must not escape")));
    }
}
