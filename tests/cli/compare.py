#!/usr/bin/env python3
"""Runs scripts of commands on Temporal's development server and on ours and compares what they print.

Exit code 0: no difference but those listed in accepted.toml. 1: differences. 2: wrong use.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import difflib
import fnmatch
import os
import shlex
import sys
import tempfile
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "sdk" / "python"))
sys.path.insert(0, str(HERE))

from normalise import Normaliser  # noqa: E402
from suite import server  # noqa: E402
from worker import serve  # noqa: E402

# A command that waits for the server ends by itself before this.
COMMAND_SECONDS = 60
# How long an `until` is repeated. Temporal's lists lag behind by some seconds.
UNTIL_SECONDS = 40
UNTIL_PAUSE = 0.2
# Scripts under way at the same time; each command is a process.
SIDE_BY_SIDE = 4


@dataclass
class Step:
    """One command of a script."""

    line: str
    words: list[str]
    until: str | None = None
    code_only: bool = False
    sort: bool = False


@dataclass
class Seen:
    """What a command did on one server."""

    code: int
    output: str


def parse(script: Path) -> list[Step]:
    steps = []
    for line in script.read_text().splitlines():
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        until, code_only, sort, command = None, False, False, line
        if line.startswith("until "):
            until, command = line.removeprefix("until ").split(" :: ", 1)
        elif line.startswith("code: "):
            code_only, command = True, line.removeprefix("code: ")
        elif line.startswith("sorted: "):
            sort, command = True, line.removeprefix("sorted: ")
        steps.append(Step(line, shlex.split(command), until, code_only, sort))
    return steps


async def command(words: list[str], address: str, home: str) -> Seen:
    process = await asyncio.create_subprocess_exec(
        "temporal",
        *words,
        # The files of a user's own settings must not count, and colours are chance.
        env={**os.environ, "TEMPORAL_ADDRESS": address, "HOME": home, "NO_COLOR": "1", "TZ": "UTC"},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        output, _ = await asyncio.wait_for(process.communicate(), COMMAND_SECONDS)
    except TimeoutError:
        process.kill()
        await process.wait()
        return Seen(-1, f"it did not end within {COMMAND_SECONDS} s")
    return Seen(process.returncode or 0, output.decode(errors="replace"))


async def perform(step: Step, address: str, home: str) -> Seen:
    clock = asyncio.get_running_loop().time
    given_up = clock() + UNTIL_SECONDS
    while True:
        seen = await command(step.words, address, home)
        if step.until is None or step.until in " ".join(seen.output.split()) or clock() > given_up:
            return seen
        await asyncio.sleep(UNTIL_PAUSE)


async def run_script(binary: str, steps: list[Step], home: str) -> list[Seen]:
    async with server.server(binary) as client:
        stop = asyncio.Event()
        worker = asyncio.create_task(serve(client, stop))
        normaliser = Normaliser()
        found = []
        for step in steps:
            seen = await perform(step, client.service_client.config.target_host, home)
            output = "" if step.code_only else normaliser.text(seen.output)
            if step.sort:
                output = "\n".join(sorted(output.splitlines()))
            found.append(Seen(seen.code, output))
        stop.set()
        await worker
        return found


def difference(left: Seen, right: Seen) -> list[str]:
    if left == right:
        return []
    lines = [f"exit code {left.code} expected, {right.code} found"] if left.code != right.code else []
    return lines + list(
        difflib.unified_diff(
            left.output.splitlines(), right.output.splitlines(), "expected", "actual", lineterm="", n=2
        )
    )


def load_accepted() -> list[dict[str, Any]]:
    """Entries with `script` and `command` (globs) and a `reason`."""
    entries = tomllib.loads((HERE / "accepted.toml").read_text()).get("accepted", [])
    for entry in entries:
        missing = {"script", "command", "reason"} - set(entry)
        if missing:
            sys.exit(f"accepted.toml: an entry lacks {', '.join(sorted(missing))}: {entry}")
    return entries


def accepted(entries: list[dict[str, Any]], script: str, line: str) -> bool:
    matching = [
        entry
        for entry in entries
        if fnmatch.fnmatchcase(script, entry["script"]) and fnmatch.fnmatchcase(line, entry["command"])
    ]
    for entry in matching:
        entry["used"] = True
    return bool(matching)


async def compare(oracle: str, binary: str, scripts: list[Path], home: str) -> dict[str, list[tuple[Step, Seen, Seen]]]:
    turn = asyncio.Semaphore(SIDE_BY_SIDE)

    async def one(script: Path) -> list[tuple[Step, Seen, Seen]]:
        steps = parse(script)
        async with turn:
            expected = await run_script(oracle, steps, home)
            actual = await run_script(binary, steps, home)
        return list(zip(steps, expected, actual, strict=True))

    results = await asyncio.gather(*(one(script) for script in scripts))
    return {script.stem: result for script, result in zip(scripts, results, strict=True)}


def report(results: dict[str, list[tuple[Step, Seen, Seen]]], whole: bool) -> int:
    entries = load_accepted()
    commands = different = allowed = 0
    for script, steps in results.items():
        for step, expected, actual in steps:
            commands += 1
            diff = difference(expected, actual)
            if not diff:
                continue
            if accepted(entries, script, step.line):
                allowed += 1
                continue
            different += 1
            print(f"--- {script}: {step.line}")
            print("\n".join(f"    {line}" for line in diff))
    unused = [entry for entry in entries if whole and "used" not in entry]
    for entry in unused:
        print(f"accepted.toml: not needed any more: {entry['script']}: {entry['command']}")
    print(f"{len(results)} scripts, {commands} commands: {different} differences, {allowed} accepted")
    return 1 if different or unused else 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("scripts", nargs="*", help="names of scripts; without any, all of them")
    parser.add_argument("--oracle", default="temporal")
    parser.add_argument("--show", action="store_true", help="print what the oracle gave")
    options = parser.parse_args()
    scripts = sorted((HERE / "scripts").glob("*.txt"))
    unknown = set(options.scripts) - {script.stem for script in scripts}
    if unknown:
        parser.error(f"no such script: {', '.join(sorted(unknown))}")
    if options.scripts:
        scripts = [script for script in scripts if script.stem in options.scripts]
    with contextlib.ExitStack() as stack:
        home = stack.enter_context(tempfile.TemporaryDirectory())
        results = asyncio.run(compare(options.oracle, server.default_binary(), scripts, home))
    if options.show:
        for steps in results.values():
            for step, expected, _ in steps:
                print(f"$ {step.line}   [{expected.code}]\n{expected.output}\n")
    return report(results, whole=not options.scripts)


if __name__ == "__main__":
    sys.exit(main())
