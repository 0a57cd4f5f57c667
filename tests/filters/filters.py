"""Filters that are right: made of a grammar, over the values of the executions."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from executions import ACTIVITY_TYPES, IDLE_QUEUES, QUEUES, TYPES, VALUES
from lists import ACTIVITIES, WORKFLOWS
from play import ATTRIBUTE_TYPES, Made
from values import CUTS, DURATION_FORMS, TIME_FORMS, TIMES

# How deep conditions are nested.
DEPTH = 3
COMPARISONS = ["=", "!=", "<", "<=", ">", ">=", "<>"]
STATUSES = {
    "Running": 1, "Completed": 2, "Failed": 3, "Canceled": 4, "Terminated": 5, "ContinuedAsNew": 6, "TimedOut": 7,
    "Paused": 8,
}  # fmt: skip
# Words to look for in texts; two of them side by side are looked for one by one.
WORDS = [
    "quick", "QUICK", "fox", "silver", "quick-silver", "lining", "brown", "bread", "größe", "GRÖSSE", "grosse", "grose",
    "don't", "don", "t", "run_fast", "run", "5x", "日本", "語", "naïve", "naive", "cafe", "café", "100%", "sure,",
    "nothing", "fo", "fox*", "sure really", "brown fox", "fox brown", "really", "NOT", "fox OR bread", "(fox)", "a:fox",
    "-fox", "^fox", "+", "qu_ck", "%",
]  # fmt: skip
# System attributes that only the server sets: what it sets here, or nothing.
SYSTEM: dict[str, tuple[str, list]] = {
    "TemporalPauseInfo": ("KeywordList", [["Reason:as planned", "Reason:", "Workflow:none"]]),
    "TemporalReportedProblems": ("KeywordList", [["category=WorkflowTaskFailed"]]),
    "BinaryChecksums": ("KeywordList", [["x"]]),
    "TemporalUsedWorkerDeploymentVersions": ("KeywordList", [["x:1"]]),
    "TemporalWorkerDeployment": ("Keyword", ["x"]),
    "TemporalWorkerDeploymentVersion": ("Keyword", ["x:1"]),
    "TemporalWorkflowVersioningBehavior": ("Keyword", ["Pinned"]),
    "TemporalExternalPayloadCount": ("Int", [1]),
    "TemporalExternalPayloadSizeBytes": ("Int", [1]),
}
# Names that only back quotes make names.
QUOTED = ["my-tag", "select", "Größe"]


@dataclass
class Filter:
    """A filter, what it is made of, and of which lists it is asked."""

    text: str
    kind: str = WORKFLOWS
    parts: list[Filter] = field(default_factory=list)

    def with_kind(self, kind: str) -> Filter:
        return Filter(self.text, kind, [part.with_kind(kind) for part in self.parts])


def is_clean(value: str) -> bool:
    """Whether Temporal finds the value: none with double quotes or backslashes (docs/compatibility.md, "Lists")."""
    return '"' not in value and "\\" not in value


class Writer:
    """Writes conditions. Without references, a text is the same on every server to the letter."""

    def __init__(self, rng: random.Random, made: list[Made], kind: str, references: bool = True) -> None:
        self.rng = rng
        self.kind = kind
        self.references = references
        of_kind = [one for one in made if one.is_activity == (kind == ACTIVITIES)]
        self.labels = [one.label for one in of_kind]
        self.closed = [one.label for one in of_kind if one.status not in ("RUNNING", "PAUSED")]
        self.families = [one.label for one in of_kind if "/" in one.label]
        self.ids = [label.rpartition("#")[0] for label in self.labels]

    # Words.

    def word(self, text: str) -> str:
        """A key word in some case."""
        return self.rng.choice([text, text, text.lower(), text.capitalize()])

    def blank(self) -> str:
        return self.rng.choice([" ", " ", " ", "  ", "\t", "\n"])

    def text(self, value: str) -> str:
        """A literal."""
        value = value.replace("\\", "\\\\")
        if self.rng.random() < 0.15:
            return '"' + value.replace('"', '""') + '"'
        return "'" + value.replace("'", self.rng.choice(["''", "\\'"])) + "'"

    def name(self, name: str) -> str:
        """A name as queries may have it: in back quotes, with the prefix of reserved names in vain, or without it."""
        custom = name in ATTRIBUTE_TYPES and not name.startswith("Temporal")
        if not custom and self.rng.random() < 0.1:
            name = name.removeprefix("Temporal") if name.startswith("Temporal") else f"Temporal{name}"
        return f"`{name}`" if name in QUOTED or self.rng.random() < 0.1 else name

    def some(self, values: list, least: int = 1, most: int = 3) -> list:
        return [self.rng.choice(values) for _ in range(self.rng.randint(least, most))]

    # Conditions.

    def compare(self, name: str, values: list[str], signs: list[str] = COMPARISONS) -> str:
        sign = self.rng.choice(signs)
        space = self.rng.choice([" ", " ", "", "  "])
        return f"{self.name(name)}{space}{sign}{space}{self.rng.choice(values)}"

    def one_of(self, name: str, values: list[str]) -> str:
        operator = self.rng.choice(["IN", "NOT IN"])
        comma = self.rng.choice([", ", ",", " , "])
        return f"{self.name(name)} {self.word(operator)} ({comma.join(self.some(values))})"

    def between(self, name: str, values: list[str]) -> str:
        operator = self.rng.choice(["BETWEEN", "NOT BETWEEN"])
        low, high = self.some(values, 2, 2)
        return f"{self.name(name)} {self.word(operator)} {low} {self.word('AND')} {high}"

    def starts(self, name: str, values: list[str]) -> str:
        operator = self.rng.choice(["STARTS_WITH", "NOT STARTS_WITH"])
        value = self.rng.choice(values)
        # Under Temporal a quote at the end is not part of the prefix.
        prefix = value[: self.rng.randint(0, len(value))].rstrip("'")
        return f"{self.name(name)} {self.word(operator)} {self.text(prefix)}"

    def is_null(self, name: str) -> str:
        return f"{self.name(name)} {self.word(self.rng.choice(['IS NULL', 'IS NOT NULL']))}"

    def scalar(self, name: str, values: list[str]) -> str:
        """A condition on a number or an instant."""
        how = self.rng.choice([self.compare, self.compare, self.one_of, self.between])
        return how(name, values) if self.rng.random() < 0.9 else self.is_null(name)

    def equal(self, name: str, values: list[str]) -> str:
        return self.one_of(name, values) if self.rng.random() < 0.5 else self.compare(name, values, ["=", "!="])

    def keyword(self, name: str, values: list[str]) -> str:
        values = [*filter(is_clean, values), "nothing"]
        choice = self.rng.random()
        if choice < 0.2:
            return self.starts(name, values)
        if choice < 0.3:
            return self.is_null(name)
        how = self.rng.choice([self.compare, self.compare, self.one_of, self.between])
        return how(name, [self.text(value) for value in values])

    def of_type(self, name: str, kind: str, values: list) -> str:
        match kind:
            case "Keyword":
                return self.keyword(name, values)
            case "Int" | "Double":
                numbers = [
                    *map(str, values),
                    str(self.rng.randint(-10, 50)),
                    self.rng.choice(["7.0", "0.5", "1e3", "-0"]),
                ]
                return self.scalar(name, numbers)
            case "Bool":
                values = ["true", "false", "TRUE", "False"]
                return (
                    self.rng.choice([self.compare, self.one_of])(name, values)
                    if self.rng.random() < 0.9
                    else self.is_null(name)
                )
            case "Datetime":
                return self.scalar(name, [self.text(value) for value in values] + ["1704164645123000000", "0"])
            case "KeywordList":
                held = [self.text(keyword) for value in values for keyword in value if is_clean(keyword)] + [
                    "'nothing'",
                    "''",
                ]
                if self.rng.random() < 0.15:
                    return self.is_null(name)
                return (
                    self.one_of(name, held) if self.rng.random() < 0.5 else self.compare(name, held, ["=", "!=", "<>"])
                )
            case "Text":
                words = " ".join(self.some(WORDS, 1, 2))
                return (
                    self.is_null(name)
                    if self.rng.random() < 0.15
                    else self.compare(name, [self.text(words)], ["=", "!=", "<>"])
                )
        raise ValueError(kind)

    def attribute(self) -> str:
        name = self.rng.choice([name for name in VALUES if self.kind == WORKFLOWS or name in ATTRIBUTE_TYPES])
        return self.of_type(name, ATTRIBUTE_TYPES[name], VALUES[name])

    def system(self) -> str:
        name = self.rng.choice(list(SYSTEM))
        return self.of_type(name, *SYSTEM[name])

    def id(self) -> str:
        return self.keyword("ActivityId" if self.kind == ACTIVITIES else "WorkflowId", self.some(self.ids, 3, 5))

    def type(self) -> str:
        if self.kind == ACTIVITIES:
            return self.keyword("ActivityType", ACTIVITY_TYPES)
        return self.keyword("WorkflowType", TYPES)

    def queue(self) -> str:
        return self.keyword("TaskQueue", QUEUES + IDLE_QUEUES)

    def relative(self) -> str:
        name = self.rng.choice(["ParentWorkflowId", "RootWorkflowId"])
        ids = [label.rpartition("#")[0] for label in self.families] + [label.split("/")[0] for label in self.families]
        return self.keyword(name, self.some(ids or self.ids, 3, 5))

    def run(self) -> str:
        """Run ids are chance: only what does not depend on their order."""
        name = self.rng.choice(["RunId", "RunId", "ParentRunId", "RootRunId"])
        if not self.references or self.rng.random() < 0.1:
            return self.is_null(name)
        families = [label.split("/")[0] + "#1" for label in self.families]
        labels = self.labels if name == "RunId" or not families else families
        if self.rng.random() < 0.2:
            operator = self.rng.choice(["STARTS_WITH", "NOT STARTS_WITH"])
            return f"{self.name(name)} {operator} ‹RunId|{self.rng.choice(labels)}|{self.rng.choice([30, 36])}›"
        values = [f"‹RunId|{label}›" for label in self.some(labels, 3, 3)]
        return self.equal(name, values)

    def status(self) -> str:
        if self.kind == ACTIVITIES:
            return self.keyword("ExecutionStatus", list(STATUSES))
        values = []
        for name, number in STATUSES.items():
            long = "".join(f"_{letter}" if letter.isupper() else letter for letter in name).upper()
            values.append(
                self.rng.choice([f"'{name}'", f"'{name}'", str(number), f"'WORKFLOW_EXECUTION_STATUS{long}'"])
            )
        if self.rng.random() < 0.1:
            return self.is_null("ExecutionStatus")
        return self.rng.choice([self.compare, self.compare, self.one_of, self.between])("ExecutionStatus", values)

    def instant(self) -> str:
        name = self.rng.choice(TIMES)
        fixed = [
            "'2001-02-03T04:05:06Z'",
            "'2094-02-03T04:05:06.789Z'",
            "1000000000000000000",
            "'2099-01-01T00:00:00-08:00'",
        ]
        if not self.references:
            return self.scalar(name, fixed)
        labels = self.closed if name == "CloseTime" else self.labels
        values = [f"‹{name}|cut|{self.rng.randrange(CUTS)}|{self.rng.choice(TIME_FORMS)}›" for _ in range(3)]
        own = [f"‹{name}|{label}|{self.rng.choice(TIME_FORMS)}›" for label in self.some(labels, 2, 2)]
        if name == "ExecutionTime":
            # A backoff puts it past the starts of others: how many of them is chance.
            return self.equal(name, own) if self.rng.random() < 0.3 else self.scalar(name, values)
        return self.scalar(name, values + own + fixed[:1])

    def duration(self) -> str:
        name = "ExecutionDuration"
        fixed = ["'1h30m'", "'1d'", "'01:00:00'", "0", "'500h'", "'100ms'", "'1d2h3m'"]
        if not self.references:
            return self.scalar(name, fixed)
        values = []
        for form in DURATION_FORMS:
            values.append(f"‹{name}|cut|{self.rng.randrange(CUTS)}|{form}›")
        own = [f"‹{name}|{label}|{self.rng.choice(DURATION_FORMS[:2])}›" for label in self.some(self.closed, 2, 2)]
        return self.equal(name, own) if self.rng.random() < 0.2 else self.scalar(name, [*values, "'1h30m'", "'1d'"])

    def number(self) -> str:
        name = self.rng.choice(["HistoryLength", "HistoryLength", "HistorySizeBytes", "StateTransitionCount"])
        if not self.references:
            name = "HistoryLength"
        if name == "HistoryLength":
            return self.scalar(name, ["0", "3", "5", "6", "8", "11", "2.5"])
        return self.scalar(name, [f"‹{name}|cut|{self.rng.randrange(CUTS)}|half›" for _ in range(3)])

    def division(self) -> str:
        return self.keyword("TemporalNamespaceDivision", ["own", "TemporalBatcher", "3332429922"])

    def condition(self) -> str:
        weights = {
            self.attribute: 34, self.id: 8, self.type: 7, self.queue: 6, self.status: 9, self.instant: 11,
            self.duration: 6, self.number: 6, self.run: 5, self.relative: 5, self.division: 5, self.system: 6,
        }  # fmt: skip
        [one] = self.rng.choices(list(weights), list(weights.values()))
        return one()

    # Trees.

    def tree(self, depth: int) -> Filter:
        choice = self.rng.random()
        if depth == 0 or choice < 0.3:
            return Filter(self.condition())
        if choice < 0.42:
            part = self.tree(depth - 1)
            return Filter(f"{self.rng.choice(['NOT', 'NOT', 'not', '!'])} ({part.text})", parts=[part])
        joint = self.rng.choice(["AND", "AND", "AND", "OR", "OR", "&&", "||"])
        parts = [self.tree(depth - 1) for _ in range(self.rng.choice([2, 2, 2, 3]))]
        texts = [f"({part.text})" if self.rng.random() < 0.5 else part.text for part in parts]
        return Filter(f"{self.blank()}{self.word(joint)}{self.blank()}".join(texts), parts=parts)

    def filter(self) -> Filter:
        made = self.tree(self.rng.randint(0, DEPTH))
        if self.rng.random() < 0.1:
            field = self.rng.choice(["ExecutionStatus", "ExecutionStatus", "TemporalNamespaceDivision"])
            made = Filter(f"{made.text} {self.word('GROUP BY')} {self.name(field)}", parts=[made])
        return made.with_kind(self.kind)
