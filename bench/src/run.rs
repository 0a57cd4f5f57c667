//! One load run: threads, the window that is measured, and the report.

use std::{
    process,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use perdure_proto::api::taskqueue::TaskQueue;
use tokio::{
    runtime::Builder,
    sync::{oneshot, watch},
    task::JoinSet,
};

use crate::{
    client::Connections,
    messages,
    options::{LoadOptions, share},
    process::{Usage, usage},
    report::Report,
    tally::{SharedTally, Tally, Window},
    worker,
};

/// How long a server may take until it serves the namespace.
const READY_WITHIN: Duration = Duration::from_secs(30);
/// Pause between questions whether it does.
const READY_PAUSE: Duration = Duration::from_millis(50);

/// What the tasks of one thread share.
#[derive(Debug, Clone)]
pub struct ThreadContext {
    /// Options of the run.
    pub options: Arc<LoadOptions>,
    /// Connections of the thread.
    pub connections: Connections,
    /// Counts of the thread.
    pub tally: SharedTally,
    /// Queue of workflow and activity tasks, shared by the threads of a run and by no other run.
    pub task_queue: Arc<str>,
    /// The thread's sticky queue, when workflows are kept on one.
    pub sticky_queue: Option<TaskQueue>,
    /// When the load began.
    pub launch: Instant,
    /// What is measured.
    pub window: Window,
    next: Arc<AtomicU64>,
}

impl ThreadContext {
    /// The number of the next operation of the run; `None` when no more are to begin.
    pub fn next_operation(&self) -> Option<u64> {
        if self.window.is_over() {
            return None;
        }
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        self.options.count.is_none_or(|count| number < count).then_some(number)
    }

    /// The id of the workflow that operation `number` starts.
    pub fn workflow_id(&self, number: u64) -> String {
        format!("{}-{number}", self.task_queue)
    }

    /// Counts an operation that began at `began` and ended now.
    pub fn operation_ended(&self, series: &'static str, began: Instant) {
        self.operation_measured(&[(series, began.elapsed())]);
    }

    /// Counts an operation that ended now, with what was measured of it.
    pub fn operation_measured(&self, values: &[(&'static str, Duration)]) {
        if self.window.holds(Instant::now()) {
            let mut tally = self.tally.lock();
            tally.operations += 1;
            for (series, value) in values {
                tally.record(series, *value);
            }
        }
    }
}

/// When a thread may begin, and when it may stop polling.
#[derive(Debug)]
struct Launch {
    at: Instant,
    window: Window,
    /// Closed when all threads have finished.
    all_finished: watch::Receiver<()>,
}

/// What a thread tells the run.
enum Told {
    /// It is connected.
    Ready,
    /// All its operations have ended.
    Finished,
    /// It cannot go on.
    Failed(String),
}

/// Does one run and reports it.
///
/// # Errors
/// In words, when the server cannot be reached or the process to watch does not exist.
pub fn run(options: &LoadOptions) -> Result<Report, String> {
    let options = Arc::new(options.clone());
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let task_queue: Arc<str> = format!("load-{}-{:x}", process::id(), since_epoch.as_micros()).into();
    let next = Arc::new(AtomicU64::new(0));
    let (tell, told) = mpsc::channel();
    let mut launches = Vec::new();
    let mut threads = Vec::new();
    for index in 0..options.threads {
        let (launch, launched) = oneshot::channel();
        let part = ThreadPart {
            index,
            options: Arc::clone(&options),
            task_queue: Arc::clone(&task_queue),
            next: Arc::clone(&next),
            tell: tell.clone(),
        };
        launches.push(launch);
        threads.push(thread::spawn(move || part.run(launched)));
    }
    drop(tell);
    wait_for_all(&told, options.threads)?;

    let resident_before = sample(&options)?.server.map(|usage| usage.resident_kib);
    let at = Instant::now();
    let timed = options.count.is_none();
    let warmup = if timed { Duration::from_secs_f64(options.warmup_seconds) } else { Duration::ZERO };
    let start = at + warmup;
    let window = Window { start, end: timed.then(|| start + Duration::from_secs_f64(options.seconds)) };
    // While any thread has open workflows, all must keep polling: a task that is handed to a poll as it
    // is closed waits for its timeout.
    let (hold_polls, all_finished) = watch::channel(());
    for launch in launches {
        // A thread that is gone has said why, or its join tells.
        let _ = launch.send(Launch { at, window, all_finished: all_finished.clone() });
    }
    sleep_until(start);
    let before = sample(&options)?;
    let after = if let Some(end) = window.end {
        sleep_until(end);
        let after = sample(&options)?;
        wait_for_all(&told, options.threads)?;
        after
    } else {
        wait_for_all(&told, options.threads)?;
        sample(&options)?
    };
    drop(hold_polls);
    let mut tally = Tally::default();
    for thread in threads {
        tally.merge(thread.join().map_err(|_| "a thread of the load tool panicked".to_owned())?);
    }
    let elapsed = after.at - before.at;
    Ok(Report::new(&options, tally, elapsed, before.usages(), after.usages(), resident_before))
}

struct Sample {
    at: Instant,
    client: Usage,
    server: Option<Usage>,
}

impl Sample {
    fn usages(&self) -> (Usage, Option<Usage>) {
        (self.client, self.server)
    }
}

fn sample(options: &LoadOptions) -> Result<Sample, String> {
    let client = usage(process::id()).map_err(|error| error.to_string())?;
    let server = options.server_pid.map(usage).transpose();
    let server = server.map_err(|error| format!("--server-pid: {error}"))?;
    Ok(Sample { at: Instant::now(), client, server })
}

fn sleep_until(instant: Instant) {
    thread::sleep(instant.saturating_duration_since(Instant::now()));
}

fn wait_for_all(told: &mpsc::Receiver<Told>, threads: u32) -> Result<(), String> {
    for _ in 0..threads {
        match told.recv() {
            Ok(Told::Ready | Told::Finished) => {}
            Ok(Told::Failed(reason)) => return Err(reason),
            Err(_) => return Err("a thread of the load tool ended early".to_owned()),
        }
    }
    Ok(())
}

/// What one thread of a run is made of.
struct ThreadPart {
    index: u32,
    options: Arc<LoadOptions>,
    task_queue: Arc<str>,
    next: Arc<AtomicU64>,
    tell: mpsc::Sender<Told>,
}

impl ThreadPart {
    fn run(self, launched: oneshot::Receiver<Launch>) -> Tally {
        let tell = self.tell.clone();
        let outcome = match Builder::new_current_thread().enable_all().build() {
            Ok(runtime) => runtime.block_on(self.drive(launched)),
            Err(error) => Err(error.to_string()),
        };
        outcome.unwrap_or_else(|reason| {
            // The run has gone on without this thread only when nobody listens any more.
            let _ = tell.send(Told::Failed(reason));
            Tally::default()
        })
    }

    async fn drive(self, launched: oneshot::Receiver<Launch>) -> Result<Tally, String> {
        let Self { index, options, task_queue, next, tell } = self;
        let slots = share(options.concurrency, options.threads, index) as usize;
        let pollers = share(options.poller_count(), options.threads, index) as usize;
        let streams = slots + pollers * 3;
        let connections = Connections::for_streams(&options.address, streams).map_err(|error| error.to_string())?;
        let ready = connections.wait_ready(&options.namespace, READY_PAUSE, READY_WITHIN).await;
        ready.map_err(|status| format!("{} does not serve: {}", options.address, status.message()))?;
        let _ = tell.send(Told::Ready);
        let Ok(Launch { at, window, mut all_finished }) = launched.await else { return Ok(Tally::default()) };

        let tally = SharedTally::default();
        let sticky_queue =
            options.sticky.then(|| messages::sticky_queue(&format!("{task_queue}-sticky-{index}"), &task_queue));
        let scenario = options.scenario;
        let context = ThreadContext {
            options,
            connections,
            tally: tally.clone(),
            task_queue,
            sticky_queue,
            launch: at,
            window,
            next,
        };
        let polls = spawn_pollers(&context, pollers, slots);
        let mut starters = JoinSet::new();
        for slot in 0..slots {
            starters.spawn(scenario.drive(context.clone(), slot));
        }
        while let Some(ended) = starters.join_next().await {
            ended.map_err(|error| format!("a starter failed: {error}"))?;
        }
        let _ = tell.send(Told::Finished);
        // The only news of this channel is its end.
        let _ = all_finished.changed().await;
        drop(polls);
        Ok(std::mem::take(&mut *tally.lock()))
    }
}

/// Opens the worker's polls; dropping the set ends them.
fn spawn_pollers(context: &ThreadContext, pollers: usize, first_connection: usize) -> JoinSet<()> {
    let mut polls = JoinSet::new();
    let mut connection = first_connection;
    let mut rpc = || {
        connection += 1;
        context.connections.pick(connection)
    };
    for _ in 0..pollers {
        let normal = messages::normal_queue(&context.task_queue);
        polls.spawn(worker::poll_workflow_tasks(context.clone(), rpc(), normal.clone()));
        if let Some(sticky) = &context.sticky_queue {
            polls.spawn(worker::poll_workflow_tasks(context.clone(), rpc(), sticky.clone()));
        }
        if context.options.scenario.has_activities() {
            polls.spawn(worker::poll_activity_tasks(context.clone(), rpc(), normal));
        }
    }
    polls
}
