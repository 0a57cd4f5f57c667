//! The client's side of standalone activities: starts one, waits for its outcome; then the next one.

use std::sync::atomic::Ordering;

use perdure_proto::api::{
    activity::activity_execution_outcome::Value,
    common::ActivityType,
    workflowservice::{PollActivityExecutionRequest, StartActivityExecutionRequest},
};

use super::{
    Workload,
    starter::NEVER_GIVE_UP,
    worker::{ACTIVITY_TIMEOUT, activity_retry},
};
use crate::{
    client::{Rpc, SHORT_CALL, WAIT_FOR_CLOSE, repeat},
    messages,
};

/// Keeps one standalone activity in flight until the test is stopping.
pub(super) async fn drive(workload: Workload, slot: usize) {
    let rpc = workload.connections.pick(slot);
    while !workload.stopping.load(Ordering::Relaxed) {
        let number = workload.next.fetch_add(1, Ordering::Relaxed);
        let activity_id = format!("{}-activity-{number}", workload.task_queue);
        if let Some(run_id) = start(&workload, &rpc, &activity_id).await {
            wait_for_outcome(&workload, &rpc, &activity_id, &run_id).await;
        }
    }
}

async fn start(workload: &Workload, rpc: &Rpc, activity_id: &str) -> Option<String> {
    let request = StartActivityExecutionRequest {
        namespace: workload.namespace.to_string(),
        identity: "crash-starter".to_owned(),
        request_id: activity_id.to_owned(),
        activity_id: activity_id.to_owned(),
        activity_type: Some(ActivityType { name: "load".to_owned() }),
        task_queue: Some(messages::normal_queue(&workload.task_queue)),
        start_to_close_timeout: Some(messages::duration(ACTIVITY_TIMEOUT)),
        retry_policy: Some(activity_retry()),
        input: Some(messages::payloads("load")),
        ..Default::default()
    };
    let answer = repeat(rpc, NEVER_GIVE_UP, SHORT_CALL, &request, |mut rpc, request| async move {
        rpc.start_activity_execution(request).await
    })
    .await;
    let mut ledger = workload.ledger.lock();
    let entry = ledger.standalone(activity_id);
    match answer.result {
        Ok(response) => {
            entry.run_id = Some(response.run_id.clone());
            Some(response.run_id)
        }
        Err(status) => {
            entry.refusals.push(format!("start: {:?} {}", status.code(), status.message()));
            None
        }
    }
}

async fn wait_for_outcome(workload: &Workload, rpc: &Rpc, activity_id: &str, run_id: &str) {
    let request = PollActivityExecutionRequest {
        namespace: workload.namespace.to_string(),
        activity_id: activity_id.to_owned(),
        run_id: run_id.to_owned(),
    };
    loop {
        let answer = repeat(rpc, NEVER_GIVE_UP, WAIT_FOR_CLOSE, &request, |mut rpc, request| async move {
            rpc.poll_activity_execution(request).await
        })
        .await;
        let mut ledger = workload.ledger.lock();
        let entry = ledger.standalone(activity_id);
        match answer.result.map(|response| response.outcome.and_then(|outcome| outcome.value)) {
            // The server ended the wait, the activity is still open.
            Ok(None) => {}
            Ok(Some(Value::Result(result))) => return entry.outcome = Some(messages::text(Some(&result))),
            Ok(Some(Value::Failure(failure))) => {
                return entry.refusals.push(format!("it failed: {}", failure.message));
            }
            Err(status) => {
                return entry.refusals.push(format!("wait: {:?} {}", status.code(), status.message()));
            }
        }
    }
}
