"""Examples with equal inputs belong to one group, whatever their labels."""

from __future__ import annotations

import pytest

from taskbank.data.equal_inputs import equal_inputs, input_keys
from taskbank.data.examples import Examples


def test_equal_inputs_have_one_group_whatever_their_labels() -> None:
    """Groups are numbered by first occurrence, and a label does not make an input another one."""
    columns = {"text": ("a", "b", "a", "c", "b"), "label": ("x", "x", "y", "x", "x")}
    assert equal_inputs(Examples(columns, "a.csv"), "label").tolist() == [0, 1, 0, 2, 1]


def test_a_pair_is_equal_only_in_both_texts_and_words_only_in_all() -> None:
    """Two texts, and lists of words, are compared as a whole."""
    pairs = {"text_a": ("a", "a", "a b", "a"), "text_b": ("b", "c", "", "b"), "label": (1,) * 4}
    assert equal_inputs(Examples(pairs, "a.csv"), "label").tolist() == [0, 1, 2, 0]
    words = {"words": (["a", "b"], ["a b"], ["a", "b"]), "tags": (["O", "O"], ["O"], ["O", "X"])}
    assert equal_inputs(Examples(words, "a.jsonl"), "tags").tolist() == [0, 1, 0]


@pytest.mark.parametrize(
    "other",
    ["a  GOOD day", " a good day\n", "a good\u200b day", "a \uff47ood day", "A\u00a0Good day"],
)
def test_inputs_that_look_alike_are_equal(other: str) -> None:
    """Letter case, white space, invisible characters and forms of Unicode make no other input."""
    columns = {"text": ("a good day", other, "a bad day"), "label": ("x",) * 3}
    assert equal_inputs(Examples(columns, "a.csv"), "label").tolist() == [0, 0, 1]


def test_keys_are_equal_across_data_sets_and_whatever_the_order_of_columns() -> None:
    """A question and its context have one key in every split."""
    one = Examples({"question": ("q",), "context": ("c",), "answers": ({},)}, "a")
    two = Examples({"answers": ({},), "context": ("C",), "question": ("Q",)}, "b")
    swapped = Examples({"question": ("c",), "context": ("q",), "answers": ({},)}, "c")
    assert input_keys(one, "answers") == input_keys(two, "answers")
    assert input_keys(one, "answers") != input_keys(swapped, "answers")
