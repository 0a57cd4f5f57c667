//! Which shard holds a business id.

use crate::{BusinessKey, ShardId};

/// Token ranges of a 32-bit hash, each with the shard that holds it.
///
/// A map, not `hash % n`, so that a shard can be split or merged by editing ranges while the others
/// stay where they are. Stored with a version in the cluster's metadata.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShardMap {
    version: u64,
    /// (first token of the range, shard), ascending, the first range starting at 0.
    ranges: Vec<(u32, ShardId)>,
}

impl ShardMap {
    /// `count` ranges of equal size with shards `1..=count`. A count of 0 is taken as 1.
    pub fn uniform(count: u32) -> Self {
        let count = count.max(1);
        let ranges = (0..count)
            .map(|index| {
                let start = (u64::from(index) << 32) / u64::from(count);
                (u32::try_from(start).unwrap_or(u32::MAX), ShardId(index + 1))
            })
            .collect();
        Self { version: 1, ranges }
    }

    /// Rebuilds a stored map. `None` unless the ranges ascend strictly from 0.
    pub fn from_ranges(version: u64, ranges: Vec<(u32, ShardId)>) -> Option<Self> {
        let starts_at_zero = ranges.first().is_some_and(|(start, _)| *start == 0);
        let ascends = ranges.windows(2).all(|pair| pair[0].0 < pair[1].0);
        (starts_at_zero && ascends).then_some(Self { version, ranges })
    }

    /// Grows with every change of the ranges.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// The ranges, ascending.
    pub fn ranges(&self) -> &[(u32, ShardId)] {
        &self.ranges
    }

    /// The shard that holds `key`.
    pub fn shard_of(&self, key: &BusinessKey) -> ShardId {
        let token = token(key);
        let after = self.ranges.partition_point(|(start, _)| *start <= token);
        self.ranges[after.saturating_sub(1)].1
    }

    /// Every shard, ascending by its first token.
    pub fn shards(&self) -> impl Iterator<Item = ShardId> + '_ {
        self.ranges.iter().map(|(_, shard)| *shard)
    }
}

/// Token of a business id. The archetype is left out on purpose: executions of one id that talk to
/// each other are neighbours.
fn token(key: &BusinessKey) -> u32 {
    let mut hash = Fnv::default();
    hash.write(key.namespace_id.as_str().as_bytes());
    hash.write(&[0]);
    hash.write(key.business_id.as_bytes());
    hash.finish32()
}

/// FNV-1a, 64 bits, with a final mix: stable across versions and machines, because tokens are stored.
#[derive(Clone, Copy, Debug)]
pub struct Fnv(u64);

impl Default for Fnv {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Fnv {
    /// Feeds bytes.
    pub fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    /// The hash, mixed so that every bit depends on every byte.
    pub fn finish64(self) -> u64 {
        let mixed = (self.0 ^ (self.0 >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
        mixed ^ (mixed >> 33)
    }

    /// The upper half of [`Fnv::finish64`].
    pub fn finish32(self) -> u32 {
        u32::try_from(self.finish64() >> 32).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::NamespaceId;

    #[test]
    fn spreads_evenly_and_stays_put() {
        let map = ShardMap::uniform(4);
        let namespace = NamespaceId::from("2f1d4d1c-6a0e-4d4f-9a52-0f3f3c1f9a11");
        let mut counts = [0_u32; 4];
        for index in 0..4000 {
            let shard = map.shard_of(&BusinessKey::workflow(&namespace, &format!("order-{index}")));
            counts[shard.0 as usize - 1] += 1;
        }
        assert!(counts.iter().all(|count| (850..1150).contains(count)), "{counts:?}");
    }

    #[test]
    fn the_token_of_an_id_never_changes() {
        let key = BusinessKey::workflow(&NamespaceId::from("ns"), "workflow");
        assert_eq!(token(&key), token(&key.clone()));
        let other_kind = BusinessKey { archetype: crate::Archetype(9), ..key.clone() };
        assert_eq!(token(&key), token(&other_kind));
    }

    #[test]
    fn refuses_ranges_with_gaps_at_the_start_or_out_of_order() {
        assert!(ShardMap::from_ranges(1, vec![(5, ShardId(1))]).is_none());
        assert!(ShardMap::from_ranges(1, vec![(0, ShardId(1)), (0, ShardId(2))]).is_none());
        assert!(ShardMap::from_ranges(1, vec![(0, ShardId(1)), (9, ShardId(2))]).is_some());
    }
}
