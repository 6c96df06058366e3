"""What a bank holds, gives and refuses, on both databases and every blob store."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load

from taskbank.bank.bank import Bank
from taskbank.data.examples import Examples
from taskbank.errors import (
    ConflictError,
    DamagedError,
    NotFoundError,
)
from taskbank.verify.verify import verify_all
from tests.helpers.adapters import LABELS, identity, new_adapter


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
    assert (record.course, record.request) == (new.course, new.request)
    assert record.backbone == identity().fingerprint
    assert stored.weights(record) == new.weights
    assert record.bytes == len(new.weights)
    assert stored.examples(record, "test").to_bytes() == new.splits[0].examples
    np.testing.assert_array_equal(
        stored.reference(record, "test"), load(new.splits[0].logits)["logits"]
    )
    assert set(stored.state_dict(record)) == {"head.weight", "head.bias"}
    assert stored.backbone(record.backbone).identity == identity()


def test_a_bank_opened_again_holds_the_same(stored: Bank) -> None:
    """Another process would find the same adapters in the same blob store."""
    stored.put(new_adapter())
    with Bank(stored.url) as again:
        assert again["mood"] == stored["mood"]
        assert again.weights(again["mood"]) == stored.weights(stored["mood"])


def test_a_name_that_is_taken_is_refused_and_nothing_is_stored(stored: Bank) -> None:
    """Without asking for a version, or with another kind, nothing is added."""
    stored.put(new_adapter())
    before = sorted(stored._blobs.sizes()), stored.adapters()
    with pytest.raises(ConflictError, match="--new-version"):
        stored.put(new_adapter(seed=1, task="mood"))
    with pytest.raises(ConflictError, match="is of kind 'single', not 'pair'"):
        stored.put(new_adapter(kind="pair"), new_version=True)
    assert stored.adapters() == before[1]
    stored.gc(confirm=True)
    assert sorted(stored._blobs.sizes()) == before[0]


def test_a_version_that_updates_a_retired_one_is_refused(bank: Bank) -> None:
    """Also once `gc` has destroyed the retired version: its rows were to go, too."""
    bank.put(new_adapter())
    bank.remove("mood@1")
    for _ in range(2):
        with pytest.raises(ConflictError, match="mood@1 was retired after it was read"):
            bank.put(new_adapter(seed=1), new_version=True, after=1, updates=1)
        assert len(bank) == 0
        bank.gc(confirm=True)


def test_a_failure_half_way_leaves_nothing_of_the_task(
    stored: Bank, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the last write fails, no row of the adapter is there, and the bank verifies."""
    stored.put(new_adapter("before"))

    def fail(*_arguments: object) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(type(stored._blobs), "put", fail)
    with pytest.raises(OSError, match="no space"):
        stored.put(new_adapter("after", seed=1))
    monkeypatch.undo()
    assert [record.ref for record in stored] == ["before@1"]
    with pytest.raises(NotFoundError):
        stored.resolve("after")
    assert verify_all(stored, level="integrity").ok


def test_a_damaged_or_missing_blob_is_never_read(stored: Bank) -> None:
    """Bytes that are not what the digest says are an error that names it."""
    record = stored.put(new_adapter())
    with pytest.raises(DamagedError, match="is missing"):
        stored.blob("sha256:" + "0" * 64)
    with pytest.raises(DamagedError):
        stored.blob("../../etc/passwd")
    assert stored.blob(record.digest) == stored.weights(record)


def test_equal_splits_are_stored_once(bank: Bank) -> None:
    """Two versions that are tested on the same examples share their bytes."""
    first = bank.put(new_adapter())
    second = bank.put(
        new_adapter(seed=1, splits=new_adapter().splits, metrics=new_adapter().metrics),
        new_version=True,
    )
    assert first.splits[0].digest == second.splits[0].digest
    assert len(list(bank._blobs.sizes())) == 4
    examples = bank.examples(second, "test")
    assert isinstance(examples, Examples)
    assert len(examples) == 10


def test_a_metric_that_is_a_whole_number_is_no_damage(bank: Bank) -> None:
    """A metric of a plugin may be an int of any size, or a number of numpy; both become floats."""
    new = new_adapter()
    value: Any = np.float32(0.1)
    first = replace(new.metrics[0], value=value, standard_error=2**63)
    bank.put(replace(new, metrics=(first, *new.metrics[1:])))
    metric = bank["mood"].metrics[0]
    assert (metric.value, metric.standard_error) == (float(value), 2.0**63)
    assert verify_all(bank, level="integrity").ok


def test_a_negative_zero_is_no_damage(bank: Bank) -> None:
    """SQLite keeps no sign of a zero, so that a score of -0.0 is recorded as 0.0 on both."""
    new = new_adapter()
    first = replace(new.metrics[0], value=-0.0, standard_error=-0.0)
    bank.put(replace(new, metrics=(first, *new.metrics[1:])))
    assert bank["mood"].metrics[0].value == 0.0
    assert bank["mood"].score == 0.0
