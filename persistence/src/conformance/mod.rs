//! The suite that every back end passes.
//!
//! A back end's tests call [`crate::conformance_suite!`] with an async function that makes an empty store:
//!
//! ```ignore
//! async fn mine() -> Subject {
//!     Subject::new(Arc::new(MyStore::new()))
//! }
//! perdure_persistence::conformance_suite!(mine);
//! ```
//!
//! Each behaviour is a function here and becomes one test there. A behaviour panics when it is not met.

#![allow(clippy::unwrap_used)]

pub mod atomicity;
pub mod cluster;
pub mod concurrency;
pub mod current_run;
pub mod executions;
pub mod history;
pub mod immediate;
pub mod leases;
pub mod listing;
pub mod namespaces;
pub(crate) mod sample;
pub mod task_queues;
pub mod timers;
pub mod visibility;
pub mod visibility_filters;
pub mod visibility_writer;

use std::{any::Any, fmt};

use crate::SharedStore;

/// An empty store under test, with whatever has to live as long as it does.
pub struct Subject {
    store: SharedStore,
    keep: Box<dyn Any + Send>,
}

impl Subject {
    /// A store that needs nothing kept.
    pub fn new(store: SharedStore) -> Self {
        Self { store, keep: Box::new(()) }
    }

    /// A store that needs `keep` (its directory, its server) until the behaviour is done.
    pub fn keeping(store: SharedStore, keep: impl Any + Send) -> Self {
        Self { store, keep: Box::new(keep) }
    }
}

impl fmt::Debug for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subject").field("backend", &self.store.backend()).finish_non_exhaustive()
    }
}

/// Makes a store, holds it to one behaviour, and closes it.
pub async fn run(make: impl AsyncFnOnce() -> Subject, behaviour: impl AsyncFnOnce(SharedStore)) {
    let Subject { store, keep } = make().await;
    behaviour(store.clone()).await;
    store.close().await;
    drop(keep);
}

/// One test per behaviour. The argument is an async function or closure without parameters that gives a
/// [`conformance::Subject`](crate::conformance::Subject). The calling crate depends on tokio with `macros`
/// and `rt-multi-thread`.
#[macro_export]
macro_rules! conformance_suite {
    (@tests $make:expr; $($topic:ident :: $behaviour:ident,)*) => {
        $(
            #[::tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $behaviour() {
                $crate::conformance::run($make, $crate::conformance::$topic::$behaviour).await;
            }
        )*
    };
    ($make:expr) => {
        $crate::conformance_suite!(@tests $make;
            leases::the_first_acquire_makes_the_shard,
            leases::each_acquire_raises_the_range_by_one,
            leases::an_empty_commit_checks_the_lease,
            leases::a_commit_under_another_range_is_refused,
            leases::a_commit_to_a_shard_never_acquired_is_refused,
            leases::ack_levels_pass_to_the_next_owner,
            executions::an_absent_run_loads_as_none,
            executions::a_new_run_is_stored,
            executions::a_record_is_replaced,
            executions::a_wrong_version_conflicts,
            executions::items_are_put_replaced_and_removed,
            executions::items_belong_to_one_run,
            executions::deleting_removes_record_items_and_history,
            executions::deleting_an_absent_run_is_no_error,
            executions::keys_of_any_form_stay_apart,
            executions::shards_stay_apart,
            executions::a_large_batch_is_stored_whole,
            executions::large_and_empty_values_are_kept,
            current_run::an_absent_pointer_is_none,
            current_run::the_pointer_is_set_moved_and_cleared,
            current_run::a_wrong_expectation_conflicts,
            current_run::moves_in_one_commit_take_effect_in_order,
            current_run::the_pointer_outlives_its_run_until_it_is_cleared,
            history::batches_are_read_forward_and_backward,
            history::a_batch_is_read_when_any_event_is_asked_for,
            history::the_limit_counts_batches,
            history::later_commits_append,
            history::a_batch_with_a_known_start_replaces,
            history::histories_belong_to_one_run,
            immediate::rows_are_read_ascending_from_an_id,
            immediate::the_ack_removes_finished_rows_only,
            immediate::rows_belong_to_one_shard,
            timers::rows_are_read_in_order_between_two_instants,
            timers::the_limit_pages_through_one_instant,
            timers::the_ack_removes_earlier_rows_only,
            timers::rows_belong_to_one_shard_of_timers,
            listing::pages_cover_every_run_once,
            listing::a_page_starts_at_its_key,
            listing::an_unknown_shard_lists_nothing,
            listing::a_namespace_is_listed_from_its_empty_key,
            atomicity::everything_of_a_commit_is_applied,
            atomicity::one_wrong_version_leaves_nothing,
            atomicity::one_wrong_pointer_leaves_nothing,
            atomicity::a_lost_lease_leaves_nothing,
            concurrency::parallel_acquires_get_different_ranges,
            concurrency::of_racing_commits_one_wins,
            concurrency::an_earlier_owner_writes_nothing_after_a_takeover,
            concurrency::a_refused_commit_does_not_harm_its_neighbours,
            concurrency::readers_see_whole_commits,
            task_queues::the_first_acquire_makes_the_queue,
            task_queues::each_acquire_of_a_queue_raises_its_range,
            task_queues::writes_under_another_range_are_refused,
            task_queues::tasks_are_read_ascending_after_an_id,
            task_queues::tasks_are_read_by_level_and_pass,
            task_queues::a_backlog_is_summed_up,
            task_queues::the_ack_removes_tasks_up_to_it,
            task_queues::the_record_passes_to_the_next_owner,
            task_queues::queues_stay_apart,
            task_queues::queues_of_a_namespace_are_listed_in_order,
            task_queues::deleting_removes_the_queue_and_its_backlog,
            task_queues::parallel_writers_of_queues_and_shards_all_succeed,
            namespaces::a_namespace_is_found_by_id_and_name,
            namespaces::ids_and_names_are_unique,
            namespaces::an_update_needs_the_stored_version,
            namespaces::a_rename_frees_the_old_name,
            namespaces::an_update_cannot_take_a_name_or_invent_an_id,
            namespaces::namespaces_are_listed_by_id_in_pages,
            namespaces::deleting_frees_id_and_name,
            visibility::a_row_is_listed_as_it_was_written,
            visibility::rows_follow_their_runs,
            visibility::a_refused_commit_writes_no_row,
            visibility::lists_are_sorted_and_apart,
            visibility::pages_hold_while_data_changes,
            visibility::pages_hold_while_closed_runs_change,
            visibility_filters::filters_mean_what_the_evaluator_says,
            cluster::a_record_is_versioned,
            cluster::a_record_needs_the_expected_version,
            cluster::of_racing_record_writes_one_wins,
            cluster::a_closed_store_is_unavailable,
        );
    };
}

/// One test per behaviour of a visibility store beside the main database. The argument is an async function or
/// closure without parameters that gives an empty `Arc<dyn SeparateVisibility>`, which keeps alive what it needs.
/// The calling crate depends on tokio with `macros` and `rt-multi-thread`.
#[macro_export]
macro_rules! visibility_writer_suite {
    (@tests $make:expr; $($topic:ident :: $behaviour:ident,)*) => {
        $(
            #[::tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $behaviour() {
                $crate::conformance::$topic::$behaviour($make().await).await;
            }
        )*
    };
    ($make:expr) => {
        $crate::visibility_writer_suite!(@tests $make;
            visibility_writer::what_was_written_is_listed,
            visibility_writer::a_row_is_replaced_by_newer_ones_only,
            visibility_writer::a_removed_run_stays_away,
            visibility_writer::changes_may_be_made_again,
            visibility_writer::racing_writes_leave_the_newest,
            visibility_writer::filters_of_written_rows_mean_what_the_evaluator_says,
        );
    };
}

#[cfg(test)]
mod tests {
    /// A behaviour that the macro does not name would silently never run.
    #[test]
    fn the_macro_names_every_behaviour() {
        let suite = include_str!("mod.rs");
        for (topic, source) in [
            ("atomicity", include_str!("atomicity.rs")),
            ("cluster", include_str!("cluster.rs")),
            ("concurrency", include_str!("concurrency.rs")),
            ("current_run", include_str!("current_run.rs")),
            ("executions", include_str!("executions.rs")),
            ("history", include_str!("history.rs")),
            ("immediate", include_str!("immediate.rs")),
            ("leases", include_str!("leases.rs")),
            ("listing", include_str!("listing.rs")),
            ("namespaces", include_str!("namespaces.rs")),
            ("task_queues", include_str!("task_queues.rs")),
            ("timers", include_str!("timers.rs")),
            ("visibility", include_str!("visibility.rs")),
            ("visibility_filters", include_str!("visibility_filters.rs")),
            ("visibility_writer", include_str!("visibility_writer.rs")),
        ] {
            for line in source.lines().filter_map(|line| line.strip_prefix("pub async fn ")) {
                let (name, _) = line.split_once('(').unwrap();
                assert!(suite.contains(&format!("{topic}::{name},")), "{topic}::{name} is in no suite");
            }
        }
    }
}
