"""The start `auto`: what it finds is tried out by training, recorded and told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from taskbank.backbone.backbone import Backbone
from taskbank.bank.bank import Bank
from taskbank.data.row_digests import RowDigests, digests_of
from taskbank.errors import InputError
from taskbank.kinds.single import SINGLE
from taskbank.model.load import load_model
from taskbank.model.task_model import task_model
from taskbank.pipeline.add_task import add_task
from taskbank.pipeline.auto_start import MOST, find_starts
from taskbank.pipeline.suggest import suggest
from taskbank.pipeline.suite import add_tasks
from taskbank.pipeline.train_and_store import Added
from taskbank.specs import MethodSpec, TaskSpec
from taskbank.training.plan import TaskPlan, plan_task
from taskbank.training.start import read_starts
from taskbank.verify.verify import verify_all
from tests.helpers.adapters import DEFINITION, new_adapter, put_model
from tests.helpers.models import ensemble
from tests.helpers.rows import pairs, write_jsonl
from tests.helpers.training import Interrupt, interrupt_after

CHILD: dict[str, Any] = {
    "kind": "pair",
    "start": "auto",
    "options": {"size": 8},
    # Too few steps to learn much untrained, so that what the parent has learned decides.
    "training": {"epochs": 2, "learning_rate": 0.003, "batch_size": 16},
}


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Pairs of a task that is related to `mood`: are both sentences good?"""
    place = tmp_path_factory.mktemp("rows")
    return write_jsonl(place / "rows.jsonl", pairs(200, seed=11))


def child(bank: Bank, rows: str, **given: Any) -> Added:
    """Train a task whose start is found."""
    return add_task(bank, given.pop("name", "child"), rows, verify="none", **(CHILD | given))


def planned(bank: Bank, rows: str, **given: Any) -> TaskPlan:
    """Plan a task whose start is found."""
    spec = TaskSpec.of({"name": "child", "train": rows, **CHILD, **given})
    return plan_task(spec, read_starts(bank, spec))


def put_untrained(bank: Bank, backbone: Backbone, name: str, seed: int, **options: Any) -> None:
    """Store a version that has learned nothing."""
    options = {"size": 8} | options
    model = task_model(backbone, SINGLE, DEFINITION, "houlsby", options, seed)
    model.eval()
    put_model(bank, name, model, options)


def test_what_is_found_is_tried_wins_and_is_recorded(
    mood: Bank, rows: str, backbone: Backbone
) -> None:
    """The related version is one more trial, that without relation is none; the winner has the
    parent, and its course has what was compared. Everything verifies."""
    put_untrained(mood, backbone, "noise", seed=5)
    added = child(mood, rows)
    assert added.suggested is not None
    assert [one.ref for one in added.suggested.versions] == ["mood@1"]
    assert added.suggested.candidates == 2
    untrained, further = added.trials
    assert further.score > untrained.score
    parent = {"ref": "mood@1", "digest": mood["mood"].digest}
    assert [trial.course.get("parents") for trial in added.trials] == [None, [parent]]
    course = mood["child"].course
    assert course["parents"] == [parent]
    assert course["suggested"]["versions"][0]["ref"] == "mood@1"
    assert verify_all(mood).ok


def test_where_nothing_helps_the_task_is_trained_as_usual(
    own: Bank, rows: str, backbone: Backbone, folder: Path
) -> None:
    """Without a version to compare, and with one that has learned nothing, there is one trial,
    and the bytes are those of a training without `auto`."""
    first = child(own, rows, backbone=str(folder))
    assert first.suggested is not None
    assert (first.suggested.candidates, first.suggested.versions) == (0, ())
    own.remove("child@1")
    put_untrained(own, backbone, "noise", seed=5)
    second = child(own, rows, name="second")
    assert second.suggested is not None
    assert (second.suggested.compared, second.suggested.versions) == (1, ())
    plain = child(own, rows, name="plain", start=None)
    assert plain.suggested is None
    assert "suggested" not in plain.record.course
    assert len(first.trials) == len(second.trials) == 1
    assert len({one.record.digest for one in (first, second, plain)}) == 1


def test_a_bank_that_does_not_exist_yet_has_nothing_to_start_from(
    rows: str, folder: Path, tmp_path: Path
) -> None:
    """The first task of a bank may have the same options as those that follow."""
    added = add_task(f"sqlite:///{tmp_path}/new.db", "child", rows, backbone=str(folder), **CHILD)
    assert added.suggested is not None
    assert added.suggested.candidates == 0


def put_alike(bank: Bank, backbone: Backbone, name: str, factor: float = 1.0) -> None:
    """Store a version that has learned what `mood` has, with all weights times a factor."""
    record = bank["mood"]
    model = load_model(bank, record, backbone)
    with torch.no_grad():
        for tensor in model.trained_tensors().values():
            tensor *= factor
    put_model(bank, name, model, record.options)


def test_only_what_can_be_a_start_is_compared(mood: Bank, rows: str, backbone: Backbone) -> None:
    """Not versions of another method or backbone, with other options, retired ones, ensembles,
    copies, or those of the task itself."""
    method = MethodSpec("houlsby", mood["mood"].options)
    put_alike(mood, backbone, "copy")
    put_alike(mood, backbone, "child", 1.001)
    mood.put(new_adapter("far", method=method, weights=mood.weights(mood["mood"])))
    put_untrained(mood, backbone, "small", seed=1, size=4)
    put_model(mood, "several", ensemble(backbone, "houlsby", range(2), size=8), {"size": 8})
    put_untrained(mood, backbone, "retired", seed=2)
    mood.remove("retired@1")
    _, found = find_starts(mood, backbone, planned(mood, rows))
    assert found.candidates == 1
    assert [one.ref for one in found.versions] == ["mood@1"]
    put_untrained(mood, backbone, "another", seed=3)
    assert find_starts(mood, backbone, planned(mood, rows))[1].candidates == 2


def test_the_newest_version_with_the_options_is_compared(
    mood: Bank, rows: str, backbone: Backbone
) -> None:
    """Not the newest of all, if only an older one can be a start."""
    model = task_model(backbone, SINGLE, DEFINITION, "houlsby", {"size": 4}, 1)
    model.eval()
    put_model(mood, "mood", model, {"size": 4}, new_version=True)
    _, found = find_starts(mood, backbone, planned(mood, rows))
    assert [one.ref for one in found.versions] == ["mood@1"]


def test_at_most_three_are_tried(mood: Bank, rows: str, backbone: Backbone) -> None:
    """Of more versions that help, the trainings start from the best."""
    for number in range(MOST + 1):
        put_alike(mood, backbone, f"like-{number}", 1 + 0.001 * (number + 1))
    plan, found = find_starts(mood, backbone, planned(mood, rows))
    assert found.compared == MOST + 2
    assert len(plan.starts) == MOST
    parents = [parent.ref for start in plan.starts for parent in start.parents]
    assert parents == [one.ref for one in found.versions]


def test_more_is_tried_than_suggested(
    mood: Bank, rows: str, backbone: Backbone, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What chance explains in one of four versions is not suggested; one that helps by itself is
    tried, as a training judges it."""
    for number in range(3):
        put_alike(mood, backbone, f"like-{number}", 1 + 0.001 * (number + 1))
    monkeypatch.setattr("taskbank.pipeline.suggest._chance", lambda _gains: 0.02)
    assert suggest(mood, rows, kind="pair").versions == ()
    _, found = find_starts(mood, backbone, planned(mood, rows))
    assert [one.p_value for one in found.versions] == [0.08] * MOST


def test_validation_does_not_choose_what_it_judges(
    mood: Bank, rows: str, backbone: Backbone, tmp_path: Path
) -> None:
    """Other validation rows, with other labels, change nothing that was found."""
    found = []
    for seed in (1, 2):
        path = write_jsonl(tmp_path / f"{seed}.jsonl", pairs(20, seed=seed))
        found.append(find_starts(mood, backbone, planned(mood, rows, validation=path))[1])
    assert found[0] == found[1]


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"kind": "tagging"}, "not for 'tagging': name a version"),
        ({"method": "linear", "options": {}}, "'linear' trains a head alone: leave --from out"),
        ({"search": {"size": [4, 8]}}, "--search varies size"),
    ],
)
def test_what_cannot_be_compared_is_refused_before_anything_is_read(
    mood: Bank, given: dict[str, Any], says: str
) -> None:
    """The error names the value and what to do, and comes before the data is opened."""
    with pytest.raises(InputError, match=says):
        child(mood, "not-there.csv", **given)


def test_too_few_rows_are_refused(mood: Bank, tmp_path: Path) -> None:
    """Before anything is trained."""
    few = write_jsonl(tmp_path / "few.jsonl", pairs(4, seed=1))
    more = write_jsonl(tmp_path / "more.jsonl", pairs(8, seed=2))
    with pytest.raises(InputError, match="4 different inputs, and --from auto needs at least 5"):
        child(mood, few, validation=more)
    assert not mood.trials("child")


def test_a_task_that_is_named_auto_is_named_with_its_version(
    mood: Bank, rows: str, backbone: Backbone
) -> None:
    """The word alone is not its name; `auto@1` is."""
    put_untrained(mood, backbone, "auto", seed=5)
    found = child(mood, rows)
    assert [one.ref for one in found.suggested.versions] == ["mood@1"]
    named = child(mood, rows, name="named", start="auto@1")
    assert named.suggested is None
    assert named.trials[1].course["parents"][0]["ref"] == "auto@1"


def test_an_interrupted_training_is_resumed_to_the_same_bytes(
    mood: Bank, rows: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed in the trial that starts from what was found, it goes on there; the trial that
    ended is not trained again."""
    whole = child(mood, rows, name="whole")
    mood.remove("whole@1")
    with monkeypatch.context() as patch:
        interrupt_after(patch, 3)
        with pytest.raises(Interrupt):
            child(mood, rows)
    assert len(mood.trials("child")) == 1
    resumed = child(mood, rows, resume=True)
    assert len(mood.trials("child")) == 2
    assert resumed.record.course["suggested"]["versions"][0]["ref"] == "mood@1"
    assert resumed.record.digest == whole.record.digest


def test_folds_and_searches_try_what_is_found(mood: Bank, rows: str) -> None:
    """A cross-validation compares the starts over all folds; a search tries them with its best
    setting."""
    folded = child(mood, rows, folds=2)
    assert folded.record.course["parents"][0]["ref"] == "mood@1"
    mood.remove("child@1")
    searched = child(mood, rows, name="searched", search={"learning_rate": [0.0001, 0.003]})
    assert [trial.training["learning_rate"] for trial in searched.trials] == [0.0001, 0.003, 0.003]


def test_a_suite_sees_the_tasks_that_it_has_added(
    own: Bank, data: Path, rows: str, tmp_path: Path, folder: Path
) -> None:
    """The second task starts from the first. What was asked for with `auto` is skipped when the
    suite is run again, although the bank has further versions by then."""
    suite = tmp_path / "suite.toml"
    suite.write_text(
        '[defaults]\nsize = 8\nstart = "auto"\nlearning_rate = 0.02\nbatch_size = 32\n'
        f'[[task]]\nname = "first"\ntrain = "{data}/train.jsonl"\nepochs = 8\n'
        f'[[task]]\nname = "second"\ntrain = "{rows}"\nkind = "pair"\nepochs = 1\n'
    )
    added = add_tasks(own, suite, backbone=str(folder), verify="none")
    assert [one.status for one in added.outcomes] == ["added", "added"], added
    assert own["first"].course["suggested"]["candidates"] == 0
    second = own["second"].course["suggested"]
    assert (second["candidates"], [one["ref"] for one in second["versions"]]) == (1, ["first@1"])
    again = add_tasks(own, suite, verify="none")
    assert [one.status for one in again.outcomes] == ["skipped", "skipped"]


def test_a_request_for_auto_stays_equal(mood: Bank, rows: str, backbone: Backbone) -> None:
    """It differs from one without a start and one with a name, and does not follow what was
    found."""
    plan = planned(mood, rows)
    requests = [planned(mood, rows, start=start).request for start in ("auto", "mood", None)]
    assert len(set(requests)) == 3
    assert find_starts(mood, backbone, plan)[0].request == plan.request == requests[0]


def test_a_version_that_was_trained_on_what_is_scored_is_no_start(
    mood: Bank, rows: str, backbone: Backbone, tmp_path: Path
) -> None:
    """It would know the answers. With other rows in validation, it is found to help."""
    plan = planned(mood, rows)
    seen = RowDigests.of(digests_of(plan.data.validation, "label"))
    model = load_model(mood, mood["mood"], backbone)
    for parameter in model.members[0].head.parameters():
        parameter.data.add_(0.01)  # or it were a copy, which counts once
    put_model(mood, "twin", model, {"size": 8}, row_digests=seen.to_bytes())
    assert [one.ref for one in find_starts(mood, backbone, plan)[1].versions] == ["mood@1"]
    unseen = [{**row, "text_a": f"now {row['text_a']}"} for row in pairs(20, seed=12)]
    other = write_jsonl(tmp_path / "other.jsonl", unseen)
    _, found = find_starts(mood, backbone, planned(mood, rows, validation=other))
    assert {one.ref for one in found.versions} == {"mood@1", "twin@1"}
