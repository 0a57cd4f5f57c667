//! Commands for operators, where Temporal's own command line has none: `perdure db` and `perdure describe`.

mod client;
mod db;
mod describe;
mod facts;
pub(crate) mod flags;

pub use flags::Operate;

use crate::StartError;

/// Does what the command line asks for.
///
/// # Errors
///
/// It cannot be done, or a check has found something: the error says what.
pub fn operate(command: Operate) -> Result<(), StartError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| StartError::Failed(format!("the runtime cannot be started: {error}")))?;
    runtime.block_on(async {
        match command {
            Operate::Check(options) => db::check(options).await,
            Operate::Migrate(options) => db::migrate(&options).await,
            Operate::Describe(options) => describe::describe(options).await,
        }
    })
}

/// Writes a line to stdout. A reader that has gone (`perdure describe node | head -1`) is no failure.
fn print(text: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stdout(), "{text}");
}
