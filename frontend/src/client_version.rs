//! The version headers that clients send, and what they exclude.

use std::{cmp::Ordering, sync::Arc};

use perdure_kernel::ServiceError;
use tonic::{Status, metadata::MetadataMap};

use crate::status;

/// The Temporal server version whose API and behaviour this server follows; clients see it as the server's
/// version.
pub const SERVER_VERSION: &str = "1.32.0";
const SERVER_VERSION_PARSED: Version<'static> = Version { numbers: [1, 32, 0], pre_release: "" };

/// Clients whose versions are bounded: name, the range as it is shown, and the first major version outside.
pub const SUPPORTED_CLIENTS: &[(&str, &str, u64)] = &[
    ("temporal-go", "<2.0.0", 2),
    ("temporal-java", "<2.0.0", 2),
    ("temporal-php", "<2.0.0", 2),
    ("temporal-typescript", "<2.0.0", 2),
    ("temporal-cli", "<2.0.0", 2),
    ("temporal-server", "<2.0.0", 2),
    ("temporal-ui", "<3.0.0", 3),
    ("Nexus-go-sdk", "<2.0.0", 2),
];

/// Names that clients of Temporal give themselves beyond [`SUPPORTED_CLIENTS`].
const OTHER_CLIENTS: &[&str] = &["", "temporal-python", "temporal-dotnet", "temporal-ruby", "temporal-rust"];

/// Shared copies of the client names that occur, so that a request need not allocate its own.
#[derive(Debug)]
pub(crate) struct ClientNames(Vec<Arc<str>>);

impl ClientNames {
    pub(crate) fn new() -> Self {
        let bounded = SUPPORTED_CLIENTS.iter().map(|(name, _, _)| *name);
        Self(OTHER_CLIENTS.iter().copied().chain(bounded).map(Arc::from).collect())
    }

    /// The `client-name` header; empty when absent.
    pub(crate) fn of(&self, headers: &MetadataMap) -> Arc<str> {
        let name = text(headers, "client-name");
        self.0.iter().find(|known| ***known == *name).cloned().unwrap_or_else(|| name.into())
    }
}

/// Checks `client-name`, `client-version` and `supported-server-versions`. Requests without the first two
/// pass.
pub(crate) fn check(headers: &MetadataMap) -> Result<(), CheckError> {
    let (name, version) = (text(headers, "client-name"), text(headers, "client-version"));
    if name.is_empty() || version.is_empty() {
        return Ok(());
    }
    if let Some((_, range, major)) = SUPPORTED_CLIENTS.iter().find(|(known, _, _)| *known == name) {
        let parsed =
            Version::parse(version).map_err(|reason| invalid(format!("Unable to parse client version: {reason}")))?;
        let end = Version { numbers: [*major, 0, 0], pre_release: "" };
        if parsed.compare(&end) != Ordering::Less {
            return Err(CheckError::Status(Box::new(status::client_version_not_supported(name, version, range))));
        }
    }
    let range = text(headers, "supported-server-versions");
    // What every SDK sends: not worth a parse.
    if range.is_empty() || range == ">=1.0.0 <2.0.0" {
        return Ok(());
    }
    match in_range(&SERVER_VERSION_PARSED, range) {
        Ok(true) => Ok(()),
        Ok(false) => Err(CheckError::Status(Box::new(status::server_version_not_supported(SERVER_VERSION, range)))),
        Err(reason) => Err(invalid(format!("Unable to parse supported server versions: {reason}"))),
    }
}

/// Why a client is turned away.
#[derive(Debug)]
pub(crate) enum CheckError {
    /// A header cannot be read.
    Invalid(ServiceError),
    /// The versions do not fit.
    Status(Box<Status>),
}

fn invalid(message: String) -> CheckError {
    CheckError::Invalid(ServiceError::invalid_argument(message))
}

fn text<'a>(headers: &'a MetadataMap, key: &str) -> &'a str {
    headers.get(key).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

/// A semantic version (semver.org 2.0), without its build tail.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Version<'a> {
    numbers: [u64; 3],
    pre_release: &'a str,
}

impl<'a> Version<'a> {
    fn parse(text: &'a str) -> Result<Self, String> {
        if text.is_empty() {
            return Err("Version string empty".into());
        }
        let text = text.split_once('+').map_or(text, |(version, _build)| version);
        let (core, pre_release) = text.split_once('-').unwrap_or((text, ""));
        let mut parts = core.splitn(3, '.');
        let mut numbers = [0; 3];
        for (number, name) in numbers.iter_mut().zip(["major", "minor", "patch"]) {
            let part = parts.next().ok_or("No Major.Minor.Patch elements found")?;
            *number = parse_number(part, name)?;
        }
        Ok(Self { numbers, pre_release })
    }

    fn compare(&self, other: &Version<'_>) -> Ordering {
        self.numbers.cmp(&other.numbers).then_with(|| compare_pre_releases(self.pre_release, other.pre_release))
    }
}

fn parse_number(part: &str, name: &str) -> Result<u64, String> {
    if part.is_empty() || !part.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(format!("Invalid character(s) found in {name} number {part:?}"));
    }
    if part.len() > 1 && part.starts_with('0') {
        let (first, rest) = name.split_at(1);
        return Err(format!("{}{rest} number must not contain leading zeroes {part:?}", first.to_ascii_uppercase()));
    }
    part.parse().map_err(|_too_large| format!("{name} number {part:?} is too large"))
}

/// A release is later than its pre-releases; their parts compare as numbers where both are, else as text.
fn compare_pre_releases(left: &str, right: &str) -> Ordering {
    match (left.is_empty(), right.is_empty()) {
        (true, true) => return Ordering::Equal,
        (true, false) => return Ordering::Greater,
        (false, true) => return Ordering::Less,
        (false, false) => {}
    }
    let (mut left, mut right) = (left.split('.'), right.split('.'));
    loop {
        let order = match (left.next(), right.next()) {
            (None, None) => return Ordering::Equal,
            (None, Some(_)) => Ordering::Less,
            (Some(_), None) => Ordering::Greater,
            (Some(left), Some(right)) => match (left.parse::<u64>(), right.parse::<u64>()) {
                (Ok(left), Ok(right)) => left.cmp(&right),
                (Ok(_), Err(_)) => Ordering::Less,
                (Err(_), Ok(_)) => Ordering::Greater,
                (Err(_), Err(_)) => left.cmp(right),
            },
        };
        if order != Ordering::Equal {
            return order;
        }
    }
}

/// Whether `version` satisfies `range`: alternatives joined by `||`, each a list of comparisons that must
/// all hold.
fn in_range(version: &Version<'_>, range: &str) -> Result<bool, String> {
    let mut any = false;
    for alternative in range.split("||") {
        let mut all = true;
        let mut comparisons = 0;
        for comparison in alternative.split_whitespace() {
            comparisons += 1;
            all &= holds(version, comparison)?;
        }
        if comparisons == 0 {
            return Err(format!("empty range in {range:?}"));
        }
        any |= all;
    }
    Ok(any)
}

fn holds(version: &Version<'_>, comparison: &str) -> Result<bool, String> {
    let digits = comparison.find(|letter: char| letter.is_ascii_digit());
    let (operator, operand) = comparison.split_at(digits.unwrap_or(comparison.len()));
    let order = version.compare(&Version::parse(operand)?);
    match operator {
        "" | "=" | "==" => Ok(order == Ordering::Equal),
        "!" | "!=" => Ok(order != Ordering::Equal),
        ">" => Ok(order == Ordering::Greater),
        ">=" => Ok(order != Ordering::Less),
        "<" => Ok(order == Ordering::Less),
        "<=" => Ok(order != Ordering::Greater),
        unknown => Err(format!("unknown operator {unknown:?}")),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn the_server_version_is_the_one_that_is_compared() {
        assert_eq!(Version::parse(SERVER_VERSION).unwrap(), SERVER_VERSION_PARSED);
    }

    #[test]
    fn ranges() {
        for (range, holds) in [
            (">=1.0.0 <2.0.0", true),
            ("<1.32.0", false),
            (">=1.32.0-rc.1", true),
            ("1.32.0", true),
            ("!=1.32.0", false),
            (">3.0.0 || <=1.32.0", true),
            (">2.0.0||<1.0.0", false),
        ] {
            assert_eq!(in_range(&SERVER_VERSION_PARSED, range), Ok(holds), "{range}");
        }
        for bad in ["", ">=", "~1.0.0", ">=1.0", "||", "x"] {
            assert!(in_range(&SERVER_VERSION_PARSED, bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn versions_order_as_semver_says() {
        let ascending = [
            "1.0.0-alpha",
            "1.0.0-alpha.1",
            "1.0.0-alpha.beta",
            "1.0.0-rc.2",
            "1.0.0-rc.11",
            "1.0.0",
            "1.0.1",
            "2.0.0-rc.1",
        ];
        for pair in ascending.windows(2) {
            let [earlier, later] = [Version::parse(pair[0]).unwrap(), Version::parse(pair[1]).unwrap()];
            assert_eq!(earlier.compare(&later), Ordering::Less, "{pair:?}");
        }
        assert_eq!(Version::parse("1.2"), Err("No Major.Minor.Patch elements found".into()));
        assert_eq!(Version::parse("1.a.2"), Err("Invalid character(s) found in minor number \"a\"".into()));
        assert_eq!(Version::parse("1.2.03"), Err("Patch number must not contain leading zeroes \"03\"".into()));
    }
}
