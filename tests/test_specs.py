"""Specifications refuse values out of range, and describe their fields."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import pytest

from taskbank.errors import InputError
from taskbank.specs import TaskSpec, TrainingSpec, descriptions


@pytest.mark.parametrize(
    "wrong",
    [
        {"epochs": 0},
        {"batch_size": 0},
        {"learning_rate": 0},
        {"learning_rate": float("nan")},
        {"max_length": 2},
        {"patience": 0},
        {"weight_decay": -1},
        {"warmup": 2},
        {"clip": 0},
        {"seed": -1},
        {"class_weight": "even"},
    ],
)
def test_a_hyperparameter_out_of_range_is_refused(wrong: dict[str, Any]) -> None:
    """Each hyperparameter has a range, and its error names it and the value."""
    (name,) = wrong
    with pytest.raises(InputError, match=f"{name} is"):
        TrainingSpec(**wrong)


TASK = {"name": "mood", "train": "a.csv"}


def test_training_fields_and_shortcuts_may_stand_beside_the_fields_of_a_task() -> None:
    """`of` sorts flat values into training and options, over what these tables already hold."""
    spec = TaskSpec.of(
        TASK
        | {"epochs": 3, "training": {"epochs": 9, "seed": 1}, "rows": 40}
        | {"size": 8, "layers": "top:1", "options": {"size": 64, "init_std": 0.1}}
    )
    assert spec == TaskSpec(
        "mood",
        "a.csv",
        rows=40,
        training={"epochs": 3, "seed": 1},
        options={"size": 8, "layers": "top:1", "init_std": 0.1},
    )


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"name": "a b"}, "task name 'a b' is invalid"),
        ({"description": "\udcff"}, "description .* is not UTF-8"),
        ({"tags": {"a b": "c"}}, "tag 'a b' is invalid"),
        ({"tags": {"a": "c\x00d"}}, r"tag a 'c\\x00d' contains a NUL"),
        ({"training": {"speed": 9}}, "training has no field 'speed': it has epochs, learning_rate"),
        ({"training": {"epochs": 0}}, "epochs is 0: it must be a whole number from 1"),
        ({"epochs": 0}, "epochs is 0: it must be a whole number from 1"),
        ({"tags": {"year": 2024}}, "tag year is of the type int: it must be text"),
        ({"start": ["mood"]}, "start is of the type list: it must be text"),
        ({"rows": 1}, "rows is 1: it must be a whole number from 2"),
        ({"rows": "20"}, "rows is '20': it must be a whole number from 2"),
        ({"seeds": 2.5}, "seeds is 2.5: it must be a whole number from 1"),
        ({"epoch": 3}, "a task has no field 'epoch': it has name, train, validation"),
    ],
)
def test_a_task_that_cannot_be_is_refused_before_any_data_is_read(
    wrong: dict[str, Any], says: str
) -> None:
    """The error names the field and its value; the training file does not even exist."""
    with pytest.raises(InputError, match=says):
        TaskSpec.of(TASK | wrong)


@pytest.mark.parametrize("spec", [TaskSpec, TrainingSpec])
def test_every_field_has_a_description(spec: Any) -> None:
    """The docstring describes every field, in its order; a sentence of two lines is joined."""
    found = descriptions(spec)
    assert list(found) == [field.name for field in fields(spec)]
    assert all(text.endswith(".") and "  " not in text for text in found.values())


def test_a_class_without_attributes_has_no_descriptions() -> None:
    """Only an `Attributes` section is read."""

    class Plain:
        """Epochs: none.

        Args:
            epochs: none.
        """

    assert descriptions(Plain) == {}
    assert descriptions(TrainingSpec)["patience"] == (
        "number of epochs without a better validation score after which training stops; by "
        "default every epoch is run."
    )


def test_the_recipe_of_the_paper_is_its_search() -> None:
    """`recipe` stands for the search of section 3.2: 18 settings of `houlsby` from five seeds."""
    spec = TaskSpec.of(TASK | {"recipe": "paper"})
    assert (spec.method, spec.seeds) == ("houlsby", 5)
    assert spec.search == {
        "learning_rate": (3e-5, 3e-4, 3e-3),
        "epochs": (3, 20),
        "size": (8, 64, 256),
    }


def test_other_keys_override_a_recipe() -> None:
    """What is given stays, wherever it is given, and what is given is no longer searched."""
    spec = TaskSpec.of(
        TASK
        | {"recipe": "paper", "size": 4, "seeds": 1, "training": {"epochs": 7}}
        | {"search": {"learning_rate": [0.1], "warmup": [0.0, 0.1]}}
    )
    assert (spec.options, spec.training, spec.seeds) == ({"size": 4}, {"epochs": 7}, 1)
    assert spec.search == {"learning_rate": [0.1], "warmup": [0.0, 0.1]}


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"recipe": "papier"}, "recipe is 'papier': write paper"),
        ({"recipe": "paper", "method": "lora"}, "method 'lora': the recipe is one of houlsby"),
    ],
)
def test_a_recipe_that_cannot_be_is_refused(wrong: dict[str, Any], says: str) -> None:
    """An unknown recipe, and one of another method, are errors."""
    with pytest.raises(InputError, match=says):
        TaskSpec.of(TASK | wrong)
