//! `persistence`: which stores there are and what each is for.

use super::{
    Visibility,
    elasticsearch::SECONDARY_INDEX,
    read::{Entries, Item, section},
    stores::{DataStore, StoreKind},
};
use crate::problem::{Cause, Position, Problems};

section! {
    /// Which stores there are and what each is for.
    pub struct Persistence {
        /// Name of the datastore that holds everything but visibility.
        "defaultStore" default_store: Item<String>,
        /// Name of the datastore for visibility.
        "visibilityStore" visibility_store: Item<String>,
        /// Name of a second datastore for visibility, written beside the first.
        "secondaryVisibilityStore" secondary_visibility_store: Item<String>,
        /// Number of history shards, fixed for the life of a cluster.
        "numHistoryShards" num_history_shards: Item<u32>,
        /// Datastores by name.
        "datastores" datastores: Entries<DataStore>,
    }
}

/// Temporal holds the number in 32 bits with a sign.
const SHARDS_MAX: u32 = i32::MAX as u32;

impl Persistence {
    pub(super) fn check(&self, visibility: &Visibility, problems: &mut Problems) {
        if self.origin.refused {
            return;
        }
        let shards = self.num_history_shards.place(&self.origin);
        if self.num_history_shards.at.is_none() {
            let write = "the number of history shards, such as 512; it cannot be changed later";
            problems.missing(shards, "persistence.numHistoryShards", write);
        } else if !self.num_history_shards.is_refused() && !(1..=SHARDS_MAX).contains(&*self.num_history_shards) {
            problems.add(
                shards,
                Cause::Value {
                    key: "persistence.numHistoryShards".to_owned(),
                    takes: format!("a number of shards from 1 to {SHARDS_MAX}"),
                    given: self.num_history_shards.to_string(),
                },
            );
        }
        self.default_store.require(&self.origin, "defaultStore", "the name of a datastore", problems);
        self.visibility_store.require(&self.origin, "visibilityStore", "the name of a datastore", problems);
        for (key, role, store) in self.roles() {
            self.check_role(key, role, store, problems);
        }
        for (name, store) in &self.datastores {
            store.check(problems);
            if !self.roles().any(|(_, _, role)| role.value == *name) {
                let path = &store.origin.path;
                problems.doubt(store.origin.at, format!("{path} is not used: no store of persistence names it"));
            }
        }
        self.check_dual(problems);
        let counts = visibility.persistence_custom_search_attributes.values().next();
        if let Some(counts) = counts.filter(|_| self.elasticsearch_alone()) {
            let at = counts.place(&visibility.origin);
            problems.doubt(at, "visibility.persistenceCustomSearchAttributes has no effect with Elasticsearch");
        }
    }

    /// The keys that name a datastore, where they do.
    fn roles(&self) -> impl Iterator<Item = (&'static str, Role, &Item<String>)> {
        [
            ("persistence.defaultStore", Role::Main, &self.default_store),
            ("persistence.visibilityStore", Role::Visibility, &self.visibility_store),
            ("persistence.secondaryVisibilityStore", Role::Visibility, &self.secondary_visibility_store),
        ]
        .into_iter()
        .filter(|(_, _, store)| store.is_given())
    }

    fn check_role(&self, key: &str, role: Role, name: &Item<String>, problems: &mut Problems) {
        let at = name.place(&self.origin);
        let Some(store) = self.datastores.get(&name.value) else {
            let names: Vec<&str> = self.datastores.keys().map(String::as_str).collect();
            let instead = if names.is_empty() {
                "there are no datastores; write one under persistence.datastores".to_owned()
            } else {
                format!("write {}, or add it to persistence.datastores", names.join(" or "))
            };
            problems.contradiction(at, format!("{key} names {:?}, which is no datastore; {instead}", name.value));
            return;
        };
        match (role, store.kind()) {
            (Role::Main, Some(StoreKind::Elasticsearch)) => {
                problems.contradiction(
                    at,
                    format!("{key} names {:?}, which is Elasticsearch; write the name of an SQL or Cassandra datastore, Elasticsearch serves visibility alone", name.value),
                );
            }
            (Role::Visibility, Some(StoreKind::Cassandra)) => {
                problems.contradiction(
                    at,
                    format!("{key} names {:?}, which is Cassandra; write the name of an SQL or Elasticsearch datastore, Cassandra no longer serves visibility", name.value),
                );
            }
            (Role::Main, Some(StoreKind::Cassandra | StoreKind::Sql | StoreKind::Custom) | None)
            | (Role::Visibility, Some(StoreKind::Elasticsearch | StoreKind::Sql | StoreKind::Custom) | None) => {}
        }
    }

    fn check_dual(&self, problems: &mut Problems) {
        if !self.secondary_visibility_store.is_given() {
            return;
        }
        let at = self.secondary_visibility_store.place(&self.origin);
        let stores =
            [&self.visibility_store, &self.secondary_visibility_store].map(|name| self.datastores.get(&**name));
        let [Some(first), Some(second)] = stores else { return };
        if let (Some(one), Some(other)) = (first.kind(), second.kind())
            && one != StoreKind::Custom
            && other != StoreKind::Custom
            && (one == StoreKind::Elasticsearch) != (other == StoreKind::Elasticsearch)
        {
            problems.contradiction(
                at,
                "persistence.visibilityStore and secondaryVisibilityStore are of different kinds; \
                 write two SQL datastores or two of Elasticsearch",
            );
        }
        for store in [first, second] {
            if let Some(index) = store.elasticsearch.as_ref().and_then(|es| es.indices.get(SECONDARY_INDEX)) {
                let path = &store.origin.path;
                problems.contradiction(
                    index.at.unwrap_or(at),
                    format!("{path}.elasticsearch.indices.{SECONDARY_INDEX} and persistence.secondaryVisibilityStore exclude each other; remove one of them"),
                );
            }
        }
    }

    /// Whether every store of visibility is Elasticsearch.
    fn elasticsearch_alone(&self) -> bool {
        let mut stores = self.roles().filter(|(_, role, _)| *role == Role::Visibility).peekable();
        stores.peek().is_some()
            && stores.all(|(_, _, name)| {
                self.datastores.get(&name.value).is_some_and(|store| store.kind() == Some(StoreKind::Elasticsearch))
            })
    }

    /// The stores that this release cannot use, with what it would need instead.
    pub(super) fn not_served(&self, problems: &mut Problems) {
        let mut told: Vec<Position> = Vec::new();
        for (_, _, name) in self.roles() {
            let Some(store) = self.datastores.get(&name.value) else { continue };
            let Some(kind) = store.kind_name() else { continue };
            if store.is_sqlite() || told.contains(&store.origin.at) {
                continue;
            }
            told.push(store.origin.at);
            let path = &store.origin.path;
            problems.add(
                store.origin.at,
                Cause::NotServed(format!("{path} is {kind}, which this release does not serve; it serves SQLite")),
            );
        }
    }
}

/// What a datastore is used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Main,
    Visibility,
}
