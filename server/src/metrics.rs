//! The Prometheus endpoint. Metrics are recorded elsewhere through the `metrics` facade.

use std::net::{SocketAddr, TcpListener};

use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder};

use crate::{StartError, listen::listen};

/// Latencies, in seconds: those of Temporal's dashboards.
const SECONDS: [f64; 19] = [
    0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0,
];

/// Counts.
const COUNTS: [f64; 16] = [1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1e3, 2e3, 5e3, 1e4, 2e4, 5e4, 1e5];

/// Sizes, in bytes: 1 KiB to 16 MiB.
const BYTES: [f64; 15] = {
    let mut bounds = [1024.0; 15];
    let mut i = 1;
    while i < bounds.len() {
        bounds[i] = bounds[i - 1] * 2.0;
        i += 1;
    }
    bounds
};

/// Serves `/metrics` at `address` from the current tokio runtime, and makes this the process's recorder.
/// Port 0 takes a free one. Returns the address in use. May be called once in a process.
pub fn serve(address: SocketAddr) -> Result<SocketAddr, StartError> {
    const FLAG: &str = "--metrics-port";
    // The exporter opens its own listener and would not say which port it got.
    let address =
        listen("metrics", FLAG, address).and_then(|listener: TcpListener| listener.local_addr().map_err(failed))?;
    builder().map_err(failed)?.with_http_listener(address).install().map_err(failed)?;
    Ok(address)
}

fn builder() -> Result<PrometheusBuilder, BuildError> {
    PrometheusBuilder::new()
        .set_buckets(&SECONDS)?
        .set_buckets_for_metric(Matcher::Suffix("_size".to_owned()), &BYTES)?
        .set_buckets_for_metric(Matcher::Suffix("_count".to_owned()), &COUNTS)?
        .set_buckets_for_metric(Matcher::Suffix("_attempt".to_owned()), &COUNTS)
}

fn failed(error: impl std::fmt::Display) -> StartError {
    StartError::Failed(format!("cannot serve metrics: {error}"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn histograms_get_buckets_of_their_unit() {
        let recorder = builder().unwrap().build_recorder();
        metrics::with_local_recorder(&recorder, || {
            metrics::histogram!("service_latency").record(0.004);
            metrics::histogram!("history_size").record(3000.0);
            metrics::histogram!("workflow_task_attempt").record(3.0);
        });
        let text = recorder.handle().render();
        for line in [
            "service_latency_bucket{le=\"0.005\"} 1",
            "history_size_bucket{le=\"4096\"} 1",
            "workflow_task_attempt_bucket{le=\"5\"} 1",
        ] {
            assert!(text.contains(line), "{text}");
        }
    }
}
