#!/usr/bin/env python3
"""Asks Temporal's development server and ours for lists of the same executions by generated filters.

Exit code 0: no difference but those listed in accepted.toml. 1: differences. 2: wrong use.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import random
import re
import shlex
import shutil
import sys
import tempfile
import time
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, AsyncIterator

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "sdk" / "python"))
sys.path.insert(0, str(HERE))

from executions import plan  # noqa: E402
from filters import Filter, Writer  # noqa: E402
from lists import ACTIVITIES, WORKFLOWS, Lists, Refused, Row  # noqa: E402
from play import EVERYTHING, Made, Player  # noqa: E402
from suite import server  # noqa: E402
from values import Resolver, World  # noqa: E402
from wrong import Wrong  # noqa: E402

SEED = 1
FILTERS = 600
# The share of filters that are wrong, and of those about activities.
WRONG = 0.2
ABOUT_ACTIVITIES = 0.15
# Every so many, a list is also read in pages of this size.
PAGED = 12
PAGE_SIZE = 7
# Filters under way at the same time.
SIDE_BY_SIDE = 8
# Temporal grants ten lists a second; here they come as fast as they can. Workflows may be paused.
SETTINGS = {"frontend.namespaceRPS.visibility": "1000000", "frontend.WorkflowPauseEnabled": "true"}


@dataclass
class Side:
    """A server with the executions made on it."""

    player: Player
    lists: Lists
    world: World

    def label(self, run_id: str) -> str:
        made = self.player.made.get(run_id)
        return made.label if made else f"unknown run {run_id}"


@dataclass
class Answer:
    """What a server makes of a filter: names of the rows, count with groups, names by pages."""

    rows: list[str] | Refused
    count: tuple[int, dict[str, int]] | Refused
    pages: list[list[str]] | Refused | None


@dataclass
class Difference:
    """A filter that the servers answer differently, and how."""

    filter: Filter
    found: list[str]
    # Both refuse it, with the same status.
    is_text: bool


@contextlib.asynccontextmanager
async def side(binary: str, seed: int) -> AsyncIterator[Side]:
    found = shutil.which(binary)
    if found is None:
        raise FileNotFoundError(f"server binary not found: {binary}")
    with tempfile.TemporaryDirectory() as folder:
        # The one that starts servers knows no dynamic configuration.
        script = Path(folder) / "server"
        words = [word for key, value in SETTINGS.items() for word in ("--dynamic-config-value", f"{key}={value}")]
        script.write_text(f'#!/bin/sh\nexec {shlex.quote(found)} "$@" {shlex.join(words)}\n')
        script.chmod(0o755)
        async with server.server(str(script)) as client:
            player = Player(client)
            await player.play(plan(seed))
            rows = await player.lists.rows(WORKFLOWS, EVERYTHING)
            world = World({player.made[row.run_id].label: row for row in rows})
            yield Side(player, player.lists, world)


async def answer(side: Side, kind: str, query: str, paged: bool) -> Answer:
    rows = await side.lists.runs(kind, query)
    count = await side.lists.count(kind, query)
    pages = await side.lists.pages(kind, query, PAGE_SIZE) if paged else None
    names = rows if isinstance(rows, Refused) else [side.label(run) for run in rows]
    if isinstance(pages, list):
        pages = [[side.label(run) for run in page] for page in pages]
    return Answer(names, count, pages)


def differences(expected: Answer, actual: Answer) -> list[str]:
    found = []
    if expected.rows != actual.rows:
        found += of_rows(expected.rows, actual.rows)
    if expected.count != actual.count:
        found.append(f"count: {told(expected.count)} expected, {told(actual.count)} found")
    for who, one in (("expected", expected), ("found", actual)):
        joined = [row for page in one.pages for row in page] if isinstance(one.pages, list) else one.pages
        if joined is not None and joined != one.rows:
            found.append(f"pages: {who}: they are not the whole list")
    if isinstance(expected.pages, list) and isinstance(actual.pages, list):
        sizes = [[len(page) for page in one.pages] for one in (expected, actual)]
        if sizes[0] != sizes[1]:
            found.append(f"pages: sizes {sizes[0]} expected, {sizes[1]} found")
    return found


def differ_in_text(expected: Answer, actual: Answer) -> bool:
    """Whether both refuse everything, with the same status: no more than the texts can differ."""
    pairs = [(expected.rows, actual.rows), (expected.count, actual.count), (expected.pages, actual.pages)]
    return all(
        isinstance(left, Refused) and isinstance(right, Refused) and left.code == right.code
        for left, right in pairs
        if left is not None or right is not None
    )


def of_rows(expected: list[str] | Refused, actual: list[str] | Refused) -> list[str]:
    if isinstance(expected, Refused) or isinstance(actual, Refused):
        return [f"list: {told(expected)}", f"   but {told(actual)}"]
    missing = [row for row in expected if row not in actual]
    more = [row for row in actual if row not in expected]
    if not missing and not more:
        at = next(at for at, row in enumerate(expected) if row != actual[at])
        return [f"list: order: row {at} is {expected[at]!r} expected, {actual[at]!r} found"]
    found = [f"list: {len(expected)} rows expected, {len(actual)} found"]
    found += [f"   missing: {', '.join(missing[:5])}{' ...' if missing[5:] else ''}"] if missing else []
    return found + ([f"   too many: {', '.join(more[:5])}{' ...' if more[5:] else ''}"] if more else [])


def told(one: Any) -> str:
    return f"{len(one)} rows" if isinstance(one, list) else str(one)


def generate(seed: int, count: int, made: list[Made]) -> list[Filter]:
    rng = random.Random(f"filters {seed}")
    wrong = Wrong(rng)
    filters = [Filter(""), Filter("", ACTIVITIES), Filter(EVERYTHING)]
    while len(filters) < count:
        kind = ACTIVITIES if rng.random() < ABOUT_ACTIVITIES else WORKFLOWS
        is_wrong = rng.random() < WRONG
        writer = Writer(rng, made, kind, references=not is_wrong)
        filters.append(wrong.filter(writer) if is_wrong else writer.filter())
    return filters


class Comparison:
    """Both sides and what was found on them."""

    def __init__(self, sides: list[Side]) -> None:
        self.sides = sides
        self.resolver = Resolver([side.world for side in sides])
        self.turn = asyncio.Semaphore(SIDE_BY_SIDE)
        self.refused = 0
        self.empty = 0

    async def ask(self, one: Filter, paged: bool = False) -> tuple[list[str], list[Answer]]:
        queries = [self.resolver.resolve(one.text, at) for at in range(len(self.sides))]
        answers = await asyncio.gather(
            *(answer(side, one.kind, query, paged) for side, query in zip(self.sides, queries, strict=True))
        )
        return differences(*answers), answers

    async def smallest(self, one: Filter) -> Filter:
        """A part of the filter that differs as well, and no part of which does."""
        for part in one.parts:
            found, _ = await self.ask(part)
            if found:
                return await self.smallest(part)
        return one

    async def run(self, number: int, one: Filter) -> Difference | None:
        async with self.turn:
            found, answers = await self.ask(one, paged=number % PAGED == 0)
            self.refused += isinstance(answers[0].rows, Refused)
            self.empty += answers[0].rows == []
            return Difference(one, found, differ_in_text(*answers)) if found else None


def shown(row: Row) -> dict[str, Any]:
    """What rows have to agree on."""
    attributes = {f"attribute {name}": value for name, value in row.attributes.items()}
    # docs/compatibility.md: lists do not know them.
    attributes.pop("attribute BuildIds", None)
    return row.shown | attributes


def rows_differ(sides: list[Side]) -> list[str]:
    """Differences in what lists show of executions, a line for each field."""
    expected, actual = (side.world.rows for side in sides)
    found: dict[str, list[str]] = {}
    for label in [label for label in expected if label in actual]:
        left, right = shown(expected[label]), shown(actual[label])
        for name in sorted(left.keys() | right.keys()):
            if left.get(name) != right.get(name):
                line = f"{label} ({left['status']}): {left.get(name)!r} expected, {right.get(name)!r} found"
                found.setdefault(name, []).append(line)
    return [f"{name}, in {len(lines)} of {len(expected)} rows: {lines[0]}" for name, lines in found.items()]


def load_accepted() -> list[dict[str, Any]]:
    """Entries with `filter` (a regular expression, found somewhere in it) and a `reason`."""
    entries = tomllib.loads((HERE / "accepted.toml").read_text()).get("accepted", [])
    for entry in entries:
        missing = {"filter", "reason"} - set(entry)
        if missing:
            sys.exit(f"accepted.toml: an entry lacks {', '.join(sorted(missing))}: {entry}")
    return entries


def accepted(entries: list[dict[str, Any]], difference: Difference) -> bool:
    """Whether an entry allows it. None allows a difference in rows or statuses."""
    if not difference.is_text:
        return False
    matching = [entry for entry in entries if re.search(entry["filter"], difference.filter.text)]
    for entry in matching:
        entry["used"] = True
    return bool(matching)


async def report(comparison: Comparison, one: Filter, found: list[str]) -> None:
    """Prints a difference, of the smallest part of the filter that shows it; the text is that for our server."""
    least = await comparison.smallest(one)
    if least is not one:
        found, _ = await comparison.ask(least)
    print(f"--- {one.kind}: {comparison.resolver.resolve(least.text, 1)!r}")
    if least is not one:
        print(f"    a part of {one.text!r}")
    print("\n".join(f"    {line}" for line in found))


async def compare(options: argparse.Namespace, sides: list[Side]) -> int:
    """Asks, prints and counts the differences."""
    entries = load_accepted()
    comparison = Comparison(sides)
    if options.filter is None:
        filters = generate(options.seed, options.filters, list(sides[0].player.made.values()))
        differing_rows = rows_differ(sides)
    else:
        filters = [Filter(options.filter, kind) for kind in (WORKFLOWS, ACTIVITIES)]
        differing_rows = []
    results = await asyncio.gather(*(comparison.run(number, one) for number, one in enumerate(filters)))
    for line in differing_rows:
        print(f"--- rows: {line}")
    different, allowed = len(differing_rows), 0
    for result in results:
        if result is None:
            continue
        if accepted(entries, result):
            allowed += 1
            continue
        different += 1
        await report(comparison, result.filter, result.found)
    unused = [entry for entry in entries if options.filter is None and "used" not in entry]
    for entry in unused:
        print(f"accepted.toml: not needed any more: {entry['filter']}")
    print(
        f"seed {options.seed}: {len(sides[0].world.rows)} executions, {len(filters)} filters "
        f"({comparison.refused} refused, {comparison.empty} of no rows): {different} differences, {allowed} accepted"
    )
    return 1 if different or unused else 0


async def run(options: argparse.Namespace) -> int:
    began = time.monotonic()
    async with contextlib.AsyncExitStack() as stack:
        binaries = [options.oracle, server.default_binary()]
        starts = [stack.enter_async_context(side(binary, options.seed)) for binary in binaries]
        sides = await asyncio.gather(*starts)
        made = time.monotonic()
        code = await compare(options, list(sides))
        print(f"{made - began:.0f} s for executions, {time.monotonic() - made:.0f} s for filters")
    return code


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=SEED, help="of executions and filters (default: %(default)s)")
    parser.add_argument("--filters", type=int, default=FILTERS, help="how many (default: %(default)s)")
    parser.add_argument("--filter", help="ask for this one alone, of workflows and of activities")
    parser.add_argument("--oracle", default="temporal", help="the server that is right (default: %(default)s)")
    return asyncio.run(run(parser.parse_args()))


if __name__ == "__main__":
    sys.exit(main())
