"""Predicts with a task's model.

Every prediction is computed in float32 without dropout, so that it can be compared with an earlier
one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import torch

from taskbank.data.batches import evaluation_batches
from taskbank.data.encoded import Encoded
from taskbank.model.task_model import TaskModel
from taskbank.runtime.out_of_memory import compute_in_halves

if TYPE_CHECKING:
    from taskbank.kinds.kind import Kind

EVALUATION_BATCH = 64
EVALUATION_TOKENS = 1 << 16  # maximum per batch: batches of very long texts have fewer inputs
Loss = Callable[[torch.Tensor, dict[str, torch.Tensor]], torch.Tensor]


def predict_examples(
    model: TaskModel, kind: Kind, encoded: Encoded, batch_size: int | None = None
) -> np.ndarray:
    """Return the predictions of a task's model.

    Args:
        model: the backbone with the task's adapter and head.
        kind: the task's kind.
        encoded: the inputs, encoded by the kind.
        batch_size: number of inputs per batch; it affects results only by rounding.

    Returns:
        float32 predictions in the order of the examples, of the kind's shape.
    """
    return kind.predictions(predict_outputs(model, encoded, batch_size), encoded)


def predict_outputs(
    model: TaskModel, encoded: Encoded, batch_size: int | None = None
) -> np.ndarray:
    """Return the outputs of a task's model.

    Args:
        model: the backbone with the task's adapter and head.
        encoded: the inputs.
        batch_size: number of inputs per batch; it affects results only by rounding.

    Returns:
        float32 outputs in the order of the inputs, an array of shape [inputs, outputs], or
        [all tokens, outputs] if the head reads tokens.
    """
    return _run(model, encoded, None, batch_size)[0]


def outputs_and_loss(
    model: TaskModel, kind: Kind, encoded: Encoded, weights: torch.Tensor | None
) -> tuple[np.ndarray, float]:
    """Return the outputs, as `predict_outputs` does, and the mean loss over inputs.

    Args:
        model: the backbone with the task's adapter and head.
        kind: the task's kind, which defines the loss.
        encoded: the inputs, with targets.
        weights: one weight per class, or None.
    """
    return _run(model, encoded, lambda outputs, targets: kind.loss(outputs, targets, weights))


@torch.inference_mode()
def _run(
    model: TaskModel, encoded: Encoded, loss: Loss | None, batch_size: int | None = None
) -> tuple[np.ndarray, float]:
    training = model.training
    if training:  # changing the mode visits every module of the encoder
        model.eval()
    device = next(model.parameters()).device
    flat: np.ndarray | None = None
    total = 0.0

    def compute(rows: np.ndarray) -> tuple[np.ndarray, float]:
        batch = encoded.batch(rows).to(device)
        outputs = model.outputs(batch).float()
        batch_loss = 0.0
        if loss is not None:
            targets = targets_of(encoded, rows, device)
            batch_loss = float(loss(model.shape_for_loss(outputs, batch), targets)) * len(rows)
        return outputs.cpu().numpy(), batch_loss

    for batch_rows in prediction_batches(encoded.lengths, batch_size):
        for rows, (outputs, batch_loss) in compute_in_halves(batch_rows, compute):
            total += batch_loss
            if flat is None:
                count = int(encoded.offsets[-1]) if model.per_token else len(encoded)
                flat = np.empty((count, outputs.shape[1]), dtype=np.float32)
            flat[encoded.token_index(rows) if model.per_token else rows] = outputs
    if training:
        model.train()
    assert flat is not None  # noqa: S101 - every kind encodes to at least one input
    return flat, total / len(encoded)


def prediction_batches(lengths: np.ndarray, batch_size: int | None = None) -> list[np.ndarray]:
    """Return the batches in which inputs are predicted.

    Args:
        lengths: number of tokens of each input, of shape [inputs].
        batch_size: number of inputs per batch. None means `EVALUATION_BATCH`.
    """
    return evaluation_batches(lengths, batch_size or EVALUATION_BATCH, EVALUATION_TOKENS)


def targets_of(encoded: Encoded, rows: np.ndarray, device: torch.device) -> dict[str, torch.Tensor]:
    """Return the targets of some inputs, on a device."""
    return {name: tensor.to(device) for name, tensor in encoded.supervision(rows).items()}
