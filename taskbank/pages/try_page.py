"""The page on which a text is tried: what tasks answer to it, and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from taskbank.bank.records import AdapterRecord
from taskbank.digests import Json
from taskbank.pages.drawn import Drawn, Place, draw
from taskbank.pages.inputs import Input
from taskbank.pages.nearest import Nearest
from taskbank.pages.shown_text import as_text
from taskbank.pages.why import Why

ALL = "*"
BARS = 8  # probabilities that are shown
OFFERED = 200  # names of tasks that the form offers


@dataclass(frozen=True)
class Bar:
    """The probability of a label, and whether the label is in the answer."""

    label: str
    share: float
    chosen: bool


@dataclass(frozen=True)
class Answer:
    """What a version answers.

    Attributes:
        task: the task's name.
        version: the version that answered.
        kind: the task's kind.
        label: the answer as text; empty where nothing was found.
        score: the confidence in it; None for a number.
        bars: the highest probabilities.
        more: number of labels that are not among them.
        drawn: the input with the spans or entities of the answer marked; None for other answers.
        truncated: whether the input was longer than the task reads.
        withheld: whether the version does not give the answer, as it is not sure enough of it.
    """

    task: str
    version: int
    kind: str
    label: str
    score: float | None
    bars: tuple[Bar, ...]
    more: int
    drawn: Drawn | None
    truncated: bool
    withheld: bool

    @property
    def ref(self) -> str:
        """The version's full name."""
        return f"{self.task}@{self.version}"


@dataclass(frozen=True)
class TryPage:
    """What the page shows.

    Attributes:
        task: the task, or the pattern of tasks, to ask.
        tasks: names of tasks that the form offers.
        inputs: the texts of the form.
        problem: why there is no answer; None if there is one, or nothing was asked.
        answers: the answers.
        skipped: tasks that did not answer, and why.
        remark: what was left out; empty if nothing was.
        why: which words move the only answer; None if there are several, or no number tells.
        nearest: the stored examples that are most like the input of the only answer.
        no_nearest: why there are none; empty if there are.
    """

    template: ClassVar[str] = "try.html"

    task: str
    tasks: tuple[str, ...]
    inputs: tuple[Input, ...]
    problem: str | None = None
    answers: tuple[Answer, ...] = ()
    skipped: tuple[tuple[str, str], ...] = ()
    remark: str = ""
    why: Why | None = None
    nearest: Nearest | None = None
    no_nearest: str = ""

    @property
    def title(self) -> str:
        """The page's title."""
        return "Try"

    @property
    def said(self) -> str:
        """The outcome in a few words, for readers of the screen."""
        if self.problem:
            return self.problem
        if len(self.answers) == 1:
            return f"{self.answers[0].ref} answers {self.answers[0].label or 'nothing'}"
        return f"{len(self.answers)} tasks have answered" if self.answers else ""


def answer_of(record: AdapterRecord, row: Sequence[Json], found: Mapping[str, Any]) -> Answer:
    """Return an answer as the page shows it.

    Args:
        record: the version that answered.
        row: its input.
        found: the answer, as `taskbank predict --json` prints it.
    """
    probabilities = found.get("probabilities", {})
    withheld = found["label"] is None
    label = found["candidates"][0]["label"] if withheld else found["label"]
    chosen = set(found.get("labels", [label]))
    ordered = sorted(probabilities.items(), key=lambda pair: -pair[1])
    return Answer(
        record.task,
        record.version,
        record.kind,
        str(label),
        None if "value" in found else float(found["score"]),
        tuple(Bar(label, share, label in chosen) for label, share in ordered[:BARS]),
        max(0, len(ordered) - BARS),
        _drawn_answer(row, found),
        bool(found.get("truncated")),
        withheld,
    )


def _drawn_answer(row: Sequence[Json], found: Mapping[str, Any]) -> Drawn | None:
    if "entities" in found:
        places = [
            Place(one["start"], one["end"], "found", f"{one['type']} {one['score']:.2f}".strip())
            for one in found["entities"]
        ]
        return draw("text", as_text(row[0]), places)
    if found.get("start") is not None:
        return draw("context", row[-1], [Place(found["start"], found["end"], "found")])
    return None
