//! The client's side: starts a workflow, signals and updates it once, waits for its close; then the next one.

use std::{sync::atomic::Ordering, time::Duration};

use perdure_proto::api::{
    enums::HistoryEventFilterType,
    workflowservice::{
        GetWorkflowExecutionHistoryRequest, SignalWorkflowExecutionRequest, UpdateWorkflowExecutionResponse,
    },
};
use tonic::{Code, Status};

use super::{Dice, Workload, ledger::Entry};
use crate::{
    client::{RETRY_PAUSE, Rpc, SHORT_CALL, WAIT_FOR_CLOSE, repeat},
    messages, updates,
};

/// Clients go on trying for longer than the whole test may take.
pub(super) const NEVER_GIVE_UP: Duration = Duration::from_secs(600);
/// A workflow is not ended by one slow task: the server gives a lost task out again after this.
const WORKFLOW_TASK_TIMEOUT: Duration = Duration::from_secs(1);
/// Pause between start and signal, in milliseconds.
const SIGNAL_AFTER_MS: std::ops::Range<u64> = 0..300;

/// The request id of a workflow's signal, which is its input too.
pub(super) fn signal_id(workflow_id: &str) -> String {
    format!("{workflow_id}-signal")
}

/// The id of a workflow's update.
pub(super) fn update_id(workflow_id: &str) -> String {
    format!("{workflow_id}-update")
}

/// Keeps one workflow in flight until the test is stopping.
pub(super) async fn drive(workload: Workload, slot: usize) {
    let rpc = workload.connections.pick(slot);
    while !workload.stopping.load(Ordering::Relaxed) {
        let number = workload.next.fetch_add(1, Ordering::Relaxed);
        let workflow_id = format!("{}-{number}", workload.task_queue);
        let Some(run_id) = start(&workload, &rpc, &workflow_id).await else { continue };
        let pause = Dice(workload.seed.wrapping_add(number)).pick(SIGNAL_AFTER_MS);
        tokio::time::sleep(Duration::from_millis(pause)).await;
        tokio::join!(signal(&workload, &rpc, &workflow_id), update(&workload, &rpc, &workflow_id));
        wait_for_close(&workload, &rpc, &workflow_id, &run_id).await;
    }
}

async fn start(workload: &Workload, rpc: &Rpc, workflow_id: &str) -> Option<String> {
    let mut request = messages::start(&workload.namespace, workflow_id, &workload.task_queue);
    request.workflow_task_timeout = Some(messages::duration(WORKFLOW_TASK_TIMEOUT));
    let answer = repeat(rpc, NEVER_GIVE_UP, SHORT_CALL, &request, |mut rpc, request| async move {
        rpc.start_workflow_execution(request).await
    })
    .await;
    let mut ledger = workload.ledger.lock();
    let entry = ledger.entry(workflow_id);
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

async fn signal(workload: &Workload, rpc: &Rpc, workflow_id: &str) {
    let id = signal_id(workflow_id);
    let request = SignalWorkflowExecutionRequest {
        namespace: workload.namespace.to_string(),
        workflow_execution: Some(messages::execution(workflow_id, "")),
        signal_name: "go".to_owned(),
        input: Some(messages::payloads(&id)),
        request_id: id,
        ..Default::default()
    };
    let answer = repeat(rpc, NEVER_GIVE_UP, SHORT_CALL, &request, |mut rpc, request| async move {
        rpc.signal_workflow_execution(request).await
    })
    .await;
    let mut ledger = workload.ledger.lock();
    let entry = ledger.entry(workflow_id);
    match answer.result {
        Ok(_) => entry.signal_acknowledged = true,
        // An attempt without an answer may have counted, and the workflow have completed since.
        Err(status) if status.code() == Code::NotFound && answer.ambiguous => {}
        Err(status) => entry.refusals.push(format!("signal: {:?} {}", status.code(), status.message())),
    }
}

/// Updates the workflow and asks until the outcome is known. The workflow does not complete before.
async fn update(workload: &Workload, rpc: &Rpc, workflow_id: &str) {
    let request = updates::request(&workload.namespace, workflow_id, "", &update_id(workflow_id));
    loop {
        let answer = repeat(rpc, NEVER_GIVE_UP, WAIT_FOR_CLOSE, &request, |mut rpc, request| async move {
            rpc.update_workflow_execution(request).await
        })
        .await;
        if update_is_over(workload.ledger.lock().entry(workflow_id), answer.result) {
            return;
        }
        tokio::time::sleep(RETRY_PAUSE).await;
    }
}

/// Writes down what an update was answered; false when it has to be asked for again.
fn update_is_over(entry: &mut Entry, answer: Result<UpdateWorkflowExecutionResponse, Status>) -> bool {
    match answer {
        // The server ended the wait: the update goes on under the same id.
        Ok(UpdateWorkflowExecutionResponse { outcome: None, .. }) => return false,
        Ok(response) => match updates::success(response.outcome.as_ref()) {
            Some(outcome) => entry.update_outcome = Some(messages::text(Some(outcome))),
            None => entry.refusals.push("update: failed".to_owned()),
        },
        // Its workflow task was lost by kills several times in a row: an update waits for better times.
        Err(status) if status.code() == Code::FailedPrecondition => return false,
        Err(status) => entry.refusals.push(format!("update: {:?} {}", status.code(), status.message())),
    }
    true
}

async fn wait_for_close(workload: &Workload, rpc: &Rpc, workflow_id: &str, run_id: &str) {
    let mut request = GetWorkflowExecutionHistoryRequest {
        namespace: workload.namespace.to_string(),
        execution: Some(messages::execution(workflow_id, run_id)),
        wait_new_event: true,
        history_event_filter_type: HistoryEventFilterType::CloseEvent.into(),
        ..Default::default()
    };
    loop {
        let answer = repeat(rpc, NEVER_GIVE_UP, WAIT_FOR_CLOSE, &request, |mut rpc, request| async move {
            rpc.get_workflow_execution_history(request).await
        })
        .await;
        match answer.result {
            Ok(response) if response.history.as_ref().is_some_and(|history| !history.events.is_empty()) => return,
            Ok(response) => request.next_page_token = response.next_page_token,
            Err(status) => {
                let text = format!("wait for close: {:?} {}", status.code(), status.message());
                return workload.ledger.lock().entry(workflow_id).refusals.push(text);
            }
        }
    }
}
