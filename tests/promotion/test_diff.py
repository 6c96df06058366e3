"""Two versions on the same examples, and what an alias or a new version must fulfil."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load, save

import taskbank
from taskbank.bank.bank import Bank
from taskbank.bank.new_records import NewAdapter
from taskbank.data.examples import Examples
from taskbank.errors import InputError, NotFoundError
from taskbank.kinds.single import SINGLE
from taskbank.pipeline.add_task import add_task
from taskbank.promotion.diff import diff
from taskbank.serve.predict_rows import predict
from taskbank.training.evaluation import measure
from taskbank.verify.statistics import mcnemar
from tests.helpers.adapters import new_adapter
from tests.helpers.backbones import make_backbone
from tests.helpers.rows import sentences, write_jsonl
from tests.helpers.versions import EXAMPLES, version


def test_versions_that_share_a_split_are_compared_as_they_are_stored(versions: Bank) -> None:
    """Metrics, flips with their texts, the table of answers and the test, without a backbone."""
    found = diff(versions, "mood@2", "mood@3")
    assert (found.first, found.second, found.examples, found.left_out) == (
        "mood@2",
        "mood@3",
        EXAMPLES,
        0,
    )
    assert found.metrics["accuracy"] == (38 / EXAMPLES, 20 / EXAMPLES)
    assert (found.negative_flips, found.positive_flips, len(found.flips)) == (18, 0, 18)
    assert found.flips[0].text == "text 20"
    assert found.answers == {("bad", "good"): 9, ("good", "bad"): 9}
    assert found.p_value == mcnemar(18, 0)
    assert found.drop == pytest.approx(18 / EXAMPLES)
    assert found.worse(1.0)
    back = diff(versions, "mood@3", "mood@2")
    assert (back.negative_flips, back.positive_flips, back.p_value) == (0, 18, 1)
    assert not back.worse(0)
    same = diff(versions, "mood@1", "mood@1")
    assert (same.flips, same.p_value, same.drop) == ((), 1, 0)
    small = diff(versions, "mood@2", "mood@1")
    assert not small.worse(0.1)
    assert small.worse(0.01)
    json.dumps(found.to_json())


@pytest.mark.slow
def test_a_class_that_the_older_version_does_not_know_is_left_out(
    tmp_path: Path, folder: Path
) -> None:
    """Versions with other labels are compared on the examples that both can answer."""
    url = f"sqlite:///{tmp_path}/bank.db"
    quick: dict[str, Any] = {"training": {"epochs": 1}, "verify": "none"}
    rows = sentences(90, seed=1)
    two = write_jsonl(tmp_path / "two.jsonl", rows)
    add_task(url, "mood", two, backbone=str(folder), **quick)
    three = [row | ({"label": "new"} if number % 3 == 0 else {}) for number, row in enumerate(rows)]
    more = write_jsonl(tmp_path / "three.jsonl", three)
    test = write_jsonl(tmp_path / "test.jsonl", three)
    add_task(url, "mood", more, test=test, new_version=True, **quick)
    with taskbank.open(url) as bank:
        found = diff(bank, "mood@1", "mood@2")
        assert (found.examples, found.left_out) == (60, 30)
        assert all(flip.label != "new" for flip in found.flips)
        # An answer that the older one cannot give is as wrong as any other.
        assert found.negative_flips + found.positive_flips <= len(found.flips)


def test_what_cannot_be_compared(versions: Bank) -> None:
    """Another kind, and an adapter that is not there."""
    versions.put(replace(new_adapter("other"), kind="pair"))
    with pytest.raises(InputError, match="of kind 'pair'"):
        diff(versions, "other", "mood")
    with pytest.raises(NotFoundError):
        diff(versions, "mood@1", "mood@9")


@pytest.mark.slow
def test_an_older_version_predicts_the_newer_ones_split(
    tmp_path: Path, folder: Path, data: Path
) -> None:
    """Where the splits differ the first is put onto its backbone, and answers as it always does."""
    url = f"sqlite:///{tmp_path}/bank.db"
    quick: dict[str, Any] = {"training": {"epochs": 1, "learning_rate": 0.01}}
    train, test = str(data / "train.jsonl"), str(data / "validation.jsonl")
    add_task(url, "mood", train, backbone=str(folder), verify="none", **quick)
    quick["training"]["seed"] = 1
    add_task(url, "mood", train, test=test, new_version=True, verify="none", **quick)
    with taskbank.open(url) as bank:
        found = diff(bank, "mood@1", "mood@2")
        examples = bank.examples(bank["mood@2"], "test")
        answers = [
            predict(bank, ref, list(examples.columns["text"])) for ref in ("mood@1", "mood@2")
        ]
    pairs = zip(*answers, strict=True)
    differing = [row for row, (one, two) in enumerate(pairs, 1) if one.label != two.label]
    assert [flip.row for flip in found.flips] == differing
    assert found.examples == len(examples)


@pytest.mark.slow
def test_a_version_on_another_backbone_is_compared_on_its_own(tmp_path: Path, data: Path) -> None:
    """The older version predicts on the backbone that it was trained for, so that a worse one
    on a new encoder does not get the alias."""
    url = f"sqlite:///{tmp_path}/bank.db"
    old, new = (make_backbone(tmp_path / name, seed=seed) for name, seed in (("a", 0), ("b", 9)))
    good: dict[str, Any] = {"training": {"epochs": 8, "learning_rate": 0.02}, "verify": "none"}
    train, test = str(data / "train.jsonl"), str(data / "validation.jsonl")
    add_task(url, "mood", train, backbone=str(old), alias="live", **good)
    bad: dict[str, Any] = {"training": {"epochs": 1, "learning_rate": 1e-7}, "verify": "none"}
    added = add_task(
        url,
        "mood",
        train,
        test=test,
        backbone=str(new),
        new_version=True,
        alias="live",
        must_not_regress=True,
        **bad,
    )
    assert added.worse is not None
    assert added.worse.metrics["accuracy"][0] > added.worse.metrics["accuracy"][1] + 0.2
    with taskbank.open(url) as bank:
        assert bank["mood@live"].version == 1


@pytest.mark.slow
def test_the_test_is_of_the_metric(bank: Bank) -> None:
    """F1 that collapses while accuracy stays is significantly worse, though as many answers
    became right as wrong."""
    labels = tuple("good" if row < 60 else "bad" for row in range(200))
    first = version(200, labels=labels)
    logits = load(first.splits[0].logits)["logits"].copy()
    logits[60:100] = logits[60:100, ::-1]  # the older one calls some good that are not
    older = _with(first, logits)
    logits = load(first.splits[0].logits)["logits"].copy()
    logits[:40] = logits[:40, ::-1]  # the newer one misses most of those that are
    bank.put(replace(older, metric="f1"))
    newer = _with(version(200, labels=labels, seed=1), logits)
    bank.put(replace(newer, metric="f1"), new_version=True)
    found = diff(bank, "mood@1", "mood@2")
    assert found.negative_flips == found.positive_flips == 40
    assert found.drop > 0.2
    assert found.p_value < 0.01


def _with(new: NewAdapter, logits: np.ndarray) -> NewAdapter:
    columns = Examples.from_bytes(new.splits[0].examples, "test.csv").columns
    return replace(
        new,
        splits=(replace(new.splits[0], logits=save({"logits": logits})),),
        metrics=tuple(measure(SINGLE, "test", logits, columns, new.definition)),
    )
