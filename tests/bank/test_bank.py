"""What a bank holds, gives and refuses, on both databases and every blob store."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import numpy as np
import pytest
from safetensors.numpy import load

import taskbank
from taskbank.bank.bank import Bank
from taskbank.bank.open import create_bank
from taskbank.data.examples import Examples
from taskbank.errors import (
    ConflictError,
    DamagedError,
    InputError,
    NotFoundError,
)
from taskbank.verify.verify import verify_all
from tests.helpers.adapters import LABELS, identity, new_adapter, new_trial


@pytest.fixture(params=["catalog", "folder", "memory"])
def stored(request: pytest.FixtureRequest, url: str, tmp_path: Path) -> Iterator[Bank]:
    """An empty bank with its blobs in the catalog, in a folder and behind an fsspec URL."""
    blobs = {"catalog": None, "folder": f"{tmp_path}/blobs", "memory": f"memory://{uuid4().hex}"}
    with create_bank(url, blobs[request.param]) as bank:
        yield bank


def test_an_adapter_comes_out_as_it_went_in(stored: Bank) -> None:
    """Every field, tag, metric, split, example, logit and weight is what was put."""
    new = new_adapter()
    record = stored.put(new)
    assert record == stored["mood"] == stored["mood@1"]
    assert (record.task, record.version, record.kind, record.method) == (
        "mood",
        1,
        "single",
        "houlsby",
    )
    assert record.options == new.method.options
    assert record.training == new.training.to_json()
    assert (record.labels, record.description, record.tags) == (
        LABELS,
        "is it good?",
        {"team": "search"},
    )
    assert record.metrics == new.metrics
    assert record.score == new.score
    assert (record.split, record.metric) == ("test", "accuracy")
    assert record.environment == new.environment
    assert record.backbone == identity().fingerprint
    assert record.weights() == new.weights
    assert record.bytes == len(new.weights)
    assert stored.examples(record, "test").to_bytes() == new.splits[0].examples
    np.testing.assert_array_equal(
        stored.reference(record, "test"), load(new.splits[0].logits)["logits"]
    )
    assert set(record.state_dict()) == {"head.weight", "head.bias"}
    assert stored.backbone(record.backbone).identity == identity()


def test_a_bank_opened_again_holds_the_same(stored: Bank) -> None:
    """Another process would find the same adapters in the same blob store."""
    stored.put(new_adapter())
    with Bank(stored.url) as again:
        assert again["mood"] == stored["mood"]
        assert again["mood"].weights() == stored["mood"].weights()


def test_versions_count_up_and_stay(stored: Bank) -> None:
    """A second version leaves the first as it was, and a bare name means the newest."""
    first = stored.put(new_adapter())
    second = stored.put(new_adapter(seed=1), new_version=True)
    assert (first.version, second.version) == (1, 2)
    assert stored["mood@1"] == first
    assert stored["mood"] == second
    assert [record.ref for record in stored] == ["mood@1", "mood@2"]
    assert len(stored) == 2


def test_a_name_that_is_taken_is_refused_and_nothing_is_stored(stored: Bank) -> None:
    """Without asking for a version, or with another kind, nothing is added."""
    stored.put(new_adapter())
    before = sorted(stored.blobs.sizes()), stored.adapters()
    with pytest.raises(ConflictError, match="--new-version"):
        stored.put(new_adapter(seed=1, task="mood"))
    with pytest.raises(ConflictError, match="is of kind 'single', not 'pair'"):
        stored.put(new_adapter(kind="pair"), new_version=True)
    assert stored.adapters() == before[1]
    stored.gc(confirm=True)
    assert sorted(stored.blobs.sizes()) == before[0]


def test_a_failure_half_way_leaves_nothing_of_the_task(
    stored: Bank, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the last write fails, no row of the adapter is there, and the bank verifies."""
    stored.put(new_adapter("before"))

    def fail(*_arguments: object) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(type(stored.blobs), "put", fail)
    with pytest.raises(OSError, match="no space"):
        stored.put(new_adapter("after", seed=1))
    monkeypatch.undo()
    assert [record.ref for record in stored] == ["before@1"]
    assert stored.catalog.kind_of("after") is None
    assert verify_all(stored, level="integrity").ok


def test_a_damaged_or_missing_blob_is_never_read(stored: Bank) -> None:
    """Bytes that are not what the digest says are an error that names it."""
    record = stored.put(new_adapter())
    with pytest.raises(DamagedError, match="is missing"):
        stored.blobs.get("sha256:" + "0" * 64)
    with pytest.raises(DamagedError):
        stored.blobs.get("../../etc/passwd")
    assert stored.blobs.get(record.digest) == record.weights()


@pytest.mark.parametrize(
    ("ref", "says"),
    [
        ("nothing", "no task 'nothing'"),
        ("mood@7", "no version 7"),
        ("mood@99999999999999999999", "no version"),
        ("mood@production", "no alias 'production'"),
        ("mood@", "no alias ''"),
        ("", "no task ''"),
        ("'; DROP TABLE tasks; --", "no task"),
    ],
)
def test_a_reference_to_nothing_says_so(bank: Bank, ref: str, says: str) -> None:
    """An unknown task, version or alias is an error that names it."""
    bank.put(new_adapter())
    with pytest.raises(NotFoundError, match=says):
        bank[ref]


def test_retired_adapters_are_out_of_sight_but_not_gone(bank: Bank) -> None:
    """A retired version is not listed and not the newest, yet can still be shown."""
    bank.put(new_adapter())
    bank.put(new_adapter(seed=1), new_version=True)
    bank.remove("mood@2")
    assert bank["mood"].version == 1
    assert [r.ref for r in bank] == ["mood@1"]
    assert [r.ref for r in bank.adapters(retired=True)] == ["mood@1", "mood@2"]
    assert bank["mood@2"].retired
    bank.remove("mood@1")
    with pytest.raises(NotFoundError, match="every version of 'mood' is retired"):
        bank["mood"]


def test_an_alias_moves_and_keeps_its_history(bank: Bank) -> None:
    """An alias names one version at a time, and every step stays readable."""
    bank.put(new_adapter())
    bank.put(new_adapter(seed=1), new_version=True)
    for ref in ("mood@1", "mood@2"):
        bank.alias(ref, "production")
        assert bank["mood@production"].ref == ref
    bank.alias("mood@1", "canary")
    assert bank["mood@production"].version == 2
    bank.drop_alias("mood", "production")
    with pytest.raises(NotFoundError, match="no alias"):
        bank["mood@production"]
    steps = [(step.alias, step.version) for step in bank.aliases("mood")]
    assert steps == [("production", 1), ("production", 2), ("canary", 1), ("production", None)]


@pytest.mark.parametrize("alias", ["", "7", "a b", "-x", "é", "x" * 101, "a@b"])
def test_an_alias_that_would_confuse_is_refused(bank: Bank, alias: str) -> None:
    """An alias must be a plain name and no number."""
    bank.put(new_adapter())
    with pytest.raises(InputError, match="not usable"):
        bank.alias("mood@1", alias)


def test_a_bank_holds_several_backbones_and_each_adapter_belongs_to_one(bank: Bank) -> None:
    """The same backbone is recorded once, another one beside it."""
    bank.put(new_adapter("one"))
    bank.put(new_adapter("two", seed=1))
    bank.put(new_adapter("three", seed=2, backbone=identity("other")))
    assert len(bank.backbones()) == 2
    other = identity("other").fingerprint
    assert [r.task for r in bank.adapters(backbone=other)] == ["three"]
    assert [r.task for r in bank.adapters(newest=2)] == ["two", "three"]
    assert [r.task for r in bank.adapters(task="two", method="houlsby", kind="single")] == ["two"]


def test_a_row_that_was_changed_is_not_used(tmp_path: Path) -> None:
    """An adapter whose label names were swapped behind the bank's back is refused, not used."""
    import sqlite3

    path = tmp_path / "bank.db"
    with create_bank(f"sqlite:///{path}") as bank:
        bank.put(new_adapter())
        with sqlite3.connect(path) as connection:
            connection.execute("DROP TRIGGER adapters_no_update")
            connection.execute('UPDATE adapters SET labels = \'["good","bad"]\'')
        connection.close()
        with pytest.raises(DamagedError, match="was changed"):
            bank["mood"]


def test_equal_splits_are_stored_once(bank: Bank) -> None:
    """Two versions that are tested on the same examples share their bytes."""
    first = bank.put(new_adapter())
    second = bank.put(
        new_adapter(seed=1, splits=new_adapter().splits, metrics=new_adapter().metrics),
        new_version=True,
    )
    assert first.splits[0].digest == second.splits[0].digest
    assert len(list(bank.blobs.sizes())) == 4
    examples = bank.examples(second, "test")
    assert isinstance(examples, Examples)
    assert len(examples) == 10


def test_the_trials_of_a_task_are_those_recorded(bank: Bank) -> None:
    """On either database: oldest first, of equal specifications the last row, by task."""
    bank.put_trial(new_trial(seed=1, score=0.1))
    bank.put_trial(new_trial("other", seed=2))
    bank.put_trial(new_trial(seed=1, score=0.2))
    assert [(t.task, t.score) for t in bank.trials("mood")] == [("mood", 0.2)]
    assert len(bank.trials()) == 2
    (found,) = bank.trials("mood")
    assert found.value("test") == new_trial(seed=1).metrics[0].value
    assert taskbank.verify_all(bank, level="integrity").ok
