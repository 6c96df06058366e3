"""The scores of all classes, with which the interfaces of classification servers answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from taskbank import plugins
from taskbank.bank.records import AdapterRecord
from taskbank.data.fields import Type
from taskbank.digests import Json
from taskbank.kinds.calibration import temperature_of
from taskbank.kinds.logits import softmax
from taskbank.serve.job import Job

Function = Literal["none", "sigmoid", "softmax"]
VALUE = "value"  # stands for the class of a task that predicts a number


def predicted_type(record: AdapterRecord) -> Type:
    """Return the type of what a task predicts, on which the form of its answers depends."""
    predicted: Type = plugins.load("kinds", record.kind).label.type
    return predicted


def class_names(record: AdapterRecord) -> tuple[str, ...]:
    """Return the names of a task's classes; `value` for a number, none for words and spans."""
    predicted = predicted_type(record)
    if predicted == "number":
        return (VALUE,)
    return record.labels if predicted in ("class", "classes") else ()


def class_scores(job: Job, function: Function | None = None) -> np.ndarray:
    """Return the scores of every class for each row of a finished job.

    Args:
        job: a job whose task has classes, or predicts a number.
        function: what turns the head's outputs into scores. None means what the task was trained
            with, as in all its answers: they are probabilities, or the predicted number.

    Returns:
        float64 of shape [rows, classes].
    """
    if function is None:
        if predicted_type(job.record) == "number":
            return np.array([[one.score] for one in job.predictions])
        return np.array([list(one.details["probabilities"].values()) for one in job.predictions])
    logits = np.concatenate(job.outputs).astype(np.float64)
    temperature = temperature_of(job.record.definition)
    if function == "softmax":
        return softmax(logits, temperature)
    if function == "sigmoid":
        from scipy.special import expit

        return np.asarray(expit(logits / temperature))
    return logits


def ranked(names: Sequence[str], scores: np.ndarray) -> list[dict[str, Json]]:
    """Return the classes of one row with their scores, the largest first.

    Args:
        names: the names of the classes.
        scores: their scores, of shape [classes].
    """
    order = np.argsort(-scores, kind="stable")
    return [{"label": names[place], "score": float(scores[place])} for place in order]
