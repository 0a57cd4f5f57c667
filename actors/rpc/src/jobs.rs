//! What can be asked of the server's own jobs.

use std::{fmt, pin::Pin, time::Duration};

use async_trait::async_trait;
use perdure_kernel::{ExecutionKey, NamespaceId, ServiceResult, Timestamp, time::span_to_proto};
use perdure_proto::admin;

/// What a check of the database looks at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckScope {
    /// One namespace; `None` for all.
    pub namespace: Option<NamespaceId>,
    /// Whether histories are read too: most of the work.
    pub histories: bool,
    /// Whether what can be set right is set right.
    pub mend: bool,
    /// Executions looked at each second, at most; `None` for as many as there can be.
    pub rate: Option<u32>,
}

/// Something that does not hold in the database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The run that it is about; `None` when it is about the store as a whole.
    pub run: Option<ExecutionKey>,
    /// A name for metrics and scripts: `not_shown`, `orphan_history`.
    pub problem: &'static str,
    /// What is wrong, in words.
    pub text: String,
    /// What became of it.
    pub outcome: Outcome,
}

/// What became of a finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing was tried.
    Left,
    /// It is set right.
    Mended,
    /// Setting it right failed.
    Failed(String),
}

/// What a check came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CheckSummary {
    /// When it ended.
    pub ended: Timestamp,
    /// How long it took.
    pub took: Duration,
    /// Runs looked at.
    pub runs: u64,
    /// Rows of lists looked at.
    pub rows: u64,
    /// Runs that changed whenever they were looked at: nothing is known of them.
    pub unsettled: u64,
    /// Findings.
    pub findings: u64,
    /// Findings that were set right.
    pub mended: u64,
}

impl From<Finding> for admin::Finding {
    fn from(finding: Finding) -> Self {
        let (repaired, failure) = match finding.outcome {
            Outcome::Left => (false, String::new()),
            Outcome::Mended => (true, String::new()),
            Outcome::Failed(why) => (false, why),
        };
        let run = finding.run.as_ref();
        Self {
            namespace_id: run.map(|run| run.business.namespace_id.to_string()).unwrap_or_default(),
            archetype: run.map(|run| u32::from(run.business.archetype.0)).unwrap_or_default(),
            business_id: run.map(|run| run.business.business_id.to_string()).unwrap_or_default(),
            run_id: run.map(|run| run.run_id.to_string()).unwrap_or_default(),
            problem: finding.problem.to_owned(),
            text: finding.text,
            repaired,
            failure,
        }
    }
}

impl From<CheckSummary> for admin::CheckSummary {
    fn from(summary: CheckSummary) -> Self {
        Self {
            ended: Some(summary.ended.to_proto()),
            took: Some(span_to_proto(summary.took)),
            runs: summary.runs,
            rows: summary.rows,
            unsettled: summary.unsettled,
            findings: summary.findings,
            repaired: summary.mended,
        }
    }
}

/// How far the deletion of a namespace has come.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeletionProgress {
    /// The step it is at.
    pub stage: DeletionStage,
    /// Executions removed since the server started.
    pub removed: u64,
    /// Why the last try at a step failed; empty when it did not.
    pub trouble: String,
}

/// Steps of the deletion of a namespace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DeletionStage {
    /// It has not begun yet.
    #[default]
    Waiting,
    /// Executions are ended and removed.
    Executions,
    /// Task queues are removed.
    TaskQueues,
    /// What lists show is removed.
    Lists,
    /// The namespace itself is kept until its delay is over.
    Delay,
    /// The namespace itself is removed.
    Namespace,
}

impl fmt::Display for DeletionStage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Waiting => "waiting",
            Self::Executions => "removing executions",
            Self::TaskQueues => "removing task queues",
            Self::Lists => "removing rows of lists",
            Self::Delay => "waiting for its delay to end",
            Self::Namespace => "removing the namespace",
        })
    }
}

/// Where a check's findings go as they come.
#[async_trait]
pub trait FindingSink: Send {
    /// Takes one. The check waits meanwhile.
    async fn found(&mut self, finding: Finding);
}

/// The end of a check, to wait for.
pub type CheckEnd = Pin<Box<dyn Future<Output = ServiceResult<CheckSummary>> + Send>>;

/// The server's own jobs.
pub trait JobService: Send + Sync + 'static {
    /// Checks the database while it is in use, beginning at once. One check runs at a time.
    ///
    /// # Errors
    ///
    /// `ResourceExhausted` while another check runs; `Unavailable` when the store fails.
    fn check(&self, scope: CheckScope, findings: Box<dyn FindingSink>) -> CheckEnd;

    /// What the last whole check came to, if there was one since the server started.
    fn last_check(&self) -> Option<CheckSummary>;

    /// How far the deletion of a namespace has come; `None` when none is under way.
    fn deletion(&self, namespace: &NamespaceId) -> Option<DeletionProgress>;
}
