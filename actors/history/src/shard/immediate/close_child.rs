//! A closed parent's policy is applied to a child.

use perdure_kernel::{BusinessKey, NamespaceId, ServiceResult};
use perdure_proto::{api::common::WorkflowExecution, records::immediate_task::Task};
use perdure_rpc::family::ParentClosed;
use perdure_runtime::Ctx;

use super::{super::Shard, Heard};

impl Shard {
    /// Tells the child. One that is gone or closed is left alone.
    pub(super) fn close_child(&mut self, id: i64, ctx: &Ctx<Self>) {
        let Some(task) = self.immediate.get(id).cloned() else { return };
        let (Some(parent), Some(Task::CloseChild(close))) = (task.execution, task.task) else {
            return self.immediate.finish(id);
        };
        let namespace = NamespaceId::from(close.namespace_id.as_str());
        let target = BusinessKey::workflow(&namespace, &close.workflow_id);
        let Some(caller) = self.internal_caller(&namespace) else { return self.immediate.finish(id) };
        let call = ParentClosed {
            policy: close.policy(),
            workflow_id: close.workflow_id,
            first_run_id: close.first_run_id,
            parent: WorkflowExecution { workflow_id: parent.business_id, run_id: parent.run_id },
            initiated_event_id: close.initiated_event_id,
            identity: close.identity,
        };
        self.call(id, caller, &target, call, |result: ServiceResult<()>| Heard::Told(result), ctx);
    }
}
