//! The threads of a production system: actix arbiters.

use std::{io, sync::mpsc, thread};

use actix_rt::{Arbiter, ArbiterHandle, System};
use tokio::sync::oneshot;

/// Threads that are running, and the end of a rope to stop them by.
pub(crate) struct Threads {
    system: System,
    keeper: thread::JoinHandle<()>,
    all_joined: oneshot::Receiver<()>,
}

fn runtime() -> io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}

impl Threads {
    /// Starts `count` arbiters and one thread that keeps them: actix wants a system for its arbiters, and
    /// arbiters are joined by the one that made them.
    pub(crate) fn start(count: usize) -> io::Result<(Self, Vec<ArbiterHandle>)> {
        let (started, ready) = mpsc::channel();
        let (joined, all_joined) = oneshot::channel();
        let keeper = thread::Builder::new().name("perdure-keeper".to_owned()).spawn(move || {
            let runner = match runtime() {
                Ok(runtime) => System::with_tokio_rt(move || runtime),
                Err(error) => {
                    let _ = started.send(Err(error));
                    return;
                }
            };
            let arbiters: io::Result<Vec<Arbiter>> =
                runner.block_on(async { (0..count).map(|_| Arbiter::try_with_tokio_rt(runtime)).collect() });
            let arbiters = match arbiters {
                Ok(arbiters) => arbiters,
                Err(error) => {
                    let _ = started.send(Err(error));
                    return;
                }
            };
            let handles = arbiters.iter().map(Arbiter::handle).collect();
            if started.send(Ok((System::current(), handles))).is_ok()
                && let Err(error) = runner.run()
            {
                tracing::error!(%error, "the keeper of the actor threads failed");
            }
            for arbiter in &arbiters {
                arbiter.stop();
            }
            for arbiter in arbiters {
                if arbiter.join().is_err() {
                    tracing::error!("an actor thread panicked");
                }
            }
            let _ = joined.send(());
        })?;
        let (system, handles) =
            ready.recv().map_err(|_| io::Error::other("the keeper of the actor threads did not start"))??;
        Ok((Self { system, keeper, all_joined }, handles))
    }

    /// Lets every thread end after what it is doing now.
    pub(crate) fn stop(&self) {
        self.system.stop();
    }

    /// Stops the threads and waits for their end.
    pub(crate) async fn join(self) {
        self.stop();
        // An error says the same: the keeper is gone.
        let _ = self.all_joined.await;
        let _ = self.keeper.join();
    }
}
