"""An update trains anew, continues its parent, or does whichever is as good; for every kind."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from taskbank.bank.bank import Bank
from taskbank.bank.records import AdapterRecord
from taskbank.errors import InputError, TrainingError
from taskbank.history.events import task_events
from taskbank.kinds.classification import Classification
from taskbank.kinds.kind import Kind
from taskbank.pipeline.add_task import add_task
from taskbank.pipeline.update import NewData, Updated, compare_data, update
from taskbank.pipeline.update_modes import Mode, Trained, UpdateTraining
from taskbank.training.start import Start
from taskbank.training.trial import trial_from_record
from taskbank.verify.verify import verify_all
from tests.helpers.rows import ROWS, sentences
from tests.helpers.training import Interrupt, interrupt_after

TRAINING = {"epochs": 5, "learning_rate": 0.02, "precision": "float32", "max_length": 24}
OTHER = {"good": "bad", "bad": "good"}


def learn(bank: Bank, folder: Path, kind: str = "single", **given: Any) -> AdapterRecord:
    """Add a task of a kind, named after it, and return its version."""
    rows = ROWS[kind](80, 1)
    given = {"training": TRAINING, "options": {"size": 4}, "keep_rows": True, **given}
    add_task(bank, kind, rows, kind=kind, backbone=str(folder), verify="none", **given)
    return bank[kind]


def updated(
    bank: Bank, rows: list[dict[str, Any]], ref: str = "single", **given: Any
) -> tuple[AdapterRecord, Updated]:
    """Update a version, and return the new one, and everything about the update."""
    found = update(bank, ref, NewData(rows), verify="none", **given)
    assert found.record is not None
    return found.record, found


@pytest.mark.slow
@pytest.mark.parametrize("kind", ROWS)
@pytest.mark.parametrize(("mode", "anchor"), [("retrain", None), ("continue", 1.0)])
def test_every_kind_is_updated(
    own: Bank, folder: Path, kind: str, mode: Mode, anchor: float | None
) -> None:
    """The version is compared on old and new rows and is whole; it says how it was trained, and a
    continued one is trained for two of five epochs."""
    parent = learn(own, folder, kind)
    child, found = updated(own, ROWS[kind](40, 2), kind, mode=mode, anchor=anchor)
    assert set(found.comparisons or {}) == {"old", "new", "validation"}
    course = child.course["update"]
    assert (course["requested"], course["mode"]) == (mode, mode)
    assert course.get("anchor") == anchor
    assert len(child.course["epochs"]) == (2 if mode == "continue" else 5)
    assert child.training["epochs"] == parent.training["epochs"]
    assert child.labels == parent.labels
    assert verify_all(own).ok
    assert "updated from" in task_events(own, kind)[1].result


@pytest.mark.slow
def test_a_number_keeps_its_unit_where_outputs_are_taken_over(own: Bank, folder: Path) -> None:
    """Mean and deviation are the parent's if it is continued or anchors, and else those of all
    rows."""
    parent = learn(own, folder, "regression")
    rows = [{**row, "label": row["label"] + 5} for row in ROWS["regression"](60, 2)]
    given: list[dict[str, Any]] = [{}, {"anchor": 1.0}, {"mode": "continue"}]
    children = [updated(own, rows, parent.ref, **one)[0] for one in given]
    anew, anchored, continuing = [
        (child.settings["mean"], child.settings["std"]) for child in children
    ]
    own_unit = parent.settings["mean"], parent.settings["std"]
    assert anchored == continuing == own_unit
    assert anew[0] > own_unit[0] + 1


@pytest.mark.slow
def test_versions_are_continued_one_after_the_other(own: Bank, folder: Path) -> None:
    """A new label extends the head. A version that continues a continued one, or is trained anew
    after it, has as many epochs as if the first had not been shortened."""
    learn(own, folder)
    third = [{**row, "label": "mixed", "text": row["text"] + " it"} for row in sentences(30, 3)]
    child, _ = updated(own, [*sentences(40, 2), *third], mode="continue")
    assert child.labels == ("bad", "good", "mixed")
    again, _ = updated(own, sentences(40, 4), mode="continue")
    anew, _ = updated(own, sentences(40, 5))
    assert [len(one.course["epochs"]) for one in (child, again, anew)] == [2, 2, 5]
    assert [one.course["parents"][0]["ref"] for one in (child, again, anew)] == [
        "single@1",
        "single@2",
        "single@3",
    ]
    assert verify_all(own).ok


@pytest.mark.slow
def test_a_continued_version_is_the_same_every_time(
    own: Bank, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Interrupted and resumed, or trained again, it has the same bytes; mode and weight of the
    anchor change them."""
    parent, rows = learn(own, folder), sentences(40, 2)
    given: dict[str, Any] = {"mode": "continue", "anchor": 1.0}
    with monkeypatch.context() as patch:
        interrupt_after(patch, 1)
        with pytest.raises(Interrupt):
            updated(own, rows, **given)
    assert list(own) == [parent]
    options: list[dict[str, Any]] = [
        {**given, "resume": True},
        given,
        {**given, "anchor": 2.0},
        {"mode": "continue"},
        {"anchor": 1.0},
        {},
    ]
    digests = [updated(own, rows, parent.ref, **one)[0].digest for one in options]
    assert digests[0] == digests[1]
    assert len(set(digests)) == 5


@pytest.mark.slow
def test_auto_trains_anew_only_if_a_score_dropped(
    own: Bank, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More rows of the same sort: the parent is continued. New rows with wrong labels: it is worse
    on the old ones, so a training from the start is tried as well, and the better is stored. A
    tolerance of the task counts. A continued training that diverges is followed by another."""
    parent = learn(own, folder, validation=sentences(40, seed=5))
    own.set_tolerance("single", 0.2)  # an answer may change on another processor
    child, _ = updated(own, sentences(120, 2), mode="auto")
    assert (child.course["update"]["requested"], child.course["update"]["mode"]) == (
        "auto",
        "continue",
    )
    assert len(own.trials("single")) == 2
    own.set_tolerance("single", None)
    wrong = [{**row, "label": OTHER[row["label"]]} for row in sentences(400, 9)]
    other, _ = updated(own, wrong, parent.ref, mode="auto")
    tried = own.trials("single")[2:]
    assert {"parents" in trial.course for trial in tried} == {True, False}
    best = max(tried, key=lambda trial: trial_from_record(trial).rank(trial.metric))
    assert other.score == best.score
    assert other.course["update"]["requested"] == "auto"
    own.set_tolerance("single", 1.0)
    tolerated, _ = updated(own, wrong, parent.ref, mode="auto")
    assert tolerated.course["update"]["mode"] == "continue"
    monkeypatch.setattr(Start, "values", lambda _start, own: {n: t * 1e30 for n, t in own.items()})
    anew, _ = updated(own, sentences(60, 7), parent.ref, mode="auto")
    assert anew.course["update"]["mode"] == "retrain"


@pytest.mark.slow
def test_auto_keeps_what_is_usable_if_training_anew_diverges(
    own: Bank, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A continued version whose score dropped is stored if the other training gives none."""
    learn(own, folder, validation=sentences(40, seed=5))
    wrong = [{**row, "label": OTHER[row["label"]]} for row in sentences(120, 9)]
    real = UpdateTraining._train

    def diverging(self: UpdateTraining, start: Start | None) -> Trained:
        if start is None:
            raise TrainingError("training diverged")
        return real(self, start)

    monkeypatch.setattr(UpdateTraining, "_train", diverging)
    monkeypatch.setattr(UpdateTraining, "_drops", lambda *_: True)
    child, _ = updated(own, wrong, mode="auto")
    assert child.course["update"]["mode"] == "continue"


@pytest.mark.slow
def test_an_anchor_bounds_negative_flips(own: Bank, folder: Path) -> None:
    """Rows with wrong labels spoil fewer of the answers that the parent had right."""
    parent = learn(own, folder, validation=sentences(60, seed=5))
    wrong = [{**row, "label": OTHER[row["label"]]} for row in sentences(60, 9)]
    flips = []
    for anchor in (None, 5.0):
        _, found = updated(own, wrong, parent.ref, mode="continue", anchor=anchor)
        flips.append((found.comparisons or {})["old"].negative_flips)
    assert flips[1] < flips[0]


def test_a_kind_that_cannot_tell_right_answers_is_refused(
    own: Bank, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A plugin from before there were anchors is named before anything is trained."""
    parent = learn(own, folder)
    monkeypatch.setattr(Classification, "right", Kind.right)  # as derived from the protocol
    with pytest.raises(InputError, match="kind 'single' has no method 'right': an anchor"):
        updated(own, sentences(40, 9), parent.ref, anchor=1.0)
    assert len(own.trials()) == 1


@pytest.mark.slow
def test_what_was_chosen_for_the_parent_stays_chosen(own: Bank, folder: Path) -> None:
    """The class of F1 and the rule of abstention are taken over, the threshold is chosen anew."""
    parent = learn(own, folder, positive="bad", abstain="coverage=0.8")
    child, _ = updated(own, sentences(60, 2))
    assert child.settings["positive"] == "bad"
    rule = child.settings["abstain"]
    assert (rule["rule"], rule["level"]) == ("coverage", 0.8)
    assert rule["threshold"] not in (None, parent.settings["abstain"]["threshold"])
    assert {"coverage", "precision"} <= {metric.name for metric in child.metrics}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"mode": "again"}, "mode is 'again': use retrain, continue, auto"),
        ({"anchor": 0.0}, "anchor is 0.0: it must be a number above 0"),
        ({"anchor": float("nan")}, "anchor is nan"),
        ({"anchor": float("inf")}, "anchor is inf"),
    ],
)
def test_a_wrong_mode_or_anchor_is_refused(own: Bank, given: dict[str, Any], message: str) -> None:
    """The error names the value, before anything is read, also if only the data are compared."""
    for asked in (update, compare_data):
        with pytest.raises(InputError, match=message):
            asked(own, "not there", NewData(sentences(9)), **given)


@pytest.mark.slow
def test_a_contrastive_version_is_continued_and_not_anchored(own: Bank, folder: Path) -> None:
    """Its training has no outputs to hold, which the error says; without an anchor it goes on."""
    training = {**TRAINING, "epochs": 1, "contrastive": 4}
    learn(own, folder, training=training)
    with pytest.raises(InputError, match="single@1 is trained contrastively"):
        updated(own, sentences(40, 2), mode="continue", anchor=1.0)
    child, _ = updated(own, sentences(40, 2), mode="continue")
    assert child.training["contrastive"] == 4
    assert child.course["update"]["mode"] == "continue"


@pytest.mark.slow
def test_an_ensemble_is_trained_anew(own: Bank, folder: Path) -> None:
    """To continue it is refused, and `auto` does not try."""
    learn(own, folder, training={**TRAINING, "epochs": 1, "ensemble": 2})
    with pytest.raises(InputError, match="single@1 is an ensemble of 2 trainings"):
        updated(own, sentences(40, seed=2), mode="continue")
    child, _ = updated(own, sentences(40, seed=2), mode="auto", anchor=1.0)
    assert (child.ensemble, child.course["update"]["mode"]) == (2, "retrain")
    assert verify_all(own).ok
