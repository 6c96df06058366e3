"""What is wrong with a task is said before its training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from taskbank.bank.bank import Bank
from taskbank.errors import InputError
from taskbank.specs import TaskSpec
from taskbank.training.plan import plan_task
from tests.helpers.rows import numbered, tagged, write_jsonl
from tests.helpers.training import add

TAGS = ["O", "B-praise", "I-praise", "B-blame"]


def test_classes_are_balanced_only_where_there_are_some(
    own: Bank, tmp_path: Path, folder: Path
) -> None:
    """`class_weight` for a kind without classes is refused and not passed over in silence."""
    data = write_jsonl(tmp_path / "numbers.jsonl", numbered(40))
    for given in (
        {"training": {"class_weight": "balanced"}},
        {"search": {"class_weight": ("balanced", None)}},
    ):
        with pytest.raises(InputError, match="kind 'regression' has no classes"):
            add(own, data, folder, kind="regression", **given)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"search": {"speed": (1, 2)}}, "'speed' cannot be searched"),
        ({"search": {"learning_rate": (0.1, 7.0)}}, "learning_rate is 7.0"),
        ({"search": {"size": (8, 0)}}, "size is 0"),
        ({"search": {"size": (8, 8)}}, r"size is \[8, 8\]: .* each value once"),
        ({"search": {"size": ()}}, r"size is \[\]: give at least one value"),
        ({"search": {"seed": (1, 2)}}, "--seeds N"),
        ({"search": {"max_length": (32, 65)}}, "max_length is 65"),
        ({"seeds": 0}, "seeds is 0"),
        ({"trials": 3}, "needs a --search"),
        ({"trials": 0, "search": {"size": (1, 2)}}, "trials is 0"),
        ({"metric": "magic"}, "metric 'magic'"),
        ({"metric": "pearson"}, "metric 'pearson' does not exist for this task of kind 'single'"),
        ({"positive": "so-so"}, "positive is 'so-so'"),
        ({"training": {"class_weight": "heavy"}}, "class_weight is 'heavy'"),
        ({"training": {"precision": "float8"}}, "precision is 'float8'"),
        ({"rows": 1}, "rows is 1"),
        ({"training": {"epochs": 1.5}}, "epochs is 1.5: it must be a whole number"),
        ({"training": {"epochs": True}}, "epochs is True"),
        ({"training": {"epochs": "3"}}, "epochs is '3'"),
        ({"training": {"seed": 1.5}}, "seed is 1.5"),
        ({"training": {"patience": 1.5}}, "patience is 1.5"),
        ({"training": {"learning_rate": "fast"}}, "learning_rate is 'fast'"),
        ({"training": {"clip": float("inf")}}, "clip is inf"),
        ({"search": {"epochs": (1.5, 2.5)}}, "epochs is 1.5"),
        ({"search": {"batch_size": ("",)}}, "batch_size is ''"),
        ({"search": {"layers": ("all", "0,1,5")}}, "layers is '0,1,5': the backbone has 2 layers"),
        ({"options": {"layers": "top:9"}}, "layers is 'top:9'"),
    ],
)
def test_a_bad_search_is_refused_before_training(
    own: Bank, small: str, folder: Path, given: dict[str, Any], says: str
) -> None:
    """Each mistake is an error that names it, and nothing was trained."""
    with pytest.raises(InputError, match=says):
        add(own, small, folder, **given)
    assert own.trials() == ()


def test_label_names_are_for_kinds_with_classes(tmp_path: Path) -> None:
    """Numbers get their names in every split, and a kind without classes refuses names."""
    rows = [row | {"tags": [TAGS.index(tag) for tag in row["tags"]]} for row in tagged(40)]
    data, test = (write_jsonl(tmp_path / f"{name}.jsonl", rows) for name in ("train", "test"))
    plan = plan_task(TaskSpec("it", data, test=test, kind="tagging", label_names=TAGS))
    assert plan.data.definition.labels == tuple(sorted(TAGS))
    assert plan.data.definition.settings["scheme"] == "IOB2"
    assert plan.data.test is not None
    assert plan.data.test.columns["tags"][0] == tagged(40)[0]["tags"]
    with pytest.raises(InputError, match="kind 'span' has no classes to name"):
        plan_task(TaskSpec("it", data, kind="span", label_names="O,B-a"))
