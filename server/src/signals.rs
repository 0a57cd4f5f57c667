//! Being asked to stop.

use std::{future::Future, io};

use tokio::signal::unix::{Signal, SignalKind, signal};

/// Which signal asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// SIGINT: Ctrl-C.
    Interrupt,
    /// SIGTERM: a supervisor.
    Terminate,
}

/// A future that resolves when the process is first asked to stop; once it has, a second asking ends the
/// process at once. From this call on the signals no longer end the process by themselves. To be called
/// within a tokio runtime.
pub fn stop_requested() -> io::Result<impl Future<Output = Stop> + Send + 'static> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(async move {
        let first = next(&mut interrupt, &mut terminate).await;
        tokio::spawn(async move {
            let second = next(&mut interrupt, &mut terminate).await;
            std::process::exit(second.exit_code());
        });
        first
    })
}

impl Stop {
    /// What a shell expects of a process that this signal ended: 128 plus its number.
    fn exit_code(self) -> i32 {
        128 + match self {
            Self::Interrupt => SignalKind::interrupt().as_raw_value(),
            Self::Terminate => SignalKind::terminate().as_raw_value(),
        }
    }
}

async fn next(interrupt: &mut Signal, terminate: &mut Signal) -> Stop {
    tokio::select! {
        _ = interrupt.recv() => Stop::Interrupt,
        _ = terminate.recv() => Stop::Terminate,
    }
}
