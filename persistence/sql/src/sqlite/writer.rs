//! The one writer.
//!
//! It takes every write that waits, makes one transaction of them, and answers each on its own. A write
//! whose precondition does not hold is left out of the transaction; nothing of it was written, so nothing
//! has to be rolled back and its neighbours are none the wiser.

use std::collections::{BTreeSet, VecDeque};

use bytes::Bytes;
use perdure_kernel::{ExecutionKey, NamespaceId, ShardId};
use perdure_persistence::{
    Operation, StoreError, StoreErrorKind, StoreResult,
    namespace::NamespaceRow,
    shard::{ExecutionOp, ShardCommit, ShardLease},
    task_queue::{QueueKey, QueueLease},
};
use sqlx::{Connection, SqliteConnection};
use tokio::sync::{mpsc, oneshot};
use tracing::{error, warn};

use super::{
    commit::{self, RunNumbers},
    error::{kind_at_commit, kind_without_effect, was_rolled_back},
    maintain,
    open::Connector,
    queue::{self, QueueWrite},
    registry, visibility,
};

/// Writes that may wait for the writer before their callers do.
pub(super) const QUEUE_CAPACITY: usize = 1024;

/// Most writes in one transaction.
const MAX_MERGED: usize = 256;

/// A transaction takes no further commits once it has this many bytes of values.
const MAX_MERGED_BYTES: usize = 16 << 20;

/// Something to write.
#[derive(Debug)]
pub(super) enum Write {
    Commit(ShardCommit),
    AcquireShard { shard: ShardId, owner: String },
    Queue(QueueWrite),
    AcquireQueue(QueueKey),
    DeleteQueue(QueueKey),
    CreateNamespace(NamespaceRow),
    UpdateNamespace(NamespaceRow),
    DeleteNamespace(NamespaceId),
    PutClusterRecord { name: String, expected: Option<i64>, record: Bytes },
    MendRemains(&'static maintain::Kind),
    RemoveVisibility(Vec<ExecutionKey>),
}

/// What a write gives back.
#[derive(Debug)]
pub(super) enum Written {
    Done,
    Shard(ShardLease),
    Queue(QueueLease),
    Version(i64),
}

/// A write and whom to tell.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) write: Write,
    pub(super) reply: oneshot::Sender<StoreResult<Written>>,
}

/// What the writer is asked.
#[derive(Debug)]
pub(super) enum Request {
    Write(Job),
    /// Take no more; finish what was sent before.
    Close,
}

/// What a write must not share a transaction about: the facts it is checked against are read once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Subject<'a> {
    Shard(ShardId),
    Queue(&'a QueueKey),
}

impl Write {
    fn subject(&self) -> Option<Subject<'_>> {
        match self {
            Self::Commit(commit) => Some(Subject::Shard(commit.shard)),
            Self::AcquireShard { shard, .. } => Some(Subject::Shard(*shard)),
            Self::Queue(write) => Some(Subject::Queue(&write.key)),
            Self::AcquireQueue(key) | Self::DeleteQueue(key) => Some(Subject::Queue(key)),
            // Checked one by one, in turn.
            Self::CreateNamespace(_)
            | Self::UpdateNamespace(_)
            | Self::DeleteNamespace(_)
            | Self::PutClusterRecord { .. }
            | Self::MendRemains(_)
            | Self::RemoveVisibility(_) => None,
        }
    }

    fn operation(&self) -> Operation {
        match self {
            Self::Commit(_) => Operation::Commit,
            Self::AcquireShard { .. } => Operation::AcquireShard,
            Self::Queue(write) => write.operation(),
            Self::AcquireQueue(_) => Operation::AcquireQueue,
            Self::DeleteQueue(_) => Operation::DeleteQueue,
            Self::CreateNamespace(_) => Operation::CreateNamespace,
            Self::UpdateNamespace(_) => Operation::UpdateNamespace,
            Self::DeleteNamespace(_) => Operation::DeleteNamespace,
            Self::PutClusterRecord { .. } => Operation::PutClusterRecord,
            Self::MendRemains(_) => Operation::Verify,
            Self::RemoveVisibility(_) => Operation::RemoveVisibility,
        }
    }

    /// About how many bytes of values it brings.
    fn size(&self) -> usize {
        let Self::Commit(commit) = self else { return 0 };
        let executions = commit.executions.iter().map(|write| match &write.op {
            ExecutionOp::Put { record, items_put, history, .. } => {
                let items = items_put.iter().map(|(_, value)| value.len()).sum::<usize>();
                record.len() + items + history.iter().map(|batch| batch.events.len()).sum::<usize>()
            }
            ExecutionOp::Delete => 0,
        });
        executions.sum()
    }
}

/// Why a transaction came to nothing, or may have.
#[derive(Debug)]
struct Failure {
    kind: StoreErrorKind,
    message: String,
}

#[derive(Debug)]
pub(super) struct Writer {
    connector: Connector,
    conn: Option<SqliteConnection>,
    requests: mpsc::Receiver<Request>,
    waiting: VecDeque<Job>,
    runs: RunNumbers,
}

impl Writer {
    pub(super) fn new(connector: Connector, conn: SqliteConnection, requests: mpsc::Receiver<Request>) -> Self {
        Self { connector, conn: Some(conn), requests, waiting: VecDeque::new(), runs: RunNumbers::default() }
    }

    /// Writes until closed or until every sender is gone, then folds the log into the database.
    pub(super) async fn run(mut self) {
        loop {
            if self.waiting.is_empty() {
                match self.requests.recv().await {
                    Some(request) => self.accept(request),
                    None => break,
                }
            }
            while self.waiting.len() < MAX_MERGED
                && let Ok(request) = self.requests.try_recv()
            {
                self.accept(request);
            }
            let jobs = self.take_jobs();
            self.write(jobs).await;
        }
        if let Some(mut conn) = self.conn.take() {
            if let Err(error) = sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").execute(&mut conn).await {
                warn!(%error, "the last checkpoint failed; the log is read when the database is next opened");
            }
            if let Err(error) = conn.close().await {
                warn!(%error, "the database was not closed cleanly");
            }
        }
    }

    fn accept(&mut self, request: Request) {
        match request {
            Request::Write(job) => self.waiting.push_back(job),
            Request::Close => self.requests.close(),
        }
    }

    /// The waiting jobs that may share a transaction, in order; the others keep waiting.
    fn take_jobs(&mut self) -> Vec<Job> {
        let mut subjects = BTreeSet::new();
        let mut bytes = 0;
        let taken: Vec<bool> = self
            .waiting
            .iter()
            .map(|job| {
                // A job that stays behind keeps later ones of its subject behind it.
                let fresh = job.write.subject().is_none_or(|subject| subjects.insert(subject));
                let fits = bytes < MAX_MERGED_BYTES;
                if fresh && fits {
                    bytes += job.write.size();
                }
                fresh && fits
            })
            .collect();
        let (jobs, waiting) = self.waiting.drain(..).zip(taken).partition::<Vec<_>, _>(|(_, taken)| *taken);
        self.waiting = waiting.into_iter().map(|(job, _)| job).collect();
        jobs.into_iter().map(|(job, _)| job).collect()
    }

    async fn write(&mut self, jobs: Vec<Job>) {
        if jobs.is_empty() {
            return;
        }
        let (writes, replies): (Vec<Write>, Vec<_>) = jobs.into_iter().map(|job| (job.write, job.reply)).unzip();
        let answers = match self.transact(&writes).await {
            Ok(answers) => answers,
            // One write that the database cannot take must not fail the others.
            Err(failure) if failure.kind == StoreErrorKind::Corrupt && writes.len() > 1 => {
                let mut answers = Vec::with_capacity(writes.len());
                for write in &writes {
                    let one = std::slice::from_ref(write);
                    answers.append(&mut self.transact(one).await.unwrap_or_else(|failure| failure.for_all(one)));
                }
                answers
            }
            Err(failure) => failure.for_all(&writes),
        };
        for (reply, answer) in replies.into_iter().zip(answers) {
            // A caller that no longer waits does not need to know.
            let _ = reply.send(answer);
        }
    }

    /// One transaction. An answer per write, or a failure that concerns them all.
    async fn transact(&mut self, writes: &[Write]) -> Result<Vec<StoreResult<Written>>, Failure> {
        let mut conn = match self.conn.take() {
            Some(conn) => conn,
            None => self
                .connector
                .writer()
                .await
                .map_err(|error| Failure { kind: StoreErrorKind::Unavailable, message: error.to_string() })?,
        };
        if let Err(error) = sqlx::query("BEGIN IMMEDIATE").execute(&mut conn).await {
            let failure = Failure { kind: kind_without_effect(&error), message: error.to_string() };
            self.keep_if_rolled_back(conn).await;
            return Err(failure);
        }
        let failure = match apply(&mut conn, writes, &mut self.runs).await {
            Ok(answers) => match sqlx::query("COMMIT").execute(&mut conn).await {
                Ok(_) => {
                    self.conn = Some(conn);
                    return Ok(answers);
                }
                Err(error) => {
                    self.runs = RunNumbers::default();
                    let kind = kind_at_commit(&error);
                    let confirmed = self.keep_if_rolled_back(conn).await;
                    let kind = if confirmed { kind } else { StoreErrorKind::OutcomeUnknown };
                    Failure { kind, message: format!("commit failed: {error}") }
                }
            },
            Err(error) => {
                // Never committed: if the rollback fails too, closing the connection is the rollback.
                self.runs = RunNumbers::default();
                self.keep_if_rolled_back(conn).await;
                Failure { kind: kind_without_effect(&error), message: error.to_string() }
            }
        };
        error!(kind = ?failure.kind, writes = writes.len(), "{}", failure.message);
        Err(failure)
    }

    /// Ends the transaction. A connection that cannot say it did is given up; the next write opens another.
    async fn keep_if_rolled_back(&mut self, mut conn: SqliteConnection) -> bool {
        match sqlx::query("ROLLBACK").execute(&mut conn).await {
            Ok(_) => self.conn = Some(conn),
            Err(error) if was_rolled_back(&error) => self.conn = Some(conn),
            Err(error) => {
                warn!(%error, "rollback failed; the connection is given up");
                drop(conn.close().await);
            }
        }
        self.conn.is_some()
    }
}

impl Failure {
    fn for_all(&self, writes: &[Write]) -> Vec<StoreResult<Written>> {
        let answer = |write: &Write| Err(StoreError::new(self.kind, write.operation().name(), self.message.clone()));
        writes.iter().map(answer).collect()
    }
}

/// Makes every write whose precondition holds. The answers are true once the transaction is committed.
async fn apply(
    conn: &mut SqliteConnection,
    writes: &[Write],
    runs: &mut RunNumbers,
) -> sqlx::Result<Vec<StoreResult<Written>>> {
    let mut answers: Vec<StoreResult<Written>> = Vec::with_capacity(writes.len());
    answers.resize_with(writes.len(), || Ok(Written::Done));

    let commits: Vec<(usize, &ShardCommit)> = indexed(writes, |write| match write {
        Write::Commit(commit) => Some(commit),
        _ => None,
    });
    for (index, answer) in commit::apply(conn, &commits, runs).await? {
        answers[index] = answer.map(|()| Written::Done);
    }

    let queues: Vec<(usize, &QueueWrite)> = indexed(writes, |write| match write {
        Write::Queue(write) => Some(write),
        _ => None,
    });
    for (index, answer) in queue::apply(conn, &queues).await? {
        answers[index] = answer.map(|()| Written::Done);
    }

    for (write, answer) in writes.iter().zip(&mut answers) {
        match write {
            Write::Commit(_) | Write::Queue(_) => {}
            Write::AcquireShard { shard, owner } => {
                *answer = Ok(Written::Shard(commit::acquire(conn, *shard, owner).await?));
            }
            Write::AcquireQueue(key) => *answer = Ok(Written::Queue(queue::acquire(conn, key).await?)),
            Write::DeleteQueue(key) => queue::delete(conn, key).await?,
            Write::CreateNamespace(row) => {
                *answer = registry::create_namespace(conn, row).await?.map(|()| Written::Done);
            }
            Write::UpdateNamespace(row) => {
                *answer = registry::update_namespace(conn, row).await?.map(Written::Version);
            }
            Write::DeleteNamespace(id) => registry::delete_namespace(conn, id).await?,
            Write::MendRemains(kind) => maintain::mend(conn, kind).await?,
            Write::RemoveVisibility(runs) => visibility::remove(conn, runs).await?,
            Write::PutClusterRecord { name, expected, record } => {
                let put = registry::put_cluster_record(conn, name, *expected, record).await?;
                *answer = put.map(Written::Version);
            }
        }
    }
    Ok(answers)
}

/// The writes of one kind with their places.
fn indexed<'a, T>(writes: &'a [Write], pick: impl Fn(&'a Write) -> Option<T>) -> Vec<(usize, T)> {
    writes.iter().enumerate().filter_map(|(index, write)| pick(write).map(|picked| (index, picked))).collect()
}
