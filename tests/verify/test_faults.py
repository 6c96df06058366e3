"""A verification finds every fault of the machine that moves answers, and raises no false alarm."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from scripts.verification.faults import FAULTS, leak_in_layernorm
from taskbank.backbone.backbone import Backbone
from taskbank.backbone.load import load_backbone
from taskbank.bank.bank import Bank
from taskbank.errors import ConflictError, UnstableError
from taskbank.pipeline.train_and_store import train_and_store
from taskbank.specs import TaskSpec
from taskbank.training.plan import plan_task
from taskbank.training.trainer import Trainer
from taskbank.verify.verify import verify_all
from tests.helpers.findings import messages


@pytest.fixture(scope="module")
def faulty(folder: Path) -> Backbone:
    """A backbone that faults are injected into and taken out of."""
    return load_backbone(str(folder))


@pytest.mark.slow
@pytest.mark.parametrize("name", FAULTS)
def test_every_fault_is_found_with_its_status(mood: Bank, faulty: Backbone, name: str) -> None:
    """Outputs that depend on the batch are `unstable`, others that moved `changed` or `regressed`,
    and a harmless difference is `ok`."""
    fault = FAULTS[name]
    with fault.inject(faulty):
        report = verify_all(mood, backbone=faulty)
    (result,) = report.tasks
    if fault.harmless:
        assert (result.status, report.findings) == ("ok", ()), messages(report)
    elif fault.batch:
        assert result.status == "unstable", messages(report)
        assert report.findings[0].check == "unstable"
    else:
        assert result.status in ("changed", "regressed", "unstable"), messages(report)
        assert report.ok == (result.status == "changed")


def test_a_metric_that_drops_is_a_finding_whatever_the_noise(mood: Bank, faulty: Backbone) -> None:
    """The raw predictions are tested: beside the fault, the report names the drop that it caused,
    and the flips are beyond the noise."""
    with leak_in_layernorm(faulty):
        report = verify_all(mood, backbone=faulty)
    assert [finding.check for finding in report.findings] == ["unstable", "regression"]
    (result,) = report.tasks
    assert result.within_noise == 0
    assert result.flips > 40
    assert "the other examples in their batch" in report.findings[0].message
    assert "statistically significant" in report.findings[1].message


@pytest.mark.slow
def test_unstable_predictions_vouch_for_nothing(mood: Bank, faulty: Backbone) -> None:
    """They are neither vouched for nor accepted, and what was `ok` before is predicted again."""
    sound = verify_all(mood, backbone=faulty, level="changed")
    with leak_in_layernorm(faulty):
        found = verify_all(mood, backbone=faulty)
        again = verify_all(mood, backbone=faulty, level="changed")
    assert [again.tasks[0].status, again.confirmed] == ["unstable", 0]
    with pytest.raises(ConflictError, match="depend on the batch"):
        mood.accept("mood", found.id, "it is what it is")
    after = verify_all(mood, backbone=faulty, level="changed")
    assert (sound.ok, after.ok, after.confirmed) == (True, True, 0)
    with leak_in_layernorm(faulty):
        assert verify_all(mood, backbone=faulty, level="canary").tasks[0].status == "unstable"


@pytest.mark.slow
def test_a_machine_that_was_broken_when_the_task_was_added_is_found(
    own: Bank, faulty: Backbone, small: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its predictions are those of the reference, and still depend on the batch."""
    with monkeypatch.context() as patch, leak_in_layernorm(faulty):
        patch.setattr("taskbank.training.trainer.check_stable", lambda *_given: None)
        plan = plan_task(TaskSpec("mood", small, training={"epochs": 1}))
        train_and_store(own, faulty, plan, verify="none")
        report = verify_all(own, backbone=faulty)
    assert (report.tasks[0].status, report.tasks[0].flips) == ("unstable", 0)


@pytest.mark.slow
@pytest.mark.parametrize("when", ["before", "during"])
def test_a_broken_machine_records_no_task(
    own: Bank, faulty: Backbone, small: str, when: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fault that is there before the training ends the command before it; one that comes during
    it leaves no adapter behind."""
    trained: list[Any] = []
    with ExitStack() as stack:
        real = Trainer.run

        def run(trainer: Trainer, *given: Any) -> Any:
            trained.append(real(trainer, *given))
            if when == "during":
                stack.enter_context(leak_in_layernorm(faulty))
            return trained[-1]

        monkeypatch.setattr(Trainer, "run", run)
        if when == "before":
            stack.enter_context(leak_in_layernorm(faulty))
        plan = plan_task(TaskSpec("mood", small, training={"epochs": 1}))
        with pytest.raises(
            UnstableError, match="nothing is recorded: outputs of the same examples"
        ):
            train_and_store(own, faulty, plan)
    assert (len(own), bool(trained)) == (0, when == "during")
