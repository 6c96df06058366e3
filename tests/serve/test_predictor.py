"""A predictor answers for many tasks, and refuses bad inputs first."""

from __future__ import annotations

from typing import Any

import pytest

import taskbank
from taskbank.backbone.backbone import Backbone
from taskbank.bank.bank import Bank
from taskbank.errors import (
    DamagedError,
    DataError,
    InputError,
    NotFoundError,
)
from taskbank.serve import predictor
from taskbank.serve.predictor import Predictor
from tests.helpers.adapters import put_model
from tests.helpers.models import moved, put_moved, texts


@pytest.mark.slow
def test_a_predictor_answers_many_tasks_as_each_alone(
    bank: Bank, backbone: Backbone, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same texts for all tasks or other texts for each, in blocks, in order, by any name."""
    monkeypatch.setattr(predictor, "BLOCK", 3)
    monkeypatch.setattr(predictor, "TASKS", 2)
    for name, layers in (("a", "all"), ("b", "top:1"), ("c", "top:1")):
        put_moved(bank, backbone, name, layers=layers)
    bank.alias("b@1", "live")
    given = texts(7)
    many = Predictor(bank)
    asked = [("a", given), ("b@live", given), ("c@1", given[:2]), ("a", given[:4])]
    found = many.predict_many(asked)
    for (ref, inputs), answers in zip(asked, found, strict=True):
        alone = taskbank.predict(bank, ref, inputs)
        assert [one.text for one in answers] == inputs
        for one, other in zip(answers, alone, strict=True):
            assert one.label == other.label
            shares = other.details["probabilities"]
            assert one.details["probabilities"] == pytest.approx(shares, abs=1e-5)


def test_the_backbone_is_loaded_once(
    bank: Bank, backbone: Backbone, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Further questions load neither the backbone nor an adapter again."""
    put_moved(bank, backbone, "a")
    many = Predictor(bank)
    first = many.predict("a", ["good day"])
    monkeypatch.setattr(predictor, "load_recorded_backbone", None)
    monkeypatch.setattr("taskbank.serve.model_cache.load_model", None)
    assert many.predict("a", ["good day"]) == first


def test_bad_inputs_are_refused_before_the_backbone_is_loaded(
    bank: Bank, backbone: Backbone, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A task that is not there, no text, or a text that is blank is said at once."""
    put_moved(bank, backbone, "a")
    monkeypatch.setattr(predictor, "load_recorded_backbone", None)
    many = Predictor(bank)
    with pytest.raises(NotFoundError, match="'b'"):
        many.predict_many([("a", ["good"]), ("b", ["good"])])
    with pytest.raises(DataError, match="nothing to predict"):
        many.predict_many([("a", [])])
    with pytest.raises(DataError, match="input 2 is ' '"):
        many.predict_many([("a", ["good", " "])])


@pytest.mark.slow
def test_outputs_that_are_no_numbers_are_named_by_task_and_input(
    bank: Bank, backbone: Backbone, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of several tasks the one whose weights are broken is named, and which of its inputs."""
    monkeypatch.setattr(predictor, "BLOCK", 2)
    put_moved(bank, backbone, "a")
    model = moved(backbone, "houlsby", 9, size=4)
    record = put_model(bank, "b", model, {"size": 4})
    many = Predictor(bank)
    many.predict("b", ["good"])
    head: Any = many._cache(record.backbone).model(record).head
    head.weight.data[:] = float("nan")
    with pytest.raises(DamagedError, match=r"b@1 produced NaN or infinity for input 1: run"):
        many.predict_many([("a", texts(5)), ("b", texts(5))])


def test_predictions_name_label_and_probabilities(mood: Bank) -> None:
    """Each text gets its label, that label's probability and those of all labels."""
    good, bad = taskbank.predict(mood, "mood@1", ["a good sweet day", "sad awful bitter film"])
    assert (good.label, bad.label) == ("good", "bad")
    assert good.score == good.details["probabilities"]["good"] > 0.5
    assert sum(good.details["probabilities"].values()) == pytest.approx(1)
    assert good.to_json() == {
        "text": "a good sweet day",
        "label": "good",
        "score": good.score,
        "truncated": False,
        "probabilities": good.details["probabilities"],
    }
    with pytest.raises(InputError, match="input 2"):
        taskbank.predict(mood, "mood", ["fine", "  "])
    with pytest.raises(InputError, match="not UTF-8"):
        taskbank.predict(mood, "mood", ["\udcff"])
    with pytest.raises(InputError, match="at least one text"):
        taskbank.predict(mood, "mood", [])


def test_predictions_say_which_inputs_were_truncated(
    bank: Bank, backbone: Backbone, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In every block, of every task, by the length that the task was trained with."""
    monkeypatch.setattr(predictor, "BLOCK", 2)
    put_moved(bank, backbone, "a")
    length = bank["a"].training["max_length"]
    given = ["good", "good " * (length - 2), "good " * (length - 1), "bad " * 5000]
    found = taskbank.predict(bank, "a", given)
    assert [one.truncated for one in found] == [False, False, True, True]
    assert [one.to_json()["truncated"] for one in found] == [False, False, True, True]
