//! `global.tls`: TLS between nodes, towards clients and towards other clusters.

use std::{iter, time::Duration};

use super::read::{Entries, Item, Origin, section};
use crate::problem::Problems;

section! {
    /// TLS of everything but databases.
    pub struct RootTls {
        /// How often files are read again; 0 never.
        "refreshInterval" refresh_interval: Item<Duration>,
        /// Warnings before certificates expire.
        "expirationChecks" expiration_checks: ExpirationChecks,
        /// Between nodes.
        "internode" internode: GroupTls,
        /// Towards clients.
        "frontend" frontend: GroupTls,
        /// Of the internal workers; `frontend.client` when it is empty.
        "systemWorker" system_worker: WorkerTls,
        /// Towards other clusters, by host or wildcard.
        "remoteClusters" remote_clusters: Entries<GroupTls>,
    }
}

section! {
    /// Warnings before certificates expire; 0 is none.
    pub struct ExpirationChecks {
        /// How long before it is a warning.
        "warningWindow" warning_window: Item<Duration>,
        /// How long before it is an error.
        "errorWindow" error_window: Item<Duration>,
        /// How often certificates are looked at.
        "checkInterval" check_interval: Item<Duration>,
    }
}

section! {
    /// Both sides of a kind of connection.
    pub struct GroupTls {
        /// Who listens.
        "server" server: ServerTls,
        /// Who connects.
        "client" client: ClientTls,
        /// Another certificate by the name that a client asks for.
        "hostOverrides" host_overrides: Entries<ServerTls>,
    }
}

section! {
    /// A listener. Of each of certificate, key and authorities there is a file or, in base64, its content.
    /// There is TLS when there is a key.
    pub struct ServerTls {
        /// File of the certificate.
        "certFile" cert_file: Item<String>,
        /// File of the key.
        "keyFile" key_file: Item<String>,
        /// Files of the authorities that clients' certificates are checked with.
        "clientCaFiles" client_ca_files: Vec<Item<String>>,
        /// The certificate.
        "certData" cert_data: Item<String>,
        /// The key.
        "keyData" key_data: Item<String>,
        /// The authorities.
        "clientCaData" client_ca_data: Vec<Item<String>>,
        /// Whether clients must have a certificate.
        "requireClientAuth" require_client_auth: Item<bool>,
    }
}

section! {
    /// A side that connects. There is TLS when there are authorities or it is forced.
    pub struct ClientTls {
        /// Name that the server's certificate must have.
        "serverName" server_name: Item<String>,
        /// Whether name and certificate go unverified.
        "disableHostVerification" disable_host_verification: Item<bool>,
        /// Files of the authorities that the server's certificate is checked with.
        "rootCaFiles" root_ca_files: Vec<Item<String>>,
        /// The authorities, in base64.
        "rootCaData" root_ca_data: Vec<Item<String>>,
        /// TLS with the system's authorities.
        "forceTLS" force_tls: Item<bool>,
    }
}

section! {
    /// TLS of the internal workers.
    pub struct WorkerTls {
        /// File of their certificate.
        "certFile" cert_file: Item<String>,
        /// File of their key.
        "keyFile" key_file: Item<String>,
        /// The certificate, in base64.
        "certData" cert_data: Item<String>,
        /// The key, in base64.
        "keyData" key_data: Item<String>,
        /// How they connect.
        "client" client: ClientTls,
    }
}

impl RootTls {
    pub(super) fn check(&self, problems: &mut Problems) {
        self.frontend.check(problems);
        self.frontend.check_overrides(problems);
        for group in iter::once(&self.internode).chain(self.remote_clusters.values()) {
            group.check(problems);
            if let Some(first) = group.host_overrides.values().next() {
                let path = &group.origin.path;
                problems.doubt(
                    first.origin.at,
                    format!("{path}.hostOverrides has no effect: only global.tls.frontend has overrides"),
                );
            }
        }
        let worker = &self.system_worker;
        let origin = &worker.origin;
        exclusive(origin, (&worker.cert_file, "certFile"), (&worker.cert_data, "certData"), problems);
        exclusive(origin, (&worker.key_file, "keyFile"), (&worker.key_data, "keyData"), problems);
        pair(origin, [&worker.cert_file, &worker.cert_data], [&worker.key_file, &worker.key_data], problems);
        worker.client.check(problems);
        let checks = &self.expiration_checks;
        let windows = !checks.warning_window.is_zero() || !checks.error_window.is_zero();
        if windows && checks.check_interval.is_zero() && !checks.check_interval.is_refused() {
            let path = &checks.origin.path;
            problems.doubt(
                checks.check_interval.place(&checks.origin),
                format!("{path} has no effect without checkInterval; write one, such as 1h"),
            );
        }
    }
}

impl GroupTls {
    fn check(&self, problems: &mut Problems) {
        self.server.check(problems);
        self.client.check(problems);
        for server in self.host_overrides.values() {
            server.check(problems);
        }
    }

    fn check_overrides(&self, problems: &mut Problems) {
        if let Some(first) = self.host_overrides.values().next()
            && !self.server.has_key()
        {
            problems.doubt(
                first.origin.at,
                format!(
                    "{}.hostOverrides has no effect: TLS is off without a key of {}; write keyFile or keyData there",
                    self.origin.path,
                    self.origin.key("server")
                ),
            );
        }
    }
}

impl ServerTls {
    fn has_key(&self) -> bool {
        self.key_file.is_given() || self.key_data.is_given()
    }

    fn check(&self, problems: &mut Problems) {
        let origin = &self.origin;
        exclusive(origin, (&self.cert_file, "certFile"), (&self.cert_data, "certData"), problems);
        exclusive(origin, (&self.key_file, "keyFile"), (&self.key_data, "keyData"), problems);
        pair(origin, [&self.cert_file, &self.cert_data], [&self.key_file, &self.key_data], problems);
        let files = (self.client_ca_files.as_slice(), "clientCaFiles");
        let data = (self.client_ca_data.as_slice(), "clientCaData");
        exclusive_lists(origin, files, data, problems);
        let authority = first_given(&self.client_ca_files).or_else(|| first_given(&self.client_ca_data));
        let required = self.require_client_auth.place(origin);
        if *self.require_client_auth && authority.is_none() {
            problems.contradiction(
                required,
                format!(
                    "{} needs authorities to check clients with; write clientCaFiles or clientCaData beside it",
                    origin.key("requireClientAuth")
                ),
            );
        }
        if *self.require_client_auth && !self.has_key() {
            problems.contradiction(
                required,
                format!(
                    "{} needs TLS, which is off without a key; write certFile and keyFile beside it",
                    origin.key("requireClientAuth")
                ),
            );
        }
        if let Some(authority) = authority
            && !*self.require_client_auth
            && !self.require_client_auth.is_refused()
        {
            problems.doubt(
                authority.place(origin),
                format!("the authorities of {} have no effect without requireClientAuth: true", origin.path),
            );
        }
    }
}

impl ClientTls {
    fn check(&self, problems: &mut Problems) {
        let origin = &self.origin;
        let files = (self.root_ca_files.as_slice(), "rootCaFiles");
        let data = (self.root_ca_data.as_slice(), "rootCaData");
        exclusive_lists(origin, files, data, problems);
        let on =
            *self.force_tls || first_given(&self.root_ca_files).is_some() || first_given(&self.root_ca_data).is_some();
        if self.server_name.is_given() && !on {
            problems.doubt(
                self.server_name.place(origin),
                format!(
                    "{} has no effect: TLS is off; write rootCaFiles, rootCaData or forceTLS: true beside it",
                    origin.key("serverName")
                ),
            );
        }
    }
}

fn first_given(list: &[Item<String>]) -> Option<&Item<String>> {
    list.iter().find(|item| item.is_given())
}

/// A file and its content exclude each other.
pub(super) fn exclusive(
    section: &Origin,
    (file, file_key): (&Item<String>, &str),
    (data, data_key): (&Item<String>, &str),
    problems: &mut Problems,
) {
    if file.is_given() && data.is_given() {
        told_twice(section, file_key, data, data_key, problems);
    }
    base64(section, data, data_key, problems);
}

fn exclusive_lists(
    section: &Origin,
    (files, files_key): (&[Item<String>], &str),
    (data, data_key): (&[Item<String>], &str),
    problems: &mut Problems,
) {
    if let (Some(_), Some(data)) = (first_given(files), first_given(data)) {
        told_twice(section, files_key, data, data_key, problems);
    }
    for data in data {
        base64(section, data, data_key, problems);
    }
}

fn told_twice(section: &Origin, file_key: &str, data: &Item<String>, data_key: &str, problems: &mut Problems) {
    problems.contradiction(
        data.place(section),
        format!("{} and {} exclude each other; remove one of them", section.key(file_key), section.key(data_key)),
    );
}

/// The commonest slip: the text itself in place of its base64.
fn base64(section: &Origin, data: &Item<String>, key: &str, problems: &mut Problems) {
    if data.contains("-----BEGIN") {
        problems.contradiction(
            data.place(section),
            format!("{} holds PEM as it is; write it in base64, or name its file", section.key(key)),
        );
    }
}

/// A certificate and a key go together. Each is given as a file or as content.
pub(super) fn pair(section: &Origin, cert: [&Item<String>; 2], key: [&Item<String>; 2], problems: &mut Problems) {
    let given = |of: [&Item<String>; 2]| of.into_iter().find(|item| item.is_given()).map(|item| item.place(section));
    match (given(cert), given(key)) {
        (Some(at), None) => problems.contradiction(
            at,
            format!("{} has a certificate and no key; write keyFile or keyData beside it", section.path),
        ),
        (None, Some(at)) => problems.contradiction(
            at,
            format!("{} has a key and no certificate; write certFile or certData beside it", section.path),
        ),
        (Some(_), Some(_)) | (None, None) => {}
    }
}
