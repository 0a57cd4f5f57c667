"""The differences that are meant: what docs/compatibility.md calls not served, and the entries of accepted.toml."""

from __future__ import annotations

import fnmatch
import re
import sys
import tomllib
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
COMPATIBILITY = HERE.parents[1] / "docs" / "compatibility.md"
NOT_SERVED_ROW = re.compile(r"^\| (\w+) \| not served \|", re.MULTILINE)
# How our server refuses such a call.
REFUSAL = re.compile(r"\b(\w+) is not served by this server")


class Accepted:
    """What may differ. Remembers which entries were needed."""

    def __init__(self, not_served: set[str], entries: list[dict[str, Any]]) -> None:
        self.not_served = not_served
        self.entries = entries

    @classmethod
    def nothing(cls) -> Accepted:
        return cls(set(), [])

    @classmethod
    def documented(cls) -> Accepted:
        entries = tomllib.loads((HERE / "accepted.toml").read_text()).get("accepted", [])
        for entry in entries:
            missing = {"script", "command", "reason"} - set(entry)
            if missing:
                sys.exit(f"accepted.toml: an entry lacks {', '.join(sorted(missing))}: {entry}")
        return cls(set(NOT_SERVED_ROW.findall(COMPATIBILITY.read_text())), entries)

    def refused(self, output: str) -> bool:
        """Whether the output is the refusal of a call that is documented as not served."""
        return any(name in self.not_served for name in REFUSAL.findall(output))

    def listed(self, script: str, line: str, differing: list[str]) -> bool:
        """Whether an entry names the step and, if it has `lines`, all that differs. An entry that does counts as needed."""
        fitting = [
            entry
            for entry in self.entries
            if fnmatch.fnmatchcase(script, entry["script"])
            and fnmatch.fnmatchcase(line, entry["command"])
            and all(any(fnmatch.fnmatchcase(text, glob) for glob in entry.get("lines", ["*"])) for text in differing)
        ]
        for entry in fitting:
            entry["used"] = True
        return bool(fitting)

    def unused(self) -> list[str]:
        return [f"{entry['script']}: {entry['command']}" for entry in self.entries if "used" not in entry]
