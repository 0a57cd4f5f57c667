//! Signals, in a process of their own.
#![allow(clippy::unwrap_used, missing_docs)]

use std::process::Command;

use perdure_server::signals::{Stop, stop_requested};

#[tokio::test]
async fn the_first_signal_resolves_the_future() {
    let stop = stop_requested().unwrap();
    let status = Command::new("kill").args(["-TERM", &std::process::id().to_string()]).status().unwrap();
    assert!(status.success());
    assert_eq!(stop.await, Stop::Terminate);
}
