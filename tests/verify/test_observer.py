"""The observer predicts small tasks together, and every task even where that fails."""

from __future__ import annotations

from typing import Any

import pytest

from taskbank.backbone.backbone import Backbone
from taskbank.bank.bank import Bank
from taskbank.bank.new_records import NewAdapter, NewSplit
from taskbank.errors import DataError, InputError, NotFoundError
from taskbank.kinds.canaries import MIN_CANARIES
from taskbank.model.load import encode_for
from taskbank.verify import observer
from taskbank.verify.rounding import minimum_noise
from taskbank.verify.verify import verify_all
from tests.helpers.adapters import put_model
from tests.helpers.models import moved
from tests.helpers.tampering import Change, nudge, replica, swap


@pytest.mark.slow
def test_small_tasks_are_predicted_in_the_same_batches(
    bank: Bank, backbone: Backbone, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tasks of a few examples pass through the lowest layer together, and what is said of each is
    what is said of it alone."""
    names = [f"task{number}" for number in range(12)]
    for seed, name in enumerate(names):
        layers = "top:1" if seed % 3 == 0 else "all"
        model = moved(backbone, "houlsby", seed, size=4, layers=layers)
        shift = 0.01 if name == "task4" else 0.0  # its reference is not what it predicts
        options = {"size": 4, "layers": layers}
        put_model(bank, name, model, options, count=4, shift=shift)
    calls: list[int] = []
    # The examples that are predicted again to measure the noise are predicted alone either way.
    monkeypatch.setattr(observer, "measure_noise", lambda *_given: minimum_noise(1.0))
    layer = backbone.model.get_submodule("encoder.layer.0.attention")
    hook = layer.register_forward_hook(lambda *_: calls.append(1))
    together = verify_all(bank, backbone=backbone)
    shared = len(calls)
    monkeypatch.setattr(observer, "WINDOW_EXAMPLES", 0)
    alone = verify_all(bank, backbone=backbone)
    hook.remove()
    assert 3 * shared < len(calls)
    assert [one.status for one in together.tasks] == [one.status for one in alone.tasks]
    assert [one.task for one in together.tasks if one.status != "ok"] == ["task4"]
    assert [str(one) for one in together.findings] == [str(one) for one in alone.findings]


@pytest.mark.slow
def test_a_task_that_cannot_be_read_does_not_spoil_those_it_is_predicted_with(
    bank: Bank, backbone: Backbone, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of tasks that are predicted together, one that fails is named, and the others are checked."""
    for seed, name in enumerate("abc"):
        put_model(bank, name, moved(backbone, "houlsby", seed, size=4), {"size": 4})

    def failing(record: Any, *arguments: Any) -> Any:
        if record.task == "b":
            raise DataError("row 3 has no tokens")
        return encode_for(record, *arguments)

    monkeypatch.setattr(observer, "encode_for", failing)
    report = verify_all(bank, backbone=backbone)
    assert [(one.task, one.message) for one in report.findings] == [("b", "row 3 has no tokens")]
    assert [one.status for one in report.tasks if one.task != "b"] == ["ok", "ok"]


@pytest.mark.parametrize("lost", ["b", "abc"])
def test_an_adapter_that_is_gone_by_now_is_named_and_the_others_are_checked(
    bank: Bank, backbone: Backbone, monkeypatch: pytest.MonkeyPatch, lost: str
) -> None:
    """Its rows were destroyed after they had been checked and before they were read again."""
    for seed, name in enumerate("abc"):
        put_model(bank, name, moved(backbone, "houlsby", seed, size=4), {"size": 4})
    read, read_one = Bank.adapters, Bank.__getitem__

    def adapters(own: Bank, **given: Any) -> Any:
        found = read(own, **given)
        return found.filter(lambda record: record.task not in lost) if "ids" in given else found

    def one(own: Bank, ref: str) -> Any:
        if ref[0] in lost:
            raise NotFoundError(f"gc has destroyed {ref}")
        return read_one(own, ref)

    monkeypatch.setattr(Bank, "adapters", adapters)
    monkeypatch.setattr(Bank, "__getitem__", one)
    report = verify_all(bank, backbone=backbone)
    assert [(one.task, one.message) for one in report.findings] == [
        (name, f"gc has destroyed {name}@1") for name in lost
    ]
    statuses = {one.task: one.status for one in report.tasks}
    assert statuses == {name: "unverifiable" if name in lost else "ok" for name in "abc"}


def test_where_tasks_cannot_be_computed_together_each_is_alone(
    bank: Bank, backbone: Backbone, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A batch that fails, say for want of memory, is no finding as long as each task works."""
    for seed, name in enumerate("abc"):
        put_model(bank, name, moved(backbone, "houlsby", seed, size=4), {"size": 4})

    def failing(*_: Any) -> Any:
        raise InputError("the GPU's memory does not suffice")

    monkeypatch.setattr(observer, "predict_mixed", failing)
    report = verify_all(bank, backbone=backbone)
    assert report.ok
    assert [(one.status, one.shift) for one in report.tasks] == [("ok", 0.0)] * 3


# canary


@pytest.mark.slow
def test_canaries_stand_for_all_examples_where_none_moved(mood: Bank, predicted: list[int]) -> None:
    """A few examples of each split are predicted; the report says what they can miss."""
    report = verify_all(mood, level="canary")
    (result,) = report.tasks
    assert (report.ok, result.status, result.canaries) == (True, "ok", MIN_CANARIES)
    assert sum(predicted) == sum(len(one.canary) for one in mood["mood"].splits) < 96
    assert report.undetectable == pytest.approx(1 - 0.05 ** (1 / MIN_CANARIES))
    assert verify_all(mood, level="full").undetectable is None


@pytest.mark.slow
@pytest.mark.parametrize(("change", "status"), [(nudge, "changed"), (swap, "regressed")])
def test_where_a_canary_moved_all_examples_are_predicted(
    mood: Bank, predicted: list[int], change: Change, status: str
) -> None:
    """A canary that moved is no verdict: the whole split gives it."""
    mood.put(replica(mood, "other", change))
    report = verify_all(mood, ["other"], level="canary")
    (result,) = report.tasks
    assert (result.status, result.examples, result.canaries) == (status, 96, None)
    assert sum(predicted) > 96


@pytest.mark.slow
def test_an_adapter_from_before_there_were_canaries_has_them_all_the_same(mood: Bank) -> None:
    """They are then chosen when they are needed, from the reference predictions."""
    stored = replica(mood, "older")
    splits = tuple(NewSplit(*list(vars(one).values())[:5]) for one in stored.splits)
    mood.put(NewAdapter(**{**vars(stored), "splits": splits}))
    assert mood["older"].splits[0].canary == ()
    assert verify_all(mood, ["older"], level="canary").tasks[0].canaries == MIN_CANARIES
