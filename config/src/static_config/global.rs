//! `global`: what holds for the whole process.

use std::{net::IpAddr, time::Duration};

use super::{
    authorization::Authorization,
    metrics::Metrics,
    read::{Item, section},
    tls::RootTls,
};
use crate::problem::Problems;

section! {
    /// What holds for the whole process.
    pub struct Global {
        /// How nodes find each other.
        "membership" membership: Membership,
        /// Profiling over HTTP.
        "pprof" pprof: Pprof,
        /// TLS of everything but databases.
        "tls" tls: RootTls,
        /// Metrics; none without it.
        "metrics" metrics: Option<Metrics>,
        /// Who may do what.
        "authorization" authorization: Authorization,
    }
}

section! {
    /// How nodes find each other.
    pub struct Membership {
        /// How long a node tries to join.
        "maxJoinDuration" max_join_duration: Item<Duration> = Duration::from_secs(10),
        /// Address that is told to other nodes; the address listened on without it.
        "broadcastAddress" broadcast_address: Item<Option<IpAddr>>,
    }
}

section! {
    /// Profiling over HTTP.
    pub struct Pprof {
        /// Port; 0 is none.
        "port" port: Item<u16>,
        /// Host to listen on.
        "host" host: Item<String> = "localhost".to_owned(),
    }
}

impl Global {
    pub(super) fn check(&self, problems: &mut Problems) {
        if self.membership.broadcast_address.is_some_and(|address| address.is_unspecified()) {
            problems.contradiction(
                self.membership.broadcast_address.place(&self.membership.origin),
                "global.membership.broadcastAddress is an address that nobody can connect to; \
                 write the address by which other nodes reach this one",
            );
        }
        self.tls.check(problems);
        if let Some(metrics) = &self.metrics {
            metrics.check(problems);
        }
        self.authorization.check(problems);
    }
}
