"""Turns the output of a command into text that two servers must agree on.

Run ids and other random ids become `<id1>`, `<id2>` in order of appearance, so that references between commands are
compared too, and a script may use such an id in a later command. Of times near the present, of sizes and of durations
that the server measured it is kept that something was there.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
# The same on every server.
SYSTEM_NAMESPACE = "32049b68-7872-4094-8e63-d0dd59896a83"
TIME = re.compile(r"(\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d)(\.\d+)?( ?(Z|UTC|[+-]\d\d:?\d\d))?( UTC)?")
# A time that is farther away was given by a script.
PRESENT = timedelta(days=30)
SUBSTITUTIONS = [
    (re.compile(r"\b(\d+|a|an|a few|a long) (second|minute|hour|day|week|month|year|while)s? (ago|from now)\b"), "<time>"),
    (re.compile(r"\bnow\b"), "<time>"),
    (re.compile(r"\b\d+@[\w.-]+(-\w+)?\b"), "<process>"),
    (re.compile(r"\b[\w-]+:\w+@[\w.-]+"), "<user>"),
    (re.compile(r"127\.0\.0\.1:\d+"), "<address>"),
    # How long a run took.
    (re.compile(r"^( *RunTime +).*$", re.MULTILINE), r"\1<duration>"),
    (re.compile(r"\((?:\d+h)?(?:\d+m)?\d+s\)"), "(<duration>)"),
    # Durations that a request set are exact in JSON.
    (
        re.compile(
            r'(?<!Timeout": ")(?<!Ttl": ")(?<!initialInterval": ")(?<!maximumInterval": ")(?<!Delay": ")'
            r"\b\d+(\.\d+)?(ms|µs|us|s)\b"
        ),
        "<duration>",
    ),
    # The name of a namespace that is being deleted.
    (re.compile(r"(-deleted-)[0-9a-z]{5}\b"), r"\1<chance>"),
    # The column of Temporal's database that a search attribute is given.
    (re.compile(r"\b(Bool|Datetime|Double|Int|Keyword|KeywordList|Text)\d\d\b"), r"\1<column>"),
    # What the SDK says of itself comes in any order; the server only stores it.
    (re.compile(r'"coreUsedFlags": \[[^\]]*\]'), '"coreUsedFlags": <chance>'),
    (re.compile(r"(CustomSearchAttributeAliases) .*"), r"\1 <chance>"),
    # A server's request ids may have a form of their own.
    (re.compile(r'("(?:requestId|attachedRequestId)": )"[^"]*"'), r"\1<chance>"),
    # Fields whose value is chance: sizes, tokens, numbers of the store.
    (
        re.compile(
            r'("(?:historySizeBytes|sizeBytes|taskId|shardId|createTime|longPollToken'
            r'|durationMillis|stateSizeBytes)": ?)'
            r'("[^"]*"|[\d.]+)'
        ),
        r"\1<chance>",
    ),
    # The same in the detailed form of a history.
    (
        re.compile(r"^((?:taskId|historySizeBytes|requestId|sdkMetadata\.coreUsedFlags\[\d\]): ).*$", re.MULTILINE),
        r"\1<chance>",
    ),
    (re.compile(r'("CurrentHost(?:CPU|Mem)Usage"):[\d.]+'), r"\1:<chance>"),
    (re.compile(r"(LongPollToken +bytes)\(.*\)"), r"\1(<chance>)"),
    (re.compile(r"^( *(?:HistorySize|SDK|Bytes) +).*$", re.MULTILINE), r"\1<chance>"),
    (re.compile(r"[0-9a-f]{32}"), "<hex>"),
    (re.compile(r"[ \t]+"), " "),
    (re.compile(r" +$", re.MULTILINE), ""),
]


class Normaliser:
    """The placeholders of one script on one server."""

    def __init__(self) -> None:
        self.names: dict[str, str] = {}

    def text(self, text: str) -> str:
        text = TIME.sub(moment, text)
        for pattern, replacement in SUBSTITUTIONS:
            text = pattern.sub(replacement, text)
        text = UUID.sub(lambda match: self.name(match.group()), text)
        return text.strip()

    def name(self, identifier: str) -> str:
        if identifier == SYSTEM_NAMESPACE:
            return identifier
        return self.names.setdefault(identifier, f"<id{len(self.names) + 1}>")

    def restore(self, text: str) -> str:
        """Puts the ids in again: a script may use `<id1>` in a command."""
        for identifier, name in self.names.items():
            text = text.replace(name, identifier)
        return text


def moment(found: re.Match[str]) -> str:
    """A time as it is compared."""
    second = datetime.fromisoformat(found[1]).replace(tzinfo=UTC)
    return "<time>" if abs(second - datetime.now(UTC)) < PRESENT else found[0]
