"""Tests of scripts/paper/few_rows.py."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

from datasets import Dataset

from scripts.paper import few_rows
from tests.helpers.rows import sentences


def read(path: str) -> list[dict[str, str]]:
    """Return the rows of a file."""
    return [json.loads(line) for line in Path(path).read_text(encoding="utf-8").splitlines()]


def test_as_many_rows_of_each_class_are_drawn_and_none_of_them_is_scored(tmp_path: Path) -> None:
    """The same seed draws the same rows, another draws others, and the test rows are others."""
    rows = [
        {"text": f"{row['text']} {n}", "label": row["label"]}
        for n, row in enumerate(sentences(60, seed=1))
    ]
    source = str(tmp_path / "rows.parquet")
    Dataset.from_list(rows).to_parquet(source)
    files = few_rows.draw(source, tmp_path / "a", 4, seed=0)
    train, test = read(files["train"]), read(files["test"])
    assert set(Counter(row["label"] for row in train).values()) == {4}
    assert len(train) + len(test) == 60
    assert not {row["text"] for row in train} & {row["text"] for row in test}
    assert read(few_rows.draw(source, tmp_path / "b", 4, seed=0)["train"]) == train
    assert read(few_rows.draw(source, tmp_path / "c", 4, seed=1)["train"]) != train


def test_the_table_has_each_way_beside_the_default() -> None:
    """Means over seeds and sets, and differences from the first way, in points."""
    cells = [
        {"task": task, "seed": seed, "way": way, "accuracy": accuracy, "seconds": 2.0}
        for task in ("a", "b")
        for seed in (0, 1)
        for way, accuracy in (("default", 0.7), ("SetFit", 0.72))
    ]
    text = few_rows.table(cells)
    assert "| a " in text
    assert "| **mean**        | **70.0**   | **72.0**   |" in text
    assert "| SetFit | +2.0" in text
