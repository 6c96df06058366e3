"""What is a change, and what a regression."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from taskbank.bank.bank import Bank
from taskbank.errors import (
    InputError,
    NotFoundError,
)
from taskbank.kinds.single import SINGLE
from taskbank.verify.compare import compare
from taskbank.verify.subject import Subject
from taskbank.verify.verdict import Evidence, Standard, judge
from taskbank.verify.verify import verify_all
from tests.helpers.findings import judged, messages
from tests.helpers.tampering import replica, rewrite, swap


def test_one_flip_is_a_change_and_a_regression_only_beyond_the_tolerance(mood: Bank) -> None:
    """A single answer that is wrong now may be chance: what is let pass is for the user to say,
    and an answer that is right now is never worse."""
    record = mood["mood"]
    split = record.splits[1]
    examples = mood.examples(record, "test")
    reference = mood.reference(record, "test")
    right = SINGLE.correctness(reference, examples.columns, record.definition) == 1
    for was_right, effect in ((True, "worse"), (False, "better")):
        now = reference.copy()
        row = np.flatnonzero(right == was_right)[:1]
        if not len(row):
            continue
        now[row] = now[row, ::-1]
        found = compare(record, split, examples, reference, now, 1e-6)
        assert [flip.effect for flip in found.flips] == [effect]
        assert found.p_value == (0.5 if was_right else 1)
        assert judged(record, found).status == "changed"
        worse = "regressed" if was_right else "changed"
        assert judged(record, found, tolerance=0.9 / len(examples)).status == worse
        assert judged(record, found, tolerance=1.1 / len(examples)).status == "changed"
    assert (~right).any(), "the task is too easy to show both"


def test_a_drop_that_matters_to_nobody_is_a_change(mood: Bank) -> None:
    """Less than a tenth of a point is no regression, however surely it is no chance."""
    record = mood["mood"]
    split = record.splits[1]
    reference = mood.reference(record, "test")
    found = compare(record, split, mood.examples(record, "test"), reference, reference + 1, 1e-5)
    for drop, status in ((0.0009, "changed"), (0.0011, "regressed")):
        sure = replace(
            found, metrics={record.metric: (record.score, record.score - drop)}, p_value=1e-9
        )
        assert judged(record, sure).status == status
        assert judged(record, sure, tolerance=0.0).status == "regressed"


@pytest.mark.slow
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


def test_a_switch_of_number_type_is_judged_by_its_flips(mood: Bank) -> None:
    """What bfloat16 does to the answers is no noise: with a tolerance of nothing it can fail."""

    report = verify_all(mood, what_if={"dtype": "bfloat16"})
    (result,) = report.tasks
    assert result.within_noise == 0 or result.noise < 1e-4
    assert result.shift > 10 * result.noise


@pytest.mark.slow
def test_a_voucher_is_for_the_same_metric(mood: Bank) -> None:
    """The same weights judged by another metric are another task."""
    verify_all(mood)
    other = replica(mood, "other")
    loss = next(m.value for m in other.metrics if (m.split, m.name) == ("test", "log_loss"))
    mood.put(replace(other, metric="log_loss"))
    report = verify_all(mood, ["other"], level="changed")
    assert report.confirmed == 0
    assert report.tasks[0].recorded == pytest.approx(loss)


@pytest.mark.slow
def test_what_was_accepted_is_what_is_vouched_for(mood: Bank) -> None:
    """The recorded score is that of the reference, whoever says it."""
    mood.put(replica(mood, "other", swap))
    seen = verify_all(mood, ["other"])
    mood.accept("other", seen.id, "labels were swapped")
    full = verify_all(mood, ["other"])
    quick = verify_all(mood, ["other"], level="changed")
    assert quick.tasks[0].recorded == full.tasks[0].recorded == full.tasks[0].observed


@pytest.mark.slow
def test_a_tolerance_that_was_tampered_with_lets_nothing_pass(mood: Bank) -> None:
    """It is a finding of the integrity check and otherwise as if it were not there."""
    mood.set_tolerance("mood", 0.5)
    rewrite(mood, "UPDATE tolerances SET tolerance = 'abc'")
    report = verify_all(mood)
    assert "tolerances" in messages(report)
    assert mood.tolerances() == {}
    rewrite(mood, "UPDATE verifications SET contents = '[]'")
    assert not verify_all(mood, level="integrity").ok


def test_strict_and_tolerance_look_at_every_flip(mood: Bank) -> None:
    """An answer that changed is a finding of both, even where rounding explains it."""
    record = mood["mood"]
    split = record.splits[1]
    examples = mood.examples(record, "test")
    reference = mood.reference(record, "test").copy()
    right = record.labels.index(examples.columns["label"][0])
    reference[0, [right, 1 - right]] = [1.00001, 1.0]
    close = reference.copy()
    close[0, [right, 1 - right]] = [1.0, 1.00001]
    found = replace(compare(record, split, examples, reference, close, 1e-4), disagreements=())
    assert (found.real_flips, len(found.flips)) == (0, 1)
    for tolerance, strict, checks in (
        (1.0, False, []),
        (1.0, True, ["strict"]),
        (0.5 / len(examples), False, ["regression"]),
    ):
        findings, _ = judge(
            [Evidence(Subject.of(record), (found,))], Standard(tolerance, strict=strict)
        )
        assert [finding.check for finding in findings] == checks


def test_rounding_alone_exceeds_no_tolerance(mood: Bank) -> None:
    """A metric that depends on every output moves with every bit of them, which is no drop."""
    record = replace(mood["mood"], metric="log_loss")
    split = record.splits[1]
    reference = mood.reference(record, "test")
    now = reference * np.float32(1 - 1e-6)
    found = compare(record, split, mood.examples(record, "test"), reference, now, 1e-4)
    assert found.recorded != found.observed
    assert (found.differs, found.p_value) == (False, 1.0)
    findings, _ = judge(
        [Evidence(Subject.of(record), (replace(found, disagreements=()),))], Standard(0.0)
    )
    assert findings == []
