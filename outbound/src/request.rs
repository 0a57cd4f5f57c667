//! The HTTP request that tells of a completion.

use std::fmt::Write;

use base64::{Engine, engine::general_purpose};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri, header};
use perdure_execution::completion::{Completion, Outcome};
use perdure_kernel::Timestamp;
use perdure_proto::api::{
    common::{callback, link},
    enums::EventType,
};

use crate::{Undelivered, failure_json::nexus_failure, payload::content};

/// Who sends, as Temporal calls itself: receivers know it.
const USER_AGENT: &str = "temporalio/server";

const OPERATION_STATE: HeaderName = HeaderName::from_static("nexus-operation-state");
const START_TIME: HeaderName = HeaderName::from_static("nexus-operation-start-time");
const CLOSE_TIME: HeaderName = HeaderName::from_static("nexus-operation-close-time");
const LINK: HeaderName = HeaderName::from_static("nexus-link");

/// Headers that belong to the connection: a callback cannot set them.
const OF_THE_CONNECTION: [HeaderName; 6] = [
    header::HOST,
    header::CONTENT_LENGTH,
    header::TRANSFER_ENCODING,
    header::TRAILER,
    header::CONNECTION,
    header::UPGRADE,
];

/// The request for a callback. The callback's own header has the last word.
pub(crate) fn build(callback: &callback::Nexus, completion: &Completion) -> Result<Request<Bytes>, Undelivered> {
    let failed = |why: String| Undelivered::retryable(format!("Post {:?}: {why}", callback.url));
    let mut headers = HeaderMap::new();
    let (state, body) = match &completion.outcome {
        Outcome::Succeeded(result) => {
            let content = content(result.as_ref());
            for (name, value) in &content.headers {
                insert(&mut headers, &format!("content-{name}"), value).map_err(failed)?;
            }
            ("succeeded", content.body)
        }
        Outcome::Failed(failure) => ("failed", nexus_failure(failure).to_string().into()),
        Outcome::Canceled(failure) => ("canceled", nexus_failure(failure).to_string().into()),
    };
    if state != "succeeded" {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    headers.insert(OPERATION_STATE, HeaderValue::from_static(state));
    for (name, value) in &callback.header {
        insert(&mut headers, name, value).map_err(failed)?;
    }
    let mut otherwise = |name: HeaderName, value: String| {
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.entry(name).or_insert(value);
        }
    };
    otherwise(header::USER_AGENT, USER_AGENT.to_owned());
    otherwise(START_TIME, http_date(completion.start_time));
    otherwise(CLOSE_TIME, rfc3339(completion.close_time));
    otherwise(LINK, link_header(&completion.link));
    let (url, credentials) = without_credentials(&callback.url);
    if let Some(credentials) = credentials {
        otherwise(header::AUTHORIZATION, format!("Basic {}", general_purpose::STANDARD.encode(credentials)));
    }
    for name in &OF_THE_CONNECTION {
        headers.remove(name);
    }
    let uri: Uri = url.parse().map_err(|error: http::uri::InvalidUri| failed(error.to_string()))?;
    let mut request = Request::new(body);
    *request.method_mut() = Method::POST;
    *request.uri_mut() = uri;
    *request.headers_mut() = headers;
    Ok(request)
}

fn insert(headers: &mut HeaderMap, name: &str, value: &str) -> Result<(), String> {
    let known: HeaderName = name.parse().map_err(|_| format!("net/http: invalid header field name {name:?}"))?;
    let value = HeaderValue::from_str(value)
        .map_err(|_| format!("net/http: invalid header field value for {:?}", canonical(&known)))?;
    headers.insert(known, value);
    Ok(())
}

/// A header's name as Go shows it: `X-My-Header`.
fn canonical(name: &HeaderName) -> String {
    let words = name.as_str().split('-').map(|word| {
        let (first, rest) = word.split_at(word.len().min(1));
        first.to_ascii_uppercase() + rest
    });
    words.collect::<Vec<_>>().join("-")
}

/// The address without user, password and fragment, and the first two.
fn without_credentials(url: &str) -> (String, Option<String>) {
    let url = url.split_once('#').map_or(url, |(url, _)| url);
    let plain = || (url.to_owned(), None);
    let Some((scheme, rest)) = url.split_once("://") else { return plain() };
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let Some((credentials, _)) = rest[..end].rsplit_once('@') else { return plain() };
    let (user, password) = credentials.split_once(':').unwrap_or((credentials, ""));
    let decoded = format!("{}:{}", percent_decoded(user), percent_decoded(password));
    (format!("{scheme}://{}", &rest[credentials.len() + 1..]), Some(decoded))
}

fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let escape = after.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
        match escape.and_then(|hex| u8::from_str_radix(hex, 16).ok()).filter(|_| first == b'%') {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            None => {
                bytes.push(first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// `Sun, 22 Nov 2026 00:57:53 GMT`.
fn http_date(at: Timestamp) -> String {
    civil(at).strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

/// `2026-11-22T00:57:53.581353551Z`, with 0, 3, 6 or 9 digits after the point.
fn rfc3339(at: Timestamp) -> String {
    let at = civil(at);
    format!("{}{}Z", at.strftime("%Y-%m-%dT%H:%M:%S"), fraction(at.subsec_nanosecond().unsigned_abs()))
}

fn civil(at: Timestamp) -> jiff::Timestamp {
    jiff::Timestamp::from_nanosecond(i128::from(at.as_nanos())).unwrap_or_default()
}

/// Nanoseconds as a fraction with 0, 3, 6 or 9 digits.
pub(crate) fn fraction(nanos: u32) -> String {
    match nanos {
        0 => String::new(),
        nanos if nanos % 1_000_000 == 0 => format!(".{:03}", nanos / 1_000_000),
        nanos if nanos % 1_000 == 0 => format!(".{:06}", nanos / 1_000),
        nanos => format!(".{nanos:09}"),
    }
}

/// A link to an event, as the header carries it.
fn link_header(to: &link::WorkflowEvent) -> String {
    let path = format!(
        "/namespaces/{}/workflows/{}/{}/history",
        escaped(&to.namespace, PATH),
        escaped(&to.workflow_id, PATH),
        escaped(&to.run_id, PATH)
    );
    let event_type = |number: i32| {
        let name = EventType::try_from(number).unwrap_or_default().as_str_name();
        camel(name.strip_prefix("EVENT_TYPE_").unwrap_or(name))
    };
    let query = match &to.reference {
        Some(link::workflow_event::Reference::EventRef(event)) => {
            let id = if event.event_id > 0 { format!("eventID={}&", event.event_id) } else { String::new() };
            format!("?{id}eventType={}&referenceType=EventReference", event_type(event.event_type))
        }
        Some(link::workflow_event::Reference::RequestIdRef(request)) => format!(
            "?eventType={}&referenceType=RequestIdReference&requestID={}",
            event_type(request.event_type),
            escaped(&request.request_id, QUERY)
        ),
        None => String::new(),
    };
    format!("<temporal://{path}{query}>; type=\"temporal.api.common.v1.Link.WorkflowEvent\"")
}

/// `WORKFLOW_EXECUTION_STARTED` as `WorkflowExecutionStarted`.
fn camel(name: &str) -> String {
    let words = name.split('_').map(|word| {
        let (first, rest) = word.split_at(word.len().min(1));
        first.to_owned() + &rest.to_ascii_lowercase()
    });
    words.collect()
}

/// What Go leaves as it is in a segment of a path, beside letters and digits.
const PATH: &str = "-_.~$&+=:@";

/// The same for a value in a query.
const QUERY: &str = "-_.~";

fn escaped(text: &str, plain: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || plain.as_bytes().contains(&byte) {
            escaped.push(char::from(byte));
        } else if byte == b' ' && plain == QUERY {
            escaped.push('+');
        } else {
            // Writing to a string cannot fail.
            let _ = write!(escaped, "%{byte:02X}");
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use perdure_proto::api::{common::Payload, failure::Failure};

    use super::*;

    fn completion(outcome: Outcome) -> Completion {
        let reference = link::workflow_event::EventReference {
            event_id: 1,
            event_type: EventType::WorkflowExecutionStarted.into(),
        };
        Completion {
            start_time: Timestamp::from_nanos(1_795_309_073_566_200_079),
            close_time: Timestamp::from_nanos(1_795_309_073_581_353_551),
            link: link::WorkflowEvent {
                namespace: "default".to_owned(),
                workflow_id: "a/ä b".to_owned(),
                run_id: "r".to_owned(),
                reference: Some(link::workflow_event::Reference::EventRef(reference)),
            },
            outcome,
        }
    }

    fn payload(metadata: &[(&str, &str)], data: &str) -> Outcome {
        let metadata = metadata.iter().map(|(key, value)| ((*key).to_owned(), Bytes::from((*value).to_owned())));
        let data = data.to_owned().into();
        Outcome::Succeeded(Some(Payload { metadata: metadata.collect(), data, ..Default::default() }))
    }

    fn callback(header: &[(&str, &str)]) -> callback::Nexus {
        let header = header.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        callback::Nexus { url: "http://host:80/path?x=1".to_owned(), header }
    }

    /// Headers and values are those that Temporal 1.32 sent.
    #[test]
    fn the_request_is_temporals() {
        let outcome = payload(&[("encoding", "json/plain")], "\"hi\"");
        let request = build(&callback(&[("x-my", "v"), ("foo", "b")]), &completion(outcome)).unwrap();
        assert_eq!(request.method(), Method::POST);
        assert_eq!(request.uri().to_string(), "http://host:80/path?x=1");
        let mut headers: Vec<_> =
            request.headers().iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
        headers.sort_unstable();
        let link = "<temporal:///namespaces/default/workflows/a%2F%C3%A4%20b/r/history\
                    ?eventID=1&eventType=WorkflowExecutionStarted&referenceType=EventReference>; \
                    type=\"temporal.api.common.v1.Link.WorkflowEvent\"";
        assert_eq!(
            headers,
            [
                ("content-type", "application/json"),
                ("foo", "b"),
                ("nexus-link", link),
                ("nexus-operation-close-time", "2026-11-22T00:57:53.581353551Z"),
                ("nexus-operation-start-time", "Sun, 22 Nov 2026 00:57:53 GMT"),
                ("nexus-operation-state", "succeeded"),
                ("user-agent", "temporalio/server"),
                ("x-my", "v"),
            ]
        );
        assert_eq!(request.body(), "\"hi\"");
    }

    #[test]
    fn results_go_as_they_are_or_wrapped() {
        for (metadata, data, kind, sent) in [
            (vec![("encoding", "binary/plain")], "abc", "application/octet-stream", &b"abc"[..]),
            (vec![("encoding", "binary/null")], "", "", b""),
            (
                vec![("encoding", "json/protobuf"), ("messageType", "a.b.C")],
                "{}",
                "application/json; format=protobuf; message-type=\"a.b.C\"",
                b"{}",
            ),
            (
                vec![("encoding", "binary/protobuf"), ("messageType", "a.b.C")],
                "xx",
                "application/x-protobuf; message-type=\"a.b.C\"",
                b"xx",
            ),
            (vec![], "xx", "application/x-temporal-payload", b"\x12\x02xx"),
            (vec![("encoding", "unknown/nexus-content"), ("type", "a/b"), ("language", "de")], "xx", "a/b", b"xx"),
        ] {
            let request = build(&callback(&[]), &completion(payload(&metadata, data))).unwrap();
            let content_type = request.headers().get("content-type").map_or("", |value| value.to_str().unwrap());
            assert_eq!((content_type, &request.body()[..]), (kind, sent));
        }
        let wrapped = payload(&[("encoding", "my/enc"), ("zed", "1")], "xx");
        let request = build(&callback(&[]), &completion(wrapped.clone())).unwrap();
        let Outcome::Succeeded(Some(sent)) = wrapped else { panic!("no payload") };
        assert_eq!(<Payload as prost::Message>::decode(request.body().clone()).unwrap(), sent);
        let request = build(&callback(&[]), &completion(Outcome::Succeeded(None))).unwrap();
        assert!(request.headers().get("content-type").is_none());
    }

    #[test]
    fn the_callbacks_header_has_the_last_word() {
        let own = [
            ("Content-Type", "x/y"),
            ("nexus-operation-state", "mine"),
            ("user-agent", "me"),
            ("nexus-operation-token", "t"),
            ("nexus-link", "l"),
            ("nexus-operation-start-time", "s"),
            ("content-length", "3"),
            ("host", "h"),
        ];
        let outcome = Outcome::Canceled(Box::new(Failure { message: "m".to_owned(), ..Default::default() }));
        let request = build(&callback(&own), &completion(outcome.clone())).unwrap();
        for (name, value) in &own[..6] {
            assert_eq!(request.headers()[*name], *value);
        }
        assert!(request.headers().get("host").is_none() && request.headers().get("content-length").is_none());
        let refused = |header: &[(&str, &str)]| build(&callback(header), &completion(outcome.clone())).unwrap_err();
        let text = "Post \"http://host:80/path?x=1\": net/http: invalid header field name \"x y\"";
        assert_eq!(refused(&[("x y", "1")]), Undelivered::retryable(text));
        let text = "Post \"http://host:80/path?x=1\": net/http: invalid header field value for \"Xy\"";
        assert_eq!(refused(&[("xy", "1\n2")]), Undelivered::retryable(text));
    }

    #[test]
    fn user_and_password_become_a_header() {
        assert_eq!(without_credentials("http://h/a@b#f"), ("http://h/a@b".to_owned(), None));
        assert_eq!(without_credentials("http://u%40:p@h/p"), ("http://h/p".to_owned(), Some("u@:p".to_owned())));
        assert_eq!(without_credentials("http://u@h?x"), ("http://h?x".to_owned(), Some("u:".to_owned())));
    }

    #[test]
    fn times_have_as_many_digits_as_they_need() {
        let at = |nanos| rfc3339(Timestamp::from_nanos(nanos));
        assert_eq!(at(0), "1970-01-01T00:00:00Z");
        assert_eq!(at(120_000_000), "1970-01-01T00:00:00.120Z");
        assert_eq!(at(120_001_000), "1970-01-01T00:00:00.120001Z");
    }
}
