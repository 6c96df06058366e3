"""Scoring a stored adapter on newly labelled data."""

from __future__ import annotations

from pathlib import Path

import pytest

import taskbank
from taskbank.bank.bank import Bank
from taskbank.data.remarks import Remark
from taskbank.errors import ConflictError, DataError, InputError
from taskbank.history.events import task_events
from taskbank.interchange.export import export_adapter
from taskbank.pipeline.import_adapter import import_adapter
from taskbank.pipeline.score import score
from taskbank.verify.verify import verify_all
from tests.helpers.rows import sentences, write_jsonl


@pytest.fixture
def june(tmp_path: Path) -> str:
    """A file of 40 newly labelled sentences."""
    return write_jsonl(tmp_path / "june.jsonl", sentences(40, seed=99))


def test_the_own_split_scores_as_recorded(mood: Bank, data: Path) -> None:
    """On the stored examples every metric is what was recorded, and it is said that they are."""
    scored = score(mood, "mood", str(data / "test.jsonl"))
    recorded = [one for one in mood["mood"].metrics if one.split == "test"]
    for measured, own in zip(scored.metrics, recorded, strict=True):
        assert measured.value == pytest.approx(own.value, abs=1e-5)
    assert scored.difference == 0
    assert scored.difference_interval is None
    assert scored.known["test"] == 32
    assert len(mood["mood"].splits) == 2


def test_new_data_is_compared_with_the_recorded_score(mood: Bank, june: str) -> None:
    """The difference has an interval, the classes a report, and nothing is recorded."""
    mood.alias("mood@1", "production")
    scored = taskbank.score(mood, "mood@production", june)
    assert scored.rows == 40
    assert scored.difference == scored.score - mood["mood"].score
    assert scored.difference_interval is not None
    low, high = scored.difference_interval
    assert low < scored.difference < high
    assert scored.classes is not None
    cells = scored.classes.cells or ()
    assert sum(cell.count for cell in cells) == 40
    assert scored.chance is not None
    assert scored.chance < 0.05
    assert scored.to_json()["metrics"][0]["interval"] is not None
    assert len(mood["mood"].splits) == 2


def test_data_that_trained_the_adapter_is_recognised(
    own: Bank, folder: Path, june: str, tmp_path: Path
) -> None:
    """A score on the training data says nothing, so the result says so."""
    other = write_jsonl(tmp_path / "other.jsonl", sentences(20, seed=98))
    taskbank.add_task(
        own,
        "mood",
        june,
        validation=other,
        backbone=str(folder),
        epochs=1,
        options={"size": 4},
        verify="none",
    )
    scored = score(own, "mood", june)
    assert scored.trained_on
    assert scored.known == {"validation": 0}


def test_a_recorded_split_is_verified_exported_and_told(
    mood: Bank, june: str, tmp_path: Path
) -> None:
    """A verification predicts it again; it is in the history, and goes along to another bank."""
    scored = score(mood, "mood", june, record="june")
    record = mood["mood"]
    assert [split.name for split in record.splits] == ["validation", "test", "june"]
    assert record.value("june") == scored.score
    report = verify_all(mood, level="full")
    assert report.ok, report.findings
    assert report.tasks[0].examples == sum(split.rows for split in record.splits)
    assert ("scored", "accuracy on june") in [
        (event.what, event.result) for event in task_events(mood, "mood")
    ]
    export_adapter(mood, "mood", tmp_path / "out")
    again = import_adapter(mood, tmp_path / "out", name="again")
    assert again.metrics == record.metrics
    assert again.splits[2].scored_at is not None
    assert verify_all(mood, level="full").ok


def test_a_name_is_checked_before_anything_is_read(mood: Bank, june: str) -> None:
    """A name that is taken or not allowed is refused even if there is no such file."""
    score(mood, "mood", june, record="june")
    with pytest.raises(ConflictError, match="already has a split 'june'"):
        score(mood, "mood", "nothing.csv", record="june")
    with pytest.raises(InputError, match="belongs to training"):
        score(mood, "mood", "nothing.csv", record="test")


def test_a_label_that_the_task_does_not_have_is_refused(mood: Bank, tmp_path: Path) -> None:
    """The error names the row and the label."""
    rows = [*sentences(3), {"text": "a day", "label": "neutral"}]
    with pytest.raises(DataError, match=r"row 4 of .* has the label 'neutral'"):
        score(mood, "mood", write_jsonl(tmp_path / "new.jsonl", rows))


def test_labels_that_resemble_those_of_the_task_are_merged_on_request_only(
    mood: Bank, tmp_path: Path
) -> None:
    """`GOOD` is `good` if that was asked for; what looks the same as `good` is always refused."""
    rows = sentences(30, seed=99)
    (first, *_) = {row["label"] for row in rows}
    capital = [row | {"label": row["label"].upper()} for row in rows]
    new = write_jsonl(tmp_path / "new.jsonl", capital)
    with pytest.raises(DataError, match=r"row 1 of .* in letter case: .* --merge-labels"):
        score(mood, "mood", new)
    with pytest.warns(Remark, match="is read as"):
        merged = score(mood, "mood", new, merge_labels=True)
    assert merged.score == score(mood, "mood", write_jsonl(tmp_path / "old.jsonl", rows)).score
    hidden = write_jsonl(tmp_path / "hidden.jsonl", [*rows, rows[0] | {"label": f"{first}\u200b"}])
    with pytest.raises(DataError, match=r"row 31 of .* looks the same"):
        score(mood, "mood", hidden, merge_labels=True)


def test_numbers_are_scored_with_the_names_of_their_classes(mood: Bank, tmp_path: Path) -> None:
    """Data with whole numbers has the score of the same data with names."""
    rows = sentences(30, seed=99)
    names = sorted({row["label"] for row in rows})
    numbered = [row | {"label": names.index(row["label"])} for row in rows]
    source = write_jsonl(tmp_path / "numbers.jsonl", numbered)
    found = score(mood, "mood", source, label_names=",".join(names))
    assert found.score == score(mood, "mood", write_jsonl(tmp_path / "names.jsonl", rows)).score
    with pytest.raises(DataError, match="label"):
        score(mood, "mood", source)
