"""The page on which a text is tried: what tasks answer to it, and why."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from taskbank import plugins
from taskbank.bank.bank import Bank
from taskbank.bank.records import AdapterRecord
from taskbank.data.fields import Field
from taskbank.digests import Json
from taskbank.kinds.kind import Kind, input_fields
from taskbank.pages.drawn import Drawn, Place, draw
from taskbank.pages.evidence import as_text
from taskbank.pages.leave_out import Effect
from taskbank.pages.similar import COMPARED, most_similar

ALL = "*"
BARS = 8  # probabilities that are shown
SIMILAR = 5  # stored examples
STRONGEST = 6  # words in the table
SHOWN_TEXT = 400  # characters of an example
OFFERED = 200  # names of tasks that the form offers
# For tasks of several kinds: each takes as many texts as it needs.
ANY_TEXTS = ("text", "second text, for tasks that take two")
NAMES = {"text_a": "first text", "text_b": "second text", "words": "text"}


@dataclass(frozen=True)
class Input:
    """A text of the form: its name there, what it is, what was typed, and whether it must be."""

    name: str
    title: str
    value: str
    required: bool


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
class WordEffect:
    """A word, its effect on the answer, and the answer without it if that is another one."""

    word: str
    change: float
    other: str | None


@dataclass(frozen=True)
class Why:
    """Which words move an answer.

    Attributes:
        texts: the input with its words marked by strength.
        strongest: the words with the largest effects.
        words: number of words that were left out.
        of_all: number of words that the input has.
        number: whether effects are changes of a number and not of a probability.
    """

    texts: tuple[Drawn, ...]
    strongest: tuple[WordEffect, ...]
    words: int
    of_all: int
    number: bool


@dataclass(frozen=True)
class StoredExample:
    """A stored example that is like the input; whether it was answered rightly, if it can be."""

    number: int
    text: str
    label: str
    answer: str
    correct: bool | None
    similarity: float


@dataclass(frozen=True)
class Nearest:
    """The stored examples that are most like an input.

    Attributes:
        split: the split that was searched.
        compared: number of its examples that were.
        of_all: number of its examples.
        examples: the examples, the most similar first.
    """

    split: str
    compared: int
    of_all: int
    examples: tuple[StoredExample, ...]


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


def inputs_for(record: AdapterRecord | None, values: Sequence[str]) -> tuple[Input, ...]:
    """Return the texts of the form for one version, or for tasks of any kind.

    Args:
        record: the version; None means tasks of any kind.
        values: what was typed.
    """
    titles = ANY_TEXTS if record is None else tuple(map(title_of, fields_of(record)))
    given = [*values, *[""] * len(titles)]
    return tuple(
        Input(f"input{number}", title, value, record is not None or number == 1)
        for number, (title, value) in enumerate(zip(titles, given, strict=False), 1)
    )


def fields_of(record: AdapterRecord) -> tuple[Field, ...]:
    """Return the fields of an input of a version."""
    return input_fields(_kind(record), record.definition)


def title_of(field: Field) -> str:
    """Return what the form calls a field."""
    return NAMES.get(field.name, field.name.replace("_", " "))


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


def why(
    record: AdapterRecord, row: Sequence[str], label: str, effects: Sequence[Effect], of_all: int
) -> Why | None:
    """Return which words move an answer; None if nothing tells.

    Args:
        record: the version that answered.
        row: its input.
        label: the answer.
        effects: the effects of the words that were left out.
        of_all: number of words that the input has.
    """
    if not effects:
        return None
    texts = tuple(
        draw(title_of(field), text, _marks(position, effects))
        for position, (field, text) in enumerate(zip(fields_of(record), row, strict=True))
    )
    strongest = sorted(effects, key=lambda one: -abs(one.change))[:STRONGEST]
    return Why(
        texts,
        tuple(_word_effect(one, row, label) for one in strongest if one.level),
        len(effects),
        of_all,
        _kind(record).label.type == "number",
    )


def _marks(position: int, effects: Iterable[Effect]) -> list[Place]:
    return [
        Place(
            one.word.start,
            one.word.end,
            f"{'for' if one.change > 0 else 'against'}-{one.level}" if one.level else "tried",
            _signed(one.change),
        )
        for one in effects
        if one.word.text == position
    ]


def _word_effect(effect: Effect, row: Sequence[str], label: str) -> WordEffect:
    word = effect.word
    other = None if effect.label == label else effect.label
    return WordEffect(row[word.text][word.start : word.end], effect.change, other)


def _signed(change: float) -> str:
    return f"{change:+.3f}".replace("-", "\N{MINUS SIGN}")


def nearest(bank: Bank, record: AdapterRecord, row: Sequence[Json]) -> Nearest | None:
    """Return the stored examples of a version that are most like an input; None if none is stored.

    Args:
        bank: an open bank.
        record: the version, with its splits.
        row: the input.

    Raises:
        DamagedError: if the stored bytes are missing or differ from what was recorded.
    """
    splits = [split.name for split in record.splits]
    if not splits:
        return None
    split = record.verified_split if record.verified_split in splits else splits[0]
    kind = _kind(record)
    columns = bank.examples(record, split).columns
    names = [name for name in columns if name != kind.label.name]
    texts = [
        " ".join(as_text(value) for value in values)
        for values in zip(*(columns[name][:COMPARED] for name in names), strict=True)
    ]
    found = most_similar(" ".join(map(as_text, row)), texts, SIMILAR)
    predictions = bank.reference(record, split)
    answers = kind.answers(predictions, columns, record.definition)
    correctness = kind.correctness(predictions, columns, record.definition)
    number = kind.label.type == "number"  # which is nearly right at best
    between = ", " if kind.label.type == "classes" else " "
    return Nearest(
        split,
        len(texts),
        len(answers),
        tuple(
            StoredExample(
                position + 1,
                texts[position][:SHOWN_TEXT],
                as_text(columns[kind.label.name][position], between)[:SHOWN_TEXT],
                str(answers[position]["label"])[:SHOWN_TEXT],
                None if number else bool(correctness[position] == 1),
                similarity,
            )
            for position, similarity in found
        ),
    )


def _kind(record: AdapterRecord) -> Kind:
    kind: Kind = plugins.load("kinds", record.kind)
    return kind
