"""Predicts with a task's model.

Every prediction is computed in float32 without dropout, so that it can be compared with an earlier
one.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import torch

from taskbank.backbone.forward import trunk_states
from taskbank.data.batches import evaluation_batches
from taskbank.data.encoded import Encoded
from taskbank.data.packed import Batch
from taskbank.model.stored_model import StoredModel
from taskbank.runtime.out_of_memory import compute_in_halves

if TYPE_CHECKING:
    from taskbank.kinds.kind import Kind

EVALUATION_BATCH = 64
EVALUATION_TOKENS = 1 << 16  # maximum per batch: batches of very long texts have fewer inputs


def predict_examples(
    model: StoredModel, kind: Kind, encoded: Encoded, batch_size: int | None = None
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


@torch.inference_mode()
def predict_outputs(
    model: StoredModel, encoded: Encoded, batch_size: int | None = None
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
    training = model.training
    if training:  # changing the mode visits every module of the encoder
        model.eval()
    flat: list[np.ndarray] = []  # the outputs of each member

    def compute(rows: np.ndarray) -> list[np.ndarray]:
        batch = _shared(model, encoded.batch(rows).to(model.backbone.device))
        # One member after another: a batch needs no more memory than that of one member.
        return [member.outputs(batch).float().cpu().numpy() for member in model.members]

    for batch_rows in prediction_batches(encoded.lengths, batch_size):
        for rows, parts in compute_in_halves(batch_rows, compute):
            if not flat:
                count = int(encoded.offsets[-1]) if model.per_token else len(encoded)
                flat = [np.empty((count, part.shape[1]), dtype=np.float32) for part in parts]
            places = encoded.token_index(rows) if model.per_token else rows
            for whole, part in zip(flat, parts, strict=True):
                whole[places] = part
    if training:
        model.train()
    return model.combine(flat, encoded)


def _shared(model: StoredModel, batch: Batch) -> Batch:
    """Return a batch with what all members of a model begin with, if that is worth computing.

    A reduced precision applies to all layers, while the trunk is computed in full precision.
    """
    reduced = torch.is_autocast_enabled(batch.input_ids.device.type)
    if len(model.members) == 1 or batch.states is not None or not model.has_trunk or reduced:
        return batch
    return replace(batch, states=trunk_states(model.backbone, batch, model.adaptation.lowest_layer))


def outputs_and_loss(
    model: StoredModel, kind: Kind, encoded: Encoded, weights: torch.Tensor | None
) -> tuple[np.ndarray, float]:
    """Return the outputs, as `predict_outputs` does, and the mean loss over inputs.

    Args:
        model: the backbone with the task's adapter and head.
        kind: the task's kind, which defines the loss.
        encoded: the inputs, with targets.
        weights: one weight per class, or None.
    """
    outputs, device = predict_outputs(model, encoded), model.backbone.device
    total = 0.0
    for rows in prediction_batches(encoded.lengths):
        values = outputs[rows]
        if model.per_token:
            index, inside = encoded.padded_index(rows)
            values = np.where(inside[..., None], outputs[index], np.float32(0))
        targets = targets_of(encoded, rows, device)
        loss = kind.loss(torch.from_numpy(values).to(device), targets, weights)
        total += float(loss) * len(rows)
    return outputs, total / len(encoded)


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
