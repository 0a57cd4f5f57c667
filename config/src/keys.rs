//! The names of dynamic configuration: which keys Temporal has, and which it had.

use std::iter;

/// Every key of Temporal 1.32, one a line: name, value type, scope.
pub const KNOWN_KEYS: &str = include_str!("known_keys.txt");

/// Keys that earlier releases of Temporal had, one a line: name, last release that had it. Old files and
/// test harnesses still set them.
pub const RETIRED_KEYS: &str = include_str!("retired_keys.txt");

/// What the entries of a key may be constrained by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// One value for the whole server.
    Global,
    /// By namespace name.
    Namespace,
    /// By namespace id.
    NamespaceId,
    /// By namespace, task queue name and task queue type.
    TaskQueue,
    /// By shard number.
    Shard,
    /// By kind of history task.
    HistoryTaskType,
    /// By namespace and destination of an outbound call.
    Destination,
    /// By kind of a component's task.
    ChasmTaskType,
}

/// A key of Temporal 1.32.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KnownKey {
    /// Name as Temporal spells it.
    pub name: &'static str,
    /// Value type in Temporal's words: `int`, `bool`, `duration`, `float`, `string`, `struct`...
    pub kind: &'static str,
    /// What its entries may be constrained by.
    pub scope: Scope,
}

/// A key that Temporal has given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetiredKey {
    /// Name as Temporal spelled it.
    pub name: &'static str,
    /// Last release that had it, such as `1.29`.
    pub last_release: &'static str,
}

/// Looks a key up by name. Case does not matter, as in Temporal.
pub fn known_key(name: &str) -> Option<KnownKey> {
    known_keys().find(|key| key.name.eq_ignore_ascii_case(name))
}

/// Looks up a key of an earlier release by name. Case does not matter.
pub fn retired_key(name: &str) -> Option<RetiredKey> {
    RETIRED_KEYS.lines().find_map(|line| {
        let (key, last_release) = line.split_once('\t')?;
        key.eq_ignore_ascii_case(name).then_some(RetiredKey { name: key, last_release })
    })
}

/// The known key that an unknown name most likely means, if one is near: the name without or with another
/// prefix, or a few letters away.
pub fn nearest_key(name: &str) -> Option<&'static str> {
    let wanted = name.to_ascii_lowercase();
    let last = wanted.rsplit('.').next().unwrap_or(&wanted);
    // A short last part ("error", "rps") ends many keys; it says nothing.
    let same_last = |key: &KnownKey| {
        last.len() > 6 && key.name.rsplit('.').next().is_some_and(|part| part.eq_ignore_ascii_case(last))
    };
    let near = known_keys()
        .map(|key| (distance(&wanted, &key.name.to_ascii_lowercase()), key.name))
        .min()
        .filter(|(distance, _)| *distance <= (wanted.len() / 5).clamp(1, 4));
    near.map(|(_, key)| key).or_else(|| known_keys().find(same_last).map(|key| key.name))
}

/// The word out of `words` that `name` most likely means, if one is near.
pub(crate) fn nearest<'a>(name: &str, words: &[&'a str]) -> Option<&'a str> {
    let wanted = name.to_ascii_lowercase();
    let far = (wanted.len() / 3).clamp(1, 4);
    let near = words.iter().map(|word| (distance(&wanted, &word.to_ascii_lowercase()), *word)).min()?;
    // A word that shares nothing but its length is not near.
    (near.0 <= far && near.0 < near.1.len()).then_some(near.1)
}

pub(crate) fn known_keys() -> impl Iterator<Item = KnownKey> {
    KNOWN_KEYS.lines().filter_map(|line| {
        let mut columns = line.split('\t');
        let (name, kind, scope) = (columns.next()?, columns.next()?, columns.next()?);
        let scope = match scope {
            "global" => Scope::Global,
            "namespace" => Scope::Namespace,
            "namespaceID" => Scope::NamespaceId,
            "taskqueue" => Scope::TaskQueue,
            "shardID" => Scope::Shard,
            "historyTaskType" => Scope::HistoryTaskType,
            "destination" => Scope::Destination,
            "chasmTaskType" => Scope::ChasmTaskType,
            _ => return None,
        };
        Some(KnownKey { name, kind, scope })
    })
}

/// Levenshtein distance in bytes. Quadratic, and only used to word an error; names are cut so that a
/// hostile one stays cheap.
fn distance(left: &str, right: &str) -> usize {
    const LENGTH_MAX: usize = 128;
    let left = &left.as_bytes()[..left.len().min(LENGTH_MAX)];
    let right = &right.as_bytes()[..right.len().min(LENGTH_MAX)];
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, a) in left.iter().enumerate() {
        let mut diagonal = i;
        row[0] = i + 1;
        for (j, b) in iter::zip(0.., right) {
            let changed = diagonal + usize::from(a != b);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[right.len()]
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_line_of_the_lists_is_read() {
        assert_eq!(known_keys().count(), KNOWN_KEYS.lines().count());
        assert_eq!(known_keys().count(), 695);
        assert!(RETIRED_KEYS.lines().all(|line| line.split('\t').count() == 2));
    }

    #[test]
    fn no_key_is_listed_twice() {
        let mut seen = BTreeSet::new();
        for key in known_keys().map(|key| key.name).chain(RETIRED_KEYS.lines().filter_map(|l| l.split('\t').next())) {
            assert!(seen.insert(key.to_ascii_lowercase()), "{key}");
        }
    }

    #[test]
    fn names_are_found_in_any_case() {
        assert_eq!(known_key("LIMIT.maxidlength").unwrap().name, "limit.maxIDLength");
        assert_eq!(retired_key("frontend.enableExecuteMultiOperation").unwrap().last_release, "1.29");
        assert_eq!(known_key("limit.maxIDLengt"), None);
    }

    #[test]
    fn suggestions() {
        for (wrong, right) in [
            ("limit.maxIDLengt", Some("limit.maxIDLength")),
            ("limits.maxIDLength", Some("limit.maxIDLength")),
            ("maxIDLength", Some("limit.maxIDLength")),
            ("history.namespaceMinRetentionLocal", Some("system.namespaceMinRetentionLocal")),
            ("frontend.rp", Some("frontend.rps")),
            ("foo", None),
            ("", None),
            ("something.else.entirely", None),
        ] {
            assert_eq!(nearest_key(wrong), right, "{wrong}");
        }
    }

    #[test]
    fn distances() {
        assert_eq!(distance("", ""), 0);
        assert_eq!(distance("abc", ""), 3);
        assert_eq!(distance("kitten", "sitting"), 3);
    }
}
