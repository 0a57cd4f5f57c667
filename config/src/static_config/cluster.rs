//! `clusterMetadata`: this cluster and those it replicates with.

use std::collections::BTreeMap;

use super::{
    read::{Entries, Item, section},
    stores::Texts,
};
use crate::problem::{Cause, Problems};

section! {
    /// This cluster and those it replicates with.
    pub struct ClusterMetadata {
        /// Whether namespaces may span clusters.
        "enableGlobalNamespace" enable_global_namespace: Item<bool>,
        /// How far versions of failovers are apart, the same in every cluster.
        "failoverVersionIncrement" failover_version_increment: Item<i64>,
        /// Cluster that registers namespaces.
        "masterClusterName" master_cluster_name: Item<String>,
        /// This cluster.
        "currentClusterName" current_cluster_name: Item<String>,
        /// Clusters by name.
        "clusterInformation" cluster_information: Entries<ClusterInformation>,
        /// Tags of this cluster.
        "tags" tags: Texts,
    }
}

section! {
    /// A cluster.
    pub struct ClusterInformation {
        /// Whether it takes part.
        "enabled" enabled: Item<bool>,
        /// First version of its failovers, which tells clusters apart.
        "initialFailoverVersion" initial_failover_version: Item<i64>,
        /// `host:port` of its frontend.
        "rpcAddress" rpc_address: Item<String>,
        /// `host:port` of its HTTP API.
        "httpAddress" http_address: Item<String>,
    }
    unread {
        "rpcName": "no release reads it any more; remove it",
    }
}

impl ClusterMetadata {
    pub(super) fn check(&self, problems: &mut Problems) {
        if self.origin.refused {
            return;
        }
        let increment = &self.failover_version_increment;
        let at = increment.place(&self.origin);
        if increment.at.is_none() {
            problems.missing(
                at,
                "clusterMetadata.failoverVersionIncrement",
                "10, or the number that the other clusters have",
            );
        } else if !increment.is_refused() && !(1..=i64::from(i32::MAX)).contains(&**increment) {
            problems.add(
                at,
                Cause::Value {
                    key: "clusterMetadata.failoverVersionIncrement".to_owned(),
                    takes: format!("a whole number from 1 to {}, usually 10", i32::MAX),
                    given: increment.to_string(),
                },
            );
        }
        for (key, name) in
            [("masterClusterName", &self.master_cluster_name), ("currentClusterName", &self.current_cluster_name)]
        {
            name.require(&self.origin, key, "the name of a cluster, usually active", problems);
            if name.is_given() && !self.cluster_information.contains_key(&**name) {
                let known: Vec<&str> = self.cluster_information.keys().map(String::as_str).collect();
                let instead = if known.is_empty() {
                    format!("write clusterInformation with an entry {}", name.value)
                } else {
                    format!("write {}, or add it there", known.join(" or "))
                };
                problems.contradiction(
                    name.place(&self.origin),
                    format!(
                        "clusterMetadata.{key} names {:?}, which clusterInformation does not have; {instead}",
                        name.value
                    ),
                );
            }
        }
        let mut versions: BTreeMap<i64, &str> = BTreeMap::new();
        for (name, cluster) in &self.cluster_information {
            cluster.check(self, problems);
            let version = &cluster.initial_failover_version;
            if let Some(other) = versions.insert(version.value, name).filter(|_| version.value > 0) {
                problems.contradiction(
                    version.place(&cluster.origin),
                    format!(
                        "{} and that of {other} are both {}; write a number that no other cluster has",
                        cluster.origin.key("initialFailoverVersion"),
                        version.value
                    ),
                );
            }
        }
    }
}

impl ClusterInformation {
    fn check(&self, all: &ClusterMetadata, problems: &mut Problems) {
        let version = &self.initial_failover_version;
        let increment = all.failover_version_increment.value;
        let at = version.place(&self.origin);
        let key = self.origin.key("initialFailoverVersion");
        if version.at.is_none() {
            problems.missing(at, key, "a number from 1 that no other cluster has");
        } else if !version.is_refused() && (version.value < 1 || (increment > 0 && version.value >= increment)) {
            let takes = "a whole number from 1, below clusterMetadata.failoverVersionIncrement".to_owned();
            problems.add(at, Cause::Value { key, takes, given: version.to_string() });
        }
        if *self.enabled {
            self.rpc_address.require(&self.origin, "rpcAddress", "host:port of the cluster's frontend", problems);
        }
    }
}
