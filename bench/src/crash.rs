//! The crash test: a server on a file database is killed again and again under load, and at the end
//! everything it had acknowledged must be in the histories exactly once.
//!
//! The driver is client and worker in one. It writes down every acknowledgement in a [`ledger`]; the
//! [`audit`] holds the histories against it. Killing is SIGKILL, so what the process had not handed
//! to the operating system is gone.

pub mod audit;
pub mod ledger;
mod standalone;
mod starter;
mod worker;

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use clap::Args;
use serde::Serialize;
use tokio::task::JoinSet;

use crate::{
    child::{ChildServer, ServerCommand, free_port},
    client::Connections,
    crash::ledger::SharedLedger,
};

/// How long a server may take from its start until it serves.
const READY_WITHIN: Duration = Duration::from_secs(30);
/// Pause between questions whether it does; it bounds the resolution of the restart times.
const READY_PAUSE: Duration = Duration::from_millis(2);
/// Progress between two kills, in milliseconds.
const PROGRESS_MS: std::ops::Range<u64> = 50..600;

/// The crash test.
#[derive(Debug, Clone, Args)]
pub struct CrashOptions {
    /// The server's binary; it must understand `server start-dev`.
    #[arg(long, env = "PERDURE_BIN")]
    pub server: PathBuf,
    /// Seed of the instants of the kills and of the pauses of clients. Without it: the time.
    #[arg(long)]
    pub seed: Option<u64>,
    /// How many times the server is killed.
    #[arg(long, default_value_t = 20)]
    pub kills: u32,
    /// Workflows in flight.
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub in_flight: u32,
    /// Standalone activities in flight.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(0..=10_000))]
    pub activities: u32,
    /// Polls kept open for each kind of task.
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub pollers: u32,
    /// Seconds that open workflows may take to finish after the last restart.
    #[arg(long, default_value_t = 30)]
    pub finish_within: u64,
    /// Where database and log go; a new temporary directory without it. Kept when the test fails.
    #[arg(long)]
    pub directory: Option<PathBuf>,
    /// Further arguments for the server, after `--`.
    #[arg(last = true)]
    pub server_arguments: Vec<String>,
    /// Print the report as JSON.
    #[arg(long)]
    pub json: bool,
}

/// What the crash test found.
#[derive(Debug, Clone, Serialize)]
pub struct CrashReport {
    /// Seed of the test.
    pub seed: u64,
    /// Kills made.
    pub kills: u32,
    /// Whole time of the test in seconds.
    pub seconds: f64,
    /// Time from each restart of the process to its first answer, in milliseconds, sorted.
    pub restart_ms: Vec<f64>,
    /// What was acknowledged.
    pub acknowledged: ledger::Acknowledged,
    /// Broken promises, in words.
    pub violations: Vec<String>,
    /// Database and log, when they were kept.
    pub kept: Option<PathBuf>,
}

/// What starters and workers share.
#[derive(Debug, Clone)]
struct Workload {
    connections: Connections,
    ledger: SharedLedger,
    namespace: Arc<str>,
    task_queue: Arc<str>,
    seed: u64,
    /// Set after the last restart: nothing new begins.
    stopping: Arc<AtomicBool>,
    next: Arc<AtomicU64>,
}

/// Runs the crash test with `seed`.
///
/// # Errors
/// In words, when the test itself could not be made: the server cannot be started, does not come
/// back, or exits by itself.
pub async fn run(options: &CrashOptions, seed: u64) -> Result<CrashReport, String> {
    let began = Instant::now();
    let temporary = tempfile::tempdir().map_err(|error| error.to_string())?;
    let directory = options.directory.clone().unwrap_or_else(|| temporary.path().to_owned());
    let outcome = attempt(options, seed, &directory).await;
    let failed = outcome.as_ref().map_or(true, |(_, _, violations)| !violations.is_empty());
    let kept = match (failed, &options.directory) {
        (true, None) => Some(temporary.keep()),
        (true, Some(directory)) => Some(directory.clone()),
        (false, _) => None,
    };
    let (restart_ms, acknowledged, violations) = outcome.map_err(|reason| match &kept {
        Some(kept) => format!("{reason} (database and log: {})", kept.display()),
        None => reason,
    })?;
    let seconds = began.elapsed().as_secs_f64();
    Ok(CrashReport { seed, kills: options.kills, seconds, restart_ms, acknowledged, violations, kept })
}

type Findings = (Vec<f64>, ledger::Acknowledged, Vec<String>);

async fn attempt(options: &CrashOptions, seed: u64, directory: &Path) -> Result<Findings, String> {
    let mut server = Server::start(options, directory).await?;
    let workload = Workload {
        connections: server.connections.clone(),
        ledger: SharedLedger::default(),
        namespace: "default".into(),
        task_queue: format!("crash-{seed}").into(),
        seed,
        stopping: Arc::default(),
        next: Arc::default(),
    };
    let workers = worker::spawn(&workload, options.pollers as usize);
    let mut starters = JoinSet::new();
    for slot in 0..options.in_flight as usize {
        starters.spawn(starter::drive(workload.clone(), slot));
    }
    for slot in 0..options.activities as usize {
        starters.spawn(standalone::drive(workload.clone(), slot));
    }
    let all_in_flight = Instant::now() + READY_WITHIN;
    while workload.ledger.lock().acknowledged().starts < u64::from(options.in_flight) {
        if Instant::now() > all_in_flight {
            return Err("the first workflows could not be started".to_owned());
        }
        tokio::time::sleep(READY_PAUSE).await;
    }

    let mut dice = Dice(seed);
    for _ in 0..options.kills {
        tokio::time::sleep(Duration::from_millis(dice.pick(PROGRESS_MS))).await;
        server.restart().await?;
    }
    workload.stopping.store(true, Ordering::Relaxed);
    let finish_within = Duration::from_secs(options.finish_within);
    let finish = tokio::time::timeout(finish_within, async { while starters.join_next().await.is_some() {} }).await;
    drop(workers);
    starters.abort_all();

    let mut violations = Vec::new();
    if finish.is_err() {
        violations.push(format!("{} starters had not finished after {finish_within:?}", starters.len()));
    }
    let entries = workload.ledger.take();
    let acknowledged = entries.acknowledged();
    violations.extend(audit::audit(&workload.connections, &workload.namespace, &entries).await);
    let mut restart_ms = server.restart_ms.clone();
    restart_ms.sort_by(f64::total_cmp);
    Ok((restart_ms, acknowledged, violations))
}

/// The server under test, over all its lives.
struct Server {
    command: ServerCommand,
    port: u16,
    log: PathBuf,
    connections: Connections,
    child: Option<ChildServer>,
    restart_ms: Vec<f64>,
}

impl Server {
    async fn start(options: &CrashOptions, directory: &Path) -> Result<Self, String> {
        let database = directory.join("crash.db");
        let database = database.to_str().ok_or("the directory's name is not UTF-8")?;
        let more = options.server_arguments.iter().map(String::as_str);
        let command = ServerCommand::start_dev(&options.server).with(["--db-filename", database]).with(more);
        let port = free_port().map_err(|error| error.to_string())?;
        let log = directory.join("server.log");
        // A workflow's signal and update are under way together.
        let streams = (options.in_flight * 2 + options.activities + options.pollers * 2) as usize;
        let connections = Connections::for_streams(&format!("127.0.0.1:{port}"), streams);
        let connections = connections.map_err(|error| error.to_string())?;
        let mut server = Self { command, port, log, connections, child: None, restart_ms: Vec::new() };
        server.launch().await?;
        Ok(server)
    }

    async fn launch(&mut self) -> Result<Duration, String> {
        let began = Instant::now();
        let child = self.command.start(self.port, &self.log).map_err(|error| error.to_string())?;
        self.child = Some(child);
        let ready = self.connections.wait_ready("default", READY_PAUSE, READY_WITHIN).await;
        ready.map_err(|status| format!("the server does not serve: {}", status.message()))?;
        Ok(began.elapsed())
    }

    async fn restart(&mut self) -> Result<(), String> {
        if let Some(child) = self.child.take() {
            child.kill().map_err(|error| error.to_string())?;
        }
        let took = self.launch().await?;
        self.restart_ms.push(took.as_secs_f64() * 1000.0);
        Ok(())
    }
}

/// A seeded source of numbers (SplitMix64), the same on every machine and with every version.
#[derive(Debug, Clone, Copy)]
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    fn pick(&mut self, range: std::ops::Range<u64>) -> u64 {
        range.start + self.roll() % (range.end - range.start)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_the_same_numbers_within_the_range() {
        let rolls = |seed| {
            let mut dice = Dice(seed);
            (0..100).map(|_| dice.pick(PROGRESS_MS)).collect::<Vec<_>>()
        };
        assert_eq!(rolls(7), rolls(7));
        assert_ne!(rolls(7), rolls(8));
        assert!(rolls(7).iter().all(|roll| PROGRESS_MS.contains(roll)));
    }
}
