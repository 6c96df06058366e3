"""The data of a task: what is held out, and what is sampled."""

from __future__ import annotations

from pathlib import Path

import pytest

from taskbank.bank.bank import Bank
from taskbank.pipeline.add_task import Added
from tests.helpers.training import add


@pytest.mark.slow
def test_a_sample_of_train_keeps_its_classes(own: Bank, small: str, folder: Path) -> None:
    """`rows` trains on so many rows, of every class its share, and says so."""
    added = add(own, small, folder, rows=40, validation=small, training={"epochs": 1})
    train = added.trial.data["train"]
    assert train["rows"] == 40
    assert "40 of 160 rows" in train["origin"]


def test_the_held_out_part_is_said_to_be_one(trained: tuple[Path, Added]) -> None:
    """Without a validation set the bank says that a tenth of train was held out, and from where."""
    split = trained[1].record.splits[0]
    assert "train.jsonl (10% held out, seed 0)" in split.origin
    assert split.rows == 64
