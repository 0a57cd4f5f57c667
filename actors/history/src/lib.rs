//! History: one supervised actor per shard, around the pure machines of `perdure-execution`.
//!
//! A shard actor owns the executions of its token ranges. It takes requests in order, lets the machine
//! decide, gathers what was decided into one batch, writes the batch in one conditional commit and only
//! then tells anybody. It knows nothing of workflows' rules, of SQL or of gRPC.

mod destinations;
mod settings;
mod shard;
mod supervisor;

pub use settings::HistorySettings;
pub use supervisor::{History, HistoryParts};
