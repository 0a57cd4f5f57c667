//! `publicClient`, `dcRedirectionPolicy`, `dynamicConfigClient` and `visibility`: small sections.

use std::time::Duration;

use super::{
    Service,
    read::{Entries, Item, section},
    scalar::choice,
};
use crate::{
    keys::nearest,
    problem::{Cause, Problems},
};

section! {
    /// How internal workers reach a frontend.
    pub struct PublicClient {
        /// `host:port` of gRPC; without it one is found among the nodes.
        "hostPort" host_port: Item<String>,
        /// `host:port` of HTTP.
        "httpHostPort" http_host_port: Item<String>,
        /// Which part of `global.tls` they use; without it the fitting one.
        "forceTLSConfig" force_tls_config: Item<Option<ClientTlsChoice>>,
    }
}

section! {
    /// What becomes of calls for a namespace that is active in another cluster.
    pub struct DcRedirectionPolicy {
        /// Which calls are passed on.
        "policy" policy: Item<Option<RedirectionPolicy>> = Some(RedirectionPolicy::Noop),
    }
}

section! {
    /// The file of dynamic configuration.
    pub struct DynamicConfigClient {
        /// Its path.
        "filepath" filepath: Item<String>,
        /// How often it is looked at.
        "pollInterval" poll_interval: Item<Duration>,
    }
}

section! {
    /// What visibility on SQL is made for.
    pub struct Visibility {
        /// Columns for search attributes, by type.
        "persistenceCustomSearchAttributes" persistence_custom_search_attributes: Entries<Item<i64>>,
    }
}

choice! {
    /// Which part of `global.tls` internal workers use.
    pub enum ClientTlsChoice, any case: false {
        /// That between nodes.
        Internode = "internode",
        /// That towards clients.
        Frontend = "frontend",
    }
}

choice! {
    /// Which calls are passed on to another cluster.
    pub enum RedirectionPolicy, any case: false {
        /// None.
        Noop = "noop",
        /// Those that change something there.
        Selected = "selected-apis-forwarding",
        /// All.
        All = "all-apis-forwarding",
    }
}

/// Shortest time between two looks at the file.
const POLL_INTERVAL_MIN: Duration = Duration::from_secs(5);

/// Most columns of a type.
const COLUMNS_MAX: i64 = 99;

/// Types of search attributes.
const TYPES: &[&str] = &["Bool", "Datetime", "Double", "Int", "Keyword", "KeywordList", "Text"];

impl PublicClient {
    pub(super) fn check(&self, services: &Entries<Service>, problems: &mut Problems) {
        let given = [self.host_port.is_given(), self.http_host_port.is_given(), self.force_tls_config.is_some()];
        if services.contains_key("internal-frontend") && given.contains(&true) {
            problems.contradiction(
                self.origin.at,
                "publicClient and services.internal-frontend exclude each other; remove publicClient, internal \
                 workers then reach the internal frontend, or remove that service",
            );
        }
    }
}

impl DynamicConfigClient {
    pub(super) fn check(&self, problems: &mut Problems) {
        if self.origin.refused {
            return;
        }
        self.filepath.require(&self.origin, "filepath", "the path of the file", problems);
        let interval = &self.poll_interval;
        let key = self.origin.key("pollInterval");
        if interval.at.is_none() {
            problems.missing(self.origin.at, key, "how often the file is looked at, such as 10s");
        } else if !interval.is_refused() && interval.value < POLL_INTERVAL_MIN {
            let (takes, given) = ("5s or more".to_owned(), format!("{:?}", interval.value));
            problems.add(interval.place(&self.origin), Cause::Value { key, takes, given });
        }
    }
}

impl Visibility {
    pub(super) fn check(&self, problems: &mut Problems) {
        for (name, count) in &self.persistence_custom_search_attributes {
            let key = format!("visibility.persistenceCustomSearchAttributes.{name}");
            let at = count.place(&self.origin);
            if !TYPES.contains(&name.as_str()) {
                let cause = Cause::UnknownKey { key: key.clone(), nearest: nearest(name, TYPES), known: TYPES };
                problems.add(at, cause);
            }
            if !(0..=COLUMNS_MAX).contains(&count.value) {
                let takes = format!("a number of columns from 0 to {COLUMNS_MAX}");
                problems.add(at, Cause::Value { key, takes, given: count.to_string() });
            }
        }
    }
}
