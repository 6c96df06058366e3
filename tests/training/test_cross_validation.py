"""Cross-validation: the score is of rows that a training has not seen, the adapter of all rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from taskbank.backbone.backbone import Backbone
from taskbank.bank.bank import Bank
from taskbank.errors import InputError
from taskbank.history.matrix import score_matrix
from taskbank.interchange.export import export_adapter
from taskbank.pipeline.import_adapter import import_adapter
from taskbank.pipeline.train_and_store import Added
from taskbank.promotion.diff import diff
from taskbank.specs import TaskSpec
from taskbank.training.plan import plan_task
from taskbank.verify.verify import verify_all
from tests.helpers.rows import ROWS, sentences, write_jsonl
from tests.helpers.training import Interrupt, add, interrupt_after


@pytest.fixture
def tiny(tmp_path: Path) -> str:
    """A file of 24 labelled sentences, two of them equal."""
    rows = sentences(23, seed=5)
    return write_jsonl(tmp_path / "tiny.jsonl", [*rows, rows[0]])


def _values(added: Added, split: str) -> dict[str, float]:
    assert added.record is not None
    return {one.name: one.value for one in added.record.metrics if one.split == split}


def test_the_record_says_what_the_folds_gave(
    own: Bank, tiny: str, folder: Path, tmp_path: Path
) -> None:
    """The score is over all rows and named `folds`; the stored split is train, which the adapter
    itself predicts, so that a verification finds what was recorded, here and in another bank."""
    added = add(own, tiny, folder, folds=4, verify="full")
    record = added.record
    assert record is not None
    assert (record.split, record.score) == ("folds", _values(added, "folds")["accuracy"])
    assert [(split.name, split.rows) for split in record.splits] == [("train", 24)]
    assert {one.count for one in record.metrics} == {24}
    folds = record.course["folds"]
    assert sum(fold["rows"] for fold in folds) == 24
    right = sum(fold["rows"] * fold["scores"]["accuracy"] for fold in folds)
    assert right / 24 == pytest.approx(record.score)
    classes = record.course["classes"]["confusion"]
    assert sum(c["count"] for c in classes if c["label"] == c["predicted"]) == round(right)
    assert record.course["best_epoch"] == len(record.course["epochs"]) == 3
    assert added.verification is not None
    assert added.verification.ok
    assert added.verification.tasks[0].recorded == _values(added, "train")["accuracy"]
    assert score_matrix(own).scores.tolist() == [[record.score]]
    export_adapter(own, "mood", tmp_path / "out")
    again = import_adapter(own, tmp_path / "out", name="again")
    assert (again.score, again.metrics) == (record.score, record.metrics)
    assert verify_all(own, level="full").ok
    with pytest.raises(InputError, match="taskbank score"):
        diff(own, "again", "mood")


@pytest.mark.slow
def test_rows_of_random_labels_score_like_chance(
    own: Bank, folder: Path, tmp_path: Path, backbone: Backbone
) -> None:
    """Repeated texts with labels of their own do not leak: the score stays near one half, and the
    record says that it shows nothing."""
    chance = np.random.default_rng(0)
    rows = [
        {"text": f"{one['text']} {number}", "label": str(chance.choice(["x", "y"]))}
        for number, one in enumerate(sentences(20, seed=3))
        for _ in [0]
    ]
    source = write_jsonl(tmp_path / "random.jsonl", rows * 4)
    added = add(own, source, folder, folds=5, training={"epochs": 10}, verify="none")
    assert added.record is not None
    assert added.record.score < 0.8
    assert added.record.course["chance"] > 0.001
    assert _values(added, "train")["accuracy"] > added.record.score


@pytest.mark.slow
@pytest.mark.parametrize("epochs", [1, 4, 8, 10])
def test_an_interrupted_run_resumes_to_the_same_bytes(
    own: Bank, tiny: str, folder: Path, monkeypatch: pytest.MonkeyPatch, epochs: int
) -> None:
    """Whether a fold or the last training is interrupted, nothing is different afterwards."""
    whole = add(own, tiny, folder, folds=3, verify="none")
    with monkeypatch.context() as patch:
        interrupt_after(patch, epochs)
        with pytest.raises(Interrupt):
            add(own, tiny, folder, folds=3, new_version=True, verify="none")
    resumed = add(own, tiny, folder, folds=3, new_version=True, resume=True, verify="none")
    assert whole.record is not None
    assert resumed.record is not None
    assert resumed.record.digest == whole.record.digest
    assert resumed.record.metrics == whole.record.metrics
    assert resumed.record.splits[0].predictions == whole.record.splits[0].predictions


@pytest.mark.slow
def test_a_search_compares_scores_over_all_folds(own: Bank, tiny: str, folder: Path) -> None:
    """Every setting is one trial, and the best by its folds is trained on all rows."""
    added = add(own, tiny, folder, folds=2, search={"learning_rate": [1e-6, 0.02]}, verify="none")
    assert [trial.value("folds") for trial in added.trials] == [t.score for t in added.trials]
    assert added.trial.training["learning_rate"] == 0.02
    assert added.record is not None
    assert added.record.score == max(trial.score for trial in added.trials)


@pytest.mark.slow
@pytest.mark.parametrize("kind", sorted(ROWS))
def test_every_kind_can_be_cross_validated(
    own: Bank, folder: Path, tmp_path: Path, kind: str
) -> None:
    """Predictions of folds are put together in the order of the rows, whatever their shape."""
    source = write_jsonl(tmp_path / "rows.jsonl", ROWS[kind](30, seed=7))
    training = {"epochs": 6, "max_length": 48}
    added = add(own, source, folder, kind=kind, folds=3, training=training, verify="full")
    assert added.verification is not None
    assert added.verification.ok, added.verification.findings
    assert added.record is not None
    assert added.record.split == "folds"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"folds": 1}, "folds is 1: it must be a whole number from 2"),
        ({"folds": "3"}, "folds is '3'"),
        ({"folds": True}, "folds is True"),
        ({"folds": 3, "validation": "v.csv"}, "validation is given, too"),
        ({"folds": 3, "test": "t.csv"}, "test is given, too"),
        ({"folds": 3, "patience": 2}, "patience is given, too"),
        ({"folds": 3, "keep_trials": True}, "keep_trials is given, too"),
        ({"folds": 25}, "has 23 different inputs, too few for 25 folds: .* at most 23"),
    ],
)
def test_folds_that_make_no_sense_are_refused(
    tiny: str, given: dict[str, Any], message: str
) -> None:
    """Before anything is trained, the error names the option and what to do."""
    with pytest.raises(InputError, match=message):
        plan_task(TaskSpec.of({"name": "mood", "train": tiny, **given}))


def test_a_version_of_folds_is_compared_with_no_other(own: Bank, tiny: str) -> None:
    """`must_not_regress` needs data that the new version has not seen."""
    from taskbank.pipeline.add_task import add_task

    with pytest.raises(InputError, match="--folds the new one is trained on all rows"):
        add_task(own, "mood", tiny, folds=3, new_version=True, must_not_regress=True)
