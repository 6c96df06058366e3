"""Examples with equal inputs belong to one group, whatever their labels."""

from __future__ import annotations

from taskbank.data.equal_inputs import equal_inputs
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
