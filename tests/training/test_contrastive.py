"""Contrastive training: its loss, its batches, when it is the default, and what it gives."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from taskbank.bank.bank import Bank
from taskbank.digests import digest_json
from taskbank.errors import InputError
from taskbank.pipeline.add_task import add_task
from taskbank.specs import TaskSpec, TrainingSpec
from taskbank.training.contrastive import contrastive_batch, contrastive_loss
from taskbank.training.plan import plan_task
from taskbank.verify.verify import verify_all
from tests.helpers.rows import ROWS, sentences, write_jsonl


def planned(tmp_path: Path, rows: int = 20, kind: str = "single", **given: Any) -> TrainingSpec:
    """Return the hyperparameters that a task with so many rows gets."""
    source = write_jsonl(tmp_path / "rows.jsonl", ROWS[kind](rows, seed=1))
    spec = TaskSpec(name="few", train=source, kind=kind, **given)
    return plan_task(spec).base.training


def test_the_loss_is_that_of_the_equation() -> None:
    """Two classes of two vectors each, those of a class equal and those of two opposite."""
    vectors = torch.tensor([[2.0, 0.0], [1.0, 0.0], [0.0, 3.0], [0.0, 1.0]])
    apart = contrastive_loss(vectors, torch.tensor([0, 0, 1, 1]))
    assert float(apart) == pytest.approx(math.log(math.exp(10) + 2) - 10, abs=1e-6)
    mixed = contrastive_loss(vectors, torch.tensor([0, 1, 0, 1]))
    assert float(mixed) == pytest.approx(math.log(math.exp(10) + 2), rel=1e-5)


def test_a_class_with_one_vector_is_no_error() -> None:
    """It has nothing to be near to, and the others are still kept away from it."""
    vectors = torch.eye(3, requires_grad=True)
    loss = contrastive_loss(vectors, torch.tensor([0, 0, 1]))
    loss.backward()
    assert math.isfinite(loss.item())
    assert vectors.grad is not None
    assert vectors.grad.isfinite().all()


def test_every_class_of_a_batch_has_as_many_inputs() -> None:
    """Of many classes eight are drawn; a class with fewer inputs than its share gives all."""
    rows_of = [np.arange(10 * number, 10 * number + 10) for number in range(20)]
    batch = contrastive_batch(rows_of, 32, np.random.default_rng(0))
    assert sorted(np.bincount(batch // 10)[np.bincount(batch // 10) > 0]) == [4] * 8
    assert len(set(batch.tolist())) == 32
    few = contrastive_batch([np.array([0, 1, 2]), np.array([3])], 32, np.random.default_rng(0))
    assert sorted(few.tolist()) == [0, 1, 2, 3]


def test_it_is_the_default_for_few_rows_of_each_class(tmp_path: Path) -> None:
    """Sixteen rows of each class or fewer, unless the number of epochs or a patience is given."""
    assert planned(tmp_path).contrastive == 100
    assert planned(tmp_path).epochs == 1
    assert planned(tmp_path, kind="pair").contrastive == 100
    assert planned(tmp_path, training={"epochs": 3}).contrastive is None
    assert planned(tmp_path, training={"patience": 3}).contrastive is None
    assert planned(tmp_path, search={"epochs": [1, 2]}).contrastive is None
    assert planned(tmp_path, rows=100).contrastive is None
    assert planned(tmp_path, method="linear").contrastive is None
    assert planned(tmp_path, method="full").contrastive is None
    for kind in ("regression", "multilabel", "tagging", "span"):
        assert planned(tmp_path, kind=kind).contrastive is None


def test_it_can_be_asked_for_with_any_number_of_rows(tmp_path: Path) -> None:
    """The steps are those asked for, and a search may vary them."""
    assert planned(tmp_path, rows=100, training={"contrastive": 7}).contrastive == 7
    assert planned(tmp_path, rows=100, search={"contrastive": [5, 10]}).epochs == 1
    # As an update passes on what its parent was trained with.
    again = {"contrastive": 7, "epochs": 1, "patience": None}
    assert planned(tmp_path, training=again).contrastive == 7


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"kind": "regression"}, "kind is 'regression'"),
        ({"method": "linear"}, "method 'linear'"),
        ({"training": {"contrastive": 5, "epochs": 4}}, "counts steps, not epochs"),
        ({"training": {"contrastive": 5, "patience": 2}}, "contrastive and patience"),
    ],
)
def test_what_it_cannot_do_is_refused(given: dict[str, Any], message: str, tmp_path: Path) -> None:
    """A kind without classes, a method without an adapter, and epochs beside it are errors."""
    with pytest.raises(InputError, match=message):
        planned(tmp_path, **({"training": {"contrastive": 5}} | given))


def test_specifications_without_it_keep_their_digests() -> None:
    """What earlier versions recorded is found again: the field is left out where it is unused."""
    assert "contrastive" not in TrainingSpec().to_json()
    assert TrainingSpec(contrastive=5).to_json()["contrastive"] == 5
    assert TrainingSpec().digest == digest_json(
        {
            **{"epochs": 10, "learning_rate": 0.001, "batch_size": 32, "max_length": 128},
            **{"seed": 0, "patience": None, "weight_decay": 0.0, "warmup": 0.1, "clip": 1.0},
            **{"class_weight": None, "precision": None, "batch_tokens": None},
        }
    )


def test_a_few_rows_give_a_version_that_verifies(own: Bank, folder: Path, tmp_path: Path) -> None:
    """The adapter learns more than the head alone does, is the same every time, and verifies."""
    source = write_jsonl(tmp_path / "few.jsonl", sentences(24, seed=1))
    unseen = write_jsonl(tmp_path / "unseen.jsonl", sentences(80, seed=2))
    given: dict[str, Any] = {"validation": unseen, "backbone": str(folder), "verify": "none"}
    given |= {"training": {"learning_rate": 0.01}, "options": {"size": 4}}
    added = add_task(own, "mood", source, **given)
    assert added.record is not None
    assert added.record.training["contrastive"] == 100
    assert len(added.training.epochs) == 1
    assert added.record.score > added.record.course["linear_probe"]["validation"]
    again = add_task(own, "mood", source, new_version=True, **given)
    assert again.record is not None
    assert again.record.digest == added.record.digest
    assert verify_all(own, level="full").ok


def test_folds_and_a_start_work_with_it(mood: Bank, tmp_path: Path) -> None:
    """A cross-validation of few rows is contrastive too, and so is a trial from a start."""
    source = write_jsonl(tmp_path / "few.jsonl", sentences(24, seed=7))
    given: dict[str, Any] = {"options": {"size": 8}, "training": {"contrastive": 5}}
    added = add_task(mood, "few", source, folds=3, start="mood", verify="none", **given)
    assert added.record is not None
    assert {trial.training["contrastive"] for trial in added.trials} == {5}
    assert len({trial.specification for trial in added.trials}) == 2
