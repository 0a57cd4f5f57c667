//! What every crate above shares: ids, time, errors, limits, the shard map and the maths of backoff.
//!
//! This crate reads no clock, draws no random numbers, spawns nothing and does no IO. Time, randomness
//! and ids are handed in: see [`clock::Clock`] and [`random::Random`].

pub mod backoff;
pub mod callback_url;
pub mod circuit_breaker;
pub mod clock;
pub mod cron;
pub mod error;
pub mod field_mask;
pub mod go_duration;
pub mod go_float;
pub mod ids;
pub mod limits;
pub mod namespace;
pub mod random;
pub mod retry_policy;
pub mod search_attributes;
pub mod shard_map;
pub mod time;
pub mod visibility;

pub use callback_url::{AddressRule, AllowedAddresses, CallbackUrl};
pub use circuit_breaker::CircuitBreaker;
pub use clock::Clock;
pub use error::{ErrorKind, ServiceError, ServiceResult};
pub use ids::{Archetype, BusinessKey, ExecutionKey, NamespaceId, ShardId};
pub use limits::Limits;
pub use namespace::Namespace;
pub use random::Random;
pub use shard_map::ShardMap;
pub use time::Timestamp;
pub use visibility::{ClosedRecord, VisibilityRecord};
