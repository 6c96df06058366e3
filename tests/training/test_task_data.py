"""The data of a task: what is held out, and what is sampled."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from taskbank import plugins
from taskbank.bank.bank import Bank
from taskbank.errors import InputError
from taskbank.pipeline.train_and_store import Added
from taskbank.specs import TaskSpec
from taskbank.training.task_data import TaskData, read_task_data
from tests.helpers.rows import sentences, write_jsonl
from tests.helpers.training import add


@pytest.mark.slow
def test_a_sample_of_train_keeps_its_classes(
    own: Bank, small: str, folder: Path, tmp_path: Path
) -> None:
    """`rows` trains on so many rows, of every class its share, and says so."""
    validation = write_jsonl(tmp_path / "validation.jsonl", sentences(20, seed=9))
    added = add(own, small, folder, rows=40, validation=validation, training={"epochs": 1})
    train = added.trial.data["train"]
    assert train["rows"] == 40
    assert "40 of 160 rows" in train["origin"]


def test_the_held_out_part_is_said_to_be_one(trained: tuple[Path, Added]) -> None:
    """Without a validation set the bank says that a tenth of train was held out, and from where."""
    split = trained[1].record.splits[0]
    assert "train.jsonl (10% held out, seed 0)" in split.origin
    assert split.rows == 64


def read(train: str, **fields: Any) -> TaskData:
    """Return the data of a task of kind `single`."""
    return read_task_data(plugins.load("kinds", "single"), TaskSpec("it", train, **fields))


def test_equal_inputs_are_not_on_both_sides_of_what_is_held_out(tmp_path: Path) -> None:
    """Random texts with random labels, each six times, cannot be known from train."""
    chance = random.Random(3)
    texts = [f"text {number} {chance.random()}" for number in range(40)]
    rows = [
        {"text": chance.choice((text, text.upper(), f" {text}")), "label": chance.choice("ab")}
        for text in texts * 6
    ]
    data = read(write_jsonl(tmp_path / "a.jsonl", rows))
    train, validation = (
        {" ".join(text.lower().split()) for text in part.columns["text"]}
        for part in (data.train, data.validation)
    )
    assert len(train) + len(validation) == 40
    assert not train & validation
    assert 20 <= len(data.validation) <= 28
    assert data.repeats["in_train"] == {"validation": 0}
    assert data.repeats["contradictions"]["inputs"] > 30


def test_inputs_of_train_in_other_splits_are_counted(tmp_path: Path) -> None:
    """The rows of validation and test whose input is in train, and where a label differs."""
    rows = sentences(40)
    other = [{"text": f"other {n}", "label": "good"} for n in range(5)]
    wrong = [rows[0] | {"label": "good"}]  # row 1 of train is bad
    paths = {
        name: write_jsonl(tmp_path / f"{name}.jsonl", own)
        for name, own in (("train", rows), ("validation", other), ("test", other[:2] + wrong))
    }
    repeats = read(**paths).repeats
    assert repeats["in_train"] == {"validation": 0, "test": 1}
    assert repeats["contradictions"]["first"][0][-1] == {"split": "test", "row": 3, "label": "good"}


def test_a_source_has_one_role(small: str) -> None:
    """Before anything is read, one file for train and test is refused."""
    with pytest.raises(InputError, match="train and test are the same data"):
        read(small, test=small)


@pytest.mark.slow
def test_repeats_are_recorded_with_the_adapter_and_its_trials(
    own: Bank, small: str, folder: Path, tmp_path: Path
) -> None:
    """The course of both has the counts, so that `show` and `trials` can tell them."""
    test = write_jsonl(tmp_path / "test.jsonl", sentences(160, seed=0)[:10])
    added = add(own, small, folder, test=test, training={"epochs": 1})
    assert added.record is not None
    repeats = own["mood"].course["repeats"]
    assert repeats["in_train"].keys() == {"validation", "test"}
    assert repeats["contradictions"].keys() == {"inputs", "rows", "first"}
    assert added.trial.course["repeats"] == repeats
