"""Suggestions: the related task is found, and nothing is where nothing helps."""

from __future__ import annotations

import math
import random
from pathlib import Path
from typing import Any

import pytest

import taskbank
from taskbank import plugins
from taskbank.backbone.backbone import Backbone
from taskbank.bank.bank import Bank
from taskbank.errors import InputError
from taskbank.kinds.single import SINGLE
from taskbank.model.task_model import task_model
from taskbank.pipeline import suggest as module
from taskbank.pipeline.add_task import add_task
from tests.helpers.adapters import DEFINITION, put_model
from tests.helpers.models import ensemble
from tests.helpers.rows import numbered, pairs, sentences, write_jsonl

UNTRAINED = 30  # more than are compared


@pytest.fixture
def filled(mood: Bank, backbone: Backbone) -> Bank:
    """A bank with the task `mood` and many that have learned nothing."""
    for seed in range(UNTRAINED):
        options = {"size": 2, "layers": ("all", "top:1")[seed % 2]}
        model = task_model(backbone, SINGLE, DEFINITION, "houlsby", options, seed)
        model.eval()
        put_model(mood, f"noise-{seed:02}", model, options)
    return mood


@pytest.fixture
def rows(tmp_path: Path) -> str:
    """Pairs of a task that is related to `mood`: are both sentences good?"""
    return write_jsonl(tmp_path / "rows.jsonl", pairs(240, seed=11))


def test_the_related_task_is_suggested(filled: Bank, rows: str) -> None:
    """Among many, the version that has learned to tell the same words apart comes first, beats
    the bare backbone in both measures, and names what a start needs; the prefilter keeps it."""
    found = taskbank.suggest(filled, rows, kind="pair")
    assert (found.rows, found.candidates, found.compared) == (200, UNTRAINED + 1, module.COMPARED)
    first = found.versions[0]
    record = filled["mood"]
    assert (first.ref, first.digest, first.method) == ("mood@1", record.digest, "houlsby")
    assert first.options == record.options
    assert first.logme > found.logme
    assert first.score > found.score
    assert first.p_value < 0.05
    assert found.to_json()["versions"][0]["ref"] == "mood@1"


def test_versions_that_have_learned_nothing_are_not_suggested(filled: Bank, rows: str) -> None:
    """Where every other task is unrelated the answer is none, as it is without any version."""
    found = taskbank.suggest(filled, rows, kind="pair", task="noise-*")
    assert (found.candidates, found.versions) == (UNTRAINED, ())
    empty = taskbank.suggest(filled, rows, kind="pair", task="nothing-*")
    assert (empty.compared, empty.versions, empty.score) == (0, (), found.score)


def test_labels_without_relation_get_no_suggestion(filled: Bank, tmp_path: Path) -> None:
    """No adapter helps to learn labels that were drawn by chance."""
    chance = random.Random(3)
    drawn = [row | {"label": chance.choice("abc")} for row in sentences(200, seed=5)]
    path = write_jsonl(tmp_path / "drawn.jsonl", drawn)
    assert taskbank.suggest(filled, path).versions == ()


def test_single_texts_and_numbers_are_compared_too(mood: Bank, tmp_path: Path) -> None:
    """The bare backbone has a finite LogME, and a score of the kind's own metric."""
    for kind, made in (("single", sentences(60, seed=9)), ("regression", numbered(60, seed=9))):
        path = write_jsonl(tmp_path / f"{kind}.jsonl", made)
        found = taskbank.suggest(mood, path, kind=kind)
        assert (found.compared, found.rows) == (1, 60)
        assert found.metric == plugins.load("kinds", kind).metric
        assert found.score > 0.5
        assert math.isfinite(found.logme)


def test_only_the_newest_version_with_an_adapter_is_compared(
    mood: Bank, rows: str, backbone: Backbone
) -> None:
    """A linear probe has no adapter, an ensemble several, and a retired version is not in use."""
    add_task(
        mood, "probe", rows, kind="pair", method="linear", verify="none", training={"epochs": 1}
    )
    put_model(mood, "several", ensemble(backbone, "houlsby", range(2), size=4), {"size": 4})
    assert taskbank.suggest(mood, rows, kind="pair").candidates == 1
    mood.remove("mood@1")
    assert taskbank.suggest(mood, rows, kind="pair").candidates == 0


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"kind": "tagging"}, "not for 'tagging'"),
        ({"kind": "nothing"}, "not for 'nothing'"),
        ({"top": 0}, "top is 0"),
        ({"text": "nowhere", "text_pair": "text_b"}, "nowhere"),
    ],
)
def test_what_cannot_be_compared_is_refused(
    mood: Bank, rows: str, given: dict[str, Any], says: str
) -> None:
    """The error names the value and what to do."""
    with pytest.raises(InputError, match=says):
        taskbank.suggest(mood, rows, **({"kind": "pair"} | given))
