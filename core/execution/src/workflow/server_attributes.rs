//! Search attributes that the server itself sets: no event tells of them, and no workflow's code sees them.

use std::sync::Arc;

use perdure_kernel::search_attributes::{self, keyword_list};
use perdure_proto::api::{
    common::{SearchAttributes, WorkerVersionStamp},
    enums::{TimeoutType, WorkflowTaskFailedCause},
};

use super::{draft::Draft, pause::PAUSE_ATTRIBUTE, reset_points, state::WorkflowState};

/// Bytes of all values of `BuildIds` together; the oldest build goes first. Temporal's default of
/// `frontend.searchAttributesSizeOfValueLimit`. A constant, not a setting: the values are rebuilt from history
/// and must not depend on when.
const BUILD_IDS_SIZE_MAX: usize = 2048;

const BUILD_IDS: &str = "BuildIds";

/// What older workers named their builds by.
const CHECKSUMS: &str = "BinaryChecksums";

/// The search attribute that tells of failing workflow tasks.
const PROBLEMS: &str = "TemporalReportedProblems";

/// What stands for workers without versioning; also what their builds' values begin with.
const UNVERSIONED: &str = "unversioned";

/// How a workflow task failed that counts as a problem.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TaskProblem {
    /// A worker or the server said so.
    Failed(WorkflowTaskFailedCause),
    /// The worker was not heard of in time.
    TimedOut,
}

/// All search attributes of a run as its description and lists show them: its own, and those that the server sets.
pub fn search_attributes(state: &WorkflowState) -> Arc<SearchAttributes> {
    let run = &state.volatile.run;
    let paused = state.pause_entries();
    let checksums = reset_points::checksums(state);
    let plain = paused.is_empty() && checksums.is_empty() && !run.task_problem_reported;
    if plain && state.record.build_ids.is_empty() {
        return Arc::clone(&state.search_attributes);
    }
    let mut shown = (*state.search_attributes).clone();
    set(&mut shown, PAUSE_ATTRIBUTE, &paused);
    set(&mut shown, BUILD_IDS, &state.record.build_ids);
    set(&mut shown, CHECKSUMS, &checksums);
    if run.task_problem_reported {
        let (category, cause) = if run.task_problem_timeout {
            ("WorkflowTaskTimedOut", format!("WorkflowTaskTimedOutCause{:?}", TimeoutType::StartToClose))
        } else {
            let cause = WorkflowTaskFailedCause::try_from(run.task_problem_cause).unwrap_or_default();
            ("WorkflowTaskFailed", format!("WorkflowTaskFailedCause{cause:?}"))
        };
        let problems = [format!("category={category}"), format!("cause={cause}")];
        set(&mut shown, PROBLEMS, &problems);
    }
    Arc::new(shown)
}

fn set(attributes: &mut SearchAttributes, name: &str, values: &[impl AsRef<str>]) {
    if !values.is_empty() {
        attributes.indexed_fields.insert(name.to_owned(), keyword_list(values));
    }
}

/// Whether lists must be told of a change.
pub(super) fn is_news(before: &WorkflowState, after: &WorkflowState) -> bool {
    let told = |state: &WorkflowState| {
        let run = &state.volatile.run;
        run.task_problem_reported.then_some((run.task_problem_cause, run.task_problem_timeout))
    };
    before.record.pause != after.record.pause
        || before.volatile.run.pause_info != after.volatile.run.pause_info
        || told(before) != told(after)
        || before.record.build_ids != after.record.build_ids
        || reset_points::checksums(before) != reset_points::checksums(after)
}

/// A worker completed a workflow task: its build is remembered behind those that the run has, whoever set them.
/// What stood for the worker before goes: either the sign for workers without versions, or a version's own.
pub(super) fn record_build(state: &mut WorkflowState, worker: Option<&WorkerVersionStamp>) {
    let mut builds = std::mem::take(&mut state.record.build_ids);
    if builds.is_empty() {
        let set_by_client = state.search_attributes.indexed_fields.get(BUILD_IDS);
        builds = set_by_client.map(search_attributes::keywords).unwrap_or_default();
    }
    builds.retain(|build| build != UNVERSIONED && !build.starts_with("assigned:") && !build.starts_with("pinned:"));
    let versioned = worker.is_some_and(|worker| worker.use_versioning);
    if !versioned {
        builds.insert(0, UNVERSIONED.to_owned());
    }
    if let Some(worker) = worker.filter(|worker| !worker.build_id.is_empty()) {
        let kind = if versioned { "versioned" } else { UNVERSIONED };
        let build = format!("{kind}:{}", worker.build_id);
        if !builds.contains(&build) {
            builds.push(build);
        }
    }
    // Brackets, quotes and commas of the list.
    let size = |builds: &[String]| builds.iter().map(|build| json_length(build) + 3).sum::<usize>() + 1;
    while size(&builds) > BUILD_IDS_SIZE_MAX {
        builds.remove(usize::from(builds.len() > 1 && !versioned));
    }
    state.record.build_ids = builds;
}

/// Bytes of a text in JSON as Temporal writes it: what a page could mistake for its own is escaped too.
fn json_length(text: &str) -> usize {
    let length = |letter: char| match letter {
        '"' | '\\' | '\n' | '\r' | '\t' => 2,
        '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => 6,
        letter if letter < ' ' => 6,
        letter => letter.len_utf8(),
    };
    text.chars().map(length).sum()
}

/// A workflow's own value takes the place of what was remembered.
pub(super) fn replace_builds(state: &mut WorkflowState, upserted: &SearchAttributes) {
    if upserted.indexed_fields.contains_key(BUILD_IDS) {
        state.record.build_ids.clear();
    }
}

impl Draft<'_, '_> {
    /// A workflow task failed and its end stands in the history.
    pub(crate) fn note_problem(&mut self, problem: TaskProblem) {
        let run = &mut self.state.volatile.run;
        (run.task_problem_cause, run.task_problem_timeout) = match problem {
            TaskProblem::Failed(cause) => (cause.into(), false),
            TaskProblem::TimedOut => (0, true),
        };
    }

    /// A workflow task failed, perhaps once too often: `TemporalReportedProblems` tells of it from then on.
    pub(crate) fn report_problem(&mut self) {
        let enough = self.env.limits().workflow_task_problems_to_report;
        let run = &mut self.state.volatile.run;
        let known = run.task_problem_timeout || run.task_problem_cause != 0;
        run.task_problem_reported |= known && enough > 0 && run.task_problems >= enough;
    }

    /// A workflow task succeeded.
    pub(crate) fn forget_problems(&mut self) {
        let run = &mut self.state.volatile.run;
        run.task_problems = 0;
        run.task_problem_cause = 0;
        run.task_problem_timeout = false;
        run.task_problem_reported = false;
    }
}
