"""Checks that the scripts try every subcommand of the command line that talks to a server."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable
from dataclasses import dataclass

# Subcommands, or groups of them, that no script tries, each with its reason.
ALONE = {
    "completion": "prints a script for a shell",
    "config": "reads and writes a file of the user's",
    "env": "reads and writes a file of the user's",
    "help": "prints texts of its own",
    "options": "prints texts of its own",
    "server start-dev": "is the server that commands are compared with",
    "workflow fix-history-json": "rewrites a file",
}
# Processes under way at the same time.
SIDE_BY_SIDE = 4


@dataclass
class Help:
    """What `--help` of a command says of its place in the tree."""

    # The words after `temporal`.
    path: tuple[str, ...]
    # It does something itself; a group may, too.
    runs: bool
    children: list[str]


def parse(path: tuple[str, ...], text: str) -> Help:
    name = " ".join(("temporal", *path))
    listed = re.search(r"^Available Commands:\n(.*?)^\S", text, re.MULTILINE | re.DOTALL)
    children = re.findall(r"^  (\S+)", listed.group(1), re.MULTILINE) if listed else []
    return Help(path, f"  {name} [flags]\n" in text, children)


async def ask(path: tuple[str, ...], turn: asyncio.Semaphore) -> Help:
    async with turn:
        process = await asyncio.create_subprocess_exec(
            "temporal", *path, "--help", stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE
        )
        output, _ = await process.communicate()
    return parse(path, output.decode())


async def walk(path: tuple[str, ...], turn: asyncio.Semaphore) -> list[str]:
    """The names of all commands below `path` that do something."""
    if " ".join(path) in ALONE:
        return [" ".join(path)]
    own = await ask(path, turn)
    below = await asyncio.gather(*(walk((*path, child), turn) for child in own.children))
    # The root only prints its help.
    here = [" ".join(path)] if own.runs and path else []
    return here + [name for names in below for name in names]


async def every() -> list[str]:
    """The names of all subcommands, as `workflow update start`; groups of ALONE by the group's name."""
    return await walk((), asyncio.Semaphore(SIDE_BY_SIDE))


def named(words: list[str], names: Iterable[str]) -> str | None:
    """Which of `names` the command is: the longest that it begins with."""
    fitting = [name for name in names if words[: len(name.split())] == name.split()]
    return max(fitting, key=len, default=None)


def check(names: list[str], commands: list[list[str]]) -> list[str]:
    """What is wrong with the coverage of `names` by `commands` (their words); empty if nothing is."""
    tried = {named(words, names) for words in commands}
    faults = [f"no script tries it: {name}" for name in names if name not in tried and name not in ALONE]
    faults += [f"tried, so it has no place among the exceptions: {name}" for name in ALONE if name in tried]
    faults += [f"an exception that is no subcommand: {name}" for name in ALONE if name not in names]
    return faults
