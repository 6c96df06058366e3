"""Scores an ensemble: several trainings of one setting from different seeds, combined.

Lakshminarayanan et al. 2017, "Simple and Scalable Predictive Uncertainty Estimation using Deep
Ensembles", section 2.4. The members are trained like single trainings, each from its best epoch;
what is tuned on validation, such as the temperature, is tuned for their combination.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from statistics import fmean
from typing import TYPE_CHECKING

from taskbank.model.stored_model import StoredModel
from taskbank.training.loop import Training, without_epochs
from taskbank.training.optimizer import class_weights

if TYPE_CHECKING:
    from taskbank.kinds.definition import Definition
    from taskbank.kinds.kind import Kind
    from taskbank.specs import TrainingSpec
    from taskbank.training.prepared import PreparedSplit
    from taskbank.training.trial import Trial


def combine_trials(
    model: StoredModel,
    kind: Kind,
    definition: Definition,
    data: PreparedSplit,
    validation: PreparedSplit,
    spec: TrainingSpec,
    metric: str,
    trials: Sequence[Trial],
) -> Training:
    """Give a model the weights of its members' trainings, and return their combination.

    Args:
        model: the untrained model of the ensemble.
        kind: the task's kind.
        definition: the task's definition.
        data: the training split.
        validation: the validation split, on which the combination is scored.
        spec: the hyperparameters.
        metric: the name of the task's metric.
        trials: the trainings, with their weights, in the order of the members.

    Returns:
        the finished training, as long as all of them, with one epoch that stands for them.
    """
    started = time.perf_counter() - sum(trial.seconds for trial in trials)
    for member, trial in zip(model.members, trials, strict=True):
        assert trial.weights is not None  # noqa: S101 - the caller has just trained it
        member.load_tensors(trial.weights)
    model.eval()
    weights = class_weights(kind, data.columns, definition, spec, model.backbone.device)
    loss = fmean(trial.epochs[trial.best_epoch - 1].loss for trial in trials)
    return without_epochs(
        model, kind, definition, validation, weights, metric, loss=loss, started=started
    )
