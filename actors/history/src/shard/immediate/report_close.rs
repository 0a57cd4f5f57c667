//! A child tells its parent that it has closed for good.

use perdure_kernel::ServiceResult;
use perdure_proto::{api::common::WorkflowExecution, records::immediate_task::Task};
use perdure_rpc::family::ChildClosed;
use perdure_runtime::Ctx;

use super::{super::Shard, Heard, execution_key};

impl Shard {
    /// Tells the parent. A parent that is gone, or does not wait for this child any more, need not know.
    pub(super) fn report_close(&mut self, id: i64, ctx: &Ctx<Self>) {
        let Some(task) = self.immediate.get(id).cloned() else { return };
        let (Some(child), Some(Task::ReportClose(report))) = (task.execution, task.task) else {
            return self.immediate.finish(id);
        };
        let (Some(parent), Some(close_event)) = (report.parent, report.close_event) else {
            return self.immediate.finish(id);
        };
        let target = execution_key(&parent).business;
        // Namespaces of the cluster are all known: this one is gone, and the parent with it.
        let Some(caller) = self.internal_caller(&target.namespace_id) else { return self.immediate.finish(id) };
        let call = ChildClosed {
            parent,
            initiated_event_id: report.initiated_event_id,
            child: WorkflowExecution { workflow_id: child.business_id, run_id: child.run_id },
            first_run_id: report.first_run_id,
            close_event,
        };
        self.call(id, caller, &target, Box::new(call), |result: ServiceResult<()>| Heard::Told(result), ctx);
    }
}
