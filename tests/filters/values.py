"""Values that differ from server to server, so that one filter means the same rows on both: a filter holds references,
each server puts its own values in.

`‹RunId|ID#1›` is the value of a field of an execution. `‹StartTime|cut|500|text›` lies between those of two executions,
at the 500th of a thousand such places: with the same executions before it, and the same after it, on both servers. The
last part says how it is written."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any

from lists import Row

REFERENCE = re.compile(r"‹([^›]*)›")
SECOND = 1_000_000_000
# Cuts are numbered below this, however many there are.
CUTS = 1000
# A field of an execution that has a value of its own, and cuts.
TIMES = ["StartTime", "ExecutionTime", "CloseTime"]
NUMBERS = ["HistorySizeBytes", "StateTransitionCount", "ExecutionDuration"]
# How values are written.
TIME_FORMS = ["text", "offset", "nanos"]
DURATION_FORMS = ["nanos", "go", "clock"]


@dataclass
class World:
    """What one server has: rows by their names."""

    rows: dict[str, Row]

    def value(self, field: str, label: str) -> Any:
        """A field as a number (instants and durations in nanoseconds) or text; None if there is none."""
        info = self.rows[label].info
        if field == "RunId":
            return self.rows[label].run_id
        if field in TIMES:
            name = {"StartTime": "start_time", "ExecutionTime": "execution_time", "CloseTime": "close_time"}[field]
            return getattr(info, name).ToNanoseconds() if info.HasField(name) else None
        if not info.HasField("close_time"):
            return None
        if field == "ExecutionDuration":
            return info.execution_duration.ToNanoseconds()
        return {"HistorySizeBytes": info.history_size_bytes, "StateTransitionCount": info.state_transition_count}[field]


def ranked(world: World, field: str) -> list[tuple[int, str]]:
    values = ((world.value(field, label), label) for label in world.rows)
    return sorted((value, label) for value, label in values if value is not None)


def cuts(worlds: list[World], field: str, step: int) -> list[list[float]]:
    """Values between those of two executions, one for each world; the executions below it are the same in all worlds.
    They are multiples of `step`, or without one, halves. Never empty: the first is below, the last above all."""
    ranks = [ranked(world, field) for world in worlds]
    wide = step or 1
    found: list[list[float]] = [[rank[0][0] // wide * wide - wide for rank in ranks]]
    below: list[set[str]] = [set() for _ in worlds]
    for at in range(1, len(ranks[0])):
        for rank, labels in zip(ranks, below, strict=True):
            labels.add(rank[at - 1][1])
        between: list[float] = [
            (rank[at - 1][0] + rank[at][0]) // 2 // step * step if step else rank[at - 1][0] + 0.5 for rank in ranks
        ]
        fits = all(rank[at - 1][0] < cut < rank[at][0] for rank, cut in zip(ranks, between, strict=True))
        if fits and all(labels == below[0] for labels in below):
            found.append(between)
    found.append([rank[-1][0] // wide * wide + 2 * wide for rank in ranks])
    return found


def written(field: str, value: int, form: str) -> str:
    if field in TIMES and form != "nanos":
        zone = timezone(timedelta(hours=5, minutes=30)) if form == "offset" else timezone.utc
        whole = datetime.fromtimestamp(value // SECOND, zone).strftime("%Y-%m-%dT%H:%M:%S")
        fraction = f"{value % SECOND:09}".rstrip("0")
        return f"'{whole}{'.' if fraction else ''}{fraction}{'+05:30' if form == 'offset' else 'Z'}'"
    if form == "go":
        return f"'{value // SECOND}s{value % SECOND}ns'"
    if form == "clock" and value >= 0:
        hours, rest = divmod(value // SECOND, 3600)
        return f"'{hours:02}:{rest // 60:02}:{rest % 60:02}'"
    return str(value)


class Resolver:
    """Puts values in the place of references."""

    def __init__(self, worlds: list[World]) -> None:
        self.worlds = worlds
        self.cuts: dict[tuple[str, int], list[list[float]]] = {}

    def resolve(self, text: str, at: int) -> str:
        """The text for the world `at`."""
        return REFERENCE.sub(lambda match: self.reference(match[1].split("|"), at), text)

    def reference(self, parts: list[str], at: int) -> str:
        field, label, *how = parts
        if label == "cut":
            nth, form = how
            # Instants are kept in microseconds, a clock shows seconds.
            step = SECOND if form == "clock" else 1000 if field in [*TIMES, "ExecutionDuration"] else 0
            if (field, step) not in self.cuts:
                self.cuts[field, step] = cuts(self.worlds, field, step)
            known = self.cuts[field, step]
            return written(field, known[int(nth) * len(known) // CUTS][at], form)
        value = self.worlds[at].value(field, label)
        if field == "RunId":
            return f"'{value[: int(how[0])] if how else value}'"
        return written(field, value, how[0])
