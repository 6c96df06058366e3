"""What enters the lowest adapted layer: the same in every epoch, and so computed once.

Below that layer nothing is trained. Dropout is off there, as it is frozen: it would only add noise
to what is learned from, and there would be no states that every epoch could share.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import torch

from taskbank.data.batches import Encoded, evaluation_batches
from taskbank.engine import trunk_states
from taskbank.evaluate import EVALUATION_BATCH

if TYPE_CHECKING:
    from taskbank.model import TaskModel

MEMORY = 1 << 30  # bytes of states that are kept; more are computed anew with every batch


def with_trunk(model: TaskModel, encoded: Encoded) -> Encoded:
    """Return inputs with what enters the lowest layer that a task adapts, if that saves anything.

    Args:
        model: of the task.
        encoded: the inputs.
    """
    identity, tokens = model.backbone.identity, int(encoded.offsets[-1])
    if not model.has_trunk or tokens * identity.hidden_size * 4 > MEMORY:
        return encoded
    states = torch.empty(tokens, identity.hidden_size)
    # In the batches of an evaluation, so that its bits are the same with and without.
    for rows in evaluation_batches(encoded.lengths, EVALUATION_BATCH):
        batch = encoded.batch(rows).to(model.backbone.device)
        found = trunk_states(model.backbone, batch, model.adaptation.lowest)
        states[torch.from_numpy(encoded.where(rows))] = found.cpu()
    return replace(encoded, states=states)
