"""Predicts with a task model and scores what it predicts. Knows nothing of banks.

Every prediction is computed in float32 with dropout off, so that it can be compared with
one computed on another day.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from taskbank.catalog.records import MetricRecord
from taskbank.data.batches import Encoded, evaluation_batches
from taskbank.model import TaskModel

if TYPE_CHECKING:
    from taskbank.kinds.kind import Kind

EVALUATION_BATCH = 64


@torch.inference_mode()
def predict_logits(model: TaskModel, encoded: Encoded) -> np.ndarray:
    """Return the logits of a task model.

    Args:
        model: the backbone with a task's adapter and head on.
        encoded: the inputs, [examples] of them.

    Returns:
        float32 logits in the order of the inputs, an array of shape [examples, outputs].
    """
    training = model.training
    model.eval()
    device = next(model.parameters()).device
    batches = evaluation_batches(encoded.lengths, EVALUATION_BATCH)
    parts = []
    for rows in batches:
        inputs = {name: tensor.to(device) for name, tensor in encoded.batch(rows).items()}
        parts.append(model(**inputs).float())
    model.train(training)
    order = np.concatenate(batches)
    logits = np.empty((len(order), parts[0].shape[1]), dtype=np.float32)
    logits[order] = torch.cat(parts).cpu().numpy()
    return logits


def measure(kind: Kind, split: str, logits: np.ndarray, targets: np.ndarray) -> list[MetricRecord]:
    """Return every metric of a kind on a split's logits, with standard errors.

    Args:
        kind: of the task.
        split: the split's name.
        logits: of shape [examples, outputs].
        targets: of shape [examples].
    """
    return [
        MetricRecord(split, name, found.value, found.standard_error, found.count)
        for name, found in kind.metrics(logits, targets).items()
    ]
