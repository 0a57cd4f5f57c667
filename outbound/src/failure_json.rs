//! A failure as the Nexus protocol tells it: its message and stack trace, and all else of it as the JSON form
//! of its protobuf message.

use base64::{Engine, engine::general_purpose};
use perdure_proto::api::{
    common::{Payload, Payloads},
    enums::NexusHandlerErrorRetryBehavior as Retry,
    failure::{Failure, failure::FailureInfo},
};
use serde_json::{Map, Value, json};

/// Name of the message that the details hold.
const FAILURE_TYPE: &str = "temporal.api.failure.v1.Failure";

/// Failures nested deeper than this are cut off: the depth is the client's, the stack is ours.
const DEPTH_MAX: usize = 64;

/// The Nexus form of a failure.
pub(crate) fn nexus_failure(failure: &Failure) -> Value {
    nexus_failure_at(failure, 0)
}

fn nexus_failure_at(failure: &Failure, depth: usize) -> Value {
    let mut json = Map::new();
    text(&mut json, "message", &failure.message);
    text(&mut json, "stackTrace", &failure.stack_trace);
    if let Some(FailureInfo::NexusHandlerFailureInfo(info)) = &failure.failure_info {
        let mut details = Map::new();
        text(&mut details, "type", &info.r#type);
        match info.retry_behavior() {
            Retry::Retryable => drop(details.insert("retryableOverride".to_owned(), true.into())),
            Retry::NonRetryable => drop(details.insert("retryableOverride".to_owned(), false.into())),
            Retry::Unspecified => {}
        }
        if let Some(attributes) = &failure.encoded_attributes {
            let encoded = general_purpose::URL_SAFE_NO_PAD.encode(payload_json(attributes).to_string());
            text(&mut details, "encodedAttributes", &encoded);
        }
        json.insert("metadata".to_owned(), json!({"type": "nexus.HandlerError"}));
        json.insert("details".to_owned(), details.into());
    } else {
        json.insert("metadata".to_owned(), json!({"type": FAILURE_TYPE}));
        let mut details = failure_json(failure, depth);
        details.remove("message");
        details.remove("stackTrace");
        json.insert("details".to_owned(), details.into());
    }
    if let Some(cause) = failure.cause.as_deref().filter(|_| depth < DEPTH_MAX) {
        json.insert("cause".to_owned(), nexus_failure_at(cause, depth + 1));
    }
    json.into()
}

/// The JSON form of the message: fields at their default are left out.
fn failure_json(failure: &Failure, depth: usize) -> Map<String, Value> {
    let mut json = Map::new();
    text(&mut json, "message", &failure.message);
    text(&mut json, "source", &failure.source);
    text(&mut json, "stackTrace", &failure.stack_trace);
    optional(&mut json, "encodedAttributes", failure.encoded_attributes.as_ref(), payload_json);
    if let Some(cause) = failure.cause.as_deref().filter(|_| depth < DEPTH_MAX) {
        json.insert("cause".to_owned(), failure_json(cause, depth + 1).into());
    }
    if let Some(info) = &failure.failure_info {
        let (name, info) = info_json(info);
        json.insert(name.to_owned(), info.into());
    }
    json
}

fn info_json(info: &FailureInfo) -> (&'static str, Map<String, Value>) {
    let mut json = Map::new();
    let name = match info {
        FailureInfo::ApplicationFailureInfo(info) => {
            text(&mut json, "type", &info.r#type);
            flag(&mut json, "nonRetryable", info.non_retryable);
            optional(&mut json, "details", info.details.as_ref(), payloads_json);
            optional(&mut json, "nextRetryDelay", info.next_retry_delay.as_ref(), |delay| {
                Value::String(duration(delay.seconds, delay.nanos))
            });
            named(&mut json, "category", info.category, info.category().as_str_name());
            "applicationFailureInfo"
        }
        FailureInfo::TimeoutFailureInfo(info) => {
            named(&mut json, "timeoutType", info.timeout_type, info.timeout_type().as_str_name());
            optional(&mut json, "lastHeartbeatDetails", info.last_heartbeat_details.as_ref(), payloads_json);
            "timeoutFailureInfo"
        }
        FailureInfo::CanceledFailureInfo(info) => {
            optional(&mut json, "details", info.details.as_ref(), payloads_json);
            text(&mut json, "identity", &info.identity);
            "canceledFailureInfo"
        }
        FailureInfo::TerminatedFailureInfo(info) => {
            text(&mut json, "identity", &info.identity);
            "terminatedFailureInfo"
        }
        FailureInfo::ServerFailureInfo(info) => {
            flag(&mut json, "nonRetryable", info.non_retryable);
            "serverFailureInfo"
        }
        FailureInfo::ResetWorkflowFailureInfo(info) => {
            optional(&mut json, "lastHeartbeatDetails", info.last_heartbeat_details.as_ref(), payloads_json);
            "resetWorkflowFailureInfo"
        }
        FailureInfo::ActivityFailureInfo(info) => {
            number(&mut json, "scheduledEventId", info.scheduled_event_id);
            number(&mut json, "startedEventId", info.started_event_id);
            text(&mut json, "identity", &info.identity);
            optional(&mut json, "activityType", info.activity_type.as_ref(), |kind| only_text("name", &kind.name));
            text(&mut json, "activityId", &info.activity_id);
            named(&mut json, "retryState", info.retry_state, info.retry_state().as_str_name());
            "activityFailureInfo"
        }
        FailureInfo::ChildWorkflowExecutionFailureInfo(info) => {
            text(&mut json, "namespace", &info.namespace);
            optional(&mut json, "workflowExecution", info.workflow_execution.as_ref(), |execution| {
                let mut json = Map::new();
                text(&mut json, "workflowId", &execution.workflow_id);
                text(&mut json, "runId", &execution.run_id);
                json.into()
            });
            optional(&mut json, "workflowType", info.workflow_type.as_ref(), |kind| only_text("name", &kind.name));
            number(&mut json, "initiatedEventId", info.initiated_event_id);
            number(&mut json, "startedEventId", info.started_event_id);
            named(&mut json, "retryState", info.retry_state, info.retry_state().as_str_name());
            "childWorkflowExecutionFailureInfo"
        }
        FailureInfo::NexusOperationExecutionFailureInfo(info) => {
            number(&mut json, "scheduledEventId", info.scheduled_event_id);
            text(&mut json, "endpoint", &info.endpoint);
            text(&mut json, "service", &info.service);
            text(&mut json, "operation", &info.operation);
            text(&mut json, "operationId", &info.operation_id);
            text(&mut json, "operationToken", &info.operation_token);
            "nexusOperationExecutionFailureInfo"
        }
        FailureInfo::NexusHandlerFailureInfo(info) => {
            text(&mut json, "type", &info.r#type);
            named(&mut json, "retryBehavior", info.retry_behavior, info.retry_behavior().as_str_name());
            "nexusHandlerFailureInfo"
        }
    };
    (name, json)
}

fn payloads_json(payloads: &Payloads) -> Value {
    if payloads.payloads.is_empty() {
        return json!({});
    }
    json!({"payloads": payloads.payloads.iter().map(payload_json).collect::<Vec<_>>()})
}

fn payload_json(payload: &Payload) -> Value {
    let mut json = Map::new();
    if !payload.metadata.is_empty() {
        let metadata = payload.metadata.iter().map(|(key, value)| (key.clone(), base64_json(value)));
        json.insert("metadata".to_owned(), metadata.collect::<Map<_, _>>().into());
    }
    if !payload.data.is_empty() {
        json.insert("data".to_owned(), base64_json(&payload.data));
    }
    if !payload.external_payloads.is_empty() {
        let external = payload.external_payloads.iter().map(|external| {
            let mut json = Map::new();
            number(&mut json, "sizeBytes", external.size_bytes);
            Value::from(json)
        });
        json.insert("externalPayloads".to_owned(), external.collect());
    }
    json.into()
}

fn base64_json(bytes: &[u8]) -> Value {
    general_purpose::STANDARD.encode(bytes).into()
}

fn text(json: &mut Map<String, Value>, name: &str, value: &str) {
    if !value.is_empty() {
        json.insert(name.to_owned(), value.into());
    }
}

fn flag(json: &mut Map<String, Value>, name: &str, value: bool) {
    if value {
        json.insert(name.to_owned(), true.into());
    }
}

/// 64-bit numbers are text in this form: JSON's own are not exact.
fn number(json: &mut Map<String, Value>, name: &str, value: i64) {
    if value != 0 {
        json.insert(name.to_owned(), value.to_string().into());
    }
}

fn named(json: &mut Map<String, Value>, name: &str, number: i32, value: &str) {
    if number != 0 {
        json.insert(name.to_owned(), value.into());
    }
}

fn optional<T>(json: &mut Map<String, Value>, name: &str, value: Option<&T>, form: impl FnOnce(&T) -> Value) {
    if let Some(value) = value {
        json.insert(name.to_owned(), form(value));
    }
}

fn only_text(name: &str, value: &str) -> Value {
    let mut json = Map::new();
    text(&mut json, name, value);
    json.into()
}

/// Seconds with 0, 3, 6 or 9 digits after the point.
fn duration(seconds: i64, nanos: i32) -> String {
    let sign = if seconds < 0 || nanos < 0 { "-" } else { "" };
    let fraction = crate::request::fraction(nanos.unsigned_abs());
    format!("{sign}{}{fraction}s", seconds.unsigned_abs())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use perdure_proto::api::{common::WorkflowType, failure::*};

    use super::*;

    /// What Temporal sends for the same failure.
    #[test]
    fn a_failure_with_everything() {
        let metadata = [("encoding".to_owned(), "json/plain".into())].into();
        let details = Payload { metadata, data: "\"d\"".into(), ..Default::default() };
        let failure = Failure {
            message: "boom".to_owned(),
            source: "S".to_owned(),
            stack_trace: "st".to_owned(),
            failure_info: Some(FailureInfo::ApplicationFailureInfo(ApplicationFailureInfo {
                r#type: "T".to_owned(),
                non_retryable: true,
                details: Some(Payloads { payloads: vec![details] }),
                ..Default::default()
            })),
            cause: Some(Box::new(Failure { message: "inner".to_owned(), ..Default::default() })),
            ..Default::default()
        };
        let expected = json!({
            "message": "boom", "stackTrace": "st", "metadata": {"type": FAILURE_TYPE},
            "details": {
                "source": "S", "cause": {"message": "inner"},
                "applicationFailureInfo": {
                    "type": "T", "nonRetryable": true,
                    "details": {"payloads": [{"metadata": {"encoding": "anNvbi9wbGFpbg=="}, "data": "ImQi"}]},
                },
            },
            "cause": {"message": "inner", "metadata": {"type": FAILURE_TYPE}, "details": {}},
        });
        assert_eq!(nexus_failure(&failure), expected);
    }

    #[test]
    fn other_kinds() {
        let child = FailureInfo::ChildWorkflowExecutionFailureInfo(ChildWorkflowExecutionFailureInfo {
            workflow_type: Some(WorkflowType { name: "t".to_owned() }),
            initiated_event_id: i64::MAX,
            retry_state: 3,
            ..Default::default()
        });
        let expected = json!({
            "workflowType": {"name": "t"},
            "initiatedEventId": "9223372036854775807",
            "retryState": "RETRY_STATE_TIMEOUT",
        });
        assert_eq!(info_json(&child), ("childWorkflowExecutionFailureInfo", expected.as_object().unwrap().clone()));
        let info = NexusHandlerFailureInfo { r#type: "NOT_FOUND".to_owned(), retry_behavior: 2 };
        let handler = Failure {
            message: "m".to_owned(),
            failure_info: Some(FailureInfo::NexusHandlerFailureInfo(info)),
            ..Default::default()
        };
        let expected = json!({
            "message": "m", "metadata": {"type": "nexus.HandlerError"},
            "details": {"type": "NOT_FOUND", "retryableOverride": false},
        });
        assert_eq!(nexus_failure(&handler), expected);
    }

    #[test]
    fn failures_nested_without_end_are_cut_off() {
        let mut failure = Failure::default();
        for _ in 0..1000 {
            failure = Failure { cause: Some(Box::new(failure)), ..Default::default() };
        }
        nexus_failure(&failure);
    }
}
