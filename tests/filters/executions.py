"""What both servers are given: executions with their attributes and their fates, the same for one seed."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any

# Custom attributes beside those of the SDK suite; these names need back quotes.
MORE_ATTRIBUTES = {"my-tag": "Keyword", "select": "Int", "Größe": "Double"}

# Ids, types and keywords have no two that differ in case alone, and none that is a prefix of another but for its case:
# SQLite under Temporal takes no notice of it in prefixes and keyword lists (docs/compatibility.md, "Lists").
TYPES = ["order", "order-line", "größe", "print'invoice", "two words", "100%", "a_b"]
QUEUES = ["main", "queue two", "q%_1", "schlange-ü"]
# Tasks of these are never taken.
IDLE_QUEUES = ["idle", "idle%two"]
ID_STEMS = [
    "order", "o'clock", 'say "hi"', "100%", "under_score", "größe", "日本", "white space", "back\\slash", "semi;colon",
    "smile-😀", "bang!", "hash#", "`tick`", "-- dash", "under%score", "{brace}", "naïve",
]  # fmt: skip
ACTIVITY_TYPES = ["charge", "charge-back", "größe", "send'mail"]

# None: the attribute is given as null, which is as if it was not given.
VALUES: dict[str, list[Any]] = {
    "SuiteKeyword": [
        "red", "green", "o'brien", "50%", "a_b", "größe", "two words", "", "back\\slash", 'quo"te', "reds",
    ],
    "SuiteText": [
        "the quick brown fox", "quick-silver lining", "Brown bread", "größe zählt", "don't panic", "run_fast 5x",
        "日本 語", "naïve café", "fox", "100% sure, really", "",
    ],
    "SuiteInt": [-5, 0, 7, 7, 42, 43, 1000000, 9007199254740991, -9007199254740991],
    "SuiteDouble": [-1.5, 0.0, 0.1, 2.5, 7.0, 42.25, 1e10, 123456.789, -0.001],
    "SuiteBool": [True, False],
    # With milliseconds to the last digit: what ends in zeros is equal to nothing on SQLite under Temporal.
    "SuiteDatetime": [
        "2024-01-02T03:04:05.123Z", "2024-01-02T03:04:05.457Z", "2024-01-02T03:04:05.001Z", "1969-07-20T20:17:40.001Z",
        "2023-12-31T23:59:59.999+01:00", "2038-01-19T03:14:07.255Z",
    ],
    "SuiteKeywordList": [
        ["red"], ["red", "green"], ["green", "o'brien"], ["größe", "50%"], ["two words"], [], ["reds", "naïve"],
        ["a_b", "a_b"], ["日本", "back\\slash"],
    ],
    "my-tag": ["x", "y-1", "z z"],
    "select": [1, 2, 3],
    "Größe": [1.25, 2],
    "TemporalChangeVersion": [["change-1"], ["change-1", "change-2"]],
    "TemporalScheduledById": ["plan-a", "plan-b"],
    "TemporalScheduledStartTime": ["2024-05-06T07:08:09.125Z"],
    "TemporalSchedulePaused": [True, False],
    "BatcherUser": ["somebody"],
    "TemporalNamespaceDivision": ["own", "TemporalBatcher"],
}  # fmt: skip
DIVISION = "TemporalNamespaceDivision"
TYPES_OF_PREDEFINED = {
    "TemporalChangeVersion": "KeywordList",
    "TemporalScheduledById": "Keyword",
    "TemporalScheduledStartTime": "Datetime",
    "TemporalSchedulePaused": "Bool",
    "BatcherUser": "Keyword",
    DIVISION: "Keyword",
}

# How many there are of each fate. Timeouts come last of all: nothing else may close while they are waited for.
FATES = {
    "idle": 26,
    "upserted": 24,
    "completed": 36,
    "failed": 12,
    "canceled": 10,
    "terminated": 14,
    "continued": 8,
    "paused": 5,
    "delayed": 3,
    "delayed_terminated": 2,
    "family": 12,
    "activity_idle": 5,
    "activity_completed": 6,
    "activity_failed": 3,
    "activity_canceled": 2,
    "activity_terminated": 4,
    "activity_paused": 2,
}
LAST = ["timed_out", "timed_out", "timed_out", "activity_timed_out", "activity_timed_out"]
UNANSWERED = {"idle", "terminated", "paused", "delayed", "delayed_terminated", "timed_out"}
# Executions that are started together and end in another order.
GROUP = 3


@dataclass
class Spec:
    """One execution, with what becomes of it."""

    id: str
    type: str
    queue: str
    fate: str
    attributes: dict[str, Any]
    # Changes of attributes after the start; None removes one.
    upsert: dict[str, Any] = field(default_factory=dict)
    # Seconds until a time-out.
    timeout: int = 0
    # How the children of a family end, from the child down.
    children: list[str] = field(default_factory=list)


def after(attributes: dict[str, Any], upsert: dict[str, Any]) -> dict[str, Any]:
    """The attributes that are left once both were set."""
    left = attributes | upsert
    return {name: value for name, value in left.items() if value is not None and value != []}


def some_attributes(rng: random.Random, is_activity: bool) -> dict[str, Any]:
    found = {}
    for name, values in VALUES.items():
        often = 0.55 if name.startswith("Suite") else 0.12
        # The division of an activity is the server's own.
        if rng.random() < often and not (is_activity and name in TYPES_OF_PREDEFINED):
            found[name] = rng.choice(values)
    return found


def plan(seed: int) -> list[tuple[list[Spec], list[int]]]:
    """Groups of executions, with the order in which those of a group go to their ends."""
    rng = random.Random(f"executions {seed}")
    fates = [fate for fate, count in FATES.items() for _ in range(count)]
    rng.shuffle(fates)
    groups, number = [], 0
    for at in range(0, len(fates), GROUP):
        specs = []
        for fate in fates[at : at + GROUP]:
            number += 1
            specs.append(spec(rng, fate, number))
        order = list(range(len(specs)))
        rng.shuffle(order)
        groups.append((specs, order))
    last = []
    for second, fate in enumerate(LAST, start=1):
        number += 1
        last.append(spec(rng, fate, number, timeout=second))
    groups.append((last, list(range(len(last)))))
    return groups


def spec(rng: random.Random, fate: str, number: int, timeout: int = 0) -> Spec:
    is_activity = fate.startswith("activity")
    unanswered = fate in UNANSWERED or fate in ("activity_idle", "activity_terminated", "activity_timed_out")
    attributes = some_attributes(rng, is_activity)
    made = Spec(
        id=f"{rng.choice(ID_STEMS)}-{number}",
        type=rng.choice(ACTIVITY_TYPES if is_activity else TYPES),
        queue=rng.choice(IDLE_QUEUES if unanswered or fate == "activity_paused" else QUEUES),
        fate=fate,
        attributes=attributes,
        timeout=timeout,
    )
    if fate in ("upserted", "completed", "continued"):
        fresh = some_attributes(rng, False)
        fresh.pop(DIVISION, None)
        removed = [name for name in attributes if name != DIVISION and rng.random() < 0.2]
        made.upsert = {name: value for name, value in fresh.items() if rng.random() < 0.4} | dict.fromkeys(removed)
    if fate == "family":
        made.children = [rng.choice(["idle", "completed", "failed"]) for _ in range(rng.choice([1, 1, 2]))]
    return made
