"""Splits: held-out parts and samples keep every class."""

from __future__ import annotations

from pathlib import Path

import pytest

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
