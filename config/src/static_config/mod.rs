//! The static configuration: the file that a Temporal server is started with.
//!
//! [`StaticConfig::read`] turns texts into typed values with Temporal's defaults and tells everything that
//! is wrong with them. A file each for the sections; a section checks itself. `read` goes through the tree
//! of a file, `scalar` knows single values.

mod archival;
mod authorization;
mod cassandra;
mod clients;
mod cluster;
mod elasticsearch;
mod fault_injection;
mod global;
mod log;
mod metrics;
mod otel;
mod persistence;
mod read;
mod scalar;
mod services;
mod sql;
mod stores;
mod tls;

pub use archival::*;
pub use authorization::{Authorization, JwtKeyProvider, Provider as AuthorizationProvider, RemoteClusterAuth};
pub use cassandra::*;
pub use clients::*;
pub use cluster::*;
pub use elasticsearch::*;
pub use fault_injection::*;
pub use global::*;
pub use log::*;
pub use metrics::*;
pub use otel::*;
pub use persistence::*;
pub use read::{Entries, Item, Origin};
pub use services::{
    ClientConnection, ClientParameters, EnforcementPolicy, KeepAliveServer, Rpc, ServerParameters, Service,
};
pub use sql::*;
pub use stores::*;
pub use tls::{ClientTls, ExpirationChecks, GroupTls, RootTls, ServerTls, WorkerTls};

use crate::{
    node::Node,
    problem::{Cause, Position, Problem},
};
use read::{Reader, Section, section};

section! {
    /// Everything that a file says, with defaults for the rest.
    pub struct StaticConfig {
        /// Where the server's log goes.
        "log" log: Log,
        /// Stores.
        "persistence" persistence: Persistence,
        /// What holds for the whole process.
        "global" global: Global,
        /// Services by name.
        "services" services: Entries<Service>,
        /// This cluster and others.
        "clusterMetadata" cluster_metadata: Option<ClusterMetadata>,
        /// Calls for namespaces that are active elsewhere.
        "dcRedirectionPolicy" dc_redirection_policy: DcRedirectionPolicy,
        /// Where closed workflows go in the end.
        "archival" archival: Archival,
        /// What a new namespace begins with.
        "namespaceDefaults" namespace_defaults: NamespaceDefaults,
        /// How internal workers reach a frontend.
        "publicClient" public_client: PublicClient,
        /// The file of dynamic configuration; defaults alone without it.
        "dynamicConfigClient" dynamic_config_client: Option<DynamicConfigClient>,
        /// OpenTelemetry.
        "otel" otel: Otel,
        /// Visibility on SQL.
        "visibility" visibility: Visibility,
    }
}

impl StaticConfig {
    /// The sections there are.
    pub(crate) const SECTIONS: &'static [&'static str] = <Self as Section>::KEYS;

    /// Reads the texts of files, later ones over earlier ones as Temporal merges them, and tells what is
    /// wrong with the whole, in the order of the files.
    pub fn read(texts: &[&str]) -> (Self, Vec<Problem>) {
        let mut config = Self::default();
        let mut reader = Reader::default();
        let mut whole = true;
        for (file, text) in texts.iter().enumerate() {
            if let Some(line) = template_line(text) {
                reader
                    .problems
                    .add(Position { file, line, column: 1 }, Cause::Template { marker: TEMPLATE_MARKER, line });
                whole = false;
            } else if let Some(node) = Node::parse(text, file, &mut reader.problems) {
                reader.file(&mut config, &node);
            } else {
                whole = false;
            }
        }
        // What a file that cannot be read would have said is not known.
        if whole && !config.origin.refused {
            // Its checks name keys even when nothing is given.
            config.persistence.origin.path = "persistence".to_owned();
            config.check(&mut reader);
        }
        (config, reader.problems.into_sorted())
    }

    fn check(&self, reader: &mut Reader) {
        let problems = &mut reader.problems;
        self.log.check(problems);
        self.persistence.check(&self.visibility, problems);
        self.persistence.not_served(problems);
        self.global.check(problems);
        services::check(&self.services, &self.global, problems);
        match &self.cluster_metadata {
            Some(metadata) => metadata.check(problems),
            None => problems.missing(
                Position::default(),
                "clusterMetadata",
                "clusterMetadata with failoverVersionIncrement, masterClusterName, currentClusterName and \
                 clusterInformation",
            ),
        }
        self.archival.check(&self.namespace_defaults, problems);
        self.public_client.check(&self.services, problems);
        if let Some(client) = &self.dynamic_config_client {
            client.check(problems);
        }
        self.otel.check(problems);
        self.visibility.check(problems);
    }
}

/// What a comment near the head of a file says when the file is a template.
const TEMPLATE_MARKER: &str = "enable-template";

/// How much of a file is searched for it, in bytes.
const TEMPLATE_SEARCH: usize = 1024;

/// The line that makes a file a template. One in which nothing would be rendered is read as it is.
pub(crate) fn template_line(text: &str) -> Option<u64> {
    if !text.contains("{{") {
        return None;
    }
    let head = &text.as_bytes()[..text.len().min(TEMPLATE_SEARCH)];
    let head = String::from_utf8_lossy(head);
    let is_marker = |line: &str| line.trim().starts_with('#') && line.contains(TEMPLATE_MARKER);
    (1..).zip(head.lines()).find(|(_, line)| is_marker(line)).map(|(number, _)| number)
}
