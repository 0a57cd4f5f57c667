#!/usr/bin/env python3
"""Runs scripts of commands on Temporal's development server and on ours and compares what they print.

Exit code 0: no difference but those that are accepted. 1: differences, or subcommands that no script tries. 2: wrong use.
"""

from __future__ import annotations

import argparse
import asyncio
import difflib
import logging
import os
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "sdk" / "python"))
sys.path.insert(0, str(HERE))

import subcommands  # noqa: E402
from accepted import Accepted  # noqa: E402
from normalise import Normaliser  # noqa: E402
from steps import Step, parse  # noqa: E402
from suite import server  # noqa: E402
from worker import serve  # noqa: E402

CLI = "temporal"
# A command that waits for the server ends by itself before this.
COMMAND_SECONDS = 60
# How long an `until` is repeated. Temporal's lists lag behind by some seconds.
UNTIL_SECONDS = 40
UNTIL_PAUSE = 0.2
# Scripts under way at the same time; each command is a process.
SIDE_BY_SIDE = 4
# The command line's own complaints: such a step has tried no server.
MISUSES = ("unknown flag", "unknown shorthand flag", "required flag", "unknown command", 'invalid argument "')


@dataclass
class Seen:
    """What a command did on one server."""

    code: int
    output: str
    # Why the step itself is no good: it was not a command, or what it waits for never came.
    fault: str | None = None


Result = tuple[Step, Seen, Seen]


def environment(address: str, home: str) -> dict[str, str]:
    """Nothing of a user's own settings must count; colours and time zones are chance."""
    kept = {name: os.environ[name] for name in ("PATH", "USER") if name in os.environ}
    return {**kept, "TEMPORAL_ADDRESS": address, "HOME": home, "NO_COLOR": "1", "TZ": "UTC"}


async def command(words: list[str], address: str, home: str) -> Seen:
    process = await asyncio.create_subprocess_exec(
        CLI,
        *words,
        env=environment(address, home),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        output, _ = await asyncio.wait_for(process.communicate(), COMMAND_SECONDS)
    except TimeoutError:
        process.kill()
        await process.wait()
        return Seen(-1, "", f"it did not end within {COMMAND_SECONDS} s")
    text = output.decode(errors="replace")
    misuse = any(words in text for words in MISUSES)
    return Seen(process.returncode or 0, text, f"it is not a command: {text.strip()}" if misuse else None)


class Run:
    """One script on one server."""

    def __init__(self, address: str, home: str, accepted: Accepted) -> None:
        self.address = address
        self.home = home
        self.accepted = accepted
        self.normaliser = Normaliser()
        self.ids: dict[str, str] = {}

    async def perform(self, step: Step) -> Seen:
        """The step's last output, as it is compared."""
        seen = await self.repeated(step)
        fresh = self.normaliser.fresh(seen.output)
        if step.keep and fresh:
            self.ids[step.keep] = fresh[0]
        output = "" if step.code_only else self.normaliser.text(seen.output)
        if step.sort:
            output = "\n".join(sorted(output.splitlines()))
        return Seen(seen.code, output, seen.fault)

    async def repeated(self, step: Step) -> Seen:
        clock = asyncio.get_running_loop().time
        given_up = clock() + UNTIL_SECONDS
        while True:
            seen = await command(step.arguments(self.ids), self.address, self.home)
            if step.until is None or seen.fault or step.until in " ".join(seen.output.split()):
                return seen
            # What is not served does not come by waiting.
            if self.accepted.refused(seen.output):
                return seen
            if clock() > given_up:
                seen.fault = f"within {UNTIL_SECONDS} s its output never held {step.until!r}"
                return seen
            await asyncio.sleep(UNTIL_PAUSE)


async def run_script(binary: str, steps: list[Step], home: str, accepted: Accepted) -> list[Seen]:
    async with server.server(binary) as client:
        stop = asyncio.Event()
        worker = asyncio.create_task(serve(client, stop))
        run = Run(client.service_client.config.target_host, home, accepted)
        found = [await run.perform(step) for step in steps]
        stop.set()
        await worker
        return found


def difference(left: Seen, right: Seen) -> list[str]:
    if left == right:
        return []
    lines = [f"exit code {left.code} expected, {right.code} found"] if left.code != right.code else []
    lines += [f"unlike the oracle's: {right.fault}"] if right.fault else []
    return lines + list(
        difflib.unified_diff(
            left.output.splitlines(), right.output.splitlines(), "expected", "actual", lineterm="", n=2
        )
    )


async def compare(oracle: str, binary: str, scripts: dict[str, list[Step]], accepted: Accepted) -> dict[str, list[Result]]:
    turn = asyncio.Semaphore(SIDE_BY_SIDE)

    async def one(steps: list[Step]) -> list[Result]:
        async with turn:
            with tempfile.TemporaryDirectory() as home:
                expected = await run_script(oracle, steps, home, accepted)
                actual = await run_script(binary, steps, home, accepted)
        return list(zip(steps, expected, actual, strict=True))

    # The longest first: it is the one that the others would wait for.
    names = sorted(scripts, key=lambda name: -len(scripts[name]))
    results = await asyncio.gather(*(one(scripts[name]) for name in names))
    return dict(sorted(zip(names, results, strict=True)))


def report(results: dict[str, list[Result]], accepted: Accepted, faults: Iterable[str], whole: bool) -> int:
    commands = different = unserved = listed = 0
    faults = list(faults)
    for script, steps in results.items():
        for step, expected, actual in steps:
            commands += 1
            if expected.fault:
                faults.append(f"{script}: {step.line}: {expected.fault}")
                continue
            diff = difference(expected, actual)
            if not diff:
                continue
            if accepted.refused(actual.output):
                unserved += 1
            elif accepted.listed(script, step.line):
                listed += 1
            else:
                different += 1
                print(f"--- {script}: {step.line}")
                print("\n".join(f"    {line}" for line in diff))
    faults += [f"accepted.toml: not needed any more: {entry}" for entry in accepted.unused()] if whole else []
    for fault in faults:
        print(f"fault: {fault}")
    print(
        f"{len(results)} scripts, {commands} commands: {different} differences, "
        f"{unserved} not served and {listed} others accepted"
    )
    return 1 if different or faults else 0


async def run(options: argparse.Namespace, scripts: dict[str, list[Step]]) -> int:
    whole = not options.scripts
    accepted = Accepted()
    faults: list[str] = []
    if whole:
        tried = {step.subcommand for steps in scripts.values() for step in steps}
        faults = subcommands.faults(await subcommands.all_of(CLI), tried)
    results = await compare(options.oracle, options.binary, scripts, accepted)
    if options.show:
        for steps in results.values():
            for step, expected, _ in steps:
                print(f"$ {step.line}   [{expected.code}]\n{expected.output}\n")
    # An oracle that is compared with itself needs no exceptions.
    return report(results, accepted, faults, whole and options.binary != options.oracle)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("scripts", nargs="*", help="names of scripts; without any, all of them")
    parser.add_argument("--oracle", default=CLI)
    parser.add_argument("--binary", default=server.default_binary(), help="the server under test")
    parser.add_argument("--show", action="store_true", help="print what the oracle gave")
    options = parser.parse_args()
    scripts = {path.stem: parse(path) for path in sorted((HERE / "scripts").glob("*.txt"))}
    unknown = set(options.scripts) - set(scripts)
    if unknown:
        parser.error(f"no such script: {', '.join(sorted(unknown))}")
    if options.scripts:
        scripts = {name: steps for name, steps in scripts.items() if name in options.scripts}
    # Activities that fail are meant to; the SDK logs each with a traceback.
    logging.getLogger("temporalio").setLevel(logging.CRITICAL)
    return asyncio.run(run(options, scripts))


if __name__ == "__main__":
    sys.exit(main())
