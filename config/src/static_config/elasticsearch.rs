//! `elasticsearch`: a store for visibility.

use std::time::Duration;

use super::{
    read::{Item, section},
    scalar::choice,
    stores::{StoreTls, Texts},
};
use crate::problem::Problems;

section! {
    /// Elasticsearch or OpenSearch, for visibility.
    pub struct Elasticsearch {
        /// Version, for people.
        "version" version: Item<String>,
        /// Address.
        "url" url: Url,
        /// Addresses in place of `url`.
        "urls" urls: Vec<Url>,
        /// User.
        "username" username: Item<String>,
        /// The user's password.
        "password" password: Item<String>,
        /// Index by use: `visibility`, `secondary_visibility`.
        "indices" indices: Texts,
        /// What the client logs.
        "logLevel" log_level: Item<Option<ClientLogLevel>> = Some(ClientLogLevel::Error),
        /// Signs requests for Amazon's service.
        "aws-request-signing" aws_request_signing: AwsRequestSigning,
        /// How often idle connections are closed; 0 never. Less than 15s counts as 15s.
        "closeIdleConnectionsInterval" close_idle_connections_interval: Item<Duration>,
        /// Whether the client looks for further nodes.
        "enableSniff" enable_sniff: Item<bool>,
        /// Whether the client checks the nodes' health.
        "enableHealthcheck" enable_healthcheck: Item<bool>,
        /// Whether requests are sent uncompressed.
        "disableGzip" disable_gzip: Item<bool>,
        /// TLS of the connections.
        "tls" tls: Option<StoreTls>,
    }
}

section! {
    /// An address in parts.
    pub struct Url {
        /// How requests are sent.
        "scheme" scheme: Item<Option<Scheme>>,
        /// `host:port`.
        "host" host: Item<String>,
        /// What follows the host.
        "path" path: Item<String>,
        /// What follows the path, without `?`.
        "rawquery" raw_query: Item<String>,
    }
}

section! {
    /// Signs requests for Amazon's service.
    pub struct AwsRequestSigning {
        /// Whether to sign.
        "enabled" enabled: Item<bool>,
        /// Region; `AWS_REGION` when empty.
        "region" region: Item<String>,
        /// Where credentials come from.
        "credentialProvider" credential_provider: Item<Option<CredentialProvider>>,
        /// Credentials of the provider `static`.
        "static" static_credentials: StaticCredentials,
    }
}

section! {
    /// Credentials.
    pub struct StaticCredentials {
        /// Id of the key.
        "accessKeyID" access_key_id: Item<String>,
        /// The key.
        "secretAccessKey" secret_access_key: Item<String>,
        /// Token of temporary credentials.
        "token" token: Item<String>,
    }
}

choice! {
    /// How requests are sent.
    pub enum Scheme, any case: true {
        /// In the clear.
        Http = "http",
        /// With TLS.
        Https = "https",
    }
}

choice! {
    /// What the client of Elasticsearch logs.
    pub enum ClientLogLevel, any case: false {
        /// Every request.
        Trace = "trace",
        /// What goes on.
        Info = "info",
        /// What went wrong.
        Error = "error",
    }
}

choice! {
    /// Where credentials come from.
    pub enum CredentialProvider, any case: true {
        /// From this file.
        Static = "static",
        /// From environment variables.
        Environment = "environment",
        /// From wherever Amazon's library finds them.
        AwsSdkDefault = "aws-sdk-default",
    }
}

/// Name of the index of visibility.
const INDEX: &str = "visibility";
/// Name of a second index, written beside the first.
pub(super) const SECONDARY_INDEX: &str = "secondary_visibility";

impl Elasticsearch {
    pub(super) fn check(&self, problems: &mut Problems) {
        if self.origin.refused {
            return;
        }
        let path = &self.origin.path;
        if self.urls.is_empty() {
            self.url.check(&self.origin, problems);
        }
        for url in &self.urls {
            url.check(&self.origin, problems);
        }
        match self.indices.get(INDEX) {
            Some(index) if index.is_given() => {}
            index => {
                let at = index.and_then(|index| index.at).unwrap_or(self.origin.at);
                problems.missing(at, format!("{path}.indices.{INDEX}"), "the name of the index");
            }
        }
        for (name, index) in &self.indices {
            if name != INDEX && name != SECONDARY_INDEX {
                problems.doubt(
                    index.place(&self.origin),
                    format!("{path}.indices.{name} has no effect: the indices are {INDEX} and {SECONDARY_INDEX}"),
                );
            }
        }
        let signing = &self.aws_request_signing;
        if *signing.enabled && signing.credential_provider.is_none() && !signing.credential_provider.is_refused() {
            problems.missing(
                signing.credential_provider.place(&signing.origin),
                signing.origin.key("credentialProvider"),
                "static, environment or aws-sdk-default",
            );
        }
        if *signing.enabled && *signing.credential_provider == Some(CredentialProvider::Static) {
            let given = &signing.static_credentials;
            let at = if given.origin.path.is_empty() { signing.origin.at } else { given.origin.at };
            for (key, item) in [("accessKeyID", &given.access_key_id), ("secretAccessKey", &given.secret_access_key)] {
                if !item.is_given() && !item.is_refused() {
                    let key = format!("{}.static.{key}", signing.origin.path);
                    problems.missing(item.at.unwrap_or(at), key, "it, or another credentialProvider");
                }
            }
        }
        if let Some(tls) = &self.tls {
            tls.check(problems);
        }
    }
}

impl Url {
    fn check(&self, store: &super::read::Origin, problems: &mut Problems) {
        let origin = if self.origin.path.is_empty() { store } else { &self.origin };
        let path = if self.origin.path.is_empty() { store.key("url") } else { self.origin.path.clone() };
        if !self.host.is_given() && !self.host.is_refused() {
            problems.missing(self.host.place(origin), format!("{path}.host"), "host:port of Elasticsearch");
        }
        if self.scheme.is_none() && !self.scheme.is_refused() {
            problems.missing(self.scheme.place(origin), format!("{path}.scheme"), "http or https");
        }
    }
}
