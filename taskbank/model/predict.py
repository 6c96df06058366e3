"""Predicts with a task model.

Every prediction is computed in float32 with dropout off, so it can be compared with one computed on
another day.
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
EVALUATION_TOKENS = 1 << 16  # of a batch: very long texts are computed in fewer
Loss = Callable[[torch.Tensor, dict[str, torch.Tensor]], torch.Tensor]


def predict_examples(
    model: TaskModel, kind: Kind, encoded: Encoded, batch_size: int | None = None
) -> np.ndarray:
    """Return the predictions of a task model.

    Args:
        model: the backbone with a task's adapter and head on.
        kind: of the task.
        encoded: the inputs, as the kind has encoded them.
        batch_size: inputs that are computed at once; it moves results by rounding only.

    Returns:
        float32 predictions in the order of the examples, of the shape that the kind says.
    """
    return kind.predictions(predict_outputs(model, encoded, batch_size), encoded)


def predict_outputs(
    model: TaskModel, encoded: Encoded, batch_size: int | None = None
) -> np.ndarray:
    """Return the outputs of a task model.

    Args:
        model: the backbone with a task's adapter and head on.
        encoded: the inputs.
        batch_size: inputs that are computed at once; it moves results by rounding only.

    Returns:
        float32 outputs in the order of the inputs, an array of shape [inputs, outputs], or
        [all tokens, outputs] where the head is on tokens.
    """
    return _run(model, encoded, None, batch_size)[0]


def outputs_and_loss(
    model: TaskModel, kind: Kind, encoded: Encoded, weights: torch.Tensor | None
) -> tuple[np.ndarray, float]:
    """Return the outputs of a task model, as `predict_outputs`, and the mean loss over inputs.

    Args:
        model: the backbone with a task's adapter and head on.
        kind: of the task; gives the loss.
        encoded: the inputs, with what the loss is told.
        weights: of the classes, or none.
    """
    return _run(model, encoded, lambda outputs, told: kind.loss(outputs, told, weights))


@torch.inference_mode()
def _run(
    model: TaskModel, encoded: Encoded, loss: Loss | None, batch_size: int | None = None
) -> tuple[np.ndarray, float]:
    training = model.training
    model.eval()
    device = next(model.parameters()).device
    flat: np.ndarray | None = None
    total = 0.0

    def computed(rows: np.ndarray) -> tuple[np.ndarray, float]:
        batch = encoded.batch(rows).to(device)
        outputs = model.outputs(batch).float()
        lost = 0.0
        if loss is not None:
            wanted = told(encoded, rows, device)
            lost = float(loss(model.shaped(outputs, batch), wanted)) * len(rows)
        return outputs.cpu().numpy(), lost

    for whole in batches_of(encoded.lengths, batch_size):
        for rows, (outputs, lost) in compute_in_halves(whole, computed):
            total += lost
            if flat is None:
                count = int(encoded.offsets[-1]) if model.per_token else len(encoded)
                flat = np.empty((count, outputs.shape[1]), dtype=np.float32)
            flat[encoded.where(rows) if model.per_token else rows] = outputs
    model.train(training)
    assert flat is not None  # noqa: S101 - no kind encodes to nothing
    return flat, total / len(encoded)


def batches_of(lengths: np.ndarray, batch_size: int | None = None) -> list[np.ndarray]:
    """Return the batches that inputs are predicted in.

    Args:
        lengths: tokens of each input, of shape [inputs].
        batch_size: inputs a batch; none means as many as is usual.
    """
    return evaluation_batches(lengths, batch_size or EVALUATION_BATCH, EVALUATION_TOKENS)


def told(encoded: Encoded, rows: np.ndarray, device: torch.device) -> dict[str, torch.Tensor]:
    """Return what the loss is told of some inputs, on a device."""
    return {name: tensor.to(device) for name, tensor in encoded.supervision(rows).items()}
