"""Levels of verification, what is tried out, what was interrupted, and what is accepted."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from real_bank import as_new
from safetensors.numpy import load, save

from taskbank import plugins
from taskbank.backbone.backbone import Backbone
from taskbank.bank.bank import Bank
from taskbank.bank.new_records import NewAdapter, NewSplit
from taskbank.cli.main import run
from taskbank.errors import BankError, ConflictError, DataError, InputError, NotFoundError
from taskbank.kinds.canaries import FEW, MANY, choose_canaries
from taskbank.kinds.kind import Kind
from taskbank.runtime import device as environment_module
from taskbank.verify import observer
from taskbank.verify.compare import compare
from taskbank.verify.verify import verify_all
from tests.backbone.test_forward import moved
from tests.helpers.making import put_model
from tests.verify.test_verify import judged, messages, rewrite

Change = Callable[[dict[str, np.ndarray]], None]


def replica(bank: Bank, name: str, change: Change | None = None) -> NewAdapter:
    """Return the task `mood` under another name, with weights that are maybe not those that gave
    its reference predictions."""
    new = as_new(bank, bank["mood"])
    tensors = load(new.weights)
    if change is not None:
        change(tensors)
    return replace(new, task=name, weights=save(tensors))


def nudge(tensors: dict[str, np.ndarray]) -> None:
    """Move every logit of the first class by more than rounding, and flip nothing much."""
    tensors["head.bias"] = tensors["head.bias"] + np.array([1e-3, 0], dtype=np.float32)


def swap(tensors: dict[str, np.ndarray]) -> None:
    """Let each class be called by the other's name."""
    tensors["head.weight"] = tensors["head.weight"][::-1].copy()
    tensors["head.bias"] = tensors["head.bias"][::-1].copy()


@pytest.fixture
def predicted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The number of examples of every prediction that a verification makes, a task at a time."""
    monkeypatch.setattr(observer, "EXAMPLES", 0)
    calls: list[int] = []
    real = observer.predict_examples

    def counted(model: Any, kind: Any, encoded: Any, *arguments: Any) -> Any:
        calls.append(len(encoded))
        return real(model, kind, encoded, *arguments)

    monkeypatch.setattr(observer, "predict_examples", counted)
    return calls


# Many tasks at once


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
    layer = backbone.model.get_submodule("encoder.layer.0.attention")
    hook = layer.register_forward_hook(lambda *_: calls.append(1))
    together = verify_all(bank, backbone=backbone)
    shared = len(calls)
    monkeypatch.setattr(observer, "EXAMPLES", 0)
    alone = verify_all(bank, backbone=backbone)
    hook.remove()
    assert 3 * shared < len(calls)
    assert [one.status for one in together.tasks] == [one.status for one in alone.tasks]
    assert [one.task for one in together.tasks if one.status != "ok"] == ["task4"]
    assert [str(one) for one in together.findings] == [str(one) for one in alone.findings]


def test_a_task_that_cannot_be_read_does_not_spoil_those_it_is_predicted_with(
    bank: Bank, backbone: Backbone, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of tasks that are predicted together, one that fails is named, and the others are checked."""
    for seed, name in enumerate("abc"):
        put_model(bank, name, moved(backbone, "houlsby", seed, size=4), {"size": 4})
    real = observer.encoded_for

    def failing(record: Any, *arguments: Any) -> Any:
        if record.task == "b":
            raise DataError("row 3 has no tokens")
        return real(record, *arguments)

    monkeypatch.setattr(observer, "encoded_for", failing)
    report = verify_all(bank, backbone=backbone)
    assert [(one.task, one.message) for one in report.findings] == [("b", "row 3 has no tokens")]
    assert [one.status for one in report.tasks if one.task != "b"] == ["ok", "ok"]


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


# changed


def test_what_has_not_changed_is_not_predicted_again(mood: Bank, predicted: list[int]) -> None:
    """At level `changed` the first verification predicts, the next points at it; a new adapter is
    predicted, the others are not."""
    first = verify_all(mood, level="changed")
    assert (first.ok, first.vouched, sum(predicted)) == (True, 0, 96)
    predicted.clear()
    second = verify_all(mood, level="changed")
    (result,) = second.tasks
    assert (second.ok, second.vouched, predicted) == (True, 1, [])
    assert (result.status, result.vouched_by) == ("ok", first.id)
    assert result.observed == first.tasks[0].observed
    mood.put(replica(mood, "other", nudge))
    third = verify_all(mood, level="changed")
    assert [task.vouched_by for task in third.tasks] == [first.id, None]
    mood.put(replica(mood, "same"))  # the same bytes under another name predict the same
    fourth = verify_all(mood, ["same"], level="changed")
    assert [task.vouched_by for task in fourth.tasks] == [first.id]
    # What is vouched for adds no row, so that a bank of many tasks does not grow by itself.
    rows = {one["id"]: one for one in mood.verifications.all()}
    assert [len(rows[one.id]["results"]) for one in (first, second, third)] == [1, 0, 1]
    assert rows[second.id]["vouched"] == 1


def test_a_full_verification_vouches_too_and_one_that_found_something_does_not(
    mood: Bank, predicted: list[int]
) -> None:
    """What was `ok` or `changed` is so still, as long as no more is asked for; what regressed is
    predicted again every time."""
    mood.put(replica(mood, "nudged", nudge))
    mood.put(replica(mood, "swapped", swap))
    full = verify_all(mood)
    assert [task.status for task in full.tasks] == ["ok", "changed", "regressed"]
    predicted.clear()
    again = verify_all(mood, level="changed")
    assert [task.vouched_by for task in again.tasks] == [full.id, full.id, None]
    assert [task.status for task in again.tasks] == ["ok", "changed", "regressed"]
    assert sum(predicted) == 96
    predicted.clear()
    strict = verify_all(mood, ["mood", "nudged"], level="changed", strict=True)
    assert [task.vouched_by for task in strict.tasks] == [full.id, None]
    assert sum(predicted) == 96


@pytest.mark.parametrize("what", ["numerics", "version", "backbone"])
def test_whatever_a_result_depends_on_calls_for_a_new_prediction(
    mood: Bank, predicted: list[int], monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    """Another version of taskbank's own numerics or of a library is another circumstance."""
    verify_all(mood, level="changed")
    predicted.clear()
    if what == "numerics":
        monkeypatch.setattr(environment_module, "NUMERICS", -1)
    elif what == "version":
        monkeypatch.setattr(
            environment_module, "version", lambda name: "99" if name == "torch" else "1"
        )
    else:
        from taskbank.verify import conditions

        real = conditions.digest_json
        monkeypatch.setattr(
            conditions, "digest_json", lambda values: real({**values, "backbone": "another"})
        )
    report = verify_all(mood, level="changed")
    assert (report.vouched, sum(predicted)) == (0, 96)


# canary


def test_canaries_stand_for_all_examples_where_none_moved(mood: Bank, predicted: list[int]) -> None:
    """A few examples of each split are predicted; the report says what they can miss."""
    report = verify_all(mood, level="canary")
    (result,) = report.tasks
    assert (report.ok, result.status, result.canaries) == (True, "ok", FEW)
    assert sum(predicted) == sum(len(one.canary) for one in mood["mood"].splits) < 96
    assert report.missable == pytest.approx(1 - 0.05 ** (1 / FEW))
    assert verify_all(mood, level="full").missable is None


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


def test_canaries_are_near_the_boundary_and_of_every_class() -> None:
    """Each class has the example nearest to its boundary; the rest are the nearest of all."""
    kind: Kind = plugins.load("kinds", "single")
    generator = np.random.default_rng(0)
    for classes in (2, 5, 40, 300):
        names = [f"class {number:03}" for number in range(classes)]
        labels = [names[number % classes] for number in range(600)]
        columns = {"text": ["a"] * 600, "label": labels}
        definition = kind.define(columns, "here", {})
        logits = generator.normal(size=(600, classes)).astype(np.float32)
        rows = choose_canaries(kind, logits, columns, definition)
        margins = kind.margins(logits, columns, definition)
        assert rows == sorted(set(rows))
        assert len(rows) == min(max(FEW, classes), MANY)
        assert len({labels[row] for row in rows}) == min(classes, MANY)
        assert int(margins.argmin()) in rows
        for name in {labels[row] for row in rows}:
            own = [row for row in range(600) if labels[row] == name]
            assert min(own, key=lambda row: margins[row]) in rows


def test_an_adapter_from_before_there_were_canaries_has_them_all_the_same(mood: Bank) -> None:
    """They are then chosen when they are needed, from the reference predictions."""
    stored = replica(mood, "older")
    splits = tuple(NewSplit(*list(vars(one).values())[:5]) for one in stored.splits)
    mood.put(NewAdapter(**{**vars(stored), "splits": splits}))
    assert mood["older"].splits[0].canary == ()
    assert verify_all(mood, ["older"], level="canary").tasks[0].canaries == FEW


# what if


def test_what_is_tried_out_leaves_no_trace(mood: Bank) -> None:
    """Products in bfloat16 move the outputs, and the bank does not know that it was asked."""
    before = len(mood.verifications.all())
    report = verify_all(mood, what_if={"dtype": "bfloat16", "threads": "1", "device": "cpu"})
    assert report.tasks[0].shift > 1e-4
    assert report.tasks[0].noise < 1e-4  # of the reference: what is asked about is no noise
    assert report.tasks[0].status == "changed"
    assert (report.id, report.unrecorded) == (None, None)
    assert report.to_json()["what_if"]["dtype"] == "bfloat16"
    assert len(mood.verifications.all()) == before
    assert mood.verifications.unfinished_runs() == []
    # Nor does it vouch for anything.
    assert verify_all(mood, level="changed", what_if={"dtype": "bfloat16"}).vouched == 0
    assert verify_all(mood, level="changed").vouched == 0


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ({"colour": "red"}, "backbone, dtype, device, threads"),
        ({"dtype": "int3"}, "float32, bfloat16, float16"),
        ({"threads": "0"}, "no number of threads"),
        ({"threads": "many"}, "no number of threads"),
        ({"device": "tpu"}, "device 'tpu'"),
    ],
)
def test_what_cannot_be_tried_out_is_said_before_anything_is_loaded(
    mood: Bank, asked: dict[str, str], says: str
) -> None:
    """A question that has no answer is an error that lists those that have."""
    with pytest.raises(InputError, match=says):
        verify_all(mood, what_if=asked)
    with pytest.raises(InputError, match="level integrity"):
        verify_all(mood, level="integrity", what_if={"threads": "1"})
    with pytest.raises(InputError, match="give one of them"):
        verify_all(mood, what_if={"device": "cpu"}, device="cpu")


# Interrupted


def test_a_verification_that_was_interrupted_goes_on_where_it_was(
    mood: Bank, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was predicted is not predicted again, what is said is the same, and the run that did
    not end is one until it did."""
    for name in ("second", "third"):
        mood.put(replica(mood, name, nudge))
    monkeypatch.setattr(observer, "EXAMPLES", 0)  # a task at a time
    whole = verify_all(mood)
    real, calls = observer.predict_examples, []

    def interrupted(*arguments: Any) -> Any:
        calls.append(1)
        if len(calls) == 4:  # the second split of the second adapter
            raise KeyboardInterrupt
        return real(*arguments)

    monkeypatch.setattr(observer, "predict_examples", interrupted)
    with pytest.raises(KeyboardInterrupt):
        verify_all(mood)
    (unfinished,) = mood.verifications.unfinished_runs()
    assert (unfinished["level"], unfinished["adapters"]) == ("full", 1)
    # Another question is no part of it.
    calls[:] = [1] * 9
    assert verify_all(mood, ["mood"], resume=True).ok
    calls[:] = [1] * 9
    report = verify_all(mood, resume=True)
    assert len(calls) == 9 + 2 * 2
    assert mood.verifications.unfinished_runs() == []
    assert [vars(task) for task in report.tasks] == [vars(task) for task in whole.tasks]
    assert verify_all(mood, resume=True).ok  # with nothing to resume it is a new one
    assert verify_all(mood, level="integrity").ok


KILLED = """
import os, signal, sys
from taskbank.bank.bank import Bank
from taskbank.verify import observer
from taskbank.verify.verify import verify_all

real, calls = observer.predict_examples, []

def predict(*given):
    calls.append(1)
    if len(calls) == 4:
        os.kill(os.getpid(), signal.SIGKILL)
    return real(*given)

observer.predict_examples, observer.EXAMPLES = predict, 0
verify_all(Bank(sys.argv[1]))
"""


def test_a_verification_whose_process_was_killed_goes_on_too(
    mood: Bank, predicted: list[int]
) -> None:
    """What it predicted before it was killed is in the bank, and the bank is whole."""
    for name in ("second", "third"):
        mood.put(replica(mood, name, nudge))
    killed = subprocess.run([sys.executable, "-c", KILLED, mood.url], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert mood.verifications.unfinished_runs()[0]["adapters"] == 1
    assert verify_all(mood, level="integrity").ok
    report = verify_all(mood, resume=True)
    assert [task.status for task in report.tasks] == ["ok", "changed", "changed"]
    assert sum(predicted) == 2 * 96
    assert mood.verifications.unfinished_runs() == []


def test_what_an_interrupted_run_saw_under_other_circumstances_is_not_used(
    mood: Bank, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A library that was upgraded in between calls for new predictions."""
    real = observer.Observer._compared

    def interrupted(*arguments: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(observer.Observer, "_compared", interrupted)
    with pytest.raises(KeyboardInterrupt):
        verify_all(mood)
    monkeypatch.setattr(observer.Observer, "_compared", real)
    assert mood.verifications.unfinished_runs()[0]["adapters"] == 1
    calls: list[int] = []
    predict = observer.predict_examples
    monkeypatch.setattr(
        observer, "predict_examples", lambda *given: (calls.append(1), predict(*given))[1]
    )
    monkeypatch.setattr(environment_module, "NUMERICS", -1)
    assert verify_all(mood, resume=True).ok
    assert calls == [1, 1]


# Accepted


def test_what_is_accepted_is_the_reference_and_the_old_one_is_kept(mood: Bank) -> None:
    """A changed task is `ok` once what it predicts was accepted; the reason and what it predicted
    before stay in the bank."""
    mood.put(replica(mood, "other", nudge))
    before = mood["other"]
    seen = verify_all(mood, ["other"])
    assert seen.tasks[0].status == "changed"
    after = mood.accept("other", seen.id, " the new library is right ")
    assert [one.predictions for one in after.splits] == [one.predictions for one in before.splits]
    assert [one.accepted for one in after.splits] == [seen.id, seen.id]
    assert mood.blobs.get(before.splits[0].predictions) is not None
    report = verify_all(mood, ["other"])
    assert (report.tasks[0].status, report.tasks[0].shift) == ("ok", 0.0)
    assert verify_all(mood, ["other"], level="changed").vouched == 1
    assert verify_all(mood, level="integrity").ok
    with mood.engine.connect() as connection:
        reasons = connection.exec_driver_sql("SELECT reason FROM acceptances").scalars().all()
    assert reasons == ["the new library is right"] * 2


def test_what_cannot_be_accepted(mood: Bank) -> None:
    """A verification that did not see it, that is not there, or saw nothing new; no reason."""
    mood.put(replica(mood, "other", nudge))
    only = verify_all(mood, ["mood"])
    both = verify_all(mood)
    quick = verify_all(mood, level="integrity")
    for number in (only.id, quick.id):
        with pytest.raises(NotFoundError, match="did not predict all of other@1"):
            mood.accept("other", number, "why not")
    with pytest.raises(NotFoundError, match="no verification 999"):
        mood.accept("other", 999, "why not")
    with pytest.raises(ConflictError, match="nothing to accept"):
        mood.accept("mood", both.id, "why not")
    with pytest.raises(InputError, match="reason is empty"):
        mood.accept("other", both.id, "  ")
    mood.remove("other@1")
    with pytest.raises(ConflictError, match="retired"):
        mood.accept("other@1", both.id, "why not")


def test_what_was_observed_of_an_adapter_goes_with_it(mood: Bank) -> None:
    """Garbage collection takes the predictions of a retired adapter, its references included."""
    mood.put(replica(mood, "other", nudge))
    seen = verify_all(mood)
    mood.accept("other", seen.id, "it may")
    before = len(list(mood.blobs.sizes()))
    mood.remove("other@1")
    garbage = mood.gc(confirm=True)
    assert garbage.blobs == 3  # its weights, and what it predicted for two splits
    assert len(list(mood.blobs.sizes())) == before - 3
    assert verify_all(mood).ok


# Tolerances, and what cannot be verified


def test_a_task_has_a_tolerance_of_its_own(mood: Bank) -> None:
    """It counts for its task and no other, and can be taken back."""
    record = mood["mood"]
    reference = mood.reference(record, "test")
    right = [record.labels.index(one) for one in mood.examples(record, "test").columns["label"]]
    bias = next(
        value
        for value in np.arange(0.01, 5, 0.01)
        if ((reference + np.array([value, 0])).argmax(axis=1) == right).mean() < record.score
    )

    def biased(tensors: dict[str, np.ndarray]) -> None:
        tensors["head.bias"] = tensors["head.bias"] + np.array([bias, 0], dtype=np.float32)

    for name in ("one", "two"):
        mood.put(replica(mood, name, biased))
    assert {task.status for task in verify_all(mood, ["one", "two"]).tasks} == {"changed"}
    mood.set_tolerance("one", 0.0)
    found = {task.task: task.status for task in verify_all(mood).tasks}
    assert found == {"mood": "ok", "one": "regressed", "two": "changed"}
    mood.set_tolerance("one", None)
    assert verify_all(mood, ["one"]).ok
    for wrong in (-0.1, 1.1, float("nan")):
        with pytest.raises(InputError, match="from 0 to 1"):
            mood.set_tolerance("one", wrong)
    with pytest.raises(NotFoundError):
        mood.set_tolerance("nothing", 0.1)


def test_a_task_whose_split_is_gone_is_unverifiable(mood: Bank) -> None:
    """It is not left out, and not called damaged: its weights are what was recorded."""
    rewrite(mood, "DELETE FROM blobs WHERE digest = ?", mood["mood"].splits[1].digest)
    for level in ("integrity", "full"):
        report = verify_all(mood, level=level)
        assert [task.status for task in report.tasks] == ["unverifiable"]
        assert {finding.check for finding in report.findings} == {"gone"}
        assert "what split 'test' is checked by is gone" in messages(report)
    rewrite(mood, "DELETE FROM blobs WHERE digest = ?", mood["mood"].digest)
    assert [task.status for task in verify_all(mood).tasks] == ["damaged"]


# The command line


def test_the_command_line_has_it_all(mood: Bank, capsys: pytest.CaptureFixture[str]) -> None:
    """Levels, trying out, accepting and tolerances, with what they say."""
    mood.put(replica(mood, "other", nudge))
    base = ["--bank", mood.url]
    assert run([*base, "verify-all", "--level", "changed"]) == 0
    assert "1 predict otherwise" in capsys.readouterr().out
    number = mood.verifications.all()[-1]["id"]
    assert run([*base, "verify-all", "--level", "changed"]) == 0
    out = capsys.readouterr().out
    assert f"nothing they depend on has changed since verification {number}" in out
    assert "1 predict otherwise" in out
    assert run([*base, "verify-all", "--level", "canary", "--task", "mood"]) == 0
    assert "canaries see whatever moves every output" in capsys.readouterr().out
    assert run([*base, "verify-all", "--what-if", "dtype=bfloat16"]) == 0
    assert run([*base, "verify-all", "--what-if", "dtype"]) == 2
    accept = [*base, "accept", "other", "--verification", str(number), "--reason", "new torch"]
    assert run(accept) == 0
    assert run([*base, "verify-all", "--strict", "--resume"]) == 0
    assert run([*base, "tolerance"]) == 0
    assert "no task has" in capsys.readouterr().out
    assert run([*base, "tolerance", "mood", "0.02"]) == 0
    assert "mood" in capsys.readouterr().out
    assert mood.tolerances() == {"mood": 0.02}
    assert run([*base, "tolerance", "mood", "--drop"]) == 0
    assert run([*base, "tolerance", "--drop"]) == 2
    assert mood.tolerances() == {}


# What a reader of the first version found


def test_an_adapter_whose_outputs_are_infinite_is_a_finding(mood: Bank) -> None:
    """Infinity and NaN are a regression that is recorded, and nothing that could be accepted."""

    def endless(tensors: dict[str, np.ndarray]) -> None:
        tensors["head.bias"] = np.array([np.inf, 0], dtype=np.float32)

    def broken(tensors: dict[str, np.ndarray]) -> None:
        tensors["head.bias"] = np.full(2, np.nan, dtype=np.float32)

    mood.put(replica(mood, "endless", endless))
    mood.put(replica(mood, "broken", broken))
    report = verify_all(mood)
    assert [task.status for task in report.tasks] == ["ok", "regressed", "regressed"]
    assert report.unrecorded is None
    for name in ("endless", "broken"):
        with pytest.raises(ConflictError, match="no number"):
            mood.accept(name, report.id, "why not")


def test_a_switch_of_number_type_is_judged_by_its_flips(mood: Bank) -> None:
    """What bfloat16 does to the answers is no noise: with a tolerance of nothing it can fail."""

    report = verify_all(mood, what_if={"dtype": "bfloat16"})
    (result,) = report.tasks
    assert result.within_noise == 0 or result.noise < 1e-4
    assert result.shift > 10 * result.noise


def test_what_is_accepted_is_what_that_verification_saw(
    mood: Bank, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that went on under other circumstances and back has two predictions of an adapter;
    those that the verification showed are accepted."""
    mood.put(replica(mood, "other", nudge))
    monkeypatch.setattr(observer, "EXAMPLES", 0)  # a task at a time
    real, compared = observer.predict_examples, observer.Observer._compared
    shift = [0.0]
    monkeypatch.setattr(
        observer, "predict_examples", lambda *given: real(*given) + np.float32(shift[0])
    )

    for numerics, by in ((1, 0.0), (2, 0.5)):
        monkeypatch.setattr(environment_module, "NUMERICS", numerics)
        shift[0] = by
        calls: list[int] = []

        def once(self: Any, record: Any, observed: Any, calls: list[int] = calls) -> Any:
            calls.append(1)
            if len(calls) > 1:
                raise KeyboardInterrupt
            return compared(self, record, observed)

        monkeypatch.setattr(observer.Observer, "_compared", once)
        with pytest.raises(KeyboardInterrupt):
            verify_all(mood, ["other", "mood"], resume=True)
    monkeypatch.setattr(observer.Observer, "_compared", compared)
    monkeypatch.setattr(environment_module, "NUMERICS", 1)
    shift[0] = 0.0
    report = verify_all(mood, ["other", "mood"], resume=True)
    accepted = mood.accept("other", report.id, "as it was shown")
    seen = (
        mood.reference(accepted, "test")
        - load(mood.blobs.get(accepted.splits[1].predictions))["logits"]
    )
    assert np.abs(seen).max() == pytest.approx(report.tasks[1].shift, abs=1e-6)


def test_what_cannot_be_recorded_is_no_damage(mood: Bank, monkeypatch: pytest.MonkeyPatch) -> None:
    """A database that is locked while predictions are recorded is said, and nothing more."""

    def locked(*_given: Any) -> None:
        raise BankError("the database is locked")

    monkeypatch.setattr(Bank, "observe", locked)
    report = verify_all(mood)
    assert (report.ok, report.tasks[0].status) == (True, "ok")
    assert report.unrecorded == "the database is locked"


def test_a_backbone_that_is_refused_leaves_no_run_behind(mood: Bank) -> None:
    """Only what began to predict is recorded, and the run that saw most is gone on with."""
    with pytest.raises(InputError):
        verify_all(mood, backbone="./nowhere")
    assert mood.verifications.unfinished_runs() == []


def test_a_voucher_is_for_the_same_metric(mood: Bank) -> None:
    """The same weights judged by another metric are another task."""
    verify_all(mood)
    other = replica(mood, "other")
    loss = next(m.value for m in other.metrics if (m.split, m.name) == ("test", "log_loss"))
    mood.put(replace(other, metric="log_loss"))
    report = verify_all(mood, ["other"], level="changed")
    assert (report.vouched, report.tasks[0].recorded) == (0, pytest.approx(loss))


def test_what_was_accepted_is_what_is_vouched_for(mood: Bank) -> None:
    """The recorded score is that of the reference, whoever says it."""
    mood.put(replica(mood, "other", swap))
    seen = verify_all(mood, ["other"])
    mood.accept("other", seen.id, "labels were swapped")
    full = verify_all(mood, ["other"])
    quick = verify_all(mood, ["other"], level="changed")
    assert quick.tasks[0].recorded == full.tasks[0].recorded == full.tasks[0].observed


def test_a_tolerance_that_was_tampered_with_lets_nothing_pass(mood: Bank) -> None:
    """It is a finding of the integrity check and otherwise as if it were not there."""
    mood.set_tolerance("mood", 0.5)
    rewrite(mood, "UPDATE tolerances SET tolerance = 'abc'")
    report = verify_all(mood)
    assert "tolerances" in messages(report)
    assert mood.tolerances() == {}
    rewrite(mood, "UPDATE verifications SET contents = '[]'")
    assert not verify_all(mood, level="integrity").ok


def test_a_tolerance_is_what_it_says(mood: Bank) -> None:
    """A drop of exactly the tolerance is let pass, whatever 0.9 - 0.88 is in binary."""
    record = mood["mood"]
    split = record.splits[1]
    reference = mood.reference(record, "test")
    found = compare(record, split, mood.examples(record, "test"), reference, reference + 1, 1e-5)
    for before in range(10, 100):
        exact = replace(found, metrics={"accuracy": (before / 100, (before - 2) / 100)})
        assert judged(record, exact, tolerance=0.02).status == "changed"
        assert judged(record, exact, tolerance=0.0199).status == "regressed"


def test_a_tolerance_of_no_task_is_an_error(mood: Bank, capsys: pytest.CaptureFixture[str]) -> None:
    """`taskbank tolerance NAME` shows that task's, and says if there is no such task."""
    base = ["--bank", mood.url, "tolerance"]
    assert run([*base, "nothing"]) == 2
    assert run([*base, "mood"]) == 0
    assert "mood has no tolerance" in capsys.readouterr().out
