"""Trials: searches, seeds, runs that collapse or diverge, and what an interrupt leaves."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import taskbank
from taskbank.backbone.backbone import Backbone
from taskbank.bank.bank import Bank
from taskbank.bank.open import create_bank
from taskbank.errors import ConflictError, InputError, MissingExtraError, TrainingError
from taskbank.kinds.single import SINGLE
from taskbank.pipeline.add_task import Added, add_task
from taskbank.runtime.disk_cache import cache_folder
from taskbank.specs import MethodSpec, TrainingSpec
from taskbank.training.loop import Epoch
from taskbank.training.search import Search, Setting, settings
from tests.helpers.making import new_trial
from tests.helpers.tiny import numbered, sentences, write_jsonl

BASE = Setting(
    MethodSpec("houlsby", {"size": 8, "init_std": 0.01, "activation": "gelu", "layers": "all"}),
    TrainingSpec(),
)
GRID = {"learning_rate": (0.0001, 0.02), "size": (4, 8)}


@pytest.fixture
def small(tmp_path: Path) -> str:
    """A file of 160 labelled sentences."""
    return write_jsonl(tmp_path / "small.jsonl", sentences(160, seed=1))


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Bank]:
    """An empty SQLite bank."""
    with create_bank(f"sqlite:///{tmp_path}/own.db") as bank:
        yield bank


def add(bank: Bank, data: str, folder: Path, **given: Any) -> Added:
    """Add the task `mood`, quickly, with what a test wants to be otherwise."""
    training = {"epochs": 3, "learning_rate": 0.02, "batch_size": 16} | given.pop("training", {})
    options = {"size": 4} | given.pop("options", {})
    return add_task(
        bank, "mood", data, backbone=str(folder), training=training, options=options, **given
    )


def test_a_grid_is_every_combination_in_order() -> None:
    """Each value of each hyperparameter meets each of the others, once."""
    found = list(settings(BASE, Search(GRID)))
    chosen = [(s.training.learning_rate, s.method.options["size"]) for s in found]
    assert chosen == [(0.0001, 4), (0.0001, 8), (0.02, 4), (0.02, 8)]
    assert list(settings(BASE, Search())) == [BASE]


def test_a_search_records_every_trial_and_the_best_one_as_the_adapter(
    url: str, small: str, folder: Path
) -> None:
    """On either database: a row a trial with its score, the adapter of the best by validation,
    whose bytes are those of the same setting trained alone, and no other weights."""
    with create_bank(url) as bank:
        added = add(bank, small, folder, search=GRID, seeds=2)
        assert len(added.trials) == len(bank.trials("mood")) == 8
        assert [t.training["seed"] for t in added.trials] == [0, 1] * 4
        best = max(t.score for t in added.trials)
        assert added.trial.score == added.record.score == best
        assert added.record.training == added.trial.training
        assert all(t.digest is None for t in added.trials)
        alone = add(
            bank,
            small,
            folder,
            new_version=True,
            training={
                "learning_rate": added.trial.training["learning_rate"],
                "seed": 0,
            },
            options={"size": added.trial.options["size"]},
        )
        if added.trial.training["seed"] == 0:
            assert alone.record.digest == added.record.digest
        assert taskbank.verify_all(bank).ok


def test_the_test_split_is_scored_for_the_best_trial_alone(
    own: Bank, small: str, folder: Path, data: Path
) -> None:
    """What is chosen among never sees the split that gives the score."""
    added = add(own, small, folder, search={"size": (2, 4)}, test=str(data / "test.jsonl"))
    scored = [t for t in own.trials("mood") if t.value("test") is not None]
    assert [t.specification for t in scored] == [added.trial.specification]
    assert added.record.score == scored[0].value("test")
    with own.engine.connect() as connection:
        rows = connection.exec_driver_sql("SELECT count(*) FROM trials").scalar()
    assert rows == 2 + 1  # the last is the best once more, with the score of test


def test_kept_trials_can_be_read_and_outlive_a_garbage_collection(
    own: Bank, small: str, folder: Path
) -> None:
    """With `keep_trials` the weights of every trial are in the bank, and are those trained."""
    added = add(own, small, folder, search={"size": (2, 4)}, keep_trials=True)
    own.gc(confirm=True)
    sizes = {
        trial.state_dict()["adapter.0.attention.down.weight"].shape[0] for trial in added.trials
    }
    assert sizes == {2, 4}
    own_weights = added.record.state_dict()
    kept = added.trial.state_dict()
    assert all(torch.equal(kept[name], own_weights[name]) for name in own_weights)


def test_a_sampler_tries_as_many_settings_as_asked_and_the_best_from_every_seed(
    own: Bank, small: str, folder: Path
) -> None:
    """Optuna picks; the same seed picks the same; the further seeds go to the best setting."""
    first = add(own, small, folder, search=GRID, trials=3, seeds=2)
    again = add(own, small, folder, search=GRID, trials=3, seeds=2, new_version=True)
    assert len(first.trials) == 4
    assert [t.specification for t in first.trials] == [t.specification for t in again.trials]
    assert first.record.digest == again.record.digest
    assert [t.training["seed"] for t in first.trials] == [0, 0, 0, 1]


def test_a_trial_that_is_behind_is_given_up(
    own: Bank, small: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pruned trial is recorded as one, with the epochs it had, and is never the best."""
    calls: list[Epoch] = []

    def prune(epoch: Epoch, *_: object) -> bool:
        calls.append(epoch)
        return len(calls) == 1

    import optuna

    monkeypatch.setattr(optuna.Trial, "should_prune", lambda trial: prune(Epoch(1, 0, 0, 0)))
    added = add(own, small, folder, search=GRID, trials=2)
    assert [t.status for t in added.trials] == ["pruned", "complete"]
    assert len(added.trials[0].environment["epochs"]) == 1
    assert added.trial.status == "complete"


def test_a_run_that_collapsed_is_tried_again_from_another_seed(
    own: Bank, tmp_path: Path, folder: Path
) -> None:
    """Where every text is the same nothing can be learned: three seeds, each named as collapsed,
    and the last resort is recorded as what it is."""
    rows = [{"text": "the film", "label": "good" if n % 3 else "bad"} for n in range(90)]
    added = add(own, write_jsonl(tmp_path / "same.jsonl", rows), folder)
    assert [(t.status, t.training["seed"]) for t in added.trials] == [
        ("collapsed", 0),
        ("collapsed", 1),
        ("collapsed", 2),
    ]
    assert added.trial.status == "collapsed"
    assert added.record is not None


def test_a_seed_that_works_ends_the_tries(
    own: Bank, small: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the second seed learns, it is recorded, and there is no third."""
    from taskbank.training.trainer import Trainer

    real = Trainer._collapsed
    seen: list[object] = []

    def first_only(trainer: Trainer, training: Any) -> bool:
        seen.append(training)
        return len(seen) == 1 or real(trainer, training)

    monkeypatch.setattr(Trainer, "_collapsed", first_only)
    added = add(own, small, folder)
    assert [t.status for t in added.trials] == ["collapsed", "complete"]
    assert added.record.training["seed"] == 1


def test_a_setting_that_diverges_does_not_end_a_search(
    own: Bank, small: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is recorded as diverged; where every one diverges, that is an error and no adapter."""
    from taskbank.training import trainer

    real = trainer.train

    def diverging(model: Any, kind: Any, definition: Any, data: Any, *rest: Any, **kw: Any) -> Any:
        if rest[1].learning_rate > 0.01:
            raise TrainingError("training diverged: the mean loss is nan")
        return real(model, kind, definition, data, *rest, **kw)

    monkeypatch.setattr(trainer, "train", diverging)
    added = add(own, small, folder, search={"learning_rate": (0.005, 0.02)})
    assert sorted(t.status for t in added.trials) in (
        ["complete", "diverged"],
        ["collapsed"] * 3 + ["diverged"],
    )
    with pytest.raises(TrainingError, match="diverged"):
        add(own, small, folder, new_version=True)
    assert len(own) == 1
    assert taskbank.verify_all(own).ok


def test_a_sampler_picks_no_setting_twice_and_ends_when_all_were_tried(
    own: Bank, small: str, folder: Path
) -> None:
    """More trials than there are settings are as many as there are settings."""
    grid = {"size": (2, 4), "learning_rate": (0.01, 0.02)}
    added = add(own, small, folder, search=grid, trials=9, training={"epochs": 1})
    chosen = [(t.options["size"], t.training["learning_rate"]) for t in added.trials]
    assert sorted(chosen[:4]) == [(2, 0.01), (2, 0.02), (4, 0.01), (4, 0.02)]
    assert all(t.training["seed"] > 0 for t in added.trials[4:])


def test_a_large_grid_costs_nothing_where_a_sampler_picks(
    own: Bank, small: str, folder: Path
) -> None:
    """A million settings are never made where one is tried."""
    hundred = tuple(range(1, 101))
    grid = {"size": hundred, "batch_size": hundred, "max_length": tuple(range(5, 60))}
    added = add(own, small, folder, search=grid, trials=1, training={"epochs": 1})
    assert len(added.trials) <= 3


@pytest.mark.parametrize("positive", ["good", "bad"])
def test_one_answer_for_everything_is_a_collapse_whichever_it_is(
    own: Bank, small: str, folder: Path, positive: str
) -> None:
    """A model that always says the positive class has an F1 above nought, and learned nothing."""
    from taskbank.backbone.load import load_backbone
    from taskbank.training.loop import Training
    from taskbank.training.plan import plan_task
    from taskbank.training.task_data import Sources
    from taskbank.training.trainer import Trainer

    plan = plan_task("mood", Sources(small), positive=positive)
    trainer = Trainer(own, load_backbone(str(folder)), plan)
    count = len(plan.data.validation)
    epoch = Epoch(1, 0.5, 0.5, 0.5)

    def collapsed(predictions: np.ndarray) -> bool:
        course = Training((epoch,), epoch, 1.0, plan.data.definition, predictions)
        return trainer._collapsed(course)

    for column in (0, 1):
        constant = np.zeros((count, 2), dtype=np.float32)
        constant[:, column] = 1
        assert collapsed(constant)
    targets = SINGLE.targets(plan.data.validation.columns, plan.data.definition)
    right = np.eye(2, dtype=np.float32)[targets]
    assert not collapsed(right)
    assert collapsed(right[:, ::-1])


def test_a_complete_trial_comes_before_a_collapsed_one() -> None:
    """Of equal scores, and even of a worse one, the trial that learned something is better."""
    from taskbank.training.trial import RANKS, Trial

    trials = [
        Trial(BASE, "", status, score, 0.1)
        for status, score in zip(RANKS, (4, 3, 2, 1), strict=True)
    ]
    assert max(trials, key=lambda t: t.rank("accuracy")).status == "complete"


class Interrupt(Exception):
    """Stands for a killed process."""


def interrupt_after(monkeypatch: pytest.MonkeyPatch, epochs: int) -> None:
    """Let the process die after so many epochs in all, right after their states were kept."""
    from taskbank.training.checkpoint import Checkpoint

    real, count = Checkpoint.save, [0]

    def save(checkpoint: Checkpoint, state: Any) -> None:
        real(checkpoint, state)
        count[0] += 1
        if count[0] == epochs:
            raise Interrupt

    monkeypatch.setattr(Checkpoint, "save", save)


@pytest.mark.parametrize("epochs", [1, 2, 3, 4, 8, 12])
def test_an_interrupted_search_is_resumed_to_the_same_bytes(
    own: Bank,
    tmp_path: Path,
    small: str,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    epochs: int,
) -> None:
    """Wherever it was killed, the resumed search ends with the adapter of an uninterrupted one,
    trains no finished trial again, and leaves no state behind."""
    search = {"search": GRID}
    with create_bank(f"sqlite:///{tmp_path}/whole.db") as bank:
        whole = add(bank, small, folder, **search).record
    with monkeypatch.context() as patch:
        interrupt_after(patch, epochs)
        with pytest.raises(Interrupt):
            add(own, small, folder, **search)
    assert len(own) == 0
    before = len(own.trials("mood"))
    assert before == (epochs - 1) // 3
    added = add(own, small, folder, resume=True, **search)
    assert added.record.digest == whole.digest
    assert added.record.training == whole.training
    with own.engine.connect() as connection:
        rows = connection.exec_driver_sql("SELECT count(*) FROM trials").scalar()
    assert rows == 4
    assert list((cache_folder() / "checkpoints").glob("*")) == []


@pytest.mark.parametrize("epochs", [2, 4, 5, 7, 9, 11, 13])
def test_an_interrupted_sampler_is_resumed_to_the_same_trials(
    own: Bank,
    tmp_path: Path,
    small: str,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    epochs: int,
) -> None:
    """A search that prunes, killed anywhere, tries and prunes the same after it was resumed."""
    import optuna

    heard: dict[int, list[float]] = {}

    def report(trial: optuna.Trial, value: float, step: int) -> None:
        heard.setdefault(trial.number, []).append(value)

    def behind(trial: optuna.Trial) -> bool:
        # Depends on everything that was reported before, as the median does.
        own_best = max(heard[trial.number])
        others = [max(v) for n, v in heard.items() if n < trial.number and len(v) > 1]
        return len(heard[trial.number]) > 1 and bool(others) and own_best <= max(others)

    monkeypatch.setattr(optuna.Trial, "report", report)
    monkeypatch.setattr(optuna.Trial, "should_prune", behind)
    given: dict[str, Any] = {
        "search": {"size": (2, 4, 8), "learning_rate": (0.001, 0.02)},
        "trials": 5,
        "metric": "log_loss",
        "training": {"epochs": 4},
    }
    with create_bank(f"sqlite:///{tmp_path}/whole.db") as bank:
        whole = add(bank, small, folder, **given)
    assert "pruned" in [t.status for t in whole.trials]
    heard.clear()
    with monkeypatch.context() as patch:
        interrupt_after(patch, epochs)
        with pytest.raises(Interrupt):
            add(own, small, folder, **given)
    heard.clear()
    again = add(own, small, folder, resume=True, **given)
    assert [(t.specification, t.status) for t in again.trials] == [
        (t.specification, t.status) for t in whole.trials
    ]
    assert again.record.digest == whole.record.digest


def test_without_resume_a_training_starts_over(
    own: Bank, small: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What an interrupted run left is used only where that was asked for."""
    with monkeypatch.context() as patch:
        interrupt_after(patch, 2)
        with pytest.raises(Interrupt):
            add(own, small, folder)
    steps: list[int] = []
    real = torch.optim.AdamW.step

    def counting(optimizer: Any, *rest: Any) -> Any:
        steps.append(1)
        return real(optimizer, *rest)

    monkeypatch.setattr(torch.optim.AdamW, "step", counting)
    add(own, small, folder)
    assert len(steps) == 3 * 9


@pytest.mark.parametrize("method", ["full", "top-k"])
def test_a_baseline_that_is_only_measured_leaves_a_trial(
    own: Bank, small: str, folder: Path, data: Path, method: str
) -> None:
    """`full` stores no weights unless asked to; its scores are recorded all the same."""
    given: dict[str, Any] = {
        "method": method,
        "backbone": str(folder),
        "test": str(data / "test.jsonl"),
        "training": {"epochs": 1, "learning_rate": 0.001},
    }
    added = add_task(own, "mood", small, **given)
    assert (added.record is None) == (method == "full")
    assert added.trial.value("test") is not None
    assert added.trial.digest is None
    assert len(own) == (method != "full")
    kept = add_task(own, "kept", small, keep_weights=True, **given)
    assert kept.record is not None
    assert kept.record.parameters == kept.trial.parameters
    assert taskbank.verify_all(own).ok
    assert taskbank.predict(own, "kept", ["good"])[0]["label"] in ("good", "bad")


def test_measuring_needs_no_new_version(own: Bank, small: str, folder: Path) -> None:
    """A baseline that stores nothing may be measured for a task that is there."""
    add(own, small, folder)
    measured = add_task(
        own, "mood", small, method="full", training={"epochs": 1}, backbone=str(folder)
    )
    assert measured.record is None
    with pytest.raises(ConflictError, match="--new-version"):
        add(own, small, folder)


def test_classes_are_balanced_only_where_there_are_some(
    own: Bank, tmp_path: Path, folder: Path
) -> None:
    """`class_weight` for a kind without classes is refused and not passed over in silence."""
    data = write_jsonl(tmp_path / "numbers.jsonl", numbered(40))
    for given in (
        {"training": {"class_weight": "balanced"}},
        {"search": {"class_weight": ("balanced", None)}},
    ):
        with pytest.raises(InputError, match="kind 'regression' has no classes"):
            add(own, data, folder, kind="regression", **given)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"search": {"speed": (1, 2)}}, "'speed' cannot be searched"),
        ({"search": {"learning_rate": (0.1, 7.0)}}, "learning_rate is 7.0"),
        ({"search": {"size": (8, 0)}}, "size is 0"),
        ({"search": {"size": (8, 8)}}, "give each value once"),
        ({"search": {"size": ()}}, "give each value once"),
        ({"search": {"seed": (1, 2)}}, "--seeds N"),
        ({"search": {"max_length": (32, 65)}}, "max_length is 65"),
        ({"seeds": 0}, "seeds is 0"),
        ({"trials": 3}, "needs a --search"),
        ({"trials": 0, "search": {"size": (1, 2)}}, "trials is 0"),
        ({"metric": "magic"}, "metric 'magic'"),
        ({"metric": "pearson"}, "metric 'pearson' is none"),
        ({"positive": "so-so"}, "positive is 'so-so'"),
        ({"training": {"class_weight": "heavy"}}, "class_weight is 'heavy'"),
        ({"training": {"precision": "float8"}}, "precision is 'float8'"),
        ({"rows": 1}, "rows is 1"),
        ({"training": {"epochs": 1.5}}, "epochs is 1.5: it must be a whole number"),
        ({"training": {"epochs": True}}, "epochs is True"),
        ({"training": {"epochs": "3"}}, "epochs is '3'"),
        ({"training": {"seed": 1.5}}, "seed is 1.5"),
        ({"training": {"patience": 1.5}}, "patience is 1.5"),
        ({"training": {"learning_rate": "fast"}}, "learning_rate is 'fast'"),
        ({"training": {"clip": float("inf")}}, "clip is inf"),
        ({"search": {"epochs": (1.5, 2.5)}}, "epochs is 1.5"),
        ({"search": {"batch_size": ("",)}}, "batch_size is ''"),
        ({"search": {"layers": ("all", "0,1,5")}}, "layers is '0,1,5': the backbone has 2 layers"),
        ({"options": {"layers": "top:9"}}, "layers is 'top:9'"),
    ],
)
def test_a_bad_search_is_refused_before_training(
    own: Bank, small: str, folder: Path, given: dict[str, Any], says: str
) -> None:
    """Each mistake is an error that names it, and nothing was trained."""
    with pytest.raises(InputError, match=says):
        add(own, small, folder, **given)
    assert own.trials() == ()


def test_a_missing_sampler_is_named_with_its_extra(
    own: Bank, small: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without optuna, `--trials` says what to install, before anything is read or trained."""
    import sys

    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(MissingExtraError, match=r"taskbank\[search\]"):
        add(own, "nowhere.csv", folder, search=GRID, trials=2)


def test_a_sample_of_train_keeps_its_classes(own: Bank, small: str, folder: Path) -> None:
    """`rows` trains on so many rows, of every class its share, and says so."""
    added = add(own, small, folder, rows=40, validation=small, training={"epochs": 1})
    train = added.trial.data["train"]
    assert train["rows"] == 40
    assert "40 of 160 rows" in train["origin"]


def test_a_metric_is_what_the_task_is_chosen_and_scored_by(
    own: Bank, small: str, folder: Path
) -> None:
    """With `--metric` the record's score is that metric, and the best epoch has its best value."""
    added = add(own, small, folder, metric="log_loss", training={"epochs": 4})
    record = added.record
    assert record.metric == "log_loss"
    losses = [epoch.score for epoch in added.training.epochs]
    assert added.training.best.score == min(losses) == record.score
    assert {m.name for m in record.metrics} >= {"accuracy", "f1", "f1_macro", "matthews"}


def test_the_trials_of_a_task_are_those_recorded(bank: Bank) -> None:
    """On either database: oldest first, of equal specifications the last row, by task."""
    bank.put_trial(new_trial(seed=1, score=0.1))
    bank.put_trial(new_trial("other", seed=2))
    bank.put_trial(new_trial(seed=1, score=0.2))
    assert [(t.task, t.score) for t in bank.trials("mood")] == [("mood", 0.2)]
    assert len(bank.trials()) == 2
    (found,) = bank.trials("mood")
    assert found.value("test") == new_trial(seed=1).metrics[0].value
    assert taskbank.verify_all(bank, level="integrity").ok


def test_the_backbone_is_left_as_it_was(
    own: Bank, small: str, folder: Path, backbone: Backbone
) -> None:
    """Trials of any method, one after the other, never write to the frozen weights."""
    from taskbank.pipeline.add_task import carry_out
    from taskbank.training.plan import plan_task
    from taskbank.training.task_data import Sources

    before = {name: t.clone() for name, t in backbone.model.state_dict().items()}
    for method in ("full", "top-k", "houlsby", "lora"):
        plan = plan_task(method, Sources(small), method=method, training={"epochs": 1})
        carry_out(own, backbone, plan)
    after = backbone.model.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_trials_of_several_methods_are_shown_by_what_differs(
    bank: Bank, capsys: pytest.CaptureFixture[str]
) -> None:
    """What one method has and another has not is no difference between trials of either."""
    from taskbank.cli.main import run

    full = MethodSpec("full", {"layers": "all"})
    bank.put_trial(new_trial(seed=1))
    bank.put_trial(new_trial(seed=2, method=full, training=TrainingSpec(epochs=3, seed=2)))
    assert run(["--bank", bank.url, "trials", "mood"]) == 0
    heading = capsys.readouterr().out.splitlines()[0]
    assert "epochs" in heading
    assert not {"init_std", "activation", "layers", "size"} & set(heading.split())
    wide = MethodSpec("houlsby", {"size": 16, "init_std": 0.01, "activation": "gelu"})
    bank.put_trial(new_trial(seed=3, method=wide))
    assert run(["--bank", bank.url, "trials", "mood"]) == 0
    heading = capsys.readouterr().out.splitlines()[0]
    assert "size" in heading.split()
    assert "init_std" not in heading
