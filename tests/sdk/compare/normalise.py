"""Turns a run's history into plain data that two servers must agree on.

Kept: order, event types, every attribute that is set. Replaced by a placeholder that still says
"something was set": times, random ids, task ids and sizes. Run ids become `<run 1>`, `<run 2>` in
order of appearance, so that references between runs are compared too.
"""

from __future__ import annotations

import base64
import json
import re
from typing import Any

from google.protobuf.json_format import MessageToDict

UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
# A sticky queue is named by the SDK: identity, dash, random hex.
STICKY = re.compile(r"\bsdk-suite-[0-9a-f]{32}\b")
TIME = re.compile(r"\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|\+00:00)")

# Fields whose value is chance, whatever the message they are in.
PLACEHOLDERS = {
    "event_time", "task_id", "request_id", "history_size_bytes", "task_token",
    "binary_checksum", "build_id", "workflow_execution_expiration_time",
    # Lines of the SDK's own source.
    "stack_trace",
    # Local-activity markers carry the worker's clock.
    "complete_time", "original_schedule_time",
}  # fmt: skip
# What the SDK says about itself; the server only stores it.
DROPPED = {"sdk_metadata", "metering_metadata"}
# Cron waits for the next full second, so its waits are any fraction.
CRON_FIELDS = {"first_workflow_task_backoff", "backoff_start_interval"}
# A run that follows another starts a second after it at the earliest; what is left of that second
# may be nothing.
FOLLOWER_FIELDS = {"first_workflow_task_backoff"}


class Normaliser:
    """The placeholders of one scenario on one server."""

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix
        self.names: dict[str, str] = {}

    def history(self, events: list[Any]) -> list[dict[str, Any]]:
        return [self.event(event) for event in events]

    def event(self, event: Any) -> dict[str, Any]:
        data = MessageToDict(event, preserving_proto_field_name=True)
        kind = data["event_type"].removeprefix("EVENT_TYPE_")
        attributes = event.WhichOneof("attributes")
        body = data.pop(attributes)
        if body.get("cron_schedule") or body.get("initiator", "").endswith("CRON_SCHEDULE"):
            body.update({key: f"<{key}>" for key in CRON_FIELDS & set(body)})
        elif body.get("continued_execution_run_id"):
            body = {key: item for key, item in body.items() if key not in FOLLOWER_FIELDS}
        flat = {"id": int(data.pop("event_id")), "type": kind}
        data.pop("event_type")
        rest = self.value({**data, **body})
        return {**flat, **dict(sorted(rest.items()))}

    def value(self, value: Any) -> Any:
        if isinstance(value, dict):
            if set(value) <= {"metadata", "data", "external_payloads"} and "metadata" in value:
                return self.payload(value)
            return {
                self.text(key): self.field(key, item)
                for key, item in sorted(value.items())
                if key not in DROPPED
            }
        if isinstance(value, (list, tuple)):
            return [self.value(item) for item in value]
        if isinstance(value, str):
            return self.text(value)
        return value

    def field(self, key: str, value: Any) -> Any:
        if key in PLACEHOLDERS:
            return f"<{key}>"
        return self.value(value)

    def payload(self, payload: dict[str, Any]) -> Any:
        metadata = {
            key: base64.b64decode(item).decode(errors="replace")
            for key, item in payload["metadata"].items()
        }
        data = base64.b64decode(payload.get("data", ""))
        if metadata.get("encoding") == "json/plain":
            shown: Any = self.value(json.loads(data))
        else:
            shown = self.text(data.decode(errors="backslashreplace"))
        return {"payload": shown, "metadata": dict(sorted(metadata.items()))}

    def text(self, text: str) -> str:
        text = text.replace(self.prefix, "sdk")
        text = STICKY.sub("<sticky>", text)
        text = TIME.sub("<time>", text)
        return UUID.sub(lambda match: self.name(match.group()), text)

    def name(self, identifier: str) -> str:
        return self.names.setdefault(identifier, f"<run {len(self.names) + 1}>")
