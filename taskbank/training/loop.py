"""The training loop of a task model, which keeps the best epoch by validation score.

This module knows nothing of files, banks or how the model was built. As in section 3.1 of Houlsby
et al. 2019, the learning rate rises linearly over the first tenth of the steps, then falls to zero.
"""

from __future__ import annotations

import math
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import torch
from tqdm import tqdm

from taskbank.data.batches import training_batches
from taskbank.errors import TrainingError
from taskbank.kinds.definition import Definition
from taskbank.kinds.metrics import orient
from taskbank.model.predict import outputs_and_loss, targets_of
from taskbank.model.trunk import add_trunk_states
from taskbank.runtime.out_of_memory import compute_in_halves
from taskbank.specs import TrainingSpec
from taskbank.training.checkpoint import Checkpoint, State
from taskbank.training.optimizer import Optimizer, class_weights, seeded, step_bar

if TYPE_CHECKING:
    from taskbank.kinds.kind import Kind
    from taskbank.model.stored_model import StoredModel
    from taskbank.model.task_model import TaskModel
    from taskbank.training.prepared import PreparedSplit

Loss = Callable[[torch.Tensor, Mapping[str, torch.Tensor], torch.Tensor | None], torch.Tensor]


@dataclass(frozen=True)
class Epoch:
    """The results of one pass over the training data.

    Attributes:
        number: the epoch's number, from 1.
        loss: mean training loss over the epoch's steps.
        score: the task's metric on the validation split.
        validation_loss: mean loss on the validation split.
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
        best: the epoch whose weights the model now has.
        seconds: duration in seconds, including the runs before an interruption.
        definition: the task's definition, with the values tuned on validation.
        predictions: the best epoch's predictions on the validation split.
        pruned: whether the training was stopped early.
    """

    epochs: tuple[Epoch, ...]
    best: Epoch
    seconds: float
    definition: Definition
    predictions: np.ndarray
    pruned: bool = False


def train(
    model: TaskModel,
    kind: Kind,
    definition: Definition,
    data: PreparedSplit,
    validation: PreparedSplit,
    spec: TrainingSpec,
    metric: str,
    *,
    loss: Loss | None = None,
    keep_last: bool = False,
    checkpoint: Checkpoint | None = None,
    should_prune: Callable[[Epoch], bool] | None = None,
    progress: bool = False,
    caption: str = "",
) -> Training:
    """Train a task model in place and leave it with the weights of its best epoch.

    The best epoch has the best validation score. Ties are broken by the lowest validation loss,
    then by the earliest epoch. With `keep_last`, the last epoch counts as the best.

    Args:
        model: the backbone with an untrained adapter and head.
        kind: the task's kind, which defines loss and metrics.
        definition: the task's definition.
        data: the training split.
        validation: the validation split, on which the best epoch is chosen.
        spec: the hyperparameters.
        metric: the name of the metric that the best epoch is chosen by.
        loss: the loss of a training batch, in place of the kind's own.
        keep_last: whether to keep the last epoch instead, so that nothing is chosen on validation.
        checkpoint: the checkpoint that the training resumes from and saves after every epoch.
        should_prune: called after every epoch; returns whether to stop the training early.
        progress: whether to show a progress bar if stderr is a terminal.
        caption: text in the progress bar before the epoch, such as the number of the trial.

    Raises:
        TrainingError: if the loss is not a finite number.
    """
    run = _Run(model, kind, definition, data, validation, spec, metric, loss, keep_last)
    device = run.device
    pruned = False
    with seeded(spec.seed, device), step_bar(run.steps, progress) as bar:
        state = checkpoint.load() if checkpoint else None
        if state is not None:
            run.restore(state)
            bar.update(len(run.epochs) * run.steps // spec.epochs)
            # The callback must see every epoch; only its verdict on the last one counts.
            pruned = bool(should_prune and [should_prune(epoch) for epoch in run.epochs][-1])
        while not run.finished and not pruned:
            number = len(run.epochs) + 1
            position = f"epoch {number}/{spec.epochs}"
            bar.set_description(f"{caption}, {position}" if caption else position)
            epoch = run.train_epoch(number, bar)
            bar.set_postfix_str(f"loss {epoch.loss:.3f}, validation {metric} {epoch.score:.4f}")
            if checkpoint is not None:
                checkpoint.save(run.state())
            pruned = should_prune is not None and should_prune(epoch)
    return run.finish(pruned=pruned)


def without_epochs(
    model: StoredModel,
    kind: Kind,
    definition: Definition,
    validation: PreparedSplit,
    weights: torch.Tensor | None,
    metric: str,
    *,
    loss: float,
    started: float,
) -> Training:
    """Return a finished training that had no epochs to choose from, with one that stands for it.

    Args:
        model: the trained model.
        kind: the task's kind.
        definition: the task's definition.
        validation: the validation split, on which the model is scored.
        weights: one weight per class, or None.
        metric: the name of the task's metric.
        loss: the training loss.
        started: the time of `time.perf_counter` when the training began.

    Raises:
        TrainingError: if a loss is not a finite number.
    """
    encoded = add_trunk_states(model, validation.encoded)
    outputs, validation_loss = outputs_and_loss(model, kind, encoded, weights)
    if not (math.isfinite(loss) and math.isfinite(validation_loss)):
        raise TrainingError(
            f"training diverged: the loss is {loss}, the loss on validation {validation_loss}; try "
            "a smaller --learning-rate. Nothing was recorded"
        )
    predictions = kind.predictions(outputs, encoded)
    tuned = kind.tune(predictions, validation.columns, definition)
    score = kind.scores(predictions, validation.columns, tuned)[metric]
    only = Epoch(1, loss, score, validation_loss)
    return Training((only,), only, time.perf_counter() - started, tuned, predictions)


class _Run:
    """A training in progress."""

    def __init__(
        self,
        model: TaskModel,
        kind: Kind,
        definition: Definition,
        data: PreparedSplit,
        validation: PreparedSplit,
        spec: TrainingSpec,
        metric: str,
        loss: Loss | None,
        keep_last: bool,
    ) -> None:
        self.loss, self.keep_last = loss or kind.loss, keep_last
        self.model, self.kind, self.definition = model, kind, definition
        self.data, self.validation = (
            replace(split, encoded=add_trunk_states(model, split.encoded))
            for split in (data, validation)
        )
        self.spec, self.metric = spec, metric
        self.device = next(model.parameters()).device
        self.steps = sum(len(self._batches(number + 1)) for number in range(spec.epochs))
        trainable = [p for p in model.parameters() if p.requires_grad]
        self.optimizer = Optimizer(trainable, spec, self.steps)
        self.weights = class_weights(kind, data.columns, definition, spec, self.device)
        self.epochs: list[Epoch] = []
        self.best: Epoch | None = None
        self.best_weights: dict[str, torch.Tensor] = {}
        self.earlier_seconds = 0.0  # duration of the runs before an interruption
        self.started = time.perf_counter()

    @property
    def finished(self) -> bool:
        if len(self.epochs) == self.spec.epochs:
            return True
        patience = self.spec.patience
        if patience is None or self.best is None:
            return False
        return len(self.epochs) - self.best.number >= patience

    def train_epoch(self, number: int, bar: tqdm[None]) -> Epoch:
        """Run one epoch over the training data, and score the model on validation."""
        self.model.train()
        total = torch.zeros((), device=self.device)
        batches = self._batches(number)
        for rows in batches:
            self.optimizer.zero_grad()
            backpropagate = partial(self._backpropagate, inputs=len(rows))
            for _, loss in compute_in_halves(rows, backpropagate, self.optimizer.zero_grad):
                total += loss
            self.optimizer.step()
            bar.update()
        epoch = self._score_epoch(number, float(total) / len(batches))
        self.epochs.append(epoch)
        if self.keep_last or self.best is None or self._rank(epoch) > self._rank(self.best):
            self.best = epoch
            self.best_weights = {
                name: t.detach().clone() for name, t in self.model.trained_tensors().items()
            }
        return epoch

    def _batches(self, number: int) -> list[np.ndarray]:
        lengths, spec = self.data.encoded.lengths, self.spec
        return training_batches(lengths, spec.batch_size, spec.seed, number, spec.batch_tokens)

    def _backpropagate(self, rows: np.ndarray, inputs: int) -> torch.Tensor:
        """Add the gradients of part of a batch, and return its share of the loss.

        Args:
            rows: the rows of the part.
            inputs: number of inputs in the whole batch.
        """
        batch = self.data.encoded.batch(rows).to(self.device)
        targets = targets_of(self.data.encoded, rows, self.device)
        bfloat16 = self.spec.precision == "bfloat16"
        with torch.autocast(self.device.type, torch.bfloat16, enabled=bfloat16):
            outputs = self.model.shape_for_loss(self.model.outputs(batch), batch)
            loss = self.loss(outputs, targets, self.weights) * (len(rows) / inputs)
        loss.backward()  # type: ignore[no-untyped-call]
        return loss.detach()

    def _score_epoch(self, number: int, loss: float) -> Epoch:
        predictions, validation_loss = self._predict()
        if not (math.isfinite(loss) and math.isfinite(validation_loss)):
            raise TrainingError(
                f"training diverged: the mean loss of epoch {number} is {loss}, on validation "
                f"{validation_loss}; try a smaller --learning-rate. Nothing was recorded"
            )
        columns = self.validation.columns
        tuned = self.kind.tune(predictions, columns, self.definition)
        score = self.kind.scores(predictions, columns, tuned)[self.metric]
        return Epoch(number, loss, score, validation_loss)

    def _predict(self) -> tuple[np.ndarray, float]:
        encoded = self.validation.encoded
        outputs, loss = outputs_and_loss(self.model, self.kind, encoded, self.weights)
        return self.kind.predictions(outputs, encoded), loss

    def _rank(self, epoch: Epoch) -> tuple[float, float]:
        return orient(self.metric, epoch.score), -epoch.validation_loss

    def finish(self, *, pruned: bool) -> Training:
        """Give the model the weights of the best epoch, and return the finished training."""
        assert self.best is not None  # noqa: S101 - a specification has at least one epoch
        seconds = self.seconds
        self.model.load_tensors(self.best_weights)
        self.model.eval()
        predictions, _ = self._predict()
        tuned = self.kind.tune(predictions, self.validation.columns, self.definition)
        return Training(tuple(self.epochs), self.best, seconds, tuned, predictions, pruned)

    @property
    def seconds(self) -> float:
        return self.earlier_seconds + time.perf_counter() - self.started

    # Resuming

    def state(self) -> State:
        """Return everything that the next epoch depends on."""
        moments, groups, schedule = self.optimizer.state()
        tensors = {f"now.{name}": t for name, t in self.model.trained_tensors().items()}
        tensors |= {f"best.{name}": t for name, t in self.best_weights.items()}
        for number, own in moments.items():
            tensors |= {f"optimizer.{number}.{name}": t for name, t in own.items()}
        tensors["random.cpu"] = torch.get_rng_state()
        if self.device.type == "cuda":
            tensors["random.cuda"] = torch.cuda.get_rng_state(self.device)
        values = {
            "epochs": [asdict(epoch) for epoch in self.epochs],
            "best": self.best.number if self.best else 0,
            "groups": groups,
            "schedule": schedule,
            "seconds": self.seconds,
        }
        return State(tensors, values)

    def restore(self, state: State) -> None:
        """Continue from the state of an interrupted run."""
        parts: dict[str, dict[str, torch.Tensor]] = defaultdict(dict)
        for name, tensor in state.tensors.items():
            part, _, rest = name.partition(".")
            parts[part][rest] = tensor
        self.model.load_tensors(parts["now"])
        self.best_weights = {name: tensor.to(self.device) for name, tensor in parts["best"].items()}
        moments: dict[int, dict[str, torch.Tensor]] = defaultdict(dict)
        for name, tensor in parts["optimizer"].items():
            number, _, rest = name.partition(".")
            moments[int(number)][rest] = tensor
        values = state.values
        self.optimizer.restore(moments, values["groups"], values["schedule"])
        self.epochs = [Epoch(**epoch) for epoch in values["epochs"]]
        self.best = self.epochs[values["best"] - 1]
        self.earlier_seconds = values["seconds"]
        torch.set_rng_state(parts["random"]["cpu"])
        if self.device.type == "cuda":
            torch.cuda.set_rng_state(parts["random"]["cuda"], self.device)
