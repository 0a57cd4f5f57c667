//! Configuration as typed values, in Temporal's files.
//!
//! Dynamic configuration, with Temporal's keys, file format and precedence:
//!
//! - [`served`] is the table of keys that this server acts on: name, type, default, what each feeds.
//! - [`load`] turns a file's text and command-line values into [`Settings`], an immutable snapshot, with
//!   [`Warning`]s for keys that Temporal knows and this server does not act on. Unknown keys and values
//!   of a wrong type are refused.
//! - [`DynamicConfig`] is the handle that services hold: reads are a pointer load, and a new snapshot
//!   takes effect at once.
//!
//! Static configuration, the file that a server is started with: [`static_config`].
//!
//! [`check`] tells everything that is wrong with a file of either kind.
//!
//! Nothing here reads files, clocks or the environment.

mod check;
mod constraint;
mod duration;
mod error;
mod handle;
mod keys;
mod load;
mod node;
mod problem;
pub mod served;
mod settings;
pub mod static_config;
mod value;

pub use check::{Checked, FileKind, check, check_merged};
pub use constraint::{At, Constraints};
pub use duration::{format_duration, parse_duration};
pub use error::{DynamicConfigError, Place, Warning};
pub use handle::DynamicConfig;
pub use keys::{KNOWN_KEYS, KnownKey, RETIRED_KEYS, RetiredKey, Scope, known_key, nearest_key, retired_key};
pub use load::{Assignment, Loaded, Sources, load};
pub use problem::{Cause, Position, Problem, Severity};
pub use settings::{FrontendRates, JobSettings, KeepAlive, Settings, TaskQueueSettings, WorkerRegistrySettings};
pub use value::Value;
