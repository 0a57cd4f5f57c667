#!/usr/bin/env python3
"""Runs the scenarios on two servers and compares the histories event by event.

Exit code 0: no difference but those listed in accepted.toml. 1: differences. 2: wrong use.
"""

from __future__ import annotations

import argparse
import asyncio
import difflib
import fnmatch
import json
import logging
import os
import sys
import tomllib
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "python"))
sys.path.insert(0, str(HERE))

from normalise import Normaliser  # noqa: E402
from suite import registry, server  # noqa: E402
from suite.env import Env  # noqa: E402

# A chain of runs (cron, retry, continue-as-new) longer than this is a runaway.
LONGEST_CHAIN = 20
# How often a disturbed scenario is recorded on the oracle.
RECORDINGS = 3


async def chain(env: Env, workflow_id: str, run_id: str) -> list[tuple[str, list[Any]]]:
    """The run's history and those of the runs that followed it."""
    found = []
    while run_id and len(found) < LONGEST_CHAIN:
        handle = env.client.get_workflow_handle(workflow_id, run_id=run_id)
        events = [event async for event in handle.fetch_history_events()]
        found.append((run_id, events))
        last = events[-1]
        attributes = getattr(last, last.WhichOneof("attributes"))
        run_id = getattr(attributes, "new_execution_run_id", "")
    return found


async def observe(outcome: registry.Outcome) -> dict[str, Any]:
    """What a scenario left behind, normalised: `error`, `notes`, and a history per run."""
    env = outcome.env
    if outcome.error is not None:
        return {"error": f"{type(outcome.error).__name__}: {outcome.error}"}
    normaliser = Normaliser(env.prefix)
    seen: dict[str, Any] = {}
    known: set[str] = set()
    for workflow_id, run_id in env.runs:
        if run_id in known:
            continue
        for run, events in await chain(env, workflow_id, run_id):
            known.add(run)
            title = f"{normaliser.text(workflow_id)} {normaliser.name(run)}"
            seen[f"history of {title}"] = normaliser.history(events)
    for key, value in env.notes.items():
        seen[f"note: {key}"] = normaliser.value(value)
    return seen


async def run_on(binary: str, names: list[str]) -> dict[str, dict[str, Any]]:
    async with server.server(binary) as client:
        outcomes = await registry.run_all(names, client)
        return {name: await observe(outcome) for name, outcome in outcomes.items()}


def disturbed(name: str, seen: dict[str, Any]) -> bool:
    """Whether a workflow task timed out that nobody meant to."""
    return name not in registry.TASK_TIMEOUTS and any(
        event["type"] == "WORKFLOW_TASK_TIMED_OUT"
        for part, events in seen.items()
        if part.startswith("history")
        for event in events
    )


async def record_oracle(binary: str, names: list[str]) -> dict[str, dict[str, Any]]:
    """The oracle's observations, undisturbed.

    On a machine with far more to do than it can, Temporal's development server starts a workflow
    task and loses it. Such a recording is no standard, so it is made again. This never excuses the
    server under test.
    """
    seen: dict[str, dict[str, Any]] = {}
    missing = names
    for _ in range(RECORDINGS):
        seen |= await run_on(binary, missing)
        missing = [name for name in missing if disturbed(name, seen[name])]
        if not missing:
            break
    for name in missing:
        seen[name] = {"error": "it lost a workflow task in every recording"}
    return seen


def lines(value: Any) -> list[str]:
    """A history as one block per event, anything else as JSON."""
    return json.dumps(value, indent=2, sort_keys=False).splitlines()


def differences(left: dict[str, Any], right: dict[str, Any]) -> dict[str, list[str]]:
    """Per part (a history or a note) the unified diff, where there is one."""
    found = {}
    for part in dict.fromkeys([*left, *right]):
        if left.get(part) == right.get(part):
            continue
        found[part] = list(
            difflib.unified_diff(
                lines(left.get(part)),
                lines(right.get(part)),
                "expected",
                "actual",
                lineterm="",
                n=6,
            )
        )
    return found


def load_accepted() -> list[dict[str, str]]:
    """Entries with `scenario` and `part` (globs), `reason` and optionally `lines` (globs)."""
    entries = tomllib.loads((HERE / "accepted.toml").read_text()).get("accepted", [])
    for entry in entries:
        missing = {"scenario", "part", "reason"} - set(entry)
        if missing:
            sys.exit(f"accepted.toml: an entry lacks {', '.join(sorted(missing))}: {entry}")
    return entries


def accepted(entries: list[dict[str, str]], scenario: str, part: str, diff: list[str]) -> bool:
    changed = [
        line[1:].strip() for line in diff if line[:1] in "+-" and line[:3] not in ("+++", "---")
    ]
    for entry in entries:
        if fnmatch.fnmatch(scenario, entry["scenario"]) and fnmatch.fnmatch(part, entry["part"]):
            allowed = entry.get("lines")
            if allowed is None or all(
                any(fnmatch.fnmatch(line, glob) for glob in allowed) for line in changed
            ):
                entry["used"] = "yes"
                return True
    return False


def report(names: list[str], expected: dict[str, Any], actual: dict[str, Any]) -> int:
    entries = load_accepted()
    wrong = tolerated = 0
    events = sum(
        len(part)
        for name in names
        for key, part in expected[name].items()
        if key.startswith("history")
    )
    for name in names:
        if "error" in expected[name]:
            wrong += 1
            print(f"\n=== {name}: fails on the oracle: {expected[name]['error']}")
            continue
        for part, diff in differences(expected[name], actual[name]).items():
            if accepted(entries, name, part, diff):
                tolerated += 1
                continue
            wrong += 1
            print(f"\n=== {name}: {part}")
            print("\n".join(diff))
    for entry in entries:
        if "used" not in entry and any(fnmatch.fnmatch(name, entry["scenario"]) for name in names):
            print(
                f"accepted.toml: no such difference any more: {entry['scenario']} / {entry['part']}"
            )
    print(f"\n{len(names)} scenarios, {events} events: {wrong} differences, {tolerated} accepted")
    return 1 if wrong else 0


def default_oracle() -> str:
    """The pinned `temporal` of this environment, else the one on the path."""
    beside = Path(sys.executable).parent / "temporal"
    return str(beside) if beside.exists() else "temporal"


async def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("scenarios", nargs="*", help="names or globs; all if none are given")
    parser.add_argument(
        "--oracle", default=default_oracle(), help="the server that is right (default: %(default)s)"
    )
    parser.add_argument(
        "--server",
        default=os.environ.get("PERDURE_BIN"),
        help="the server that is compared (default: $PERDURE_BIN)",
    )
    parser.add_argument("--dump", type=Path, help="also write both observations to this folder")
    given = parser.parse_args()
    if not given.server:
        parser.error("give --server or set PERDURE_BIN")
    known = sorted(registry.load())
    names = [
        name
        for name in known
        if not given.scenarios or any(fnmatch.fnmatch(name, glob) for glob in given.scenarios)
    ]
    if not names:
        parser.error("no such scenario")
    # Scenarios fail workflow tasks on purpose, and the SDK logs each.
    logging.getLogger("temporalio").setLevel(logging.CRITICAL)
    try:
        # The one that may be broken goes first.
        actual = await run_on(given.server, names)
        expected = await record_oracle(given.oracle, names)
    except (RuntimeError, TimeoutError, FileNotFoundError) as error:
        sys.exit(f"compare.py: no server to compare: {error}")
    if given.dump:
        given.dump.mkdir(parents=True, exist_ok=True)
        for title, seen in (("expected", expected), ("actual", actual)):
            (given.dump / f"{title}.json").write_text(json.dumps(seen, indent=2))
    return report(names, expected, actual)


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
