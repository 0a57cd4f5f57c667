"""Filters that are wrong, or nearly so: refused by everyone in the same words."""

from __future__ import annotations

import random
import re
from pathlib import Path

from executions import VALUES
from filters import Filter, Writer

# Of the wrong ones, how many are a right one with something done to it.
SPOILED = 0.35
# How many have an unknown name and no other fault.
UNKNOWN_NAMES = 0.06
TOKENS = re.compile(r"'(?:[^'\\]|\\.|'')*'|\"(?:[^\"\\]|\\.|\"\")*\"|`[^`]*`|\w+|[<>!=]+|&&|\|\||\s+|.", re.DOTALL)
JUNK = [
    "AND", "OR", "NOT", "(", ")", ",", "=", "'x'", "5", "NULL", "IS", "IN", "BETWEEN", "LIKE", "ORDER", "BY", "GROUP",
    "WHERE", ";", "WorkflowId", "nonsense", "true", "-", "+", "*", ".", "STARTS_WITH", "1.2.3", "0x1F", "@", "#", "$",
    "--", "/*", "'", "`", "LIMIT 5", "FROM", "select", "é",
]  # fmt: skip
UNKNOWN = [
    "Nonsense",
    "workflowid",
    "SuiteKeyword2",
    "TemporalNonsense",
    "NamespaceId",
    "Memo",
    "Keyword11",
    "Ünknown",
    "TemporalSuiteInt",
]
TEMPLATES = Path(__file__).with_name("wrong.txt")


def templates() -> list[str]:
    lines = TEMPLATES.read_text().splitlines()
    return [line for line in lines if line and not line.startswith(("# ", "## "))]


def spoil(rng: random.Random, text: str) -> str:
    tokens = TOKENS.findall(text)
    at = rng.randrange(len(tokens))
    choice = rng.random()
    if choice < 0.35:
        return text[: rng.randint(1, max(1, len(text) - 1))]
    if choice < 0.5:
        del tokens[at]
    elif choice < 0.65:
        tokens.insert(at, f" {rng.choice(JUNK)} ")
    elif choice < 0.8:
        tokens[at] = f" {rng.choice(JUNK)} "
    elif choice < 0.9:
        other = rng.randrange(len(tokens))
        tokens[at], tokens[other] = tokens[other], tokens[at]
    else:
        tokens.insert(at, tokens[at])
    return "".join(tokens)


def filled(writer: Writer, template: str) -> str:
    """The template with names and conditions in it."""

    def value(match: re.Match[str]) -> str:
        if match[1] == "right":
            return writer.condition()
        if match[1] == "any":
            return writer.rng.choice([name for name in VALUES if name.startswith("Suite")])
        return f"Suite{match[1]}"

    return re.sub(r"\{(right|any|[A-Z]\w+)\}", value, template)


class Wrong:
    """Makes filters to be refused: each template once, before any comes again."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.deck: list[str] = []

    def template(self) -> str:
        if not self.deck:
            self.deck = templates()
            self.rng.shuffle(self.deck)
        return self.deck.pop()

    def filter(self, writer: Writer) -> Filter:
        """The writer makes no references: texts of errors tell positions."""
        rng, choice = self.rng, self.rng.random()
        if choice < SPOILED:
            text = spoil(rng, writer.tree(rng.randint(0, 2)).text)
        elif choice < SPOILED + UNKNOWN_NAMES:
            text = f"{rng.choice(UNKNOWN)} {rng.choice(['= 5', '!= true', 'IS NULL', 'IN (1)', 'BETWEEN 1 AND 2'])}"
        else:
            text = filled(writer, self.template())
        return Filter(text, writer.kind)
