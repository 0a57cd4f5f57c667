//! What a refused call must say.

use std::fmt::Debug;

use perdure_proto::google::rpc;
use prost::Message;
use tonic::{Code, Status};

/// Asserts that a call was refused with `code`, one detail of this type (`""` is none) and this text. Gives
/// the detail's bytes.
#[track_caller]
pub(crate) fn refused<T: Debug>(result: Result<T, Status>, code: Code, detail: &str, text: &str) -> Vec<u8> {
    let status = match result {
        Err(status) => status,
        Ok(answer) => panic!("not refused: {answer:?}"),
    };
    let full = rpc::Status::decode(status.details()).unwrap();
    let names: Vec<&str> = full.details.iter().filter_map(|any| any.type_url.rsplit('.').next()).collect();
    assert_eq!((status.code(), names.join(" ").as_str(), status.message()), (code, detail, text));
    full.details.into_iter().next().map(|any| any.value).unwrap_or_default()
}
