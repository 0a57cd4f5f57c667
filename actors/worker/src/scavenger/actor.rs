//! The actor that checks the database now and then, and when it is asked to.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use perdure_kernel::{ErrorKind, ExecutionKey, ServiceError, ServiceResult, backoff, random::SplitMix};
use perdure_persistence::StoreResult;
use perdure_proto::api::enums::{ResourceExhaustedCause, ResourceExhaustedScope};
use perdure_rpc::{
    Caller,
    care::MendRun,
    jobs::{CheckScope, CheckSummary, Finding, FindingSink},
};
use perdure_runtime::{Actor, Ctx, Reply, lock};

use super::check::{Check, Mender};
use crate::service::Shared;

/// Time between checks that nobody asked for, as Temporal's scanners have it.
const INTERVAL: Duration = Duration::from_secs(12 * 3600);

/// Share of it that jitter may take away, so that nodes do not check at the same time.
const JITTER: f64 = 0.2;

pub(crate) enum Msg {
    /// Check now.
    Check { scope: CheckScope, sink: Box<dyn FindingSink>, answer: Reply<ServiceResult<CheckSummary>> },
    /// A check has ended; somebody may wait for it.
    Ended { result: StoreResult<CheckSummary>, answer: Option<Reply<ServiceResult<CheckSummary>>> },
}

/// One on each node. One check runs at a time.
pub(crate) struct Scavenger {
    shared: Arc<Shared>,
    random: SplitMix,
    running: bool,
}

impl Scavenger {
    pub(crate) fn new(shared: Arc<Shared>, seed: u64) -> Self {
        Self { shared, random: SplitMix::new(seed), running: false }
    }

    fn check(
        &mut self,
        scope: CheckScope,
        sink: Box<dyn FindingSink>,
        answer: Option<Reply<ServiceResult<CheckSummary>>>,
        ctx: &mut Ctx<Self>,
    ) {
        self.running = true;
        let shared = &self.shared;
        let check = Check {
            store: Arc::clone(&shared.store),
            shard_map: shared.history.shard_map(),
            archetypes: Arc::clone(&shared.archetypes),
            clock: Arc::clone(&shared.clock),
            lists: shared.lists,
            mender: Some(Arc::new(ByShard(Arc::clone(shared)))),
            scope,
        };
        ctx.spawn_io(async move { check.run(sink).await }, move |result| Msg::Ended { result, answer });
    }

    fn ended(&mut self, result: StoreResult<CheckSummary>, answer: Option<Reply<ServiceResult<CheckSummary>>>) {
        self.running = false;
        match &result {
            Ok(summary) => {
                metrics::counter!("scavenger_success").increment(1);
                tracing::info!(
                    runs = summary.runs,
                    rows = summary.rows,
                    findings = summary.findings,
                    mended = summary.mended,
                    took = ?summary.took,
                    "database checked"
                );
                *lock(&self.shared.last_check) = Some(*summary);
            }
            Err(error) => {
                metrics::counter!("scavenger_errors").increment(1);
                tracing::warn!(%error, "the check of the database stopped");
            }
        }
        if let Some(answer) = answer {
            answer.send(result.map_err(|error| {
                ServiceError::unavailable(format!("the check stopped, start it again: {}", error.message))
            }));
        }
    }

    fn arm(&mut self, ctx: &mut Ctx<Self>) {
        ctx.set_timer(ctx.now() + backoff::jitter_down(INTERVAL, JITTER, &mut self.random));
    }
}

impl Actor for Scavenger {
    type Msg = Msg;
    const KIND: &'static str = "scavenger";

    fn started(&mut self, ctx: &mut Ctx<Self>) {
        self.arm(ctx);
    }

    fn handle(&mut self, msg: Msg, ctx: &mut Ctx<Self>) {
        match msg {
            Msg::Check { answer, .. } if self.running => answer.send(Err(ServiceError::exhausted(
                ResourceExhaustedCause::ConcurrentLimit,
                ResourceExhaustedScope::System,
                "a check is under way; try again when it has ended",
            ))),
            Msg::Check { scope, sink, answer } => self.check(scope, sink, Some(answer), ctx),
            Msg::Ended { result, answer } => self.ended(result, answer),
        }
    }

    fn timer(&mut self, ctx: &mut Ctx<Self>) {
        self.arm(ctx);
        let settings = (self.shared.settings)();
        if self.running || !settings.scavenger {
            metrics::counter!("scavenger_skips").increment(1);
            return;
        }
        let scope = CheckScope {
            namespace: None,
            histories: settings.scavenger_histories,
            mend: true,
            rate: Some(settings.scavenger_rate),
        };
        self.check(scope, Box::new(Log), None, ctx);
    }
}

/// Findings that nobody asked for go to the log.
struct Log;

#[async_trait]
impl FindingSink for Log {
    async fn found(&mut self, finding: Finding) {
        tracing::error!(run = ?finding.run, problem = finding.problem, outcome = ?finding.outcome, "{}", finding.text);
    }
}

/// Has shards set their runs right.
struct ByShard(Arc<Shared>);

#[async_trait]
impl Mender for ByShard {
    async fn mend(&self, run: &ExecutionKey) -> ServiceResult<()> {
        let namespace_id = &run.business.namespace_id;
        let namespace =
            self.0.namespaces.by_id(namespace_id).ok_or_else(|| {
                ServiceError::new(ErrorKind::NotFound, format!("there is no namespace {namespace_id}"))
            })?;
        let caller = Caller::server(namespace);
        self.0.history.ask(&run.business, caller, MendRun { run: run.clone() }, None).await
    }
}
