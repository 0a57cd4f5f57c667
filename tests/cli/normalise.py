"""Turns the output of a command into text that two servers must agree on.

Run ids and other random ids become `<id 1>`, `<id 2>` in order of appearance, so that references between commands are
compared too. Of times near the present, of fractions of a second and of sizes it is kept that something was there.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
# What is farther away than this was given by a script.
PRESENT = timedelta(days=30)
TIME = re.compile(
    r"(?P<second>\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d)(?:\.\d+)?(?: ?(?:Z|UTC|[+-]\d\d:?\d\d))?(?: UTC)?"
)
SUBSTITUTIONS = [
    (re.compile(r"\b((\d+|a|an|a few|a long) (second|minute|hour|day|week|month|year|while)s? (ago|from now)|now)\b"), "<time>"),
    (re.compile(r"\b\d+@[\w.-]+(-\w+)?\b"), "<process>"),
    (re.compile(r"\b[\w-]+:\w+@[\w.-]+"), "<user>"),
    (re.compile(r"127\.0\.0\.1:\d+"), "<address>"),
    (re.compile(r"\b(\d+\.\d+s|\d+(\.\d+)?(ms|µs|us|ns))\b"), "<duration>"),
    # What the SDK says of itself comes in any order; the server only stores it.
    (re.compile(r'"coreUsedFlags": \[[^\]]*\]'), '"coreUsedFlags": <chance>'),
    # A server's request ids may have a form of their own.
    (re.compile(r'("(?:requestId|attachedRequestId)": )"[^"]*"'), r"\1<chance>"),
    # Fields whose value is chance: sizes, tokens, numbers of the store.
    (
        re.compile(
            r'("(?:historySizeBytes|sizeBytes|taskId|shardId|stateTransitionCount|binaryChecksum|buildId'
            r'|longPollToken|stateSizeBytes)": )'
            r'("[^"]*"|[\d.]+)'
        ),
        r"\1<chance>",
    ),
    (re.compile(r"^( *(?:HistorySize|StateTransitionCount|Bytes) +).*$", re.MULTILINE), r"\1<chance>"),
    (re.compile(r"[0-9a-f]{32}"), "<hex>"),
    (re.compile(r"[ \t]+"), " "),
    (re.compile(r" +$", re.MULTILINE), ""),
]


class Normaliser:
    """The placeholders of one script on one server."""

    def __init__(self) -> None:
        self.names: dict[str, str] = {}

    def fresh(self, text: str) -> list[str]:
        """The ids in the text that were in none before, in order of appearance."""
        return [identifier for identifier in dict.fromkeys(UUID.findall(text)) if identifier not in self.names]

    def text(self, text: str) -> str:
        text = TIME.sub(moment, text)
        for pattern, replacement in SUBSTITUTIONS:
            text = pattern.sub(replacement, text)
        text = UUID.sub(lambda match: self.name(match.group()), text)
        return text.strip()

    def name(self, identifier: str) -> str:
        return self.names.setdefault(identifier, f"<id {len(self.names) + 1}>")


def moment(found: re.Match[str]) -> str:
    """A time as it is compared."""
    second = datetime.fromisoformat(found["second"]).replace(tzinfo=UTC)
    return "<time>" if abs(second - datetime.now(UTC)) < PRESENT else found.group()
