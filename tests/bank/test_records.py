"""Records are plain data: they travel between processes."""

from __future__ import annotations

import pickle
from dataclasses import fields, is_dataclass, replace
from typing import Any

import pytest

from taskbank.bank import records
from taskbank.bank.bank import Bank
from taskbank.verify.verify import verify_all
from tests.helpers.adapters import new_adapter, new_trial, record_finding

TYPES = {
    value
    for value in vars(records).values()
    if isinstance(value, type) and is_dataclass(value) and value.__module__ == records.__name__
}


def returned(bank: Bank) -> list[Any]:
    """Return a record of every type, each from a bank in which everything has happened."""
    bank.put(new_adapter())
    bank.put(new_adapter(seed=1), new_version=True)
    bank.alias("mood@1", "production")
    bank.put_trial(new_trial())
    number = record_finding(bank, "mood@1")
    bank.remove("mood@2")
    log = bank.verification_log
    log.start_run("full", ["mood"], {"torch": "2.0"})
    ((_, circumstances),) = log.observations(1)
    found: list[Any] = [bank.gc(), bank.head()]
    for group in (
        bank.adapters(retired=True),
        bank.trials(),
        bank.backbones(),
        bank.aliases("mood"),
        log.verifications(),
        log.results(verification=number),
        log.recent_results([("mood", 1)], each=1),
        log.newest(limit=9),
        [log.result_page(number, limit=9), log.finding_page(number, 9), bank.timeline(limit=9)],
        log.findings(number),
        log.unfinished_runs(),
        log.acceptances("mood"),
        log.tolerances("mood"),
        log.scores(),
        *log.observations(1).values(),
        tuple(log.confirmations([circumstances]).values()),
        records.parents_of({"parents": [{"ref": "mood@1", "digest": "sha256:0"}]}),
    ):
        assert group
        found += group
    return found


def parts(value: Any) -> set[type]:
    """Return the types of a record and of the records in it."""
    if isinstance(value, tuple | list):
        return {found for one in value for found in parts(one)}
    if not is_dataclass(value) or isinstance(value, type):
        return set()
    own = {found for field in fields(value) for found in parts(getattr(value, field.name))}
    return {type(value)} | own


def test_every_record_survives_pickling(bank: Bank, own: Bank) -> None:
    """A record of each type that a bank returns comes out of its pickle equal, the bank closed."""
    found = returned(bank)
    found += [bank.copy_to(own), *own.copies()]
    bank.close()
    assert TYPES - parts(found) == set()
    for record in found:
        assert pickle.loads(pickle.dumps(record)) == record  # noqa: S301 - our own bytes


def test_a_record_shows_data_only(bank: Bank) -> None:
    """The text of a record names its fields and holds no object with an address."""
    for record in returned(bank):
        assert type(record).__name__ in repr(record)
        assert " object at 0x" not in repr(record)


def test_records_in_a_list_survive_pickling(bank: Bank) -> None:
    """The list of adapters that a bank returns comes out of its pickle equal."""
    bank.put(new_adapter())
    found = bank.adapters()
    assert list(pickle.loads(pickle.dumps(found))) == list(found)  # noqa: S301 - our own bytes


def test_the_record_of_a_verification_is_that_of_its_report(bank: Bank) -> None:
    """The log has the number, level and outcome that the report says."""
    bank.put(new_adapter())
    report = verify_all(bank, level="integrity")
    (record,) = bank.verification_log.verifications()
    assert (record.id, record.level, record.ok) == (report.id, "integrity", True)


@pytest.mark.parametrize("changed", [{"version": 2}, {"score": 0.0}, {"digest": "other"}])
def test_records_are_compared_by_what_they_hold(bank: Bank, changed: dict[str, Any]) -> None:
    """Two records that differ in a field are not equal; the number of the row does not count."""
    record = bank.put(new_adapter())
    assert replace(record, id=99) == record
    assert replace(record, **changed) != record


@pytest.mark.parametrize(
    ("candidates", "compared", "refs", "says"),
    [
        (0, 0, [], "no version to compare has this method and its options"),
        (40, 24, [], "none of 24 compared versions helps"),
        (1, 1, ["mood@1"], "mood@1, of 1 compared version"),
        (40, 24, ["mood@1", "a@2"], "mood@1, a@2, of 24 compared versions"),
    ],
)
def test_what_was_tried_is_described(
    candidates: int, compared: int, refs: list[str], says: str
) -> None:
    """Nothing to compare, nothing that helps, and what helps are told apart."""
    found = {"candidates": candidates, "compared": compared}
    assert records.describe_suggested(found | {"versions": [{"ref": ref} for ref in refs]}) == says


def test_the_trainings_of_an_ensemble_are_described() -> None:
    """Each with its score, its seed, and what is wrong with it; without a course, their number."""
    members = [{"seed": 6, "score": 0.5, "status": "complete"}]
    members.append({"seed": 7, "score": 0.25, "status": "collapsed"})
    describe = records.describe_ensemble
    assert describe({"ensemble": 2}, {"members": members}, "f1") == (
        "2 trainings, validation f1 0.5000 (seed 6), 0.2500 (seed 7, collapsed)"
    )
    assert describe({"ensemble": 2}, {}, "f1") == "2 trainings"
    assert describe({}, {}, "f1") is None
