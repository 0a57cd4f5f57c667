//! What an HTTP answer says about a callback.

use http::{HeaderMap, StatusCode, header};
use serde::Deserialize;

use crate::Undelivered;

/// Says of a refusal whether it may pass.
const RETRYABLE: &str = "nexus-request-retryable";

/// A failure in the Nexus protocol.
#[derive(Default, Deserialize)]
#[serde(default)]
struct NexusFailure {
    message: String,
    metadata: std::collections::BTreeMap<String, String>,
    details: serde_json::Value,
}

/// What the details of a handler error say.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct HandlerError {
    r#type: String,
    retryable_override: Option<bool>,
}

/// Reads an answer: anything in the 200s is success.
pub(crate) fn read(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Result<(), Undelivered> {
    if status.is_success() {
        return Ok(());
    }
    let failure: Option<NexusFailure> = is_json(headers).then(|| serde_json::from_slice(body).ok()).flatten();
    if let Some(failure) = &failure
        && failure.metadata.get("type").is_some_and(|kind| kind == "nexus.HandlerError")
    {
        return Err(told(failure));
    }
    let Some(kind) = kind_of(status) else {
        let reason = status.canonical_reason().map(|reason| format!(" {reason}")).unwrap_or_default();
        let mut text = format!("unexpected response status: \"{}{reason}\"", status.as_u16());
        if let Some(failure) = failure.filter(|failure| !failure.message.is_empty()) {
            text = format!("{text}: {}", failure.message);
        }
        return Err(Undelivered::retryable(text));
    };
    let asked = headers.get(RETRYABLE).and_then(|value| value.to_str().ok()).map(str::to_ascii_lowercase);
    let retryable = match asked.as_deref() {
        Some("true") => true,
        Some("false") => false,
        Some(_) | None => is_retryable(kind),
    };
    Err(Undelivered { text: handler_error(kind), retryable })
}

/// The refusal that a handler error tells.
fn told(failure: &NexusFailure) -> Undelivered {
    match HandlerError::deserialize(&failure.details) {
        Ok(error) => {
            let retryable = error.retryable_override.unwrap_or_else(|| is_retryable(&error.r#type));
            let mut text = handler_error(if error.r#type.is_empty() { "INTERNAL" } else { &error.r#type });
            if !failure.message.is_empty() {
                text = format!("{text}: {}", failure.message);
            }
            Undelivered { text, retryable }
        }
        Err(error) => Undelivered::retryable(format!(
            "failed to convert Failure to error: failed to deserialize HandlerError: {error}"
        )),
    }
}

fn handler_error(kind: &str) -> String {
    format!("handler error ({kind})")
}

fn is_json(headers: &HeaderMap) -> bool {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    value.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"))
}

/// The kind of handler error that a status stands for.
fn kind_of(status: StatusCode) -> Option<&'static str> {
    Some(match status.as_u16() {
        400 => "BAD_REQUEST",
        401 => "UNAUTHENTICATED",
        403 => "UNAUTHORIZED",
        404 => "NOT_FOUND",
        408 => "REQUEST_TIMEOUT",
        409 => "CONFLICT",
        429 => "RESOURCE_EXHAUSTED",
        500 => "INTERNAL",
        501 => "NOT_IMPLEMENTED",
        503 => "UNAVAILABLE",
        520 => "UPSTREAM_TIMEOUT",
        _ => return None,
    })
}

/// Whether a kind of handler error passes, unless it says so itself. Kinds that are not known do.
fn is_retryable(kind: &str) -> bool {
    const FOR_GOOD: [&str; 6] =
        ["BAD_REQUEST", "UNAUTHENTICATED", "UNAUTHORIZED", "NOT_FOUND", "CONFLICT", "NOT_IMPLEMENTED"];
    !FOR_GOOD.contains(&kind)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn answer(status: u16, kind: &str, body: &str, retryable: &str) -> (String, bool) {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, kind.parse().unwrap());
        headers.insert(RETRYABLE, retryable.parse().unwrap());
        let refused = read(StatusCode::from_u16(status).unwrap(), &headers, body.as_bytes()).unwrap_err();
        (refused.text, refused.retryable)
    }

    /// Texts and classes are what Temporal 1.32 recorded for the same answers.
    #[test]
    fn statuses_are_read_as_temporal_reads_them() {
        for (status, text, retryable) in [
            (400, "handler error (BAD_REQUEST)", false),
            (401, "handler error (UNAUTHENTICATED)", false),
            (403, "handler error (UNAUTHORIZED)", false),
            (404, "handler error (NOT_FOUND)", false),
            (408, "handler error (REQUEST_TIMEOUT)", true),
            (409, "handler error (CONFLICT)", false),
            (412, "unexpected response status: \"412 Precondition Failed\"", true),
            (424, "unexpected response status: \"424 Failed Dependency\"", true),
            (429, "handler error (RESOURCE_EXHAUSTED)", true),
            (500, "handler error (INTERNAL)", true),
            (501, "handler error (NOT_IMPLEMENTED)", false),
            (502, "unexpected response status: \"502 Bad Gateway\"", true),
            (503, "handler error (UNAVAILABLE)", true),
            (504, "unexpected response status: \"504 Gateway Timeout\"", true),
            (520, "handler error (UPSTREAM_TIMEOUT)", true),
            (307, "unexpected response status: \"307 Temporary Redirect\"", true),
        ] {
            assert_eq!(answer(status, "text/plain", "x", ""), (text.to_owned(), retryable), "{status}");
        }
        assert_eq!(read(StatusCode::NO_CONTENT, &HeaderMap::new(), b""), Ok(()));
    }

    #[test]
    fn failures_are_read_as_temporal_reads_them() {
        let told = |status, body: &str| answer(status, "application/json", body, "");
        let handler = |details: &str| {
            format!("{{\"message\":\"why\",\"metadata\":{{\"type\":\"nexus.HandlerError\"}},\"details\":{details}}}")
        };
        for (given, text, retryable) in [
            (told(400, "{\"message\":\"why\"}"), "handler error (BAD_REQUEST)", false),
            (told(412, "{\"message\":\"why\"}"), "unexpected response status: \"412 Precondition Failed\": why", true),
            (told(412, "{nope"), "unexpected response status: \"412 Precondition Failed\"", true),
            (told(500, &handler("{\"type\":\"BAD_REQUEST\"}")), "handler error (BAD_REQUEST): why", false),
            (told(400, &handler("{\"type\":\"INTERNAL\"}")), "handler error (INTERNAL): why", true),
            (told(500, &handler("{\"type\":\"WEIRD\"}")), "handler error (WEIRD): why", true),
            (
                told(400, &handler("{\"type\":\"BAD_REQUEST\",\"retryableOverride\":true}")),
                "handler error (BAD_REQUEST): why",
                true,
            ),
            (
                told(500, &handler("{\"type\":\"INTERNAL\",\"retryableOverride\":false}")),
                "handler error (INTERNAL): why",
                false,
            ),
            (answer(400, "text/plain", "", "true"), "handler error (BAD_REQUEST)", true),
            (answer(500, "text/plain", "", "False"), "handler error (INTERNAL)", false),
        ] {
            assert_eq!(given, (text.to_owned(), retryable));
        }
    }
}
