//! `persistence.datastores.NAME`: one store, of exactly one kind.

use super::{
    cassandra::Cassandra,
    elasticsearch::Elasticsearch,
    fault_injection::FaultInjection,
    read::{Entries, Item, section},
    sql::Sql,
};
use crate::{Value, problem::Problems};

section! {
    /// One store, of exactly one kind.
    pub struct DataStore {
        /// Failures that the store is made to have.
        "faultInjection" fault_injection: Option<FaultInjection>,
        /// A Cassandra cluster.
        "cassandra" cassandra: Option<Cassandra>,
        /// An SQL database.
        "sql" sql: Option<Sql>,
        /// Elasticsearch or OpenSearch, for visibility.
        "elasticsearch" elasticsearch: Option<Elasticsearch>,
        /// A store of one's own, given in code.
        "customDatastore" custom: Option<CustomDatastore>,
    }
}

section! {
    /// A store of one's own, given in code.
    pub struct CustomDatastore {
        /// Name that the code knows it by.
        "name" name: Item<String>,
        /// Name by which visibility knows its records.
        "indexName" index_name: Item<String>,
        /// Whatever the code wants.
        "options" options: Option<Value>,
    }
}

section! {
    /// TLS of a connection to a database. Of each of certificate, key and authorities there is a file or,
    /// in base64, its content.
    pub struct StoreTls {
        /// Whether there is TLS at all.
        "enabled" enabled: Item<bool>,
        /// File of the client's certificate.
        "certFile" cert_file: Item<String>,
        /// File of the client's key.
        "keyFile" key_file: Item<String>,
        /// File of the authorities that the server's certificate is checked with.
        "caFile" ca_file: Item<String>,
        /// The client's certificate.
        "certData" cert_data: Item<String>,
        /// The client's key.
        "keyData" key_data: Item<String>,
        /// The authorities.
        "caData" ca_data: Item<String>,
        /// Whether the server's name and certificate are verified.
        "enableHostVerification" enable_host_verification: Item<bool>,
        /// Name that the server's certificate must have.
        "serverName" server_name: Item<String>,
    }
}

/// Kinds of stores.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreKind {
    /// Cassandra.
    Cassandra,
    /// An SQL database.
    Sql,
    /// Elasticsearch or OpenSearch.
    Elasticsearch,
    /// Given in code.
    Custom,
}

impl DataStore {
    /// The store's kind, when it has exactly one.
    pub fn kind(&self) -> Option<StoreKind> {
        match self.kinds().as_slice() {
            [(_, kind)] => Some(*kind),
            [] | [_, ..] => None,
        }
    }

    fn kinds(&self) -> Vec<(&'static str, StoreKind)> {
        [
            ("cassandra", StoreKind::Cassandra, self.cassandra.is_some()),
            ("sql", StoreKind::Sql, self.sql.is_some()),
            ("elasticsearch", StoreKind::Elasticsearch, self.elasticsearch.is_some()),
            ("customDatastore", StoreKind::Custom, self.custom.is_some()),
        ]
        .into_iter()
        .filter(|(_, _, given)| *given)
        .map(|(key, kind, _)| (key, kind))
        .collect()
    }

    /// The kind in a word, for people.
    pub(super) fn kind_name(&self) -> Option<&'static str> {
        Some(match self.kind()? {
            StoreKind::Cassandra => "Cassandra",
            StoreKind::Sql => self.sql.as_ref()?.plugin_name.as_ref()?.product(),
            StoreKind::Elasticsearch => "Elasticsearch",
            StoreKind::Custom => "a custom datastore",
        })
    }

    pub(super) fn is_sqlite(&self) -> bool {
        self.sql.as_ref().is_some_and(Sql::is_sqlite)
    }

    pub(super) fn check(&self, problems: &mut Problems) {
        if self.origin.refused {
            return;
        }
        let path = &self.origin.path;
        match self.kinds().as_slice() {
            [_] => {}
            [] => problems.missing(
                self.origin.at,
                format!("the store of {path}"),
                "one of sql, cassandra, elasticsearch or customDatastore under it",
            ),
            several => {
                let keys: Vec<&str> = several.iter().map(|(key, _)| *key).collect();
                problems.contradiction(
                    self.origin.at,
                    format!(
                        "{path} is {} at once; keep one, and give the other a datastore of its own",
                        keys.join(" and ")
                    ),
                );
            }
        }
        if let Some(faults) = &self.fault_injection {
            faults.check(problems);
        }
        if let Some(cassandra) = &self.cassandra {
            cassandra.check(problems);
        }
        if let Some(sql) = &self.sql {
            sql.check(problems);
        }
        if let Some(elasticsearch) = &self.elasticsearch {
            elasticsearch.check(problems);
        }
        if let Some(custom) = &self.custom {
            custom.name.require(&custom.origin, "name", "the name that the code knows the store by", problems);
        }
    }
}

impl StoreTls {
    pub(super) fn check(&self, problems: &mut Problems) {
        for (file, data, file_key, data_key) in [
            (&self.cert_file, &self.cert_data, "certFile", "certData"),
            (&self.key_file, &self.key_data, "keyFile", "keyData"),
            (&self.ca_file, &self.ca_data, "caFile", "caData"),
        ] {
            super::tls::exclusive(&self.origin, (file, file_key), (data, data_key), problems);
        }
        super::tls::pair(&self.origin, [&self.cert_file, &self.cert_data], [&self.key_file, &self.key_data], problems);
        let material = [&self.cert_file, &self.key_file, &self.ca_file, &self.cert_data, &self.key_data, &self.ca_data];
        if let Some(given) = material.iter().find(|item| item.is_given())
            && !*self.enabled
            && !self.enabled.is_refused()
        {
            let path = &self.origin.path;
            problems.doubt(
                given.place(&self.origin),
                format!("{path} has no effect without enabled: true; write it, or remove the files"),
            );
        }
    }
}

/// Attributes, labels and tags.
pub type Texts = Entries<Item<String>>;
