"""Trials: searches, seeds, runs that collapse or diverge, and what an interrupt leaves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from taskbank.backbone.backbone import Backbone
from taskbank.bank.bank import Bank
from taskbank.kinds.single import SINGLE
from taskbank.specs import TaskSpec
from taskbank.training.evaluation import has_collapsed
from tests.helpers.rows import write_jsonl
from tests.helpers.training import Interrupt, add, interrupt_after


@pytest.mark.slow
def test_a_run_that_collapsed_is_tried_again_from_another_seed(
    own: Bank, tmp_path: Path, folder: Path
) -> None:
    """Where every text is the same nothing can be learned: three seeds, each named as collapsed,
    and the last resort is recorded as what it is."""
    rows = [{"text": "the film", "label": "good" if n % 3 else "bad"} for n in range(90)]
    validation = write_jsonl(tmp_path / "validation.jsonl", rows[:9])
    added = add(own, write_jsonl(tmp_path / "same.jsonl", rows), folder, validation=validation)
    assert [(t.status, t.training["seed"]) for t in added.trials] == [
        ("collapsed", 0),
        ("collapsed", 1),
        ("collapsed", 2),
    ]
    assert added.trial.status == "collapsed"
    assert added.record is not None


@pytest.mark.slow
def test_a_seed_that_works_ends_the_tries(
    own: Bank, small: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the second seed learns, it is recorded, and there is no third."""
    from taskbank.training import trainer

    real = has_collapsed
    seen: list[object] = []

    def first_only(*given: Any) -> bool:
        seen.append(given)
        return len(seen) == 1 or real(*given)

    monkeypatch.setattr(trainer, "has_collapsed", first_only)
    added = add(own, small, folder)
    assert [t.status for t in added.trials] == ["collapsed", "complete"]
    assert added.record.training["seed"] == 1


@pytest.mark.parametrize("positive", ["good", "bad"])
def test_one_answer_for_everything_is_a_collapse_whichever_it_is(small: str, positive: str) -> None:
    """A model that always says the positive class has an F1 above nought, and learned nothing."""
    from taskbank.training.plan import plan_task

    plan = plan_task(TaskSpec("mood", small, positive=positive))
    count = len(plan.data.validation)

    def collapsed(predictions: np.ndarray) -> bool:
        columns = plan.data.validation.columns
        return has_collapsed(plan.kind, predictions, columns, plan.data.definition)

    for column in (0, 1):
        constant = np.zeros((count, 2), dtype=np.float32)
        constant[:, column] = 1
        assert collapsed(constant)
    targets = SINGLE.targets(plan.data.validation.columns, plan.data.definition)
    right = np.eye(2, dtype=np.float32)[targets]
    assert not collapsed(right)
    assert collapsed(right[:, ::-1])


@pytest.mark.slow
def test_without_resume_a_training_starts_over(
    own: Bank, small: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What an interrupted run left is used only where that was asked for."""
    with monkeypatch.context() as patch:
        interrupt_after(patch, 2)
        with pytest.raises(Interrupt):
            add(own, small, folder)
    steps: list[bool] = []
    real = torch.optim.AdamW.step

    def counting(optimizer: Any, *rest: Any) -> Any:
        trained = sum(len(group["params"]) for group in optimizer.param_groups)
        steps.append(trained > 2)  # a linear probe trains a weight and a bias
        return real(optimizer, *rest)

    monkeypatch.setattr(torch.optim.AdamW, "step", counting)
    add(own, small, folder)
    assert sum(steps) == 3 * 9


@pytest.mark.slow
def test_the_backbone_is_left_as_it_was(
    own: Bank, small: str, folder: Path, backbone: Backbone
) -> None:
    """Trials of any method, one after the other, never write to the frozen weights."""
    from taskbank.pipeline.train_and_store import train_and_store
    from taskbank.training.plan import plan_task

    before = {name: t.clone() for name, t in backbone.model.state_dict().items()}
    for method in ("full", "top-k", "houlsby", "lora"):
        plan = plan_task(TaskSpec(method, small, method=method, training={"epochs": 1}))
        train_and_store(own, backbone, plan)
    after = backbone.model.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
