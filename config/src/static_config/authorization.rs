//! `global.authorization`: who may do what.

use std::time::Duration;

use super::{
    read::{Item, section},
    scalar::choice,
};
use crate::problem::{Cause, Problems};

section! {
    /// Who may do what.
    pub struct Authorization {
        /// Who decides; without it everything is allowed.
        "authorizer" authorizer: Item<Option<Provider>>,
        /// Who says what a caller may do; without it everybody may do everything.
        "claimMapper" claim_mapper: Item<Option<Provider>>,
        /// Keys that tokens are checked with.
        "jwtKeyProvider" jwt_key_provider: JwtKeyProvider,
        /// Claim of the token that lists permissions.
        "permissionsClaimName" permissions_claim_name: Item<String> = "permissions".to_owned(),
        /// Reads a permission: a regular expression with the groups `namespace` and `role`.
        "permissionsRegex" permissions_regex: Item<String>,
        /// Header of the token.
        "authHeaderName" auth_header_name: Item<String> = "authorization".to_owned(),
        /// Header of further data for a claim mapper.
        "authExtraHeaderName" auth_extra_header_name: Item<String> = "authorization-extras".to_owned(),
        /// Audience that a token must have.
        "audience" audience: Item<String>,
        /// Tokens of calls to other clusters.
        "remoteClusterAuth" remote_cluster_auth: RemoteClusterAuth,
    }
}

section! {
    /// Keys that tokens are checked with.
    pub struct JwtKeyProvider {
        /// Where the key sets are: `https://`, `http://` or `file://`.
        "keySourceURIs" key_source_uris: Vec<Item<String>>,
        /// How often they are read again; 0 never.
        "refreshInterval" refresh_interval: Item<Duration>,
    }
}

section! {
    /// Tokens of calls to other clusters.
    pub struct RemoteClusterAuth {
        /// Whether a call without one fails.
        "require" require: Item<bool>,
    }
}

choice! {
    /// What is built in.
    pub enum Provider, any case: true {
        /// Roles in JSON web tokens.
        Default = "default",
    }
}

/// What a key source begins with.
const SCHEMES: [&str; 3] = ["https://", "http://", "file://"];

impl Authorization {
    pub(super) fn check(&self, problems: &mut Problems) {
        let path = &self.origin.path;
        let sources = &self.jwt_key_provider.key_source_uris;
        for source in sources.iter().filter(|source| source.is_given()) {
            if !SCHEMES.iter().any(|scheme| source.starts_with(scheme)) {
                problems.add(
                    source.place(&self.jwt_key_provider.origin),
                    Cause::Value {
                        key: self.jwt_key_provider.origin.key("keySourceURIs"),
                        takes: format!("addresses that begin with {}", SCHEMES.join(", ")),
                        given: format!("{:?}", source.value),
                    },
                );
            }
        }
        if self.authorizer.is_some() && self.claim_mapper.is_none() && !self.claim_mapper.is_refused() {
            problems.doubt(
                self.authorizer.place(&self.origin),
                format!("{path}.authorizer lets everybody do everything without claimMapper: default"),
            );
        }
        if self.authorizer.is_none() && self.claim_mapper.is_some() && !self.authorizer.is_refused() {
            problems.doubt(
                self.claim_mapper.place(&self.origin),
                format!("{path}.claimMapper protects nothing without authorizer: default"),
            );
        }
        if self.claim_mapper.is_some() && !sources.iter().any(|source| source.is_given()) {
            problems.doubt(
                self.claim_mapper.place(&self.origin),
                format!("{path}.claimMapper refuses every token without jwtKeyProvider.keySourceURIs"),
            );
        }
        let groups = ["namespace", "role"].map(|group| self.permissions_regex.contains(&format!("<{group}>")));
        if self.permissions_regex.is_given() && groups.contains(&false) {
            problems.doubt(
                self.permissions_regex.place(&self.origin),
                format!(
                    "{path}.permissionsRegex has no effect without the groups (?P<namespace>...) and (?P<role>...)"
                ),
            );
        }
    }
}
