"""Inputs of predictions: one text is one input, and every usual collection is taken."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas
import pyarrow as pa
import pytest

import taskbank
from taskbank.bank.bank import Bank
from taskbank.errors import DataError
from taskbank.kinds.pair import PAIR
from taskbank.kinds.single import SINGLE
from taskbank.kinds.tagging import TAGGING
from taskbank.serve.inputs import input_rows, read_once
from taskbank.serve.predictor import Predictor

TEXTS = ["one", "two"]


@pytest.mark.parametrize(
    "inputs",
    [
        TEXTS,
        tuple(TEXTS),
        iter(TEXTS),
        np.array(TEXTS),
        pandas.Series(TEXTS),
        pa.array(TEXTS),
        pa.chunked_array([TEXTS]),
        {"one": 1, "two": 2}.keys(),
        pandas.DataFrame({"id": [1, 2], "text": TEXTS}),
        pa.table({"text": TEXTS}),
        [{"text": text} for text in TEXTS],
    ],
)
def test_collections_of_texts_have_one_input_per_text(inputs: Any) -> None:
    """Lists, arrays, series, iterators and tables give the same inputs."""
    assert input_rows(inputs, SINGLE.inputs[0]) == [("one",), ("two",)]


@pytest.mark.parametrize("text", ["Refund", np.str_("Refund"), np.array("Refund")])
def test_one_text_is_one_input(text: Any) -> None:
    """A text is not taken for a list of its characters."""
    assert input_rows(text, SINGLE.inputs[0]) == [("Refund",)]
    assert input_rows(text, TAGGING.inputs[0]) == [("Refund",)]


@pytest.mark.parametrize(
    "pairs", [[("a", "b")], [["a", "b"]], np.array([["a", "b"]]), [{"text_a": "a", "text_b": "b"}]]
)
def test_a_pair_is_a_tuple_or_a_list(pairs: Any) -> None:
    """Two texts belong together however they are held."""
    assert input_rows(pairs, PAIR.inputs[0]) == [("a", "b")]


def test_a_list_of_words_is_one_input() -> None:
    """A task that tags words is given a list of them."""
    assert input_rows([["Ada", "lives"]], TAGGING.inputs[0]) == [(["Ada", "lives"],)]


@pytest.mark.parametrize(
    ("inputs", "says"),
    [
        (b"Refund", "the inputs are b'Refund' .bytes.: give a text"),
        (5, "the inputs are 5"),
        (None, "the inputs are None"),
        ([], "nothing to predict"),
    ],
)
def test_what_is_no_input_is_refused(inputs: Any, says: str) -> None:
    """Bytes are no list of numbers, and a number is no text."""
    with pytest.raises(DataError, match=says):
        input_rows(inputs, SINGLE.inputs[0])


@pytest.mark.parametrize("inputs", ["ab", ("question", "context"), ["question", "context"]])
def test_texts_for_a_task_of_two_texts_are_refused(inputs: Any) -> None:
    """A pair by itself looks like two texts, so the error shows how to write it."""
    with pytest.raises(
        DataError, match=r"takes 2 texts per input, so write \[\(text_a, text_b\), …\]"
    ):
        input_rows(inputs, PAIR.inputs[0])


def test_tasks_share_an_iterator() -> None:
    """What can be read only once is read for all tasks."""
    texts = iter(TEXTS)
    assert read_once([("a", texts), ("b", texts)]) == [("a", TEXTS), ("b", TEXTS)]


@pytest.mark.parametrize(
    "asked", ["mood", ("mood", ["x"]), {"mood": ["x"]}, [("mood",)], [("mood", "x", "y")], [5]]
)
def test_what_is_no_list_of_tasks_with_inputs_is_refused(asked: Any) -> None:
    """A task alone, and a dictionary, are refused with the form that is right."""
    with pytest.raises(DataError, match=r"write \(NAME, inputs\)"):
        read_once(asked)


def test_a_text_gives_one_prediction(mood: Bank) -> None:
    """Every function that predicts takes a text by itself."""
    (prediction,) = taskbank.predict(mood, "mood", "a good day")
    assert prediction.text == "a good day"
    ((other,),) = Predictor(mood).predict_many([("mood", "a good day")])
    assert other.text == "a good day"
    assert taskbank.verify_all(mood, "mood", level="integrity").ok
