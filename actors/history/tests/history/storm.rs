//! Many workflows while commits fail, reads fail and nodes die, as a seed says. A seed is the whole test.

use perdure_kernel::{ErrorKind, Random, ServiceResult, random::SplitMix};
use perdure_persistence::{Operation, StoreErrorKind};
use perdure_proto::api::enums::WorkflowExecutionStatus;
use perdure_rpc::matching::AddTask;

use super::commits::signal_names;
use crate::kit::*;

const SEEDS: u64 = 20;
const WORKFLOWS: usize = 10;
/// Rounds after which a workflow that is not closed is taken to be stuck.
const ROUNDS_MAX: usize = 2000;

struct Storm {
    world: World,
    node: Option<Node>,
    random: SplitMix,
    calm: bool,
}

impl Storm {
    fn node(&self) -> &Node {
        self.node.as_ref().unwrap()
    }

    /// Something bad, perhaps.
    async fn blow(&mut self) {
        use StoreErrorKind::{OutcomeUnknown, Unavailable};
        if self.calm {
            return;
        }
        let fault = COMMIT_FAULTS[self.random.below(5) as usize];
        match self.random.below(12) {
            0 | 1 => self.world.script.fail(Operation::Commit, self.random.below(3) as usize, fault),
            2 => self.world.script.fail(Operation::LoadExecution, 0, Fault::Before(Unavailable)),
            3 => self.world.script.fail(Operation::CurrentRun, 0, Fault::Before(OutcomeUnknown)),
            4 => {
                let node = self.node.take().unwrap();
                self.node = Some(self.world.crash(node).await);
            }
            5 => pass(millis(self.random.below(700))).await,
            _ => {}
        }
    }

    /// A request as a client makes it: again and again while it hears that it may.
    async fn insist<R>(&mut self, send: impl Fn(&Node) -> Pending<R>) -> ServiceResult<R> {
        for _ in 0..ROUNDS_MAX {
            self.blow().await;
            match send(self.node()).wait().await {
                Err(error) if error.kind == ErrorKind::Unavailable => pass(millis(50)).await,
                answer => return answer,
            }
        }
        panic!("no answer but try again");
    }

    /// A worker does what a task asks for. Gives the task back when it has to be tried later.
    async fn work(&mut self, task: AddTask) -> Option<AddTask> {
        self.blow().await;
        let later = |kind: ErrorKind| (kind == ErrorKind::Unavailable).then(|| task.clone());
        if is_workflow(&task) {
            let taken = match self.node().take_workflow_task(&task).await {
                Ok(taken) => taken,
                Err(error) => return later(error.kind),
            };
            let (id, completion) = (run_of(&task).business_id, decisions(&taken, one_activity(events_of(&taken))));
            // Whatever the answer is: if the task is not done, it comes again.
            let _ = self.insist(|node| node.send(&id, completion.clone())).await;
        } else {
            let taken = match self.node().take_activity_task(&task).await {
                Ok(taken) => taken,
                Err(error) => return later(error.kind),
            };
            let id = run_of(&task).business_id;
            let done = self.insist(|node| node.send(&id, activity_end(&taken))).await;
            assert!(done.as_ref().is_ok() || done.is_err_and(|error| error.kind == ErrorKind::NotFound));
        }
        None
    }
}

#[test]
fn every_workflow_runs_once_through_any_storm() {
    run(async {
        for seed in 0..SEEDS {
            ride(seed).await;
        }
    });
}

async fn ride(seed: u64) {
    let mut world = World::new();
    let mut random = SplitMix::new(seed);
    world.shards = 1 + random.below(3) as u32;
    world.settings.cache_bytes = [0, 60_000, 10_000_000][random.below(3) as usize];
    let node = Some(world.boot().await);
    let mut storm = Storm { world, node, random, calm: false };
    let ids: Vec<String> = (0..WORKFLOWS).map(|index| format!("order-{index}")).collect();
    let mut runs = Vec::new();
    for id in &ids {
        runs.push(storm.insist(|node| node.send(id, start(id))).await.unwrap().run_id);
        for name in ["one", "two"] {
            storm.insist(|node| node.send(id, signal(id, name))).await.unwrap();
        }
    }
    let mut tasks: Vec<AddTask> = Vec::new();
    for round in 0.. {
        assert!(round < ROUNDS_MAX, "seed {seed}: a workflow is stuck");
        settle().await;
        tasks.extend(storm.world.matching.take_all());
        let mut later = Vec::new();
        for task in std::mem::take(&mut tasks) {
            later.extend(storm.work(task).await);
        }
        tasks = later;
        pass(millis(300)).await;
        let mut open = 0;
        for id in &ids {
            let described = storm.insist(|node| node.send(id, describe(id))).await.unwrap();
            open +=
                usize::from(described.workflow_execution_info.unwrap().status() == WorkflowExecutionStatus::Running);
        }
        if open == 0 {
            break;
        }
    }
    storm.calm = true;
    if storm.world.shards == 1 {
        settle().await;
        assert_eq!(super::care::problems(&storm.world).await, [], "seed {seed}");
    }
    for (id, run_id) in ids.iter().zip(&runs) {
        let described = storm.insist(|node| node.send(id, describe(id))).await.unwrap();
        let info = described.workflow_execution_info.unwrap();
        assert_eq!((info.status(), &info.execution.unwrap().run_id), (WorkflowExecutionStatus::Completed, run_id));
        let answer = storm.insist(|node| node.send(id, read(id))).await.unwrap();
        let events = answer.history.unwrap().events;
        let names = kinds(&events);
        let count = |kind: &str| names.iter().filter(|name| *name == kind).count();
        let once =
            ["ActivityTaskScheduled", "ActivityTaskStarted", "ActivityTaskCompleted", "WorkflowExecutionCompleted"];
        assert_eq!(once.map(count), [1; 4], "seed {seed}, {id}: {names:?}");
        assert_eq!(signal_names(&events), ["one", "two"], "seed {seed}, {id}");
    }
}
