"""Turns the result of a training into the record that a bank stores."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from safetensors.numpy import save as save_arrays
from safetensors.torch import save as save_tensors

from taskbank.bank.new_records import NewAdapter, NewSplit, NewTrial
from taskbank.kinds.canaries import choose_canaries
from taskbank.training.plan import TaskPlan


def new_adapter(
    plan: TaskPlan,
    trial: NewTrial,
    weights: Mapping[str, torch.Tensor],
    predictions: Mapping[str, np.ndarray],
) -> NewAdapter:
    """Return the record of a trained task: weights, metrics, splits and reference predictions.

    Args:
        plan: the task as it was planned.
        trial: the trial whose weights are stored.
        weights: by stored name.
        predictions: of every split, by its name.
    """
    splits = tuple(
        NewSplit(
            name,
            examples.origin,
            len(examples),
            examples.to_bytes(),
            save_arrays({"logits": predictions[name]}),
            choose_canaries(plan.kind, predictions[name], examples.columns, trial.definition),
        )
        for name, examples in plan.data.evaluated.items()
    )
    return NewAdapter(
        task=plan.name,
        kind=trial.kind,
        backbone=trial.backbone,
        method=trial.method,
        training=trial.training,
        definition=trial.definition,
        metric=trial.metric,
        split=plan.data.scored,
        metrics=trial.metrics,
        splits=splits,
        parameters=trial.parameters,
        weights=save_tensors(dict(weights)),
        environment=trial.environment,
        description=plan.description,
        tags=plan.tags,
    )
