//! Why a server does not start, and the exit code that says so.

use std::{io, net::SocketAddr, path::PathBuf};

use perdure_config::DynamicConfigError;

/// Why a server did not start or had to stop. Each displays as one line that says what to change.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A flag has a value that cannot be used.
    #[error("{0}")]
    Usage(String),
    /// The dynamic configuration is refused.
    #[error("{0}")]
    DynamicConfig(#[from] DynamicConfigError),
    /// The dynamic configuration file cannot be read.
    #[error("cannot read dynamic config file {}: {source}", path.display())]
    DynamicConfigFile {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// An address cannot be listened on.
    #[error("{}", address_problem(.service, .flag, .address, .source))]
    Address {
        /// Whose address: `gRPC`, `metrics`.
        service: &'static str,
        /// The flag that chooses another port.
        flag: &'static str,
        /// The address.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// The database cannot be opened or written.
    #[error("cannot use database {}: {problem}", path.display())]
    Database {
        /// The file.
        path: PathBuf,
        /// Why.
        problem: String,
    },
    /// The database holds something else: another program's data, or that of a newer release.
    #[error("cannot use database {}: {problem}", path.display())]
    Schema {
        /// The file.
        path: PathBuf,
        /// What it holds.
        problem: String,
    },
    /// A server that a command asks does not answer as it should.
    #[error("cannot ask the server at {address}: {problem}")]
    Server {
        /// Its address.
        address: String,
        /// Why.
        problem: String,
    },
    /// Anything else.
    #[error("{0}")]
    Failed(String),
}

impl StartError {
    /// The exit code of a process that ends with this error.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Failed(_) => 1,
            Self::Usage(_) | Self::DynamicConfig(_) | Self::DynamicConfigFile { .. } => 2,
            Self::Address { .. } => 3,
            Self::Database { .. } | Self::Server { .. } => 4,
            Self::Schema { .. } => 5,
        }
    }
}

/// The exit codes, as `--help` lists them. An interrupt that does not wait for the drain ends with 128
/// plus the signal's number, as shells expect.
pub(crate) const EXIT_CODES: &str = "\
Exit codes:
  0  stopped as asked (SIGINT, SIGTERM)
  1  failed for a reason of its own
  2  bad flag, flag value or dynamic config
  3  an address cannot be listened on
  4  the database cannot be opened or written
  5  the database is of a newer release or of another program
  130, 143  ended at once by a second SIGINT or SIGTERM";

fn address_problem(service: &str, flag: &str, address: &SocketAddr, source: &io::Error) -> String {
    match source.kind() {
        io::ErrorKind::AddrInUse => {
            format!("{service} port {} on {} is in use; choose another with {flag}", address.port(), address.ip())
        }
        io::ErrorKind::AddrNotAvailable => {
            format!("this machine has no address {}; choose another with --ip", address.ip())
        }
        io::ErrorKind::PermissionDenied => {
            format!("no permission to listen on {service} port {}; choose one above 1023 with {flag}", address.port())
        }
        _ => format!("cannot listen on {service} address {address}: {source}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_error_is_one_line_with_its_code() {
        let address = SocketAddr::from(([127, 0, 0, 1], 7233));
        let listen =
            |kind: io::ErrorKind| StartError::Address { service: "gRPC", flag: "--port", address, source: kind.into() };
        let path = PathBuf::from("a.db");
        for (error, code, text) in [
            (StartError::Failed("no".to_owned()), 1, "no"),
            (StartError::Usage("bad".to_owned()), 2, "bad"),
            (
                StartError::DynamicConfigFile { path: path.clone(), source: io::ErrorKind::NotFound.into() },
                2,
                "a.db: entity not found",
            ),
            (listen(io::ErrorKind::AddrInUse), 3, "gRPC port 7233 on 127.0.0.1 is in use; choose another with --port"),
            (listen(io::ErrorKind::AddrNotAvailable), 3, "no address 127.0.0.1"),
            (listen(io::ErrorKind::PermissionDenied), 3, "no permission"),
            (listen(io::ErrorKind::OutOfMemory), 3, "127.0.0.1:7233: out of memory"),
            (StartError::Database { path: path.clone(), problem: "locked".to_owned() }, 4, "a.db: locked"),
            (StartError::Schema { path, problem: "newer".to_owned() }, 5, "a.db: newer"),
        ] {
            assert_eq!(error.exit_code(), code);
            let line = error.to_string();
            assert!(line.contains(text) && !line.contains('\n'), "{line}");
        }
    }
}
