//! `otel`: who gets traces and metrics through OpenTelemetry.

use std::time::Duration;

use super::{
    read::{Item, section},
    scalar::choice,
    stores::Texts,
};
use crate::problem::Problems;

section! {
    /// Who gets traces and metrics through OpenTelemetry.
    pub struct Otel {
        /// Connections that exporters may share.
        "connections" connections: Vec<NamedConnection>,
        /// What is sent where.
        "exporters" exporters: Vec<Exporter>,
    }
}

section! {
    /// A connection that exporters may share.
    pub struct NamedConnection {
        /// Its protocol.
        "kind" kind: Item<Option<Protocol>>,
        /// Its name.
        "metadata" metadata: Metadata,
        /// Where it goes.
        "spec" spec: Connection,
    }
}

section! {
    /// Sends one signal to one place.
    pub struct Exporter {
        /// What is sent, and how.
        "kind" kind: ExporterKind,
        /// Its name.
        "metadata" metadata: Metadata,
        /// Where it goes.
        "spec" spec: ExporterSpec,
    }
}

section! {
    /// A name with labels.
    pub struct Metadata {
        /// The name.
        "name" name: Item<String>,
        /// Labels.
        "labels" labels: Texts,
    }
}

section! {
    /// What is sent, and how.
    pub struct ExporterKind {
        /// What is sent.
        "signal" signal: Item<Option<Signal>>,
        /// In which form.
        "model" model: Item<Option<Model>>,
        /// Over what.
        "protocol" protocol: Item<Option<Protocol>>,
    }
}

section! {
    /// Where an exporter sends to: a shared connection or one of its own.
    pub struct ExporterSpec {
        /// Name of a shared connection.
        "connection_name" connection_name: Item<String>,
        /// One of its own.
        "connection" connection: Connection,
        /// Headers of every request.
        "headers" headers: Texts,
        /// How long a request may take.
        "timeout" timeout: Item<Duration> = Duration::from_secs(10),
        /// When a request fails.
        "retry" retry: Retry,
    }
}

section! {
    /// A gRPC connection.
    pub struct Connection {
        /// `host:port`.
        "endpoint" endpoint: Item<String>,
        /// Whether to wait for it.
        "block" block: Item<bool>,
        /// Without TLS.
        "insecure" insecure: Item<bool>,
        /// Name that the other side is called by.
        "authority" authority: Item<String>,
        /// Name that this side gives.
        "user_agent" user_agent: Item<String>,
        /// Bytes read at once.
        "read_buffer_size" read_buffer_size: Item<u32> = 32_768,
        /// Bytes written at once.
        "write_buffer_size" write_buffer_size: Item<u32> = 32_768,
        /// How it is made.
        "connect_params" connect_params: ConnectParams,
    }
}

section! {
    /// How a connection is made.
    pub struct ConnectParams {
        /// Least time for an attempt.
        "min_connect_timeout" min_connect_timeout: Item<Duration> = Duration::from_secs(10),
        /// Time between attempts.
        "backoff" backoff: Backoff,
    }
}

section! {
    /// Time between attempts.
    pub struct Backoff {
        /// After the first.
        "base_delay" base_delay: Item<Duration> = Duration::from_secs(1),
        /// What it grows by.
        "multiplier" multiplier: Item<f64> = 1.6,
        /// Part of it that is left to chance.
        "jitter" jitter: Item<f64> = 0.2,
        /// At most.
        "max_delay" max_delay: Item<Duration> = Duration::from_secs(120),
    }
}

section! {
    /// What happens when a request fails.
    pub struct Retry {
        /// Whether it is sent again.
        "enabled" enabled: Item<bool> = true,
        /// Time before the first.
        "initial_interval" initial_interval: Item<Duration> = Duration::from_secs(5),
        /// Longest time between two.
        "max_interval" max_interval: Item<Duration> = Duration::from_secs(30),
        /// How long in all.
        "max_elapsed_time" max_elapsed_time: Item<Duration> = Duration::from_secs(60),
    }
}

choice! {
    /// What is sent.
    pub enum Signal, any case: false {
        /// Traces.
        Traces = "traces",
        /// Traces.
        Trace = "trace",
        /// Metrics.
        Metrics = "metrics",
        /// Metrics.
        Metric = "metric",
    }
}

choice! {
    /// Form of what is sent.
    pub enum Model, any case: false {
        /// OpenTelemetry's.
        Otlp = "otlp",
    }
}

choice! {
    /// What it is sent over.
    pub enum Protocol, any case: false {
        /// gRPC.
        Grpc = "grpc",
    }
}

impl Otel {
    pub(super) fn check(&self, problems: &mut Problems) {
        let mut names: Vec<&str> = Vec::new();
        for connection in &self.connections {
            let origin = &connection.origin;
            if connection.kind.is_none() && !connection.kind.is_refused() {
                problems.missing(connection.kind.place(origin), origin.key("kind"), "grpc");
            }
            let name = connection.metadata.name.as_str();
            if !name.is_empty() && names.contains(&name) {
                problems.contradiction(
                    connection.metadata.name.place(origin),
                    format!("{}.metadata.name is that of another connection; write a name of its own", origin.path),
                );
            }
            names.push(name);
        }
        for exporter in &self.exporters {
            exporter.check(&names, problems);
        }
    }
}

impl Exporter {
    fn check(&self, names: &[&str], problems: &mut Problems) {
        let kind = &self.kind;
        let section = if kind.origin.path.is_empty() { &self.origin } else { &kind.origin };
        for (key, missing, at, write) in [
            ("signal", kind.signal.is_none() && !kind.signal.is_refused(), kind.signal.at, "traces or metrics"),
            ("model", kind.model.is_none() && !kind.model.is_refused(), kind.model.at, "otlp"),
            ("protocol", kind.protocol.is_none() && !kind.protocol.is_refused(), kind.protocol.at, "grpc"),
        ] {
            if missing {
                problems.missing(at.unwrap_or(section.at), format!("{}.kind.{key}", self.origin.path), write);
            }
        }
        let name = &self.spec.connection_name;
        if name.is_given() && !names.contains(&name.as_str()) {
            problems.contradiction(
                name.place(&self.spec.origin),
                format!(
                    "{} names {:?}, which is no connection of otel.connections; write its metadata.name",
                    self.spec.origin.key("connection_name"),
                    name.value
                ),
            );
        }
    }
}
