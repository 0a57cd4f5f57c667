//! Answers and refusals.

use perdure_kernel::{ErrorKind, ServiceError};
use perdure_proto::api::enums::{ResourceExhaustedCause, ResourceExhaustedScope};
use perdure_task_queue::{AddRefusal, AskId, PollId, QueryId, QueryRefusal};

use super::{TaskQueue, asks::Waiting};

fn overloaded(cause: ResourceExhaustedCause, message: &'static str) -> ServiceError {
    ServiceError::exhausted(cause, ResourceExhaustedScope::Namespace, message)
}

fn sticky_worker_unavailable() -> ServiceError {
    ServiceError::new(ErrorKind::StickyWorkerUnavailable, "sticky worker unavailable, please use original task queue.")
}

fn stopping() -> ServiceError {
    ServiceError::unavailable("the task queue is being stopped on this node; try again")
}

impl TaskQueue {
    pub(super) fn answer_poll_empty(&mut self, poll: PollId) {
        self.forwarded.remove(&poll);
        if let Some(waiting) = self.polls.remove(&poll) {
            self.count(|metrics| &metrics.poll_timeouts);
            waiting.ask.answer_empty();
        }
    }

    pub(super) fn refuse_poll(&mut self, poll: PollId) {
        if let Some(Waiting { ask, .. }) = self.polls.remove(&poll) {
            ask.refuse(overloaded(ResourceExhaustedCause::ConcurrentLimit, "too many polls wait on the task queue"));
        }
    }

    pub(super) fn acknowledge(&mut self, ask: AskId) {
        if let Some(reply) = self.adds.remove(&ask) {
            reply.send(Ok(()));
        }
    }

    pub(super) fn refuse_add(&mut self, ask: AskId, refusal: AddRefusal) {
        let Some(reply) = self.adds.remove(&ask) else { return };
        reply.send(Err(match refusal {
            AddRefusal::StickyWorkerUnavailable => sticky_worker_unavailable(),
            AddRefusal::Overloaded => {
                overloaded(ResourceExhaustedCause::SystemOverloaded, "Too many outstanding appends to the task queue")
            }
            AddRefusal::NotStored => {
                ServiceError::unavailable("the task could not be written to the task queue; try again")
            }
            AddRefusal::NoPoller => {
                self.count(|metrics| &metrics.tasks_no_poller);
                ServiceError::new(ErrorKind::DeadlineExceeded, "no poller came in time")
            }
            AddRefusal::Stopping => stopping(),
        }));
    }

    pub(super) fn fail_query(&mut self, query: QueryId, refusal: QueryRefusal) {
        let Some(ask) = self.queries.remove(&query) else { return };
        ask.refuse(match refusal {
            QueryRefusal::StickyWorkerUnavailable => sticky_worker_unavailable(),
            QueryRefusal::NoPoller => {
                ServiceError::failed_precondition("no poller seen for task queue recently, worker may be down")
            }
            QueryRefusal::DeadlineExceeded => {
                ServiceError::new(ErrorKind::DeadlineExceeded, "query timed out before a worker could process it")
            }
            QueryRefusal::Overloaded => {
                overloaded(ResourceExhaustedCause::ConcurrentLimit, "too many queries wait on the task queue")
            }
            QueryRefusal::Stopping => stopping(),
        });
    }
}
