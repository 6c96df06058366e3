"""Splits: held-out parts and samples keep every class."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from taskbank.data.equal_inputs import equal_inputs
from taskbank.data.examples import Examples
from taskbank.data.splits import hold_out
from taskbank.errors import DataError
from tests.helpers.sources import ODD_ROWS, read, write


def test_held_out_examples_are_stratified_seeded_and_disjoint(tmp_path: Path) -> None:
    """A tenth of each class is held out, the same for the same seed, and nothing is lost."""
    rows = [{"text": f"t{i}", "label": "abc"[min(i // 50, 2)]} for i in range(200)]
    rows.append({"text": "alone", "label": "rare"})
    examples = read(write(tmp_path / "a.jsonl", rows))
    train, validation = hold_out(examples, examples.columns["label"], 0.1, seed=0)
    assert sorted([*train.columns["text"], *validation.columns["text"]]) == sorted(
        examples.columns["text"]
    )
    assert [validation.columns["label"].count(name) for name in ("a", "b", "c", "rare")] == [
        5,
        5,
        10,
        0,
    ]
    again, other = (hold_out(examples, examples.columns["label"], 0.1, seed)[1] for seed in (0, 1))
    assert again == validation != other
    assert "10% held out, seed 0" in validation.origin


def test_a_sample_keeps_an_example_of_every_class(tmp_path: Path) -> None:
    """However much is held out, the smaller part has all classes, in their shares."""
    rows = [{"text": f"t{i}", "label": "abc"[(i > 4) + (i > 40)]} for i in range(400)]
    examples = read(write(tmp_path / "a.jsonl", rows))
    sample, _ = hold_out(examples, examples.columns["label"], 0.9, seed=0)
    counts = [sample.columns["label"].count(name) for name in "abc"]
    assert sum(counts) == 40
    assert counts[0] >= 1
    assert counts[1:] == pytest.approx([3.6, 35.9], abs=1)


def test_too_few_examples_to_hold_out_are_refused(tmp_path: Path) -> None:
    """Where each class has one example, nothing can be held out, and that is said."""
    examples = read(write(tmp_path / "a.jsonl", ODD_ROWS))
    with pytest.raises(DataError, match="--validation"):
        hold_out(examples, examples.columns["label"], 0.1, seed=0)


def test_equal_inputs_are_held_out_together(tmp_path: Path) -> None:
    """Of 40 texts, each six times with labels at random, about a tenth is held out as a whole."""
    chance = random.Random(0)
    rows = [{"text": f"t{n}", "label": chance.choice("ab")} for n in range(40) for _ in range(6)]
    chance.shuffle(rows)
    examples = read(write(tmp_path / "a.jsonl", rows))
    groups = equal_inputs(examples, "label")
    parts = [hold_out(examples, examples.columns["label"], 0.1, 0, groups) for _ in range(2)]
    assert parts[0] == parts[1]
    train, validation = parts[0]
    assert len(validation) == 24
    assert len(train) == 216
    assert not set(train.columns["text"]) & set(validation.columns["text"])


def test_without_equal_inputs_the_same_rows_are_held_out(tmp_path: Path) -> None:
    """Groups of one change nothing, so a task that is trained again has the same parts."""
    rows = [{"text": f"t{i}", "label": "abc"[min(i // 50, 2)]} for i in range(200)]
    examples = read(write(tmp_path / "a.jsonl", rows))
    labels, groups = examples.columns["label"], equal_inputs(examples, "label")
    assert hold_out(examples, labels, 0.1, 3, groups) == hold_out(examples, labels, 0.1, 3)


@pytest.mark.parametrize(
    ("sizes", "held_out"),
    [
        ([1000, *[1] * 100], range(90, 120)),  # the large group is left in train
        ([30, 30, 30], (30,)),  # every group is too large: the smallest counts
        ([50, 20, 30], (20,)),
        ([2] * 50, (10,)),
    ],
)
def test_groups_of_any_size_are_held_out(sizes: list[int], held_out: Sequence[int]) -> None:
    """About a tenth of the rows is held out, whatever the sizes, and never everything."""
    groups = np.repeat(np.arange(len(sizes)), sizes)
    examples = Examples({"text": tuple(map(str, groups.tolist()))}, "here")
    _, validation = hold_out(examples, ["a"] * len(groups), 0.1, 0, groups)
    assert len(validation) in held_out


def test_a_single_group_cannot_be_held_out() -> None:
    """Where every input is the same, nothing is held out, and that is said."""
    examples = Examples({"text": ("a",) * 20}, "here")
    with pytest.raises(DataError, match="--validation"):
        hold_out(examples, ["a", "b"] * 10, 0.1, 0, np.zeros(20, dtype=np.int64))
