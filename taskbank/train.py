"""Trains a task model: one loop, the best epoch on validation is what stays.

Knows nothing of files, banks or how the model came to be. Section 3.1 of Houlsby et al.
2019: the rate rises linearly over the first tenth of the steps, then falls to zero.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from tqdm import tqdm
from transformers import get_linear_schedule_with_warmup

from taskbank.data.batches import Encoded, training_batches
from taskbank.errors import TrainingError
from taskbank.evaluate import predict_logits

if TYPE_CHECKING:
    from taskbank.kinds.kind import Kind
    from taskbank.model import TaskModel
    from taskbank.specs import TrainingSpec


@dataclass(frozen=True)
class Epoch:
    """What one pass over the training data gave.

    Attributes:
        number: 1, 2, …
        loss: mean training loss, over steps.
        score: the task's metric on validation.
        validation_loss: mean loss on validation.
    """

    number: int
    loss: float
    score: float
    validation_loss: float


@dataclass(frozen=True)
class Training:
    """A finished training.

    Attributes:
        epochs: every epoch that was run.
        best: the one whose weights the model was left with.
        seconds: how long it took.
    """

    epochs: tuple[Epoch, ...]
    best: Epoch
    seconds: float


def train(
    model: TaskModel,
    kind: Kind,
    data: tuple[Encoded, np.ndarray],
    validation: tuple[Encoded, np.ndarray],
    spec: TrainingSpec,
    *,
    progress: bool = False,
) -> Training:
    """Train a task model in place and leave it with the weights of its best epoch.

    The best epoch has the highest score on validation; of equal ones, the lowest loss there,
    then the earliest.

    Args:
        model: the backbone with an untrained adapter and head.
        kind: of the task; gives loss and metric.
        data: training inputs and their targets, an array of shape [examples].
        validation: the same for the held-out part.
        spec: the hyperparameters.
        progress: show a bar, if the error stream is a terminal.

    Raises:
        TrainingError: if the loss is not a finite number.
    """
    started = time.perf_counter()
    encoded, targets = data
    device = next(model.parameters()).device
    steps = spec.epochs * math.ceil(len(encoded) / spec.batch_size)
    optimizer = torch.optim.AdamW(_groups(model, spec.weight_decay), lr=spec.learning_rate)
    schedule = get_linear_schedule_with_warmup(optimizer, int(spec.warmup * steps), steps)
    trainable = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    all_targets = torch.from_numpy(targets).to(device)
    epochs: list[Epoch] = []
    best: Epoch | None = None
    kept: dict[str, torch.Tensor] = {}

    with _seeded(spec.seed, device), _bar(steps, progress) as bar:
        for number in range(1, spec.epochs + 1):
            bar.set_description(f"epoch {number}/{spec.epochs}")
            model.train()
            total = torch.zeros((), device=device)
            batches = training_batches(encoded.lengths, spec.batch_size, spec.seed, number)
            for rows in batches:
                inputs = {name: t.to(device) for name, t in encoded.batch(rows).items()}
                wanted = all_targets[torch.from_numpy(rows).to(device)]
                with torch.autocast("cuda", torch.bfloat16, enabled=device.type == "cuda"):
                    loss = kind.loss(model(**inputs), wanted)
                optimizer.zero_grad(set_to_none=True)
                loss.backward()  # type: ignore[no-untyped-call]
                torch.nn.utils.clip_grad_norm_(trainable, spec.clip)
                optimizer.step()
                schedule.step()
                total += loss.detach()
                bar.update()
            epoch = _assess(model, kind, number, float(total) / len(batches), validation)
            epochs.append(epoch)
            bar.set_postfix_str(
                f"loss {epoch.loss:.3f}, validation {kind.metric} {epoch.score:.4f}"
            )
            if best is None or _rank(epoch) > _rank(best):
                best = epoch
                kept = {name: t.detach().clone() for name, t in model.trained().items()}
            if spec.patience is not None and number - best.number >= spec.patience:
                break
    assert best is not None  # noqa: S101 - a specification has at least one epoch
    model.load_trained(kept)
    model.eval()
    return Training(tuple(epochs), best, time.perf_counter() - started)


def _assess(
    model: TaskModel,
    kind: Kind,
    number: int,
    loss: float,
    validation: tuple[Encoded, np.ndarray],
) -> Epoch:
    encoded, targets = validation
    logits = predict_logits(model, encoded)
    validation_loss = float(kind.loss(torch.from_numpy(logits), torch.from_numpy(targets)))
    if not (math.isfinite(loss) and math.isfinite(validation_loss)):
        raise TrainingError(
            f"training diverged: the mean loss of epoch {number} is {loss}, on validation "
            f"{validation_loss}; try a smaller --learning-rate. Nothing was recorded"
        )
    score = kind.metrics(logits, targets)[kind.metric].value
    return Epoch(number, loss, score, validation_loss)


def _rank(epoch: Epoch) -> tuple[float, float]:
    return epoch.score, -epoch.validation_loss


def _groups(model: TaskModel, weight_decay: float) -> list[dict[str, object]]:
    # Decay pulls matrices towards zero; a LayerNorm's scale or a bias has no reason to be there.
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    return [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]


@contextmanager
def _seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Seed dropout, and put the caller's random state back afterwards."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield


def _bar(steps: int, progress: bool) -> tqdm[None]:
    # disable=None: no bar where the error stream is not a terminal.
    return tqdm(total=steps, unit="step", desc="training", disable=None if progress else True)
