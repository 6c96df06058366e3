"""Computes the vectors that heads read, under the adaptations of several tasks at once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from taskbank.backbone.adaptation import Adaptation
from taskbank.backbone.backbone import Backbone
from taskbank.data.encoded import Encoded
from taskbank.model.mixed_batch import PredictionRequest, predict_mixed
from taskbank.model.task_model import TaskModel


def pooled_vectors(
    backbone: Backbone, pairs: Sequence[tuple[Adaptation, Encoded]]
) -> list[np.ndarray]:
    """Return one vector per input under each adaptation, as its head would read it.

    Inputs that several adaptations share pass the layers that none of them changes once.

    Args:
        backbone: the frozen backbone.
        pairs: adaptations of it, each with its inputs; one that changes nothing gives the vectors
            of the bare backbone.

    Returns:
        float32 vectors [inputs, hidden size] per pair.
    """
    requests = []
    for adaptation, encoded in pairs:
        headless = TaskModel(backbone, adaptation, torch.nn.Identity())
        headless.eval()
        requests.append(PredictionRequest(headless, encoded))
    return predict_mixed(backbone, requests)
