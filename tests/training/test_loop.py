"""Training: it learns, keeps the best epoch, and is the same every time."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from taskbank.backbone.backbone import Backbone
from taskbank.errors import TrainingError
from taskbank.kinds.single import SINGLE
from taskbank.methods.houlsby import HOULSBY
from taskbank.model.predict import predict_examples
from taskbank.model.task_model import TaskModel, task_model
from taskbank.specs import TrainingSpec
from taskbank.training.loop import Epoch, Training, train
from tests.helpers.models import MOOD, data_of
from tests.helpers.rows import labelled

SPEC = TrainingSpec(epochs=4, learning_rate=0.02, batch_size=16)


def run(
    backbone: Backbone, spec: TrainingSpec = SPEC, metric: str = "accuracy", **further: Any
) -> tuple[Training, np.ndarray, bytes]:
    """Train once; return the course, the logits on validation and every trained byte."""
    validation = data_of(backbone, 24, 2)
    options = HOULSBY.complete({"size": 8})
    model = task_model(backbone, SINGLE, MOOD, "houlsby", options, spec.seed)
    data = data_of(backbone, 320, 1)
    course = train(model, SINGLE, MOOD, data, validation, spec, metric, **further)
    assert not model.training
    parts = [t.detach().numpy().tobytes() for _, t in sorted(model.trained_tensors().items())]
    return course, predict_examples(model, SINGLE, validation.encoded), b"".join(parts)


@pytest.mark.slow
def test_a_task_is_learned(backbone: Backbone) -> None:
    """A tiny model learns to tell good words from bad ones."""
    course, logits, _ = run(backbone)
    assert course.best.score >= 0.9
    assert course.epochs[-1].loss < course.epochs[0].loss
    targets = data_of(backbone, 24, 2).encoded.input_targets["targets"]
    assert (logits.argmax(axis=1) == targets).mean() == course.best.score
    assert np.array_equal(course.predictions, logits)


@pytest.mark.slow
def test_training_twice_gives_the_same_bytes(backbone: Backbone) -> None:
    """Same data and seed give the same bytes, whatever the global random state is before."""
    first = run(backbone)[2]
    torch.rand(7)
    state = torch.random.get_rng_state()
    assert run(backbone)[2] == first
    assert torch.equal(torch.random.get_rng_state(), state)
    assert run(backbone, replace(SPEC, seed=1))[2] != first


@pytest.mark.slow
def test_the_best_epoch_is_what_stays(backbone: Backbone, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where later epochs are worse, the model is left with the weights of the best one."""
    calls: list[bytes] = []
    real = TaskModel.trained_tensors

    def spying(model: TaskModel) -> dict[str, torch.Tensor]:
        found = real(model)
        calls.append(b"".join(t.detach().numpy().tobytes() for t in found.values()))
        return found

    monkeypatch.setattr(TaskModel, "trained_tensors", spying)
    course, *_ = run(backbone, replace(SPEC, epochs=6, learning_rate=0.05))
    ranks = [(epoch.score, -epoch.validation_loss) for epoch in course.epochs]
    assert course.best == course.epochs[ranks.index(max(ranks))]
    assert 1 < course.best.number < 6, "this test needs a run that gets better, then worse"
    kept_at_best = calls[sum(r == max(ranks[: i + 1]) for i, r in enumerate(ranks)) - 1]
    assert calls[-1] == kept_at_best


@pytest.mark.slow
@pytest.mark.parametrize("metric", ["log_loss", "matthews"])
def test_the_best_epoch_is_the_best_by_the_metric_asked_for(
    backbone: Backbone, metric: str
) -> None:
    """A loss is the better the lower it is, every other metric the higher."""
    course, logits, _ = run(backbone, replace(SPEC, epochs=6, learning_rate=0.05), metric)
    scores = [epoch.score for epoch in course.epochs]
    assert course.best.score == (min(scores) if metric == "log_loss" else max(scores))
    columns = labelled("single", 24, 2)
    assert course.best.score == SINGLE.scores(logits, columns, course.definition)[metric]


@pytest.mark.slow
def test_a_training_that_is_given_up_keeps_its_best_epoch(backbone: Backbone) -> None:
    """Who watches the epochs can end a training, which says so."""
    seen: list[Epoch] = []

    def give_up(epoch: Epoch) -> bool:
        seen.append(epoch)
        return len(seen) == 2

    course, *_ = run(backbone, replace(SPEC, epochs=9), should_prune=give_up)
    assert (course.epochs, course.pruned) == (tuple(seen), True)
    assert course.best in seen
    whole, *_ = run(backbone, replace(SPEC, epochs=2), should_prune=lambda epoch: False)
    assert not whole.pruned


@pytest.mark.slow
def test_balanced_classes_count_alike_in_the_loss(
    backbone: Backbone, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With balanced weights, every loss is told them; without, none is."""
    seen: list[torch.Tensor | None] = []
    real = type(SINGLE).loss

    def spying(kind: object, outputs: torch.Tensor, told: object, weights: Any) -> torch.Tensor:
        seen.append(weights)
        return real(kind, outputs, told, weights)  # type: ignore[arg-type]

    monkeypatch.setattr(type(SINGLE), "loss", spying)
    run(backbone, replace(SPEC, epochs=1))
    assert all(weights is None for weights in seen)
    seen.clear()
    run(backbone, replace(SPEC, epochs=1, class_weight="balanced"))
    assert len(seen) > 20
    expected = SINGLE.balance(labelled("single", 320, 1), MOOD)
    assert all(weights is not None and np.array_equal(weights, expected) for weights in seen)


@pytest.mark.slow
def test_patience_ends_a_training_that_gets_no_better(backbone: Backbone) -> None:
    """Training stops after as many epochs without a better one as were asked for."""
    spec = replace(SPEC, epochs=30, patience=2)
    course, *_ = run(backbone, spec)
    assert len(course.epochs) == course.best.number + 2 < 30


@pytest.mark.slow
def test_the_learning_rate_rises_for_a_tenth_and_falls_to_zero(
    backbone: Backbone, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rate peaks after a tenth of the steps and ends near nothing."""
    rates: list[float] = []
    real = torch.optim.AdamW.step

    def spying(optimizer: torch.optim.AdamW, *arguments: object) -> object:
        rates.append(optimizer.param_groups[0]["lr"])
        return real(optimizer, *arguments)

    monkeypatch.setattr(torch.optim.AdamW, "step", spying)
    run(backbone, TrainingSpec(epochs=10, batch_size=80, learning_rate=0.01))
    assert len(rates) == 40
    assert max(rates) == rates[4] == 0.01
    assert rates[0] == 0
    assert 0 < rates[-1] <= 0.01 / 36 + 1e-12
    assert all(a >= b for a, b in pairwise(rates[4:]))


def test_the_gradient_is_clipped(backbone: Backbone, monkeypatch: pytest.MonkeyPatch) -> None:
    """The gradient handed to the optimiser is never longer than asked for."""
    norms: list[float] = []
    real = torch.optim.AdamW.step

    def spying(optimizer: torch.optim.AdamW, *arguments: object) -> object:
        gradients = [
            p.grad.flatten()
            for g in optimizer.param_groups
            for p in g["params"]
            if p.grad is not None
        ]
        norms.append(torch.cat(gradients).norm().item())
        return real(optimizer, *arguments)

    monkeypatch.setattr(torch.optim.AdamW, "step", spying)
    run(backbone, TrainingSpec(epochs=1, clip=0.01))
    assert max(norms) == pytest.approx(0.01, rel=1e-3)


def test_a_training_that_diverges_is_an_error(backbone: Backbone) -> None:
    """A loss that is not a number ends the training with an error, not with an adapter."""
    spec = TrainingSpec(epochs=3, learning_rate=0.99, clip=1e30)
    model = task_model(backbone, SINGLE, MOOD, "houlsby", HOULSBY.complete({"init_std": 1}), 0)
    with torch.no_grad():
        model.trained_tensors()["head.weight"].fill_(float("nan"))
    data, validation = data_of(backbone, 32, 1), data_of(backbone, 8, 2)
    with pytest.raises(TrainingError, match="diverged"):
        train(model, SINGLE, MOOD, data, validation, spec, "accuracy")


def test_no_bar_is_drawn_where_there_is_no_terminal(
    backbone: Backbone, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """With progress asked for, an error stream that is a file stays empty."""
    model = task_model(backbone, SINGLE, MOOD, "houlsby", HOULSBY.complete({"size": 4}), 0)
    data, validation = data_of(backbone, 32, 1), data_of(backbone, 8, 2)
    spec = TrainingSpec(epochs=1)
    train(model, SINGLE, MOOD, data, validation, spec, "accuracy", progress=True)
    assert capfd.readouterr().err == ""
