//! `log`: where the server's log goes.

use super::{
    read::{Item, section},
    scalar::choice,
};
use crate::problem::Problems;

section! {
    /// Where the server's log goes.
    pub struct Log {
        /// Write to standard output; otherwise to `output_file` or to standard error.
        "stdout" stdout: Item<bool>,
        /// Least level that is logged.
        "level" level: Item<Option<LogLevel>> = Some(LogLevel::Info),
        /// File to write to.
        "outputFile" output_file: Item<String>,
        /// Form of a line.
        "format" format: Item<Option<LogFormat>> = Some(LogFormat::Json),
        /// Whether `dpanic` panics.
        "development" development: Item<bool>,
    }
}

choice! {
    /// Least level that is logged.
    pub enum LogLevel, any case: true {
        /// Everything.
        Debug = "debug",
        /// What goes on.
        Info = "info",
        /// What may be wrong.
        Warn = "warn",
        /// What went wrong.
        Error = "error",
        /// What should never be; panics in development.
        DPanic = "dpanic",
        /// What panics.
        Panic = "panic",
        /// What ends the process.
        Fatal = "fatal",
    }
}

choice! {
    /// Form of a line of the log.
    pub enum LogFormat, any case: false {
        /// JSON.
        Json = "json",
        /// Text for people.
        Console = "console",
    }
}

impl Log {
    pub(super) fn check(&self, problems: &mut Problems) {
        if *self.stdout && self.output_file.is_given() {
            problems.doubt(
                self.output_file.place(&self.origin),
                "log.outputFile has no effect beside stdout: true; remove one of them",
            );
        }
    }
}
