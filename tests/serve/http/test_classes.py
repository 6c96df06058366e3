"""The scores of classes, by the type of what a task predicts."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from taskbank.bank.bank import Bank
from taskbank.serve.http.classes import class_names, class_scores, ranked
from taskbank.serve.http.options import serve_options
from taskbank.serve.http.service import Service
from taskbank.serve.job import Job

INPUTS: dict[str, list[tuple[str, ...]]] = {
    "single": [("a good day",), ("a sad cold film",)],
    "pair": [("it was good", "sweet day"), ("it was bad", "good day")],
    "multilabel": [("good sweet day",), ("bad film",)],
    "regression": [("good great day",), ("bad film",)],
}


@pytest.fixture(scope="module")
def service(every_kind: Bank) -> Iterator[Service]:
    """A service that answers jobs."""
    made = Service(every_kind, serve_options())
    made.start()
    yield made
    made.stop()


def finished(service: Service, task: str) -> Job:
    """Return a job for some inputs of a task, once it is done."""
    job = Job(service.bank[task], INPUTS[task])
    service.engine.submit([job])
    return job.future.result(timeout=30)


def test_the_scores_are_those_of_the_answers(service: Service) -> None:
    """Probabilities in the order of the labels, or the predicted number."""
    for task in ("single", "pair", "multilabel"):
        job = finished(service, task)
        names = class_names(job.record)
        assert names == job.record.labels
        for one, row in zip(job.predictions, class_scores(job), strict=True):
            assert dict(zip(names, row.tolist(), strict=True)) == one.details["probabilities"]
    job = finished(service, "regression")
    assert class_names(job.record) == ("value",)
    assert class_scores(job).tolist() == [[one.details["value"]] for one in job.predictions]


def test_words_and_spans_have_no_classes(every_kind: Bank) -> None:
    """What they predict is no score of a class."""
    assert class_names(every_kind["tagging"]) == class_names(every_kind["span"]) == ()


def test_other_functions_are_applied_to_the_outputs(service: Service) -> None:
    """Softmax is what a task of one class has, sigmoid what a task of many labels has."""
    single, many = finished(service, "single"), finished(service, "multilabel")
    assert class_scores(single, "softmax") == pytest.approx(class_scores(single))
    assert class_scores(many, "sigmoid") == pytest.approx(class_scores(many))
    logits = class_scores(single, "none")
    assert logits.shape == (2, 2)
    calibrated = logits / single.record.settings["temperature"]
    assert class_scores(single, "sigmoid") == pytest.approx(1 / (1 + np.exp(-calibrated)))


def test_classes_are_ranked_by_score() -> None:
    """The largest comes first, and equal ones stay in the order of the labels."""
    found = ranked(("a", "b", "c"), np.array([0.2, 0.6, 0.2]))
    assert [one["label"] for one in found] == ["b", "a", "c"]
    assert found[0] == {"label": "b", "score": 0.6}
