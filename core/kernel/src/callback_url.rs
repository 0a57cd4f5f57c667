//! Addresses of completion callbacks: where they may go.

use std::sync::Arc;

/// The address of a system that runs inside the cluster, delivered without HTTP.
pub const SYSTEM_URL: &str = "temporal://system";

/// The address of an execution of the cluster, delivered without HTTP.
pub const INTERNAL_URL: &str = "temporal://internal";

/// Addresses that callbacks may go to (`callback.allowedAddresses`). The default allows none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AllowedAddresses(Arc<[AddressRule]>);

/// An address, or a family of them, that callbacks may go to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddressRule {
    /// `host:port`, where `*` stands for any characters.
    pub pattern: String,
    /// Whether `http` will do; otherwise it must be `https`.
    pub allow_insecure: bool,
}

/// The parts of an address that deliveries look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallbackUrl<'a> {
    /// As given; case does not matter.
    pub scheme: &'a str,
    /// `host` or `host:port`, without user and password.
    pub host: &'a str,
}

impl From<Vec<AddressRule>> for AllowedAddresses {
    fn from(rules: Vec<AddressRule>) -> Self {
        Self(rules.into())
    }
}

impl AllowedAddresses {
    /// Whether a callback may go to `url`; otherwise why not, in Temporal's words.
    pub fn check(&self, url: &str) -> Result<(), String> {
        if url == SYSTEM_URL || url == INTERNAL_URL {
            return Ok(());
        }
        let parts =
            CallbackUrl::parse(url).map_err(|why| format!("invalid callback url: parse {}: {why}", quoted(url)))?;
        let scheme = parts.scheme.to_ascii_lowercase();
        if scheme != "http" && scheme != "https" {
            return Err(format!("invalid url: unknown scheme: {url}"));
        }
        if parts.host.is_empty() {
            return Err("invalid url: missing host".to_owned());
        }
        let Some(rule) = self.0.iter().find(|rule| matches(&rule.pattern, parts.host)) else {
            return Err(format!("invalid url: url does not match any configured callback address: {url}"));
        };
        if scheme == "https" || rule.allow_insecure {
            return Ok(());
        }
        Err(format!("invalid url: callback address does not allow insecure connections: {url}"))
    }
}

impl<'a> CallbackUrl<'a> {
    /// Takes an address apart. The error is that of Go's `net/url`, which clients know from Temporal.
    pub fn parse(url: &'a str) -> Result<Self, String> {
        if url.bytes().any(|byte| byte < b' ' || byte == 0x7f) {
            return Err("net/url: invalid control character in URL".to_owned());
        }
        let (scheme, rest) = split_scheme(url)?;
        let (rest, fragment) = rest.split_once('#').unwrap_or((rest, ""));
        let path_and_host = rest.split_once('?').map_or(rest, |(before, _)| before);
        let (authority, path) = match path_and_host.strip_prefix("//") {
            Some(rest) => rest.find('/').map_or((rest, ""), |at| rest.split_at(at)),
            None => ("", path_and_host),
        };
        let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
        check_host(host)?;
        for part in [path, fragment] {
            check_escapes(part)?;
        }
        Ok(Self { scheme, host })
    }

    /// What deliveries to the same place share: connections, concurrency and the circuit breaker.
    pub fn destination(&self) -> String {
        format!("{}://{}", self.scheme.to_ascii_lowercase(), self.host)
    }
}

/// The scheme, empty when there is none, and what follows it.
fn split_scheme(url: &str) -> Result<(&str, &str), String> {
    for (at, byte) in url.bytes().enumerate() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' => {}
            b'0'..=b'9' | b'+' | b'-' | b'.' if at > 0 => {}
            b':' if at == 0 => return Err("missing protocol scheme".to_owned()),
            b':' => return Ok((&url[..at], &url[at + 1..])),
            _ => break,
        }
    }
    let segment = url.split('/').next().unwrap_or_default();
    if segment.contains(':') {
        return Err("first path segment in URL cannot contain colon".to_owned());
    }
    Ok(("", url))
}

fn check_host(host: &str) -> Result<(), String> {
    if let Some(bad) =
        host.chars().find(|&letter| matches!(letter, ' ' | '"' | '<' | '>' | '\\' | '^' | '`' | '{' | '|' | '}'))
    {
        return Err(format!("invalid character {} in host name", quoted(&bad.to_string())));
    }
    check_escapes(host)?;
    let after_name = if host.starts_with('[') {
        host.split_once(']').map(|(_, after)| after).ok_or("missing ']' in host")?
    } else {
        host.rfind(':').map_or("", |at| &host[at..])
    };
    match after_name.strip_prefix(':') {
        Some(port) if port.bytes().all(|byte| byte.is_ascii_digit()) => Ok(()),
        None if after_name.is_empty() => Ok(()),
        Some(_) | None => Err(format!("invalid port {} after host", quoted(after_name))),
    }
}

fn check_escapes(part: &str) -> Result<(), String> {
    let bytes = part.as_bytes();
    for (at, _) in part.match_indices('%') {
        let escape = bytes.get(at + 1..at + 3).unwrap_or_default();
        if escape.len() < 2 || !escape.iter().all(u8::is_ascii_hexdigit) {
            let shown: String = part[at..].chars().take(3).collect();
            return Err(format!("invalid URL escape {}", quoted(&shown)));
        }
    }
    Ok(())
}

/// Whether `text` is `pattern`, with any characters in place of each `*`.
fn matches(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| text.strip_prefix(first)) else { return false };
    let Some(last) = parts.next_back() else { return rest.is_empty() };
    for part in parts {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

/// As Go quotes a string.
fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for letter in text.chars() {
        match letter {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            control if control.is_ascii_control() => quoted.push_str(&format!("\\x{:02x}", u32::from(control))),
            plain => quoted.push(plain),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(rules: &[(&str, bool)]) -> AllowedAddresses {
        let rule =
            |&(pattern, allow_insecure): &(&str, bool)| AddressRule { pattern: pattern.to_owned(), allow_insecure };
        rules.iter().map(rule).collect::<Vec<_>>().into()
    }

    /// The texts are a Temporal server's.
    #[test]
    fn what_is_no_address_is_refused_in_temporals_words() {
        let any = rules(&[("*", true)]);
        for (url, text) in [
            ("", "invalid url: unknown scheme: "),
            ("foo", "invalid url: unknown scheme: foo"),
            ("ftp://x/y", "invalid url: unknown scheme: ftp://x/y"),
            ("http://", "invalid url: missing host"),
            ("http:///p", "invalid url: missing host"),
            ("https:/x", "invalid url: missing host"),
            (
                "http://ex ample/",
                "invalid callback url: parse \"http://ex ample/\": invalid character \" \" in host name",
            ),
            ("http://h:1/%zz", "invalid callback url: parse \"http://h:1/%zz\": invalid URL escape \"%zz\""),
            ("temporal://system/", "invalid url: unknown scheme: temporal://system/"),
            ("temporal://internal?x", "invalid url: unknown scheme: temporal://internal?x"),
            (
                "http://h:99999x/",
                "invalid callback url: parse \"http://h:99999x/\": invalid port \":99999x\" after host",
            ),
            ("://x", "invalid callback url: parse \"://x\": missing protocol scheme"),
            ("1a:b", "invalid callback url: parse \"1a:b\": first path segment in URL cannot contain colon"),
            ("http://h/\n", "invalid callback url: parse \"http://h/\\n\": net/url: invalid control character in URL"),
        ] {
            assert_eq!(any.check(url), Err(text.to_owned()), "{url}");
        }
        for url in ["HTTP://h/", "http://u:p@h/p", "http://[::1]:80/x?y#z", SYSTEM_URL, INTERNAL_URL] {
            assert_eq!(any.check(url), Ok(()), "{url}");
        }
    }

    #[test]
    fn only_what_is_allowed_is_allowed() {
        let none = AllowedAddresses::default();
        assert_eq!(none.check(SYSTEM_URL), Ok(()));
        let refused = "invalid url: url does not match any configured callback address: https://h/".to_owned();
        assert_eq!(none.check("https://h/"), Err(refused));
        let some = rules(&[("prefix.*.domain", false), ("localhost:*", true), ("*", false)]);
        let insecure =
            |url: &str| Err(format!("invalid url: callback address does not allow insecure connections: {url}"));
        assert_eq!(some.check("https://prefix.a.b.domain/x"), Ok(()));
        assert_eq!(some.check("http://prefix.a.domain/x"), insecure("http://prefix.a.domain/x"));
        assert_eq!(some.check("http://localhost:80"), Ok(()));
        assert_eq!(some.check("http://localhost"), insecure("http://localhost"), "the first that fits decides");
    }

    #[test]
    fn patterns_match_the_whole_host() {
        for (pattern, host, fits) in [
            ("a.b", "a.b", true),
            ("a.b", "aXb", false),
            ("a", "ab", false),
            ("a*", "ab", true),
            ("*b", "ab", true),
            ("a*a", "a", false),
            ("a*b*c", "aXbXbXc", true),
            ("a*b*c", "aXc", false),
            ("*", "", true),
            ("", "", true),
        ] {
            assert_eq!(matches(pattern, host), fits, "{pattern} {host}");
        }
    }

    #[test]
    fn a_destination_is_scheme_and_host() {
        let destination = |url| CallbackUrl::parse(url).map(|url| url.destination());
        assert_eq!(destination("HTTP://u:p@h:80/p?q"), Ok("http://h:80".to_owned()));
        assert_eq!(destination(SYSTEM_URL), Ok(SYSTEM_URL.to_owned()));
    }
}
