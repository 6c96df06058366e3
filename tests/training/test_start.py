"""Trainings that start from stored versions: what is taken over, what is refused, what is kept."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

import taskbank
from taskbank.backbone.backbone import Backbone
from taskbank.bank.bank import Bank
from taskbank.bank.catalog.chain_upgrade import begin_chain
from taskbank.bank.catalog.database import write_transaction
from taskbank.bank.catalog.seals import seal
from taskbank.bank.catalog.tables import Base
from taskbank.bank.open import create_bank
from taskbank.bank.records import AdapterRecord, Parent
from taskbank.errors import ConflictError, InputError, NotFoundError
from taskbank.history.events import bank_events, task_events
from taskbank.pipeline.add_task import add_task
from taskbank.pipeline.train_and_store import Added
from taskbank.specs import TaskSpec, TrainingSpec
from taskbank.training.plan import plan_task
from taskbank.training.start import continued, parse_start, read_starts
from taskbank.training.trainer import Trainer
from taskbank.training.trial import Trial, trial_from_record
from taskbank.verify.verify import verify_all
from tests.helpers.adapters import new_adapter, put_model
from tests.helpers.models import ensemble
from tests.helpers.rows import sentences, write_jsonl
from tests.helpers.tampering import rewrite, without_triggers
from tests.helpers.training import Interrupt, interrupt_after

CHILD: dict[str, Any] = {
    "options": {"size": 8},
    # Too few steps to learn much untrained, so that what the parent has learned decides.
    "training": {"epochs": 3, "learning_rate": 0.003, "batch_size": 8},
    "verify": "none",
}


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A file of sentences of a task that is related to `mood`, its validation data beside it."""
    place = tmp_path_factory.mktemp("rows")
    write_jsonl(place / "validation.jsonl", sentences(24, seed=2))
    return write_jsonl(place / "rows.jsonl", sentences(80, seed=7))


def child(bank: Bank, rows: str, **given: Any) -> Added:
    """Train a task that starts from `mood`, too."""
    name = given.pop("name", "child")
    if "folds" not in given:
        given["validation"] = rows.replace("rows.jsonl", "validation.jsonl")
    return add_task(bank, name, rows, **(CHILD | {"start": "mood"} | given))


def test_a_related_task_starts_from_what_was_learned(mood: Bank, rows: str) -> None:
    """The trial that starts from the parent is one more, wins, and is told as the origin; the
    child keeps its own bytes, and everything verifies."""
    added = child(mood, rows)
    parent = Parent("mood@1", mood["mood"].digest)
    assert [trial.course.get("parents") for trial in added.trials] == [None, [parent.to_json()]]
    untrained, further = added.trials
    assert further.score > untrained.score
    assert added.record.course["parents"] == [parent.to_json()]
    assert added.record.digest != parent.digest
    assert verify_all(mood).ok
    assert "started from mood@1" in task_events(mood, "child")[0].result
    assert "started from mood@1" in bank_events(mood)[-2].result
    mood.remove("mood@1")
    mood.gc(confirm=True)
    assert verify_all(mood).ok
    assert taskbank.predict(mood, "child", ["it was good"])


def test_the_adapter_is_taken_over_and_the_head_is_not(
    mood: Bank, rows: str, backbone: Backbone
) -> None:
    """Before the first step, every tensor is the parent's, and the head is the untrained one."""
    spec = TaskSpec(name="child", train=rows, start="mood", options={"size": 8})
    plan = plan_task(spec, read_starts(mood, spec))
    trainer = Trainer(backbone, plan)
    untrained = trainer._model(plan.base).trained_tensors()
    model = trainer._model(replace(plan.base, parents=plan.starts[0].parents)).trained_tensors()
    stored = mood.state_dict(mood["mood"])
    for name, tensor in model.items():
        expected = untrained[name] if name.startswith("head.") else stored[name]
        assert torch.equal(tensor, expected), name


def test_a_tie_goes_to_the_trial_that_starts_untrained(
    mood: Bank, rows: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An adapter that is only as good has no parents, and its trial says where it started."""
    monkeypatch.setattr(Trial, "rank", lambda _trial, _metric: (3, 0.0, 0.0))
    added = child(mood, rows)
    assert "parents" not in added.record.course
    assert added.trials[1].course["parents"][0]["ref"] == "mood@1"


def test_an_average_is_weighted(own: Bank, backbone: Backbone, rows: str) -> None:
    """The start is the weighted mean of every tensor but the head's, and names each parent."""
    for name, seed in (("one", 1), ("two", 2)):
        _put_untrained(own, backbone, name, seed)
    spec = TaskSpec(name="child", train=rows, start="one:0.25, two@1:0.75", options={"size": 8})
    (start,) = read_starts(own, spec)
    first, second = (own.state_dict(own[name]) for name in ("one", "two"))
    assert start.tensors.keys() == {name for name in first if not name.startswith("head.")}
    for name, tensor in start.tensors.items():
        torch.testing.assert_close(tensor, 0.25 * first[name] + 0.75 * second[name])
    assert [parent.to_json() for parent in start.parents] == [
        {"ref": "one@1", "digest": own["one"].digest, "weight": 0.25},
        {"ref": "two@1", "digest": own["two"].digest, "weight": 0.75},
    ]


def _put_untrained(bank: Bank, backbone: Backbone, name: str, seed: int) -> AdapterRecord:
    from taskbank.kinds.single import SINGLE
    from taskbank.model.task_model import task_model
    from tests.helpers.adapters import DEFINITION, put_model

    model = task_model(backbone, SINGLE, DEFINITION, "houlsby", {"size": 8}, seed)
    model.eval()
    return put_model(bank, name, model, {"size": 8})


def test_a_start_is_part_of_request_and_specification(
    mood: Bank, rows: str, backbone: Backbone
) -> None:
    """Without a start both digests are what they were before there were any; with one, they
    follow the parent's bytes."""
    plain = TaskSpec(name="child", train=rows, options={"size": 8})
    plan = plan_task(plain)
    spec = replace(plain, start="mood")
    further = plan_task(spec, read_starts(mood, spec))
    other_parents = (Parent("mood@1", "sha256:" + "0" * 64),)
    other = replace(further, starts=(replace(further.starts[0], parents=other_parents),))
    assert len({plan.request, further.request, other.request}) == 3
    assert replace(further, starts=()).request == plan.request
    untrained = Trainer(backbone, plan).specification(plan.base)
    digests = {untrained}
    for one in (further, other):
        trainer = Trainer(backbone, one)
        digests.add(trainer.specification(replace(plan.base, parents=one.starts[0].parents)))
        assert trainer.specification(plan.base) == untrained
    assert len(digests) == 3


def test_an_interrupted_training_from_a_start_is_resumed_to_the_same_bytes(
    mood: Bank, rows: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed in the trial that starts from the parent, it goes on there; the trial that ended is
    not trained again."""
    with monkeypatch.context() as patch:
        interrupt_after(patch, 4)
        with pytest.raises(Interrupt):
            child(mood, rows)
    assert len(mood.trials("child")) == 1
    resumed = child(mood, rows, resume=True)
    assert len(mood.trials("child")) == 2
    whole = child(mood, rows, name="whole")
    assert resumed.record.digest == whole.record.digest
    again = trial_from_record(resumed.trials[1])
    assert again.setting.parents == (Parent("any name", mood["mood"].digest),)


def test_folds_start_from_the_parent_too(mood: Bank, rows: str) -> None:
    """A cross-validation compares both starts over all folds, and trains on all rows from the
    better one."""
    added = child(mood, rows, folds=2)
    assert added.record.course["parents"][0]["ref"] == "mood@1"
    assert added.trials[1].score > added.trials[0].score


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"options": {"size": 4}}, "mood@1 has the size 8, and this task 4: give --size 8"),
        ({"options": {"size": 8, "activation": "relu"}}, "give --option activation=gelu"),
        ({"method": "lora", "options": {}}, "method 'houlsby', and this task 'lora'"),
        ({"search": {"size": [4, 8]}}, "--search varies size"),
        ({"start": "mood,mood"}, "several with their weights"),
        ({"start": "mood:0.5,mood@1:0.5"}, "equal versions"),
        ({"start": "mood:0.5,mood:0.5"}, "names mood twice"),
        ({"start": "mood:0.5"}, "sum to 0.5"),
        ({"start": "mood:0.9,other:0.2"}, "sum to 1.1"),
        ({"start": "mood:2,other:-1"}, "weight of mood in --from is '2'"),
        ({"start": "mood:nan"}, "weight of mood in --from is 'nan': write a number above 0"),
        ({"start": ""}, "name one version"),
    ],
)
def test_what_does_not_fit_is_refused_before_anything_is_read(
    mood: Bank, given: dict[str, Any], says: str
) -> None:
    """The error names both values and what to do, and comes before the data is opened."""
    with pytest.raises(InputError, match=says):
        child(mood, "not-there.csv", **given)


def test_versions_that_cannot_be_a_start_are_refused(mood: Bank, rows: str, folder: Path) -> None:
    """One that is not there, one that is retired, one of another backbone, and any where there
    is no bank yet."""
    with pytest.raises(NotFoundError):
        child(mood, rows, start="nothing")
    method = taskbank.MethodSpec("houlsby", mood["mood"].options)
    mood.put(new_adapter("far", method=method, weights=mood.weights(mood["mood"])))
    with pytest.raises(InputError, match=r"far@1 was trained on the backbone '\./one'"):
        child(mood, rows, start="far", backbone=str(folder))
    with pytest.raises(InputError, match="average versions of one backbone"):
        child(mood, rows, start="mood:0.5,far:0.5", backbone=str(folder))
    mood.remove("mood@1")
    with pytest.raises(ConflictError, match="mood@1 is retired"):
        child(mood, rows, start="mood@1")
    with pytest.raises(InputError, match="does not exist yet"):
        add_task(f"sqlite:///{folder}/none.db", "child", rows, start="mood", backbone=str(folder))
    assert not (folder / "none.db").exists()


def test_a_head_alone_is_no_start(own: Bank, rows: str, folder: Path) -> None:
    """A version of `linear` has no adapter."""
    add_task(own, "probe", rows, method="linear", backbone=str(folder), verify="none")
    with pytest.raises(InputError, match="there is no adapter to start from"):
        add_task(own, "child", "not-there.csv", method="linear", start="probe")


def test_a_continued_version_starts_as_its_parent(mood: Bank, backbone: Backbone) -> None:
    """Adapter and head have the parent's values; the head's row of a new label is untrained. Of
    twenty epochs nine are trained, and of one, one."""
    from taskbank.kinds.definition import Definition
    from taskbank.kinds.single import SINGLE
    from taskbank.model.task_model import task_model

    parent = mood["mood"]
    start, stored = continued(mood, parent), mood.state_dict(parent)
    definition = Definition(("bad", "good", "mixed"))
    options = dict(parent.options)
    model = task_model(backbone, SINGLE, definition, parent.method, options, seed=0)
    untrained = model.trained_tensors()
    values = start.values(untrained)
    assert values.keys() == stored.keys()
    for name, tensor in stored.items():
        assert torch.equal(values[name][: len(tensor)], tensor)
        assert torch.equal(values[name][len(tensor) :], untrained[name][len(tensor) :])
    assert len(values["head.weight"]) == 3
    model.load_tensors(values)
    for epochs, expected_epochs in ((20, 9), (1, 1)):
        spec = replace(TrainingSpec(), epochs=epochs)
        assert start.shortened(spec) == replace(spec, epochs=expected_epochs)
    contrastive = TrainingSpec(epochs=1, contrastive=100)
    assert start.shortened(contrastive) == replace(contrastive, contrastive=45)


def test_how_a_version_is_continued_is_part_of_the_digests(
    mood: Bank, rows: str, backbone: Backbone
) -> None:
    """Request and specification follow the share of the epochs and the parent's bytes; they differ
    from those of a trial that takes over the adapter alone."""
    start = continued(mood, mood["mood"])
    spec = TaskSpec(name="child", train=rows, options={"size": 8})
    (adapter,) = read_starts(mood, replace(spec, start="mood"))
    other = (Parent("mood@1", "sha256:" + "0" * 64),)
    requests, specifications = set(), set()
    for one in (
        adapter,
        start,
        replace(start, epochs=0.1),
        replace(start, parents=other),
    ):
        plan = plan_task(spec, continued=one)
        assert plan.base.parents == one.parents
        requests.add(plan.request)
        specifications.add(Trainer(backbone, plan).specification(plan.base))
    assert len(requests) == len(specifications) == 4


def test_weights_of_a_start_are_read() -> None:
    """One version has the weight 1; several have those that are given, up to rounding."""
    assert parse_start("a@production") == {"a@production": 1.0}
    assert parse_start("a@2:0.3333333, b:0.6666667") == {"a@2": 0.3333333, "b": 0.6666667}


def related(bank: Bank) -> tuple[AdapterRecord, AdapterRecord]:
    """Record a parent and a child that says that it started from it."""
    parent = bank.put(new_adapter("parent"))
    parents = [Parent(parent.ref, parent.digest).to_json()]
    return parent, bank.put(new_adapter("child", seed=1, course={"parents": parents}))


def test_a_parent_is_checked_as_long_as_it_is_there(bank: Bank) -> None:
    """On either database: a parent in use, retired or removed is no finding."""
    related(bank)
    assert verify_all(bank, level="integrity").ok
    bank.remove("parent@1")
    assert verify_all(bank, level="integrity").ok
    bank.gc(confirm=True)
    assert verify_all(bank, level="integrity").ok
    bank.put(new_adapter("parent", seed=2), new_version=True)
    assert verify_all(bank, level="integrity").ok


def test_a_digest_of_a_parent_that_was_changed_is_found(bank: Bank) -> None:
    """On either database, although seals and chain fit: the finding names both digests. A parent
    whose own row is damaged has a finding of its own, and the child has none."""
    parent, stored = related(bank)
    wrong = Parent(parent.ref, "sha256:" + "0" * 64)
    table = Base.metadata.tables["adapters"]
    with without_triggers(bank) as connection:
        query = table.select().where(table.c.id == stored.id)
        row = dict(connection.execute(query).mappings().one())
        row["course"] = {"parents": [wrong.to_json()]}
        values = {"course": row["course"], "seal": seal(row)}
        connection.execute(table.update().where(table.c.id == stored.id).values(values))
        connection.exec_driver_sql("DELETE FROM chain")
    with write_transaction(bank._engine) as connection:
        begin_chain(connection)
    (finding,) = verify_all(bank, level="integrity").findings
    assert (finding.ref, finding.check) == ("child@1", "parents")
    assert parent.digest in finding.message
    assert wrong.digest in finding.message
    # Also where the parent's task is not verified.
    alone = verify_all(bank, ["child"], level="integrity")
    assert [str(one) for one in alone.findings] == [str(finding)]


def test_a_parent_with_a_damaged_row_has_the_finding(own: Bank) -> None:
    """The child's own data is as it was recorded."""
    related(own)
    rewrite(own, "UPDATE adapters SET digest = '9' || substr(digest, 2) WHERE id = 1")
    assert {one.ref for one in verify_all(own, level="integrity").findings} == {"parent@1"}
    assert verify_all(own, ["child"], level="integrity").ok


def test_parents_are_exported_and_imported(
    mood: Bank, rows: str, folder: Path, tmp_path: Path, url: str
) -> None:
    """On either database: the imported adapter names its parents, and a task of that name in the
    other bank is no finding; of the rest of the course nothing is taken over."""
    origin = child(mood, rows).record
    taskbank.export_adapter(mood, "child", tmp_path / "out")
    with create_bank(url) as other:
        other.put(new_adapter("mood"))
        record = taskbank.import_adapter(other, tmp_path / "out", backbone=str(folder))
        assert record.course == {"parents": origin.course["parents"]}
        assert verify_all(other, level="integrity").ok


@pytest.mark.parametrize(
    "parents",
    [
        [],
        "mood@1",
        [{"ref": "mood@1"}],
        [{"ref": "mood", "digest": "sha256:" + "0" * 64}],
        [{"ref": "mood@0", "digest": "sha256:" + "0" * 64}],
        [{"ref": "mood@latest", "digest": "sha256:" + "0" * 64}],
        [{"ref": "../x@1", "digest": "sha256:" + "0" * 64}],
        [{"ref": 1, "digest": "sha256:" + "0" * 64}],
        [{"ref": "mood@1", "digest": "sha256:0"}],
        [{"ref": "mood@1", "digest": "sha256:" + "0" * 64, "weight": -1}],
        [{"ref": "mood@1", "digest": "sha256:" + "0" * 64, "more": 1}],
    ],
)
def test_forged_parents_are_not_imported(
    mood: Bank, parents: Any, tmp_path: Path, folder: Path
) -> None:
    """What is not a list of full names and digests is refused, and the place is named."""
    taskbank.export_adapter(mood, "mood", tmp_path / "out")
    path = tmp_path / "out" / "adapter.json"
    description = json.loads(path.read_text())
    description["course"]["parents"] = parents
    path.write_text(json.dumps(description))
    with (
        create_bank(f"sqlite:///{tmp_path}/other.db") as other,
        pytest.raises(InputError, match=r"adapter\.course\.parents"),
    ):
        taskbank.import_adapter(other, tmp_path / "out", backbone=str(folder))


@pytest.mark.parametrize(
    ("update", "place"),
    [
        ({"requested": "auto", "mode": "continue", "anchor": 0.5, "added": 3, "absent": 0}, None),
        ({"requested": "auto"}, r"course\.update has no 'mode'"),
        ({"requested": "auto", "mode": "auto"}, r"course\.update\.mode"),
        ({"requested": "auto", "mode": "retrain", "added": -1}, r"course\.update\.added"),
    ],
)
def test_an_import_says_that_a_version_is_an_update(
    mood: Bank, update: Any, place: str | None, tmp_path: Path, folder: Path
) -> None:
    """It is not said to have started from its parent; a forged description is refused."""
    taskbank.export_adapter(mood, "mood", tmp_path / "out")
    path = tmp_path / "out" / "adapter.json"
    description = json.loads(path.read_text())
    parents = [{"ref": "mood@7", "digest": mood["mood"].digest}]
    description["course"] |= {"parents": parents, "update": update}
    path.write_text(json.dumps(description))
    with create_bank(f"sqlite:///{tmp_path}/other.db") as other:
        if place is not None:
            with pytest.raises(InputError, match=place):
                taskbank.import_adapter(other, tmp_path / "out", backbone=str(folder))
            return
        record = taskbank.import_adapter(other, tmp_path / "out", backbone=str(folder))
        assert record.course == {"parents": parents, "update": update}
        assert task_events(other, "mood")[0].result.endswith(", updated from mood@7")
        assert verify_all(other, level="integrity").ok


def test_a_suite_starts_tasks_from_versions(mood: Bank, rows: str, tmp_path: Path) -> None:
    """The key `start` is that of the specification; what is there from the same parent is skipped,
    and a version that is not there is a problem with its line."""
    suite = tmp_path / "suite.toml"
    text = f'[[task]]\nname = "child"\ntrain = "{rows}"\nsize = 8\nepochs = 1\nstart = "mood"\n'
    suite.write_text(text)
    (added,) = taskbank.add_tasks(mood, suite, verify="none").outcomes
    assert added.status == "added"
    assert mood.trials("child")[1].course["parents"][0]["ref"] == "mood@1"
    (again,) = taskbank.add_tasks(mood, suite, verify="none").outcomes
    assert again.status == "skipped"
    suite.write_text(text.replace('"mood"', '"nothing"'))
    with pytest.raises(InputError, match=r"line 1: task 'child': .*'nothing'"):
        taskbank.add_tasks(mood, suite, verify="none")


def test_an_ensemble_is_no_start(mood: Bank, rows: str, backbone: Backbone) -> None:
    """It has several adapters; an ensemble may start from a version of one training."""
    put_model(mood, "several", ensemble(backbone, "houlsby", range(2), size=8), {"size": 8})
    with pytest.raises(InputError, match="several@1 is an ensemble of 2 trainings"):
        child(mood, rows, start="several")
    training = {**CHILD["training"], "epochs": 1, "ensemble": 2}
    added = child(mood, rows, training=training)
    assert [trial.parameters for trial in added.trials] == [added.trial.parameters] * 2
    assert verify_all(mood).ok
