//! Fair shares of a priority level: start-time fair queueing over fairness keys.
//!
//! Every task gets a *pass* when it arrives, and tasks of a level are served by ascending pass. A key's next
//! pass is a stride (the inverse of its weight) after its last one, but never before the level's present (the
//! greatest pass served so far), so that a key saves nothing up while it is idle.
//!
//! While the keys `a` and `b` both have tasks waiting, the numbers of their tasks that are served obey
//! `|served(a) / weight(a) - served(b) / weight(b)| <= 1 / weight(a) + 1 / weight(b)`. A queue of `n`
//! partitions, whose tasks of one key are dealt out in turn, holds `n` times that bound.

use std::collections::BTreeMap;

use perdure_kernel::shard_map::Fnv;
use perdure_proto::api::common::Priority;

/// Passes between two tasks of a key of weight 1.
const STRIDE: i64 = 1_000_000;

/// The smallest weight; smaller ones count as this.
pub const WEIGHT_MIN: f32 = 0.001;

/// The greatest weight; greater ones count as this.
pub const WEIGHT_MAX: f32 = 1000.0;

/// Keys whose next pass is remembered for a level. Keys beyond, all of them with tasks waiting, share
/// [`LANES`] lanes: those of one lane are served as if they were one key.
pub const KEYS_MAX: usize = 4096;

/// See [`KEYS_MAX`].
pub const LANES: u64 = 256;

/// The number that stands for a fairness key.
pub fn key_number(priority: Option<&Priority>) -> u64 {
    match priority {
        Some(priority) if !priority.fairness_key.is_empty() => number_of(&priority.fairness_key),
        Some(_) | None => 0,
    }
}

/// The number that stands for a fairness key; 0 for the empty one.
pub fn number_of(key: &str) -> u64 {
    if key.is_empty() {
        return 0;
    }
    let mut hash = Fnv::default();
    hash.write(key.as_bytes());
    hash.finish64()
}

/// The weight that a task has, when no override says otherwise.
pub(crate) fn weight_of(priority: Option<&Priority>) -> f32 {
    clamp(priority.map_or(0.0, |priority| priority.fairness_weight))
}

/// Weights that are not set (0) or make no sense are 1.
pub(crate) fn clamp(weight: f32) -> f32 {
    if weight > 0.0 { weight.clamp(WEIGHT_MIN, WEIGHT_MAX) } else { 1.0 }
}

fn stride_of(weight: f32) -> i64 {
    (STRIDE as f64 / f64::from(weight)) as i64
}

/// Passes of one priority level.
#[derive(Debug, Default)]
pub(crate) struct Fairness {
    present: i64,
    /// The earliest pass of each key's next task. A key that is missing is at the present.
    next: BTreeMap<u64, i64>,
    /// The same of keys that found no room.
    lanes: BTreeMap<u64, i64>,
    /// Tasks until keys that have come to the present are looked for again.
    patience: usize,
}

impl Fairness {
    /// No task that arrives gets a pass before this.
    pub(crate) fn present(&self) -> i64 {
        self.present
    }

    /// The pass of a key's next task.
    pub(crate) fn assign(&mut self, key: u64, weight: f32) -> i64 {
        let present = self.present;
        if self.next.len() >= KEYS_MAX && !self.next.contains_key(&key) {
            self.make_room();
        }
        let lane = key % LANES;
        let in_lane = if self.lanes.is_empty() { None } else { self.lanes.get(&lane).copied() };
        let next = if self.next.len() < KEYS_MAX || self.next.contains_key(&key) {
            self.next.entry(key).or_insert(in_lane.unwrap_or(present))
        } else {
            self.lanes.entry(lane).or_insert(present)
        };
        let pass = (*next).max(present);
        *next = pass.saturating_add(stride_of(weight));
        pass
    }

    /// Keys that have come to the present need not be remembered.
    fn make_room(&mut self) {
        if self.patience > 0 {
            self.patience -= 1;
            return;
        }
        let present = self.present;
        self.next.retain(|_, next| *next > present);
        self.lanes.retain(|_, next| *next > present);
        self.patience = KEYS_MAX / 8;
    }

    /// Takes back the pass of a task that was not served, when it was its key's last.
    pub(crate) fn give_back(&mut self, key: u64, weight: f32, pass: i64) {
        if let Some(next) = self.next.get_mut(&key).filter(|next| **next == pass.saturating_add(stride_of(weight))) {
            *next = pass;
        }
    }

    /// A task with this pass is served.
    pub(crate) fn serve(&mut self, pass: i64) {
        self.present = self.present.max(pass);
    }

    /// Learns from stored tasks: the first pass among them, and each key's last.
    pub(crate) fn recover(&mut self, first: i64, last: impl IntoIterator<Item = (u64, i64)>) {
        self.serve(first);
        for (key, last) in last {
            // What the next stride would have been is not stored: that of weight 1 stands for it.
            let after = last.saturating_add(STRIDE);
            if self.next.len() < KEYS_MAX {
                self.next.insert(key, after);
            } else {
                let lane = self.lanes.entry(key % LANES).or_insert(after);
                *lane = (*lane).max(after);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn idle_keys_save_nothing_up() {
        let mut fairness = Fairness::default();
        let passes: Vec<i64> = (0..3).map(|_| fairness.assign(1, 1.0)).collect();
        assert_eq!(passes, [0, STRIDE, 2 * STRIDE]);
        fairness.serve(2 * STRIDE);
        assert_eq!(fairness.assign(2, 2.0), 2 * STRIDE);
        assert_eq!(fairness.assign(2, 2.0), 2 * STRIDE + STRIDE / 2);
    }

    #[test]
    fn what_was_not_served_is_given_back() {
        let mut fairness = Fairness::default();
        let pass = fairness.assign(1, 1.0);
        fairness.give_back(1, 1.0, pass);
        assert_eq!(fairness.assign(1, 1.0), pass);
        fairness.assign(1, 1.0);
        fairness.give_back(1, 1.0, pass);
        assert_eq!(fairness.assign(1, 1.0), 2 * STRIDE);
    }

    #[test]
    fn keys_are_bounded_and_stay_in_order() {
        let mut fairness = Fairness::default();
        let mut last: BTreeMap<u64, i64> = BTreeMap::new();
        for round in 0..3 {
            for key in 0..3 * KEYS_MAX as u64 {
                let pass = fairness.assign(key, 1.0);
                assert!(last.insert(key, pass).is_none_or(|before| before < pass), "key {key} in round {round}");
            }
        }
        assert!(fairness.next.len() <= KEYS_MAX && fairness.lanes.len() <= LANES as usize);
        let end = last.values().max().copied().unwrap_or(0) + STRIDE;
        fairness.serve(end);
        for key in 0..3 * KEYS_MAX as u64 {
            assert!(fairness.assign(key, 1.0) >= end);
        }
    }

    #[test]
    fn weights_outside_their_bounds_count_as_the_bound() {
        assert_eq!([0.0, -1.0, 0.000_1, 5_000.0, 2.5].map(clamp), [1.0, 1.0, WEIGHT_MIN, WEIGHT_MAX, 2.5]);
        assert!(clamp(f32::NAN) == 1.0);
    }
}
