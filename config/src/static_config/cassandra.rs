//! `cassandra`: a Cassandra cluster.

use std::time::Duration;

use super::{
    read::{Item, section},
    scalar::choice,
    stores::{StoreTls, Texts},
};
use crate::problem::Problems;

section! {
    /// A Cassandra cluster.
    pub struct Cassandra {
        /// Hosts, separated by commas.
        "hosts" hosts: Item<String>,
        /// Port of the hosts; 0 is the driver's, 9042.
        "port" port: Item<u16>,
        /// User.
        "user" user: Item<String>,
        /// The user's password.
        "password" password: Item<String>,
        /// Server-side authenticators that are answered; all when empty.
        "allowedAuthenticators" allowed_authenticators: Vec<Item<String>>,
        /// Keyspace.
        "keyspace" keyspace: Item<String>,
        /// Only hosts of this data centre are used.
        "datacenter" datacenter: Item<String>,
        /// Connections to each host; 0 is the driver's, 2.
        "maxConns" max_conns: Item<u32>,
        /// How long connecting may take.
        "connectTimeout" connect_timeout: Item<Duration> = Duration::from_secs(10),
        /// How long a read may take; 0 is `connect_timeout`.
        "timeout" timeout: Item<Duration>,
        /// How long a write may take; 0 is `timeout`.
        "writeTimeout" write_timeout: Item<Duration>,
        /// TLS of the connections.
        "tls" tls: Option<StoreTls>,
        /// How many replicas take part in a request.
        "consistency" consistency: Option<Consistency>,
        /// Whether only the hosts named here are used.
        "disableInitialHostLookup" disable_initial_host_lookup: Item<bool>,
        /// Translates the addresses that the cluster tells.
        "addressTranslator" address_translator: Option<AddressTranslator>,
    }
}

section! {
    /// How many replicas take part in requests.
    pub struct Consistency {
        /// Of every store.
        "default" default: Option<ConsistencyLevels>,
    }
}

section! {
    /// How many replicas take part in a request.
    pub struct ConsistencyLevels {
        /// Of ordinary requests.
        "consistency" consistency: Item<Option<ConsistencyLevel>> = Some(ConsistencyLevel::LocalQuorum),
        /// Of lightweight transactions.
        "serialConsistency" serial_consistency: Item<Option<SerialLevel>> = Some(SerialLevel::LocalSerial),
    }
}

section! {
    /// Translates the addresses that the cluster tells.
    pub struct AddressTranslator {
        /// Name of the translator.
        "translator" translator: Item<String>,
        /// What it wants to know.
        "options" options: Texts,
    }
}

choice! {
    /// How many replicas take part in a request.
    pub enum ConsistencyLevel, any case: true {
        /// Any host.
        Any = "ANY",
        /// One replica.
        One = "ONE",
        /// Two.
        Two = "TWO",
        /// Three.
        Three = "THREE",
        /// More than half of all.
        Quorum = "QUORUM",
        /// All.
        All = "ALL",
        /// More than half of those in this data centre.
        LocalQuorum = "LOCAL_QUORUM",
        /// More than half in each data centre.
        EachQuorum = "EACH_QUORUM",
        /// One in this data centre.
        LocalOne = "LOCAL_ONE",
    }
}

choice! {
    /// Where the replicas of a lightweight transaction are.
    pub enum SerialLevel, any case: true {
        /// Everywhere.
        Serial = "SERIAL",
        /// In this data centre.
        LocalSerial = "LOCAL_SERIAL",
    }
}

impl Cassandra {
    pub(super) fn check(&self, problems: &mut Problems) {
        if self.origin.refused {
            return;
        }
        self.hosts.require(&self.origin, "hosts", "the hosts of the cluster, separated by commas", problems);
        self.keyspace.require(&self.origin, "keyspace", "the name of the keyspace", problems);
        if let Some(tls) = &self.tls {
            tls.check(problems);
        }
    }
}
