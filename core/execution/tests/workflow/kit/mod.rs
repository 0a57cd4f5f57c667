//! One run and the world around it: clock, store, history, task queue and workers.

pub(crate) mod family;
pub(crate) mod laws;
pub(crate) mod make;
pub(crate) mod operator;
mod worker;

use std::{collections::BTreeMap, fmt::Debug, sync::Arc, time::Duration};

use bytes::Bytes;
use perdure_execution::{
    Env,
    workflow::{
        Decision, NewRun, NewTask, Signal, Transition, UpdateNotice, WorkflowState,
        calls::{
            cancel, delete, pause,
            reset::{self, Fork},
            reset_sticky, signal, terminate, update, update_options,
        },
        timers::{self, Woken},
    },
};
use perdure_kernel::{ExecutionKey, Namespace, NamespaceId, ServiceResult, Timestamp, random::SplitMix};
use perdure_proto::api::{
    enums::EventType,
    history::{HistoryEvent, history_event::Attributes},
    protocol::Message,
    workflowservice::{
        PauseWorkflowExecutionRequest, RequestCancelWorkflowExecutionRequest, ResetWorkflowExecutionRequest,
        StartWorkflowExecutionRequest, TerminateWorkflowExecutionRequest, UnpauseWorkflowExecutionRequest,
        UpdateWorkflowExecutionOptionsRequest, UpdateWorkflowExecutionOptionsResponse,
    },
};

pub(crate) use worker::Worker;

/// When every test begins: a whole minute, so that cron times are easy to read.
pub(crate) const BEGIN: Timestamp = Timestamp::from_nanos(1_700_000_040_000_000_000);

/// Wake-ups in one stretch of time after which a run is taken to spin.
const WAKES_MAX: usize = 10_000;

/// Stored items by kind and name.
pub(crate) type Stored = BTreeMap<(u16, String), Bytes>;

/// A run and its world.
#[derive(Clone)]
pub(crate) struct Kit {
    pub(crate) namespace: Namespace,
    pub(crate) now: Timestamp,
    pub(crate) state: WorkflowState,
    /// The history.
    pub(crate) events: Vec<Arc<HistoryEvent>>,
    /// Tasks handed to matching, oldest first.
    pub(crate) tasks: Vec<NewTask>,
    /// What the store holds of the run.
    pub(crate) stored: Stored,
    /// What became of updates without a trace, oldest first.
    pub(crate) notices: Vec<UpdateNotice>,
    /// Messages that the last taken workflow task came with.
    pub(crate) messages: Vec<Message>,
    /// The run that was started together with this one's end.
    pub(crate) successor: Option<Box<Kit>>,
    /// Whether retention has come to its end.
    pub(crate) deleted: bool,
    /// How many events and tasks the test has looked at.
    seen: (usize, usize),
    seed: u64,
}

impl Kit {
    /// A run with nothing special about it.
    pub(crate) fn new() -> Self {
        Self::start(|_| {})
    }

    /// A run started by a request that `adjust` has changed.
    pub(crate) fn start(adjust: impl Fn(&mut StartWorkflowExecutionRequest)) -> Self {
        Self::start_in(Namespace::new(NamespaceId::from("namespace-id"), "namespace"), adjust)
    }

    /// The same in a namespace of the test's own.
    pub(crate) fn start_in(namespace: Namespace, adjust: impl Fn(&mut StartWorkflowExecutionRequest)) -> Self {
        Self::start_with(namespace, BEGIN, None, adjust)
    }

    /// A run started at a certain time, with a signal or without.
    pub(crate) fn start_with(
        namespace: Namespace,
        now: Timestamp,
        signal: Option<Signal>,
        adjust: impl Fn(&mut StartWorkflowExecutionRequest),
    ) -> Self {
        Self::start_run(namespace, now, signal, adjust, |_| {})
    }

    /// The same, with changes that no request can ask for.
    pub(crate) fn start_run(
        namespace: Namespace,
        now: Timestamp,
        signal: Option<Signal>,
        adjust: impl Fn(&mut StartWorkflowExecutionRequest),
        adjust_run: impl Fn(&mut NewRun),
    ) -> Self {
        let mut request = make::start_request();
        adjust(&mut request);
        let key = ExecutionKey::workflow(&namespace.id, &request.workflow_id, "run-1");
        let begin = || {
            let mut random = SplitMix::new(1);
            let mut env = Env { now, namespace: &namespace, random: &mut random };
            let mut run = NewRun::from_request(key.clone(), request.clone(), &env);
            run.signal.clone_from(&signal);
            adjust_run(&mut run);
            run.begin(&mut env)
        };
        let transition = begin();
        laws::same(&transition, &begin());
        Self::from_first(namespace.clone(), now, transition)
    }

    /// The world of a run that its first transition starts.
    pub(crate) fn from_first(namespace: Namespace, now: Timestamp, transition: Transition) -> Self {
        let mut kit = Self {
            namespace,
            now,
            state: WorkflowState::empty(transition.state.key.clone()),
            events: Vec::new(),
            tasks: Vec::new(),
            stored: Stored::new(),
            notices: Vec::new(),
            messages: Vec::new(),
            successor: None,
            deleted: false,
            seen: (0, 0),
            seed: 2,
        };
        kit.take(transition);
        kit
    }

    /// Lets the machine decide, checks the laws and takes the outcome over.
    pub(crate) fn decide<A: Debug>(
        &mut self,
        decide: impl Fn(&WorkflowState, &mut Env<'_>) -> ServiceResult<Decision<A>>,
    ) -> ServiceResult<A> {
        let (first, second) = (self.ask(&decide), self.ask(&decide));
        self.seed += 1;
        let (first, second) = match (first, second) {
            (Ok(first), Ok(second)) => (first, second),
            (Err(first), Err(second)) => {
                assert_eq!(first, second, "the same question twice");
                return Err(first);
            }
            (first, second) => panic!("the same question twice: {first:?} and {second:?}"),
        };
        assert_eq!(format!("{:?}", first.answer), format!("{:?}", second.answer), "the same question twice");
        match (first.transition, second.transition) {
            (Some(first), Some(second)) => {
                laws::same(&first, &second);
                self.take(first);
            }
            (None, None) => {}
            (first, second) => panic!("the same question twice: {first:?} and {second:?}"),
        }
        Ok(first.answer)
    }

    fn ask<T>(&self, decide: impl Fn(&WorkflowState, &mut Env<'_>) -> T) -> T {
        let mut random = SplitMix::new(self.seed);
        decide(&self.state, &mut Env { now: self.now, namespace: &self.namespace, random: &mut random })
    }

    /// Takes over a transition that a test had decided by itself.
    pub(crate) fn take(&mut self, transition: Transition) {
        laws::check(self, &transition);
        laws::check_shown(&self.state, &transition.state);
        self.events.extend(transition.events().cloned());
        for item in transition.touched_items() {
            let key = item.stored_key();
            match item.encode(&transition.state) {
                Some(bytes) => self.stored.insert(key, bytes),
                None => self.stored.remove(&key),
            };
        }
        self.tasks.extend(transition.tasks);
        self.notices.extend(transition.notices);
        self.state = transition.state;
        laws::check_stored(self);
        if let Some(next) = transition.successor {
            self.successor = Some(Box::new(Self::from_first(self.namespace.clone(), self.now, *next)));
        }
    }

    /// Time goes by; everything happens when it is due.
    pub(crate) fn pass(&mut self, by: Duration) {
        let until = self.now + by;
        for _ in 0..WAKES_MAX {
            match self.state.next_deadline().filter(|(at, _)| *at <= until && !self.deleted) {
                Some((at, _)) => {
                    self.now = self.now.max(at);
                    self.wake();
                }
                None => {
                    self.now = until;
                    return;
                }
            }
        }
        panic!("the run spins: {:?}", self.state.next_deadline());
    }

    /// Time goes by while nobody looks; what was due meanwhile happens late.
    pub(crate) fn oversleep(&mut self, by: Duration) {
        self.now = self.now + by;
        for _ in 0..WAKES_MAX {
            if !self.wake() || self.deleted {
                return;
            }
        }
        panic!("the run spins: {:?}", self.state.next_deadline());
    }

    /// Time goes by and the run does not hear of it.
    pub(crate) fn tick(&mut self, by: Duration) {
        self.now = self.now + by;
    }

    /// The run sees what is due. Returns whether anything was.
    pub(crate) fn wake(&mut self) -> bool {
        let wake = |state: &WorkflowState, env: &mut Env<'_>| timers::decide(state, env);
        let (first, second) = (self.ask(wake), self.ask(wake));
        self.seed += 1;
        match (first, second) {
            (Woken::TooEarly, Woken::TooEarly) => return false,
            (Woken::Delete, Woken::Delete) => {
                assert!(!self.state.is_open(), "an open run is not deleted");
                self.deleted = true;
            }
            (Woken::Changed(first), Woken::Changed(second)) => {
                laws::same(&first, &second);
                self.take(*first);
            }
            (first, second) => panic!("the same wake-up twice: {first:?} and {second:?}"),
        }
        true
    }

    pub(crate) fn signal(&mut self, name: &str) -> ServiceResult<()> {
        self.signal_with(make::signal(name, ""), false)
    }

    pub(crate) fn signal_with(&mut self, signal: Signal, hasty: bool) -> ServiceResult<()> {
        self.decide(|state, env| signal::decide(state, signal.clone(), hasty, env))
    }

    pub(crate) fn cancel(&mut self) -> ServiceResult<()> {
        let request = RequestCancelWorkflowExecutionRequest { reason: "enough".to_owned(), ..Default::default() };
        self.decide(|state, env| cancel::decide(state, request.clone(), env))
    }

    pub(crate) fn terminate(&mut self) -> ServiceResult<()> {
        let request = TerminateWorkflowExecutionRequest {
            reason: "enough".to_owned(),
            identity: "operator".to_owned(),
            ..Default::default()
        };
        self.decide(|state, env| terminate::decide(state, request.clone(), env))
    }

    pub(crate) fn pause(&mut self, request_id: &str) -> ServiceResult<()> {
        let request = PauseWorkflowExecutionRequest {
            identity: "operator".to_owned(),
            reason: "because".to_owned(),
            request_id: request_id.to_owned(),
            ..Default::default()
        };
        self.decide(|state, env| pause::decide(state, request.clone(), env))
    }

    pub(crate) fn unpause(&mut self) -> ServiceResult<()> {
        let request = UnpauseWorkflowExecutionRequest { identity: "operator".to_owned(), ..Default::default() };
        self.decide(|state, env| pause::undo(state, request.clone(), env))
    }

    pub(crate) fn delete(&mut self) {
        self.decide(|state, env| Ok(delete::decide(state, env))).unwrap();
    }

    pub(crate) fn update_options(
        &mut self,
        request: &UpdateWorkflowExecutionOptionsRequest,
    ) -> ServiceResult<UpdateWorkflowExecutionOptionsResponse> {
        self.decide(|state, env| update_options::decide(state, request.clone(), env))
    }

    /// Resets the run, which is the current one of its id, so that it goes on before `finish_event_id`. The new
    /// run is [`Kit::next`].
    pub(crate) fn reset(
        &mut self,
        finish_event_id: i64,
        adjust: impl Fn(&mut ResetWorkflowExecutionRequest),
    ) -> ServiceResult<()> {
        let mut request = make::reset_request(finish_event_id);
        adjust(&mut request);
        let before = |end: i64| usize::try_from(end).unwrap_or(0).min(self.events.len());
        let later = self.events[before(finish_event_id - 1)..].iter().filter(|event| reset::is_reapplied(event));
        let fork = Fork {
            events: self.events[..before(finish_event_id)].to_vec(),
            later: later.cloned().collect(),
            reaches_current: true,
        };
        self.decide(|state, env| {
            let reset = reset::decide(state, Some(state), &request, fork.clone(), env)?;
            assert!(reset.current.is_none());
            Ok(Decision { transition: Some(reset.base), answer: () })
        })
    }

    pub(crate) fn reset_sticky(&mut self) -> ServiceResult<()> {
        self.decide(reset_sticky::decide)
    }

    /// Somebody asks for an update.
    pub(crate) fn update(&mut self, id: &str) -> ServiceResult<()> {
        let request = make::update(id);
        self.decide(|state, env| update::decide(state, &request, env))
    }

    /// Types of the events since the last look.
    pub(crate) fn news(&mut self) -> Vec<EventType> {
        let from = std::mem::replace(&mut self.seen.0, self.events.len());
        self.events[from..].iter().map(|event| event.event_type()).collect()
    }

    /// Tasks handed to matching since the last look.
    pub(crate) fn new_tasks(&mut self) -> Vec<NewTask> {
        let from = std::mem::replace(&mut self.seen.1, self.tasks.len());
        self.tasks[from..].to_vec()
    }

    /// Looks at everything, to see only what comes.
    pub(crate) fn skip_news(&mut self) {
        self.news();
        self.new_tasks();
    }

    /// Attributes of an event, by its id.
    pub(crate) fn event(&self, id: i64) -> &Attributes {
        self.events[usize::try_from(id - 1).unwrap()].attributes.as_ref().unwrap()
    }

    /// The run that was started together with this one's end.
    pub(crate) fn next(&self) -> &Kit {
        self.successor.as_ref().unwrap()
    }
}

/// Attributes of the last event of a kind.
macro_rules! last {
    ($kit:expr, $kind:ident) => {
        $kit.events
            .iter()
            .rev()
            .find_map(|event| match &event.attributes {
                Some(perdure_proto::api::history::history_event::Attributes::$kind(attributes)) => {
                    Some(attributes.clone())
                }
                _ => None,
            })
            .expect(stringify!($kind))
    };
}
pub(crate) use last;
