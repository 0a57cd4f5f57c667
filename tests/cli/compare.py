#!/usr/bin/env python3
"""Runs scripts of commands on Temporal's development server and on ours and compares what they print.

Exit code 0: no difference but those listed in accepted.toml. 1: differences. 2: wrong use.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import difflib
import logging
import os
import shlex
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "sdk" / "python"))
sys.path.insert(0, str(HERE))

import subcommands  # noqa: E402
from accepted import Accepted  # noqa: E402
from normalise import Normaliser  # noqa: E402
from suite import server  # noqa: E402
from worker import serve  # noqa: E402

# A command that waits for the server ends by itself before this.
COMMAND_SECONDS = 60
# How long an `until` is repeated. Temporal's lists lag behind by some seconds. Whether a deleted namespace is empty it
# looks 1, 3, 7, 15, 31, 63 and 127 s after the first time, and that comes some seconds after the call.
UNTIL_SECONDS = 150
UNTIL_PAUSE = 0.2
# What the server under test says of a call that it does not serve. What follows in the script is not waited for then.
NOT_SERVED = "is not served by this server"
# Servers with a script under way at the same time; each command is a process.
SIDE_BY_SIDE = 6


@dataclass
class Step:
    """One command of a script."""

    line: str
    # Without what stands for ids: see Normaliser.
    words: list[str]
    until: str | None = None
    code_only: bool = False
    sort: bool = False


@dataclass
class Seen:
    """What a command did on one server."""

    code: int
    output: str
    # An `until` waited for this in vain.
    missed: str | None = field(default=None, compare=False)


def parse(script: Path) -> list[Step]:
    steps = []
    for line in script.read_text().splitlines():
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        until, code_only, sort, command = None, False, False, line
        if command.startswith("until "):
            until, command = command.removeprefix("until ").split(" :: ", 1)
        if command.startswith("code: "):
            code_only, command = True, command.removeprefix("code: ")
        elif command.startswith("sorted: "):
            sort, command = True, command.removeprefix("sorted: ")
        steps.append(Step(line, shlex.split(command), until, code_only, sort))
    return steps


def environment(address: str, home: str) -> dict[str, str]:
    """What a command sees: nothing of a user's own settings, no colours, one time zone."""
    kept = {name: os.environ[name] for name in ("PATH", "USER") if name in os.environ}
    return {**kept, "TEMPORAL_ADDRESS": address, "HOME": home, "NO_COLOR": "1", "TZ": "UTC"}


async def command(words: list[str], address: str, home: str) -> Seen:
    process = await asyncio.create_subprocess_exec(
        "temporal",
        *words,
        env=environment(address, home),
        cwd=HERE / "scripts",
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


async def perform(words: list[str], until: str | None, address: str, home: str, seconds: float) -> Seen:
    """Runs a command; with `until` again and again, for `seconds` at most, until it prints that."""
    clock = asyncio.get_running_loop().time
    given_up = clock() + seconds
    while True:
        seen = await command(words, address, home)
        if until is None or until in " ".join(seen.output.split()):
            return seen
        if clock() > given_up:
            seen.missed = until
            return seen
        await asyncio.sleep(UNTIL_PAUSE)


async def perform_all(steps: list[Step], address: str, home: str) -> list[Seen]:
    """Runs the commands of a script one after the other."""
    normaliser = Normaliser()
    found: list[Seen] = []
    seconds = UNTIL_SECONDS
    for step in steps:
        words = [normaliser.restore(word) for word in step.words]
        until = step.until and normaliser.restore(step.until)
        seen = await perform(words, until, address, home, seconds)
        if NOT_SERVED in seen.output:
            seconds = 0
        output = "" if step.code_only else normaliser.text(seen.output)
        if step.sort:
            output = "\n".join(sorted(line.strip() for line in output.splitlines()))
        found.append(Seen(seen.code, output, seen.missed))
    return found


async def run_script(binary: str, steps: list[Step], home: str) -> list[Seen]:
    async with server.server(binary) as client:
        stop = asyncio.Event()
        worker = asyncio.create_task(serve(client, stop))
        try:
            return await perform_all(steps, client.service_client.config.target_host, home)
        finally:
            # It must not outlive the server: it would wait for one that is gone.
            stop.set()
            await worker


def difference(left: Seen, right: Seen) -> list[str]:
    if left == right:
        return []
    lines = [f"exit code {left.code} expected, {right.code} found"] if left.code != right.code else []
    return lines + list(
        difflib.unified_diff(
            left.output.splitlines(), right.output.splitlines(), "expected", "actual", lineterm="", n=2
        )
    )


def changed(left: Seen, right: Seen) -> list[str]:
    """The lines that only one of the servers printed, each after `-` (expected) or `+` and a space."""
    lines = difflib.ndiff(left.output.splitlines(), right.output.splitlines())
    return [line for line in lines if line.startswith(("-", "+"))]


async def compare(
    oracle: str, binary: str, scripts: dict[str, list[Step]], home: str
) -> dict[str, list[tuple[Step, Seen, Seen]]]:
    turn = asyncio.Semaphore(SIDE_BY_SIDE)

    async def one(server_binary: str, steps: list[Step]) -> list[Seen]:
        async with turn:
            return await run_script(server_binary, steps, home)

    async def both(steps: list[Step]) -> list[tuple[Step, Seen, Seen]]:
        expected, actual = await asyncio.gather(one(oracle, steps), one(binary, steps))
        return list(zip(steps, expected, actual, strict=True))

    # The longest script begins first, so that none is left over at the end.
    in_order = sorted(scripts, key=lambda script: -len(scripts[script]))
    results = await asyncio.gather(*(both(scripts[script]) for script in in_order))
    return dict(sorted(zip(in_order, results, strict=True)))


def report(results: dict[str, list[tuple[Step, Seen, Seen]]], accepted: Accepted, whole: bool) -> int:
    """Prints the differences that are not accepted and, if `whole`, the entries that accept nothing."""
    commands = different = unserved = allowed = 0
    for script, steps in results.items():
        for step, expected, actual in steps:
            commands += 1
            if expected.missed is not None:
                different += 1
                print(f"--- {script}: {step.line}\n    the oracle itself did not print it:\n{expected.output}")
                continue
            diff = difference(expected, actual)
            if not diff:
                continue
            if accepted.refused(actual.output):
                unserved += 1
                continue
            if accepted.listed(script, step.line, changed(expected, actual)):
                allowed += 1
                continue
            different += 1
            print(f"--- {script}: {step.line}")
            print("\n".join(f"    {line}" for line in diff))
    unused = accepted.unused() if whole else []
    for entry in unused:
        print(f"accepted.toml: not needed any more: {entry}")
    print(
        f"{len(results)} scripts, {commands} commands: {different} differences, "
        f"{unserved} not served and {allowed} others accepted"
    )
    return 1 if different or unused else 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("scripts", nargs="*", help="names of scripts; without any, all of them")
    parser.add_argument("--oracle", default="temporal")
    parser.add_argument("--show", action="store_true", help="print what the oracle gave")
    options = parser.parse_args()
    binary = server.default_binary()
    # Activities and workflows fail on purpose.
    logging.getLogger("temporalio").setLevel(logging.CRITICAL)
    scripts = {script.stem: parse(script) for script in (HERE / "scripts").glob("*.txt")}
    unknown = set(options.scripts) - set(scripts)
    if unknown:
        parser.error(f"no such script: {', '.join(sorted(unknown))}")
    uncovered = []
    if options.scripts:
        scripts = {name: scripts[name] for name in options.scripts}
    else:
        tried = [step.words for steps in scripts.values() for step in steps]
        uncovered = subcommands.check(asyncio.run(subcommands.every()), tried)
    with contextlib.ExitStack() as stack:
        home = stack.enter_context(tempfile.TemporaryDirectory())
        results = asyncio.run(compare(options.oracle, binary, scripts, home))
    if options.show:
        for steps in results.values():
            for step, expected, _ in steps:
                print(f"$ {step.line}   [{expected.code}]\n{expected.output}\n")
    for fault in uncovered:
        print(f"subcommands: {fault}")
    # From itself the oracle must not differ at all.
    accepted = Accepted.nothing() if binary == options.oracle else Accepted.documented()
    return max(report(results, accepted, whole=not options.scripts), 1 if uncovered else 0)


if __name__ == "__main__":
    sys.exit(main())
