//! A payload as the content of an HTTP request.

use bytes::Bytes;
use perdure_proto::api::common::Payload;
use prost::Message;

/// Content with the headers that describe it, without their prefix `content-`.
pub(crate) struct Content {
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Bytes,
}

/// The content of a result. What HTTP has a media type for goes as it is; other encodings are wrapped.
pub(crate) fn content(payload: Option<&Payload>) -> Content {
    let Some(payload) = payload else { return Content { headers: Vec::new(), body: Bytes::new() } };
    let text = |key: &str| payload.metadata.get(key).map(|value| String::from_utf8_lossy(value).into_owned());
    let encoding = text("encoding").unwrap_or_default();
    let message_type = text("messageType").unwrap_or_default();
    let known = payload.metadata.len() == 1;
    let typed = payload.metadata.len() == 2 && !message_type.is_empty();
    let headers = match encoding.as_str() {
        "unknown/nexus-content" => {
            let others = payload.metadata.iter().filter(|(key, _)| *key != "encoding");
            others.map(|(key, value)| (key.clone(), String::from_utf8_lossy(value).into_owned())).collect()
        }
        "json/protobuf" if typed => {
            vec![media_type(format!("application/json; format=protobuf; message-type={message_type:?}"))]
        }
        "binary/protobuf" if typed => {
            vec![media_type(format!("application/x-protobuf; message-type={message_type:?}"))]
        }
        "json/plain" if known => vec![media_type("application/json".to_owned())],
        "binary/null" if known => Vec::new(),
        "binary/plain" if known => vec![media_type("application/octet-stream".to_owned())],
        _ => {
            let headers = vec![media_type("application/x-temporal-payload".to_owned())];
            return Content { headers, body: payload.encode_to_vec().into() };
        }
    };
    Content { headers, body: payload.data.clone() }
}

fn media_type(value: String) -> (String, String) {
    ("type".to_owned(), value)
}
