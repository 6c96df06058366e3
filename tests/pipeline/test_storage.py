"""A trained task is stored completely, or only as a trial."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from taskbank.backbone.backbone import Backbone
from taskbank.bank.bank import Bank
from taskbank.errors import ConflictError
from taskbank.pipeline.storage import store, trial_recorder
from taskbank.specs import TaskSpec
from taskbank.training.plan import TaskPlan, plan_task
from taskbank.training.train_task import Result, train_task


def trained_in(
    bank: Bank, backbone: Backbone, train: str, **fields: Any
) -> tuple[TaskPlan, Result]:
    """Train a task and record its trials in the bank."""
    quick = {"epochs": 2, "learning_rate": 0.02, "batch_size": 16}
    plan = plan_task(TaskSpec.of({"name": "mood", "train": train, **quick, **fields}))
    return plan, train_task(plan, backbone, record=trial_recorder(bank, plan, backbone))


@pytest.mark.slow
def test_what_is_stored_is_what_was_trained(
    bank: Bank, backbone: Backbone, small: str, data: Path
) -> None:
    """Weights, predictions, metrics, data, course and request come out of the bank as they were."""
    test = str(data / "test.jsonl")
    given = {"size": 4, "test": test, "tags": {"team": "search"}, "description": "kind?"}
    plan, result = trained_in(bank, backbone, small, **given)
    before = bank.trials("mood")
    assert [trial.value("test") for trial in before] == [None] * len(before)
    record = store(bank, plan, backbone, result, new_version=False)
    assert record is not None
    assert bank["mood"] == record
    weights = bank.state_dict(record)
    assert weights.keys() == result.weights.keys()
    assert all(weights[name].equal(tensor) for name, tensor in result.weights.items())
    assert record.parameters == sum(tensor.numel() for tensor in result.weights.values())
    for name, examples in plan.data.evaluated_splits.items():
        assert bank.examples(record, name).columns == examples.columns
        np.testing.assert_array_equal(bank.reference(record, name), result.predictions[name])
    assert set(record.metrics) == set(result.metrics)
    assert (record.split, record.metric) == ("test", "accuracy")
    assert (record.tags, record.description) == ({"team": "search"}, "kind?")
    added = {"train": plan.data.describe()["train"], "repeats": plan.data.repeats}
    assert record.course == result.trial.course | added
    assert record.request == plan.request
    after = {trial.specification: trial for trial in bank.trials("mood")}
    assert len(after) == len(before)
    scored = after[result.trial.specification]
    assert scored.value("test") == record.score
    course = result.trial.course | {"repeats": plan.data.repeats}
    assert (scored.course, scored.request) == (course, plan.request)
    assert scored.digest is None


@pytest.mark.slow
def test_a_taken_name_is_refused_and_the_bank_is_left_as_it_was(
    bank: Bank, backbone: Backbone, small: str
) -> None:
    """Without `new_version` nothing of the second training but its trials is in the bank."""
    plan, result = trained_in(bank, backbone, small)
    first = store(bank, plan, backbone, result, new_version=False)
    with pytest.raises(ConflictError, match="--new-version"):
        store(bank, plan, backbone, result, new_version=False)
    assert bank.adapters() == (first,)
    second = store(bank, plan, backbone, result, new_version=True)
    assert second is not None
    assert (second.version, second.digest) == (2, bank["mood@1"].digest)


@pytest.mark.slow
@pytest.mark.parametrize("tested", [False, True])
def test_a_baseline_leaves_its_scores_and_no_adapter(
    bank: Bank, backbone: Backbone, small: str, data: Path, tested: bool
) -> None:
    """`full` stores a trial without weights, with the score of the test split if there is one."""
    test = {"test": str(data / "test.jsonl")} if tested else {}
    plan, result = trained_in(bank, backbone, small, method="full", keep_trials=True, **test)
    assert store(bank, plan, backbone, result, new_version=False) is None
    assert bank.adapters() == ()
    assert all(trial.digest is None for trial in bank.trials("mood"))
    (trial,) = (t for t in bank.trials("mood") if t.specification == result.trial.specification)
    assert set(trial.metrics) == set(result.metrics)
    assert (trial.value("test") is not None) == tested


@pytest.mark.slow
def test_the_weights_of_trials_are_stored_if_they_are_to_be_kept(
    bank: Bank, backbone: Backbone, small: str
) -> None:
    """With `keep_trials` each trial has weights of its own in the bank."""
    _, result = trained_in(bank, backbone, small, keep_trials=True, search={"size": (2, 4)})
    recorded = {trial.specification: trial for trial in bank.trials("mood")}
    best = recorded[result.trial.specification]
    weights = bank.state_dict(best)
    assert all(weights[name].equal(tensor) for name, tensor in result.weights.items())
    assert len({trial.digest for trial in recorded.values()}) == len(recorded)
    assert None not in {trial.digest for trial in recorded.values()}
