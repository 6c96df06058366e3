"""A planned task is trained to a result that is complete, without a bank."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from taskbank.backbone.backbone import Backbone
from taskbank.errors import InputError
from taskbank.model.predict import predict_examples
from taskbank.model.task_model import task_model
from taskbank.specs import TaskSpec
from taskbank.training.checkpoint import Checkpoint
from taskbank.training.plan import TaskPlan, plan_task
from taskbank.training.train_task import train_task
from taskbank.training.trainer import Trainer
from taskbank.training.trial import Trial
from taskbank.training.tune import fit_to_backbone

SPEC = TaskSpec(
    "mood",
    "",
    options={"size": 4},
    training={"epochs": 2, "learning_rate": 0.02, "batch_size": 16, "max_length": 32},
    search={"size": (2, 4)},
)


@pytest.fixture
def plan(small: str, data: Path) -> TaskPlan:
    """A search of two sizes, with a test split."""
    return plan_task(replace(SPEC, train=small, test=str(data / "test.jsonl")))


@pytest.mark.slow
def test_the_result_is_the_best_trial_with_what_its_weights_predict(
    plan: TaskPlan, backbone: Backbone
) -> None:
    """Every trial is reported once and in order; the best one's weights give its predictions."""
    reported: list[Trial] = []
    result = train_task(plan, backbone, record=reported.append)
    sizes = [trial.setting.method.options["size"] for trial in result.trials]
    assert sizes[:2] == [2, 4]
    assert [t.specification for t in reported] == [t.specification for t in result.trials]
    best = max(result.trials, key=lambda trial: trial.rank("accuracy"))
    assert result.trial.specification == best.specification
    assert result.best == result.epochs[result.trial.best_epoch - 1]
    assert (len(result.epochs), result.seconds) == (2, result.trial.seconds)
    assert {metric.split for metric in result.metrics} == {"validation", "test"}

    setting = result.trial.setting
    method, training = setting.method, setting.training
    model = task_model(backbone, plan.kind, result.definition, method.name, method.options, 0)
    model.load_tensors(dict(result.weights))
    model.eval()
    assert result.predictions.keys() == {"validation", "test"}
    for split, examples in plan.data.evaluated_splits.items():
        encoded = plan.kind.encode(
            backbone.tokenizer,
            examples.columns,
            result.definition,
            training.max_length,
            labelled=False,
        )
        predicted = predict_examples(model, plan.kind, encoded)
        np.testing.assert_allclose(result.predictions[split], predicted, atol=1e-5)


@pytest.mark.slow
def test_a_linear_probe_is_the_floor_of_every_other_method(
    plan: TaskPlan, backbone: Backbone
) -> None:
    """The probe has the scores of a task with the method `linear`, which has no probe itself."""
    trainer = Trainer(backbone, plan)
    found = trainer.linear_probe(trainer.run(fit_to_backbone(plan, backbone)))
    spec = replace(plan.spec, method="linear", options={}, search={})
    own = ("epochs", "learning_rate")  # which come from the method
    training = {key: value for key, value in spec.training.items() if key not in own}
    alone = train_task(plan_task(replace(spec, training=training)), backbone)
    assert alone.trial.linear_probe is None
    assert found is not None
    assert found.keys() == {"validation", "test"}
    assert found["validation"] == alone.trials[0].score


@pytest.mark.slow
def test_known_trials_are_not_trained_again_and_checkpoints_go_when_asked(
    plan: TaskPlan, backbone: Backbone
) -> None:
    """The second training reports no trial, gives equal bytes, and leaves no checkpoint."""
    first = train_task(plan, backbone)
    paths = [Checkpoint(trial.specification, resume=False).path for trial in first.trials]
    assert any(path.exists() for path in paths)
    again: list[Trial] = []
    second = train_task(plan, backbone, known=first.trials, record=again.append)
    assert again == []
    assert second.weights.keys() == first.weights.keys()
    assert all(second.weights[name].equal(tensor) for name, tensor in first.weights.items())
    second.remove_checkpoints()
    assert not any(path.exists() for path in paths)


def test_what_does_not_fit_the_backbone_is_refused_before_training(
    small: str, backbone: Backbone
) -> None:
    """Longer inputs than the backbone takes and a layer it lacks are errors; no trial ran."""
    reported: list[Trial] = []
    for wrong, says in (
        ({"training": {"max_length": 65}}, "max_length is 65: .* takes at most 64 tokens"),
        ({"options": {"layers": "top:9"}}, "layers is 'top:9'"),
    ):
        plan = plan_task(TaskSpec.of({"name": "mood", "train": small, **wrong}))
        with pytest.raises(InputError, match=says):
            train_task(plan, backbone, record=reported.append)
    assert reported == []
