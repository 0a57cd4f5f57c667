//! `archival` and `namespaceDefaults`: where closed workflows go in the end.

use super::{
    read::{Entries, Item, section},
    scalar::choice,
};
use crate::{
    Value,
    problem::{Cause, Position, Problems},
};

section! {
    /// Where closed workflows go in the end.
    pub struct Archival {
        /// Their histories.
        "history" history: Archive,
        /// Their records of visibility.
        "visibility" visibility: Archive,
    }
}

section! {
    /// An archive.
    pub struct Archive {
        /// Whether it is written.
        "state" state: Item<Option<ArchivalState>> = Some(ArchivalState::Disabled),
        /// Whether it is read.
        "enableRead" enable_read: Item<bool>,
        /// Where it is.
        "provider" provider: Option<Provider>,
    }
}

section! {
    /// Where an archive is. The scheme of a namespace's URI chooses among them.
    pub struct Provider {
        /// Files, `file://`.
        "filestore" filestore: Option<Filestore>,
        /// Google's storage, `gs://`.
        "gstorage" gstorage: Option<Gstorage>,
        /// Amazon's S3 and what is like it, `s3://`.
        "s3store" s3store: Option<S3Store>,
        /// Given in code, by scheme.
        "customStores" custom_stores: Entries<Option<Value>>,
    }
}

section! {
    /// An archive in files.
    pub struct Filestore {
        /// Rights of a file, in octal.
        "fileMode" file_mode: Item<String>,
        /// Rights of a folder, in octal.
        "dirMode" dir_mode: Item<String>,
    }
}

section! {
    /// An archive in Google's storage.
    pub struct Gstorage {
        /// File of the credentials.
        "credentialsPath" credentials_path: Item<String>,
    }
}

section! {
    /// An archive in Amazon's S3.
    pub struct S3Store {
        /// Region.
        "region" region: Item<String>,
        /// Another address than Amazon's.
        "endpoint" endpoint: Item<String>,
        /// Whether buckets are named in the path.
        "s3ForcePathStyle" s3_force_path_style: Item<bool>,
        /// What the client logs, as a sum of flags.
        "logLevel" log_level: Item<u32>,
    }
}

section! {
    /// What a new namespace begins with.
    pub struct NamespaceDefaults {
        /// Its archives.
        "archival" archival: NamespaceArchival,
    }
}

section! {
    /// The archives of a new namespace.
    pub struct NamespaceArchival {
        /// Of histories.
        "history" history: NamespaceArchive,
        /// Of visibility.
        "visibility" visibility: NamespaceArchive,
    }
}

section! {
    /// An archive of a new namespace.
    pub struct NamespaceArchive {
        /// Whether the namespace uses it.
        "state" state: Item<Option<NamespaceArchivalState>> = Some(NamespaceArchivalState::Disabled),
        /// Where it is.
        "URI" uri: Item<String>,
    }
}

choice! {
    /// Whether an archive is written.
    pub enum ArchivalState, any case: false {
        /// It is.
        Enabled = "enabled",
        /// It is not.
        Disabled = "disabled",
        /// Not for now.
        Paused = "paused",
    }
}

choice! {
    /// Whether a namespace uses an archive.
    pub enum NamespaceArchivalState, any case: false {
        /// It does.
        Enabled = "enabled",
        /// It does not.
        Disabled = "disabled",
    }
}

impl Archival {
    pub(super) fn check(&self, defaults: &NamespaceDefaults, problems: &mut Problems) {
        let NamespaceArchival { history, visibility, .. } = &defaults.archival;
        for (kind, archive, namespace) in
            [("history", &self.history, history), ("visibility", &self.visibility, visibility)]
        {
            archive.check(kind, namespace, problems);
        }
    }
}

impl Archive {
    /// An archive is there as a whole or not at all: state, provider and the URI of new namespaces.
    fn check(&self, kind: &str, namespace: &NamespaceArchive, problems: &mut Problems) {
        let at = self.state.place(&self.origin);
        let (archive, uri) = (format!("archival.{kind}"), format!("namespaceDefaults.archival.{kind}.URI"));
        if self.state.is_refused() {
            // Whatever else is said follows from it.
        } else if *self.state == Some(ArchivalState::Enabled) {
            if !namespace.uri.is_given() && !namespace.uri.is_refused() {
                problems.contradiction(
                    at,
                    format!("{archive} is enabled and {uri} is not given; write it, such as file:///var/lib/archive, or set the state to disabled"),
                );
            }
            if self.provider.is_none() {
                problems.contradiction(
                    at,
                    format!("{archive} is enabled without a provider; write {archive}.provider.filestore, gstorage, s3store or customStores"),
                );
            }
        } else {
            self.check_disabled(&archive, &uri, namespace, problems);
        }
        if let Some(provider) = &self.provider {
            provider.check(&uri, &namespace.uri, namespace.uri.place(&namespace.origin), problems);
        }
    }

    fn check_disabled(&self, archive: &str, uri: &str, namespace: &NamespaceArchive, problems: &mut Problems) {
        let needs = format!("needs {archive}.state: enabled; write that, or remove it");
        if *self.enable_read {
            problems.contradiction(self.enable_read.place(&self.origin), format!("{archive}.enableRead {needs}"));
        }
        if let Some(provider) = &self.provider {
            problems.contradiction(provider.origin.at, format!("{archive}.provider {needs}"));
        }
        if namespace.uri.is_given() {
            problems.contradiction(namespace.uri.place(&namespace.origin), format!("{uri} {needs}"));
        }
        if *namespace.state == Some(NamespaceArchivalState::Enabled) {
            let at = namespace.state.place(&namespace.origin);
            problems.contradiction(at, format!("{} enabled {needs}", uri.replace(".URI", ".state")));
        }
    }
}

impl Provider {
    fn check(&self, key: &str, uri: &Item<String>, at: Position, problems: &mut Problems) {
        for (mode_key, mode) in self.filestore.iter().flat_map(|files| {
            [(files.origin.key("fileMode"), &files.file_mode), (files.origin.key("dirMode"), &files.dir_mode)]
        }) {
            if u32::from_str_radix(mode, 8).is_err() && !mode.is_refused() {
                let place = self.filestore.as_ref().map_or(self.origin.at, |files| mode.place(&files.origin));
                let takes = "rights in octal, such as \"0666\"".to_owned();
                problems.add(place, Cause::Value { key: mode_key, takes, given: format!("{:?}", mode.value) });
            }
        }
        if let Some(s3) = &self.s3store {
            s3.region.require(&s3.origin, "region", "the region of the buckets", problems);
        }
        let Some((scheme, _)) = uri.split_once("://") else {
            if uri.is_given() {
                let takes = "an address such as file:///var/lib/archive".to_owned();
                problems.add(at, Cause::Value { key: key.to_owned(), takes, given: format!("{:?}", uri.value) });
            }
            return;
        };
        let (needed, there) = match scheme {
            "file" => ("filestore", self.filestore.is_some()),
            "gs" => ("gstorage", self.gstorage.is_some()),
            "s3" => ("s3store", self.s3store.is_some()),
            _ => ("customStores with that scheme", self.custom_stores.contains_key(scheme)),
        };
        if !there {
            let provider = &self.origin.path;
            problems.contradiction(at, format!("{key} begins with {scheme}://, which no provider serves; write {provider}.{needed}, or another address"));
        }
    }
}
