//! Whole workflows, one after the other in each slot: `empty` and `one-activity`.

use std::time::Instant;

use crate::run::ThreadContext;

/// Latency from before the start call until the close was seen.
const END_TO_END: &str = "start to close";

pub(super) async fn drive(context: ThreadContext, slot: usize) {
    let rpc = context.connections.pick(slot);
    while let Some(number) = context.next_operation() {
        let began = Instant::now();
        let workflow_id = context.workflow_id(number);
        let Some(run_id) = super::start(&context, &rpc, &workflow_id).await else { continue };
        if super::wait_completed(&context, &rpc, &workflow_id, &run_id).await {
            context.operation_ended(END_TO_END, began);
        }
    }
}
