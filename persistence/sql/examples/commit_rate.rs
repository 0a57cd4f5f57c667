//! How many workflows a second the store alone can take.
//!
//! ```text
//! cargo run --profile quick -p perdure-persistence-sql --example commit_rate -- [workflows] [directory] [pragma=value]..
//! ```
//!
//! A workflow is five writes, as one with a single activity makes: started, workflow task, activity
//! scheduled, activity done, closed. Each shard has one commit of about 20 executions in flight.

use std::{
    collections::VecDeque,
    env,
    error::Error,
    fs,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use perdure_kernel::{ExecutionKey, NamespaceId, Random, ShardId, Timestamp, random::SplitMix};
use perdure_persistence::{
    SharedStore,
    memory::MemoryStore,
    shard::{
        CurrentRunWrite, ExecutionOp, ExecutionWrite, HistoryBatch, ImmediateBatch, ItemKey, ShardCommit, TimerRow,
    },
};
use perdure_persistence_sql::{SqliteOptions, SqliteStore, SqliteSynchronous};

const SHARDS: u32 = 4;
const EXECUTIONS_PER_COMMIT: usize = 20;
/// Workflows of a shard that are under way at once.
const ACTIVE: usize = 200;
const WRITES_PER_WORKFLOW: i64 = 5;
const RECORD_BYTES: usize = 600;
const HISTORY_BYTES: usize = 400;
const TASK_BYTES: usize = 80;

type Failure = Box<dyn Error + Send + Sync>;

/// A workflow and how many of its writes are done.
struct Workflow {
    key: ExecutionKey,
    written: i64,
}

impl Workflow {
    fn next_write(&mut self) -> ExecutionWrite {
        let done = self.written;
        self.written += 1;
        let activity = ItemKey { kind: 1, name: "5".into() };
        let op = ExecutionOp::Put {
            expected_version: (done > 0).then_some(done),
            version: self.written,
            record: filled(RECORD_BYTES),
            items_put: if done == 2 { vec![(activity.clone(), filled(200))] } else { Vec::new() },
            items_deleted: if done == 3 { vec![activity] } else { Vec::new() },
            history: vec![HistoryBatch {
                first_event_id: 3 * done + 1,
                last_event_id: 3 * done + 3,
                events: filled(HISTORY_BYTES),
            }],
            visibility: None,
        };
        let started = CurrentRunWrite { expected: None, run_id: Some(self.key.run_id.to_string()) };
        ExecutionWrite { key: self.key.clone(), op, current: (done == 0).then_some(started) }
    }
}

fn filled(bytes: usize) -> Bytes {
    // Not compressible by luck, not costly to make.
    Bytes::from((0..bytes).map(|n| (n * 31 % 251) as u8).collect::<Vec<_>>())
}

async fn drive(store: SharedStore, shard: ShardId, workflows: usize) -> Result<Vec<Duration>, Failure> {
    let namespace = NamespaceId::from("2f1d4d1c-6a0e-4d4f-9a52-0f3f3c1f9a11");
    let mut random = SplitMix::new(shard.0.into());
    let lease = store.acquire_shard(shard, "bench").await?;
    let mut active: VecDeque<Workflow> = VecDeque::new();
    let mut started = 0;
    let mut task_id = 1;
    let mut latencies = Vec::new();
    loop {
        while active.len() < ACTIVE && started < workflows {
            let workflow_id = format!("order-{:016x}", random.next_u64());
            active.push_back(Workflow {
                key: ExecutionKey::workflow(&namespace, &workflow_id, &random.uuid()),
                written: 0,
            });
            started += 1;
        }
        let mut batch: Vec<Workflow> = active.drain(..active.len().min(EXECUTIONS_PER_COMMIT)).collect();
        if batch.is_empty() {
            return Ok(latencies);
        }
        let executions: Vec<_> = batch.iter_mut().map(Workflow::next_write).collect();
        let tasks = i64::try_from(executions.len())?;
        let timers = batch.iter().filter(|workflow| workflow.written == 3).enumerate().map(|(n, _)| TimerRow {
            fire_at: Timestamp::from_nanos(task_id * 1_000_000),
            id: task_id + n as i64,
            task: filled(TASK_BYTES),
        });
        let commit = ShardCommit {
            executions,
            timers: timers.collect(),
            immediate: Some(ImmediateBatch {
                first_id: task_id,
                last_id: task_id + tasks - 1,
                tasks: filled(TASK_BYTES * batch.len()),
            }),
            immediate_ack: Some(task_id - 2 * tasks),
            timer_ack: Some(Timestamp::from_nanos((task_id - 10 * tasks) * 1_000_000)),
            ..ShardCommit::new(shard, lease.range_id)
        };
        task_id += tasks;
        let start = Instant::now();
        store.commit(commit).await?;
        latencies.push(start.elapsed());
        active.extend(batch.into_iter().filter(|workflow| workflow.written < WRITES_PER_WORKFLOW));
    }
}

/// Processor time of this process so far and its resident memory in MiB (Linux; zero elsewhere).
fn usage() -> (Duration, u64) {
    const TICKS_PER_SECOND: u64 = 100;
    const PAGE_KIB: u64 = 4;
    let field = |path: &str, index: usize| -> u64 {
        let text = fs::read_to_string(path).unwrap_or_default();
        let fields = text.rsplit_once(") ").map_or(text.as_str(), |(_, after)| after);
        fields.split_whitespace().nth(index).and_then(|field| field.parse().ok()).unwrap_or(0)
    };
    let ticks = field("/proc/self/stat", 11) + field("/proc/self/stat", 12);
    (Duration::from_millis(ticks * 1000 / TICKS_PER_SECOND), field("/proc/self/statm", 1) * PAGE_KIB / 1024)
}

async fn measure(name: &str, store: SharedStore, workflows: usize) -> Result<(), Failure> {
    let (cpu_before, rss_before) = usage();
    let start = Instant::now();
    let per_shard = workflows / SHARDS as usize;
    let shards: Vec<_> =
        (1..=SHARDS).map(|shard| tokio::spawn(drive(store.clone(), ShardId(shard), per_shard))).collect();
    let mut latencies = Vec::new();
    for shard in shards {
        latencies.append(&mut shard.await??);
    }
    let elapsed = start.elapsed();
    let (cpu, rss) = usage();
    store.close().await;
    latencies.sort_unstable();
    let at = |share: f64| latencies[((latencies.len() - 1) as f64 * share) as usize];
    let workflows = per_shard * SHARDS as usize;
    let writes = workflows as f64 * WRITES_PER_WORKFLOW as f64;
    println!(
        "{name:<26} {:>6.0} workflows/s {:>7.0} execution writes/s {:>6.0} commits/s | commit p50 {:?} p99 {:?} max {:?} | cpu {:.1} us/write | rss +{} MiB",
        workflows as f64 / elapsed.as_secs_f64(),
        writes / elapsed.as_secs_f64(),
        latencies.len() as f64 / elapsed.as_secs_f64(),
        at(0.5),
        at(0.99),
        at(1.0),
        (cpu - cpu_before).as_secs_f64() * 1e6 / writes,
        rss.saturating_sub(rss_before),
    );
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let mut arguments = env::args().skip(1);
    let workflows = arguments.next().map_or(Ok(20_000), |text| text.parse())?;
    let directory = arguments.next().map_or_else(env::temp_dir, PathBuf::from);
    let directory = tempfile::tempdir_in(directory)?;
    let pragmas: Vec<(String, String)> = arguments
        .map(|text| text.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned())))
        .collect::<Option<_>>()
        .ok_or("a pragma is written name=value")?;
    let file =
        |name: &str| SqliteOptions { pragmas: pragmas.clone(), ..SqliteOptions::file(directory.path().join(name)) };

    let full = SqliteStore::open(file("full.db")).await?;
    measure("sqlite file, full", Arc::new(full), workflows).await?;
    let normal = SqliteOptions { synchronous: SqliteSynchronous::Normal, ..file("normal.db") };
    measure("sqlite file, normal", Arc::new(SqliteStore::open(normal).await?), workflows).await?;
    let memory = SqliteStore::open(SqliteOptions::memory()).await?;
    measure("sqlite memory", Arc::new(memory), workflows).await?;
    measure("memory store", Arc::new(MemoryStore::new()), workflows).await?;

    for name in ["full.db", "normal.db"] {
        let bytes = fs::metadata(directory.path().join(name))?.len();
        let start = Instant::now();
        let store = SqliteStore::open(file(name)).await?;
        println!("{name}: {} MiB, opened again in {:?}", bytes >> 20, start.elapsed());
        drop(store);
    }
    Ok(())
}
