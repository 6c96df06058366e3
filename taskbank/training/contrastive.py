"""Contrastive training for few examples: brings a class's vectors together, then fits the head.

From a few examples of each class, the adapter learns more by comparing them with each other than by
naming their classes: Tunstall et al. 2022, "Efficient Few-Shot Learning Without Prompts", section
3. Every input of a batch is compared with every other, by the supervised contrastive loss of Khosla
et al. 2020, equation 2. The head is then fitted to the vectors until its loss no longer falls.
"""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.nn.functional import normalize

from taskbank.kinds.definition import Definition
from taskbank.model.predict import predict_outputs, targets_of
from taskbank.model.task_model import TaskModel
from taskbank.model.trunk import add_trunk_states
from taskbank.specs import TrainingSpec
from taskbank.training.loop import Training, without_epochs
from taskbank.training.optimizer import Optimizer, class_weights, seeded, step_bar

if TYPE_CHECKING:
    from taskbank.data.encoded import Encoded
    from taskbank.kinds.kind import Kind
    from taskbank.training.prepared import PreparedSplit

SHARPNESS = 0.1  # the temperature of the loss, as in Khosla et al. 2020, section 4
CLASSES = 8  # maximum per batch, so that each of them has several inputs there
PENALTY = 0.5  # of the head's squared weights, as strong as one example's loss
FITTING_STEPS = 200  # maximum number of steps that fit the head


def train_contrastive(
    model: TaskModel,
    kind: Kind,
    definition: Definition,
    data: PreparedSplit,
    validation: PreparedSplit,
    spec: TrainingSpec,
    metric: str,
    *,
    progress: bool = False,
    caption: str = "",
) -> Training:
    """Train a task model in place by `spec.contrastive` steps, then fit its head.

    Args:
        model: the backbone with an untrained adapter and head.
        kind: the task's kind, whose examples belong to one class each.
        definition: the task's definition.
        data: the training split.
        validation: the validation split, on which the result is scored.
        spec: the hyperparameters.
        metric: the name of the task's metric.
        progress: whether to show a progress bar if stderr is a terminal.
        caption: text in the progress bar, such as the number of the trial.

    Returns:
        the finished training, with the fitted head as its only epoch.

    Raises:
        TrainingError: if the loss is not a finite number.
    """
    started = time.perf_counter()
    device = next(model.parameters()).device
    encoded = add_trunk_states(model, data.encoded)
    weights = class_weights(kind, data.columns, definition, spec, device)
    headless = TaskModel(model.backbone, model.adaptation, torch.nn.Identity())
    loss = _bring_together(headless, encoded, spec, progress, caption)
    _fit_head(model.head, headless, kind, encoded, weights)
    return without_epochs(
        model, kind, definition, validation, weights, metric, loss=loss, started=started
    )


def contrastive_loss(vectors: torch.Tensor, classes: torch.Tensor) -> torch.Tensor:
    """Return the supervised contrastive loss: Khosla et al. 2020, equation 2.

    Args:
        vectors: of shape [batch, width].
        classes: the class of each, of shape [batch]; a class with one vector only repels.
    """
    vectors = normalize(vectors, dim=1)
    similar = vectors @ vectors.T / SHARPNESS
    itself = torch.eye(len(vectors), dtype=torch.bool, device=vectors.device)
    shares = similar.masked_fill(itself, -math.inf).log_softmax(dim=1)
    same = (classes[:, None] == classes[None, :]) & ~itself
    means = shares.masked_fill(~same, 0.0).sum(dim=1) / same.sum(dim=1).clamp(min=1)
    return -means.mean()


def contrastive_batch(
    rows_of: list[np.ndarray], size: int, generator: np.random.Generator
) -> np.ndarray:
    """Return the rows of a batch with the same number of inputs of each of its classes.

    Args:
        rows_of: the rows of each class.
        size: the number of inputs of the batch; fewer if the classes have fewer.
        generator: chooses classes and inputs.
    """
    classes = generator.permutation(len(rows_of))[:CLASSES]
    each = max(2, size // len(classes))
    return np.concatenate([generator.permutation(rows_of[one])[:each] for one in classes])


def _bring_together(
    headless: TaskModel, encoded: Encoded, spec: TrainingSpec, progress: bool, caption: str
) -> float:
    """Train the adapter until the vectors of a class are alike; return the last steps' loss.

    Args:
        headless: the task's model without its head: its outputs are the vectors.
        encoded: the training inputs.
        spec: the hyperparameters.
        progress: whether to show a progress bar if stderr is a terminal.
        caption: text in the progress bar.
    """
    assert spec.contrastive is not None  # noqa: S101 - the caller asked
    device = headless.backbone.device
    classes = encoded.input_targets["targets"]
    rows_of = [np.flatnonzero(classes == one) for one in np.unique(classes)]
    headless.dropout = torch.nn.Dropout(0.0)
    headless.train()
    trained = [p for p in headless.parameters() if p.requires_grad]
    optimizer = Optimizer(trained, spec, spec.contrastive)
    generator = np.random.default_rng(spec.seed)
    losses = []
    with seeded(spec.seed, device), step_bar(spec.contrastive, progress) as bar:
        bar.set_description(f"{caption}, contrastive" if caption else "contrastive")
        for _ in range(spec.contrastive):
            rows = contrastive_batch(rows_of, spec.batch_size, generator)
            bfloat16 = spec.precision == "bfloat16"
            with torch.autocast(device.type, torch.bfloat16, enabled=bfloat16):
                vectors = headless.outputs(encoded.batch(rows).to(device))
            loss = contrastive_loss(vectors.float(), torch.from_numpy(classes[rows]).to(device))
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            losses.append(loss.detach())
            bar.update()
    return float(torch.stack(losses[-len(losses) // 10 - 1 :]).mean())


def _fit_head(
    head: torch.nn.Module,
    headless: TaskModel,
    kind: Kind,
    encoded: Encoded,
    weights: torch.Tensor | None,
) -> None:
    """Fit the head to the adapter's vectors: logistic regression with a penalty of its weights.

    The vectors are divided by their mean norm, so that the penalty means the same for every
    encoder, and the head's weights take the division over.
    """
    device = headless.backbone.device
    vectors = torch.from_numpy(predict_outputs(headless, encoded)).to(device)
    norm = vectors.norm(dim=1).mean()
    vectors = vectors / norm
    targets = targets_of(encoded, np.arange(len(encoded)), device)
    assert isinstance(head, torch.nn.Linear)  # noqa: S101 - every head is
    with torch.no_grad():
        head.weight.zero_()
        head.bias.zero_()
    optimizer = torch.optim.LBFGS(
        head.parameters(), max_iter=FITTING_STEPS, line_search_fn="strong_wolfe"
    )

    def cost() -> torch.Tensor:
        optimizer.zero_grad()
        loss = kind.loss(head(vectors), targets, weights) * len(vectors)
        loss = loss + PENALTY * head.weight.square().sum()
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    optimizer.step(cost)  # type: ignore[no-untyped-call]
    with torch.no_grad():
        head.weight.div_(norm)
