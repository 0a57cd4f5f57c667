//! Options of an activity, as they change.

use perdure_kernel::{Timestamp, time::span};
use perdure_proto::api::activity::ActivityOptions;

use super::step::Step;

impl Step<'_, '_> {
    /// Back to what it was started with. The start delay only while no worker ever had it.
    pub(super) fn restore_options(&mut self) {
        let mut options = self.state.start.options.clone().unwrap_or_default();
        if self.state.record.first_started_time != 0 {
            options.start_delay = perdure_kernel::time::span_to_proto_opt(self.state.start_delay());
        }
        self.set_options(options);
    }

    /// Puts options into force.
    pub(super) fn set_options(&mut self, options: ActivityOptions) {
        let (queue, due) = (options.task_queue.as_ref().map_or("", |queue| &queue.name), self.state.first_dispatch());
        let other_queue = queue != self.state.task_queue();
        let delay = span(options.start_delay.as_ref());
        self.state.record.start_delay = i64::try_from(delay.as_nanos()).unwrap_or(i64::MAX);
        let first_dispatch = Timestamp::from_nanos(self.state.record.scheduled_time) + delay;
        self.row_changed |= other_queue || first_dispatch != due;
        let scheduled = self.scheduled();
        scheduled.scheduled_time = first_dispatch.as_nanos();
        let in_force = scheduled.attributes.get_or_insert_default();
        in_force.task_queue = options.task_queue;
        in_force.schedule_to_close_timeout = options.schedule_to_close_timeout;
        in_force.schedule_to_start_timeout = options.schedule_to_start_timeout;
        in_force.start_to_close_timeout = options.start_to_close_timeout;
        in_force.heartbeat_timeout = options.heartbeat_timeout;
        in_force.retry_policy = options.retry_policy;
        in_force.priority = options.priority;
    }
}
