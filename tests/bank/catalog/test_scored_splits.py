"""Further splits of an adapter: recorded whole, sealed, never changed, gone with the adapter."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DatabaseError

from taskbank.bank.bank import Bank
from taskbank.errors import ConflictError, DamagedError, InputError
from taskbank.verify.verify import verify_all
from tests.helpers.adapters import new_adapter, new_scored_split
from tests.helpers.tampering import rewrite


@pytest.fixture
def scored(bank: Bank) -> Bank:
    """A bank whose adapter `mood` has a further split `june`, on each database in turn."""
    bank.put(new_adapter())
    bank.put_split("mood", new_scored_split())
    return bank


def test_a_further_split_is_one_of_the_adapter_s(scored: Bank) -> None:
    """Its examples, predictions and metrics are returned like those of the adapter's own splits."""
    record, new = scored["mood"], new_scored_split()
    assert [split.name for split in record.splits] == ["test", "june"]
    own, further = record.splits
    assert own.scored_at is None
    assert further.scored_at is not None
    assert {one for one in record.metrics if one.split == "june"} == set(new.metrics)
    assert scored.examples(record, "june").to_bytes() == new.split.examples
    assert scored.reference(record, "june").shape == (10, 2)
    assert record.score == new_adapter().score
    assert list(scored) == [record]
    assert verify_all(scored, level="integrity").ok


def test_queries_find_adapters_by_further_splits(scored: Bank) -> None:
    """`metric.SPLIT.NAME` takes their names, too."""
    accuracy = next(one.value for one in new_scored_split().metrics if one.name == "accuracy")
    assert len(scored.query(f"metric.june.accuracy >= {accuracy}")) == 1
    assert len(scored.query(f"metric.june.accuracy > {accuracy}")) == 0
    assert len(scored.query("metric.july.accuracy >= 0")) == 0
    assert len(scored.query("metric.june.nothing >= 0")) == 0
    assert len(scored.query("metric.test.accuracy >= 0")) == 1


@pytest.mark.parametrize("name", ["june", "June"])
def test_a_name_is_used_once(scored: Bank, name: str) -> None:
    """What is recorded never changes, and the names differ without regard to case."""
    with pytest.raises(ConflictError, match="choose another name for --record"):
        scored.put_split("mood", new_scored_split(name, seed=6))
    assert len(scored["mood"].splits) == 2


@pytest.mark.parametrize("name", ["test", "Train", "validation", "folds", "a/b", "", "../x"])
def test_names_of_training_and_invalid_ones_are_refused(scored: Bank, name: str) -> None:
    """The error names the split, and nothing is recorded."""
    with pytest.raises(InputError, match="split name"):
        scored.put_split("mood", new_scored_split(name))
    assert len(scored["mood"].splits) == 2


def test_a_retired_adapter_gets_no_further_split(scored: Bank) -> None:
    """It is no longer verified."""
    scored.remove("mood@1")
    with pytest.raises(ConflictError, match="retired"):
        scored.put_split("mood@1", new_scored_split("july"))


def test_rows_never_change_and_go_with_their_adapter(scored: Bank) -> None:
    """The database refuses every change; gc deletes the rows of retired adapters, and no others."""
    for statement in (
        "UPDATE scored_splits SET rows = 1",
        "DELETE FROM scored_splits",
        "DELETE FROM splits",
    ):
        with pytest.raises(DatabaseError), scored._engine.begin() as connection:
            connection.execute(text(statement))
    blobs = {split.digest for split in scored["mood"].splits}
    scored.put(new_adapter("other", seed=9))
    assert scored.gc(confirm=True).blobs == 0
    scored.remove("mood@1")
    collected = scored.gc(confirm=True)
    assert collected.blobs == 5
    assert not blobs & {split.digest for split in scored["other"].splits}
    with scored._engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM scored_splits")).scalar() == 0
        assert connection.execute(text("SELECT count(*) FROM splits")).scalar() == 1
    assert verify_all(scored, level="integrity").ok


def test_a_split_that_two_adapters_share_stays_with_the_other(scored: Bank) -> None:
    """Garbage collection asks both tables whether an evaluation set is still needed."""
    new = new_scored_split()
    scored.put(new_adapter("other", seed=9))
    scored.put_split("other", replace(new, split=replace(new.split, name="july"), metrics=()))
    scored.remove("mood@1")
    scored.gc(confirm=True)
    assert len(scored.examples(scored["other"], "july")) == 10
    assert verify_all(scored, level="integrity").ok


def test_a_changed_row_or_blob_is_found(own: Bank) -> None:
    """A further split is under a seal, and its blobs are checked like those of other splits."""
    own.put(new_adapter())
    own.put_split("mood", new_scored_split())
    digest = own["mood"].splits[1].predictions
    rewrite(own, "UPDATE blobs SET data = x'00' WHERE digest = ?", digest)
    findings = verify_all(own, level="integrity").findings
    (finding,) = [one for one in findings if one.check != "schema"]
    assert (finding.task, finding.check) == ("mood", "predictions")
    rewrite(own, "UPDATE scored_splits SET metrics = replace(metrics, '0.', '0.9')")
    findings = verify_all(own, level="integrity").findings
    found = {(finding.task, finding.check) for finding in findings if finding.check != "schema"}
    assert found == {("mood", "row")}
    with pytest.raises(DamagedError, match="scored_splits"):
        _ = own["mood"]
