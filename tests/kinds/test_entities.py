"""What a tagging task's settings say is scored: entities of a scheme, or words."""

from __future__ import annotations

import numpy as np
import pytest

from taskbank.errors import DataError
from taskbank.kinds.definition import Definition
from taskbank.kinds.entities import describe_scoring, entities_of, seqeval_names
from taskbank.kinds.tagging import TAGGING
from taskbank.training.evaluation import has_collapsed

ENTITIES = [["B_PER", "M_PER", "E_PER", "O"], ["S_LOC", "O"], ["O"]] * 4


def define(tags: list[list[str]]) -> Definition:
    """Return the definition of a task with some tags."""
    return TAGGING.define(columns_of(tags), "here", {})


def columns_of(tags: list[list[str]]) -> dict[str, list[list[str]]]:
    """Return examples with some tags, whatever the words."""
    return {"words": [["x"] * len(row) for row in tags], "tags": tags}


def as_predictions(tags: list[list[str]], definition: Definition) -> np.ndarray:
    """Return predictions of some tags."""
    places = [definition.labels.index(tag) for row in tags for tag in row]
    return np.eye(len(definition.labels), dtype=np.float32)[places]


def test_the_scheme_and_what_is_scored_are_recorded() -> None:
    """The settings name them, the labels keep their spelling, and people are told."""
    found = define(ENTITIES)
    assert found.settings == {"scoring": "entities", "scheme": "BMES", "form": "MARK_TYPE"}
    assert found.labels == ("B_PER", "E_PER", "M_PER", "O", "S_LOC")
    assert describe_scoring(found.settings) == (
        "entities, from tags of the scheme BMES (MARK_TYPE)"
    )
    words = define([["NOUN", "VERB"]])
    assert words.settings == {"scoring": "words"}
    assert describe_scoring(words.settings) == "words, as the tags do not mark entities"
    assert describe_scoring({}) is None


def test_answers_keep_the_spelling_and_name_whole_entities() -> None:
    """Predicted tags are those of the data, and an entity of several words is one."""
    definition = define(ENTITIES)
    columns = {"words": [["Ada", "of", "Love", "came"]]}
    (answer,) = TAGGING.answers(as_predictions(ENTITIES[:1], definition), columns, definition)
    assert answer["tags"] == ENTITIES[0]
    assert answer["label"] == "Ada of Love (PER)"
    chunks = define([["B", "I", "O"], ["B", "O", "O"]])
    (answer,) = TAGGING.answers(
        as_predictions([["B", "I", "O"]], chunks), {"words": [["a", "b", "c"]]}, chunks
    )
    assert answer["label"] == "a b"
    assert answer["entities"][0]["type"] == ""


def test_an_older_task_is_scored_as_it_was() -> None:
    """Without the setting, tags of another spelling are words, as they were when recorded."""
    labels = define(ENTITIES).labels
    old, new = Definition(labels), define(ENTITIES)
    assert entities_of(ENTITIES[0], seqeval_names(new)) == [("PER", 0, 2)]
    assert entities_of(ENTITIES[0], seqeval_names(old)) == [
        ("B_PER", 0, 0),
        ("M_PER", 1, 1),
        ("E_PER", 2, 2),
    ]
    TAGGING.check(columns_of(ENTITIES), old, "here")
    mixed = Definition(("B-a", "L-a", "O", "U-a"))
    assert entities_of(["B-a", "L-a", "U-a"], seqeval_names(mixed)) == [("a", 0, 1), ("a", 2, 2)]


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"scoring": "entities"}, "'scheme' is None"),
        ({"scoring": "entities", "scheme": "IOB2", "form": "MARK_TYPE"}, "'form' is 'MARK_TYPE'"),
        ({"scoring": "entities", "scheme": "BMES", "form": "MARK-TYPE"}, "'form' is 'MARK-TYPE'"),
        ({"scoring": "words", "scheme": "BMES"}, "'scheme' is 'BMES'"),
        ({"scheme": "BMES"}, "'scoring' is None"),
    ],
)
def test_settings_that_do_not_fit_the_labels_are_refused(
    settings: dict[str, str], says: str
) -> None:
    """An import cannot give tags a scheme that they do not have."""
    with pytest.raises(DataError, match=f"the setting {says}"):
        TAGGING.check(columns_of(ENTITIES), Definition(define(ENTITIES).labels, settings), "here")


def test_numbers_without_names_are_refused() -> None:
    """Tags that are all numbers cannot be scored as entities, and the option is named."""
    with pytest.raises(DataError, match=r"numbers without names.*'0', '3'.*--label-names"):
        define([["0", "3"], ["0"]])


def test_tags_in_a_wrong_order_are_told() -> None:
    """A warning counts the rows and names the first."""
    with pytest.warns(UserWarning, match=r"1 of 3 rows of here .* scheme IOB2 .* first row 2"):
        define([["B-a", "I-a"], ["O", "I-a"], ["B-a"]])


@pytest.mark.parametrize("outside", ["O", "o"])
def test_a_model_that_answers_nearly_always_outside_has_collapsed(outside: str) -> None:
    """One entity found of a hundred is nothing learned, and half of them is something."""
    mark = "B-PER" if outside == "O" else "b-PER"
    rows = [[mark, outside, outside]] * 100 + [[outside] * 5] * 30
    definition, columns = define(rows), columns_of(rows)

    def collapsed(found: int) -> bool:
        answered = [row if i < found else [outside] * len(row) for i, row in enumerate(rows)]
        return has_collapsed(TAGGING, as_predictions(answered, definition), columns, definition)

    assert collapsed(0)
    assert collapsed(1)
    assert not collapsed(50)
    assert not collapsed(100)
