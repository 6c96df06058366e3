"""Suites: many tasks from one file, everything wrong said at once, nothing trained twice."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import taskbank
from taskbank.bank.bank import Bank
from taskbank.bank.open import create_bank
from taskbank.errors import InputError
from taskbank.pipeline.suite import SuiteReport, add_tasks
from taskbank.pipeline.suite_file import NAMES, TRAINING, TYPES, read_suite
from tests.helpers.tiny import make_backbone, sentences, write_jsonl

SUITE = """
[defaults]
epochs = 1
learning_rate = 0.02
options = {size = 4}
tags.team = "search"

[[task]]
name = "one"
train = "one.jsonl"
test = "two.jsonl"

[[task]]
name = "two"
train = "two.jsonl"
size = 8
metric = "f1_macro"
tags.owner = "me"

[[task]]   # only measured
name = "three"
train = "two.jsonl"
method = "full"
options = {layers = "all"}
"""


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    """A suite of three tasks, its data beside it."""
    place = tmp_path / "suite"
    place.mkdir()
    for number, name in enumerate(("one", "two")):
        write_jsonl(place / f"{name}.jsonl", sentences(64, seed=number))
    path = place / "suite.toml"
    path.write_text(
        SUITE.replace("options = {size = 4}", "").replace('options = {layers = "all"}', "")
    )
    return path


def statuses(report: SuiteReport) -> list[str]:
    """Return what became of each task."""
    return [outcome.status for outcome in report.outcomes]


def no_training(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a test fail if anything is trained."""
    monkeypatch.setattr(
        "taskbank.training.trainer.train", lambda *a, **k: pytest.fail("training started")
    )


def test_a_suite_is_added_once(
    url: str, suite: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On either database: every task with its own options over the defaults; the second run
    skips them all without loading a backbone."""
    report = add_tasks(url, suite, backbone=str(folder))
    assert report.ok
    assert statuses(report) == ["added", "added", "measured"]
    with Bank(url) as bank:
        one, two = bank["one"], bank["two"]
        assert (one.options["size"], two.options["size"]) == (64, 8)
        assert (one.metric, two.metric) == ("accuracy", "f1_macro")
        assert one.training["epochs"] == two.training["epochs"] == 1
        assert (one.tags, two.tags) == ({"team": "search"}, {"team": "search", "owner": "me"})
        assert (one.split, two.split) == ("test", "validation")
        assert report.outcomes[0].score == one.score
    no_training(monkeypatch)
    monkeypatch.setattr("taskbank.pipeline.suite.backbone_for", lambda *a: pytest.fail("loaded"))
    again = add_tasks(url, suite)
    assert statuses(again) == ["skipped"] * 3
    assert [o.score for o in again.outcomes] == [o.score for o in report.outcomes]


def test_a_task_that_fails_does_not_stop_the_others(
    suite: Path, tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The failed one is named with its reason, and only it is tried again by the next run."""
    from taskbank.errors import TrainingError
    from taskbank.pipeline import suite as module

    url = f"sqlite:///{tmp_path}/bank.db"
    real = module.carry_out

    def failing(bank: Any, backbone: Any, plan: Any, **given: Any) -> Any:
        if plan.name == "one":
            raise TrainingError("training diverged")
        return real(bank, backbone, plan, **given)

    with monkeypatch.context() as patch:
        patch.setattr(module, "carry_out", failing)
        report = add_tasks(url, suite, backbone=str(folder))
    assert statuses(report) == ["failed", "added", "measured"]
    assert (report.ok, report.outcomes[0].problem) == (False, "training diverged")
    assert statuses(add_tasks(url, suite)) == ["added", "skipped", "skipped"]


def test_an_error_of_any_sort_does_not_stop_the_others(
    suite: Path, tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No memory, a full disk, a defect: the task failed, with its reason; the others are added."""
    from taskbank.pipeline import suite as module

    real = module.carry_out

    def failing(bank: Any, backbone: Any, plan: Any, **given: Any) -> Any:
        if plan.name == "one":
            raise RuntimeError("out of memory")
        return real(bank, backbone, plan, **given)

    monkeypatch.setattr(module, "carry_out", failing)
    report = add_tasks(f"sqlite:///{tmp_path}/bank.db", suite, backbone=str(folder))
    assert statuses(report) == ["failed", "added", "measured"]
    assert report.outcomes[0].problem == "RuntimeError: out of memory"


def test_a_suite_for_another_backbone_is_another_thing(
    suite: Path, tmp_path: Path, folder: Path
) -> None:
    """What is there for one backbone is not taken for what was asked of another."""
    url = f"sqlite:///{tmp_path}/bank.db"
    add_tasks(url, suite, backbone=str(folder))
    other = str(make_backbone(tmp_path / "other", seed=7))
    with pytest.raises(InputError, match="--new-version"):
        add_tasks(url, suite, backbone=other)
    report = add_tasks(url, suite, backbone=other, new_version=True)
    assert [o.ref for o in report.outcomes] == ["one@2", "two@2", None]
    assert statuses(add_tasks(url, suite, backbone=other)) == ["skipped"] * 3
    assert statuses(add_tasks(url, suite, backbone=str(folder))) == ["skipped"] * 3


def test_an_interrupted_suite_goes_on_where_it_was(
    suite: Path, tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C in the second task keeps the first; the next run trains the rest."""
    from taskbank.pipeline import suite as module

    url = f"sqlite:///{tmp_path}/bank.db"
    real = module.carry_out

    def interrupted(bank: Any, backbone: Any, plan: Any, **given: Any) -> Any:
        if plan.name == "two":
            raise KeyboardInterrupt
        return real(bank, backbone, plan, **given)

    with monkeypatch.context() as patch:
        patch.setattr(module, "carry_out", interrupted)
        with pytest.raises(KeyboardInterrupt):
            add_tasks(url, suite, backbone=str(folder))
    with Bank(url) as bank:
        assert [record.ref for record in bank] == ["one@1"]
        assert taskbank.verify_all(bank).ok
    assert statuses(add_tasks(url, suite)) == ["skipped", "added", "measured"]


def test_a_changed_specification_needs_a_new_version(
    suite: Path, tmp_path: Path, folder: Path
) -> None:
    """A task whose options or data changed is refused, or gets a version where that was asked."""
    url = f"sqlite:///{tmp_path}/bank.db"
    add_tasks(url, suite, backbone=str(folder))
    suite.write_text(suite.read_text().replace("size = 8", "size = 2"))
    with pytest.raises(InputError, match=r"line 13: task 'two': .*--new-version"):
        add_tasks(url, suite)
    report = add_tasks(url, suite, new_version=True)
    assert [o.ref for o in report.outcomes] == ["one@1", "two@2", None]
    write_jsonl(suite.parent / "one.jsonl", sentences(72, seed=5))
    assert statuses(add_tasks(url, suite, new_version=True)) == ["added", "skipped", "skipped"]


def test_files_are_looked_for_where_the_user_says(
    suite: Path, tmp_path: Path, folder: Path
) -> None:
    """Relative files are beside the suite, or in the folder that is named; hub names stay."""
    moved = suite.rename(tmp_path / "elsewhere.toml")
    url = f"sqlite:///{tmp_path}/bank.db"
    with pytest.raises(InputError, match=r"one\.jsonl is not there"):
        add_tasks(url, moved, backbone=str(folder))
    assert add_tasks(url, moved, data=tmp_path / "suite", backbone=str(folder)).ok
    moved.write_text('[[task]]\nname = "a"\ntrain = "hf:owner/name:train"\ntest = "/x.csv"\n')
    (entry,) = read_suite(moved, tmp_path)
    assert (entry.values["train"], entry.values["test"]) == ("hf:owner/name:train", "/x.csv")


WRONG = """
[defaults]
epoch = 3
search.size = 8

[[task]]
name = "one"
train = "one.jsonl"
epochs = "ten"
keep_trials = 1

[[task]]
name = "one"
train = "one.jsonl"
[task.search]
learning_rate = 0.1
[task.tags]
team = 3

[[task]]
train = "one.jsonl"

[extra]
"""


def test_everything_wrong_is_said_at_once_with_its_line(suite: Path) -> None:
    """Typos, types, doubles and gaps: one error with the line of each."""
    suite.write_text(WRONG)
    with pytest.raises(InputError) as caught:
        read_suite(suite, suite.parent)
    said = str(caught.value)
    assert "9 problems" in said
    for line, text in (
        (3, "'epoch' is unknown: did you mean 'epochs'?"),
        (4, "search.size is 8: write a list"),
        (9, "epochs is 'ten'"),
        (10, "keep_trials is 1: it must be true or false"),
        (12, "'one' is there already, on line 6"),
        (16, "search.learning_rate is 0.1: write a list"),
        (17, "tags.team is 3"),
        (20, "has no 'name'"),
        (23, "'extra' is unknown"),
    ):
        assert any(
            row.strip().startswith(f"line {line}: ") and text in row for row in said.splitlines()
        ), (line, text, said)


def said_of(tmp_path: Path, text: str) -> list[str]:
    """Return what is said to be wrong with a suite, a line a problem."""
    path = tmp_path / "suite.toml"
    path.write_text(text)
    with pytest.raises(InputError) as caught:
        read_suite(path, tmp_path)
    return [line.strip() for line in str(caught.value).splitlines()[1:]]


@pytest.mark.parametrize("quotes", ['"""', "'''"])
def test_a_text_of_several_lines_is_not_taken_for_keys(tmp_path: Path, quotes: str) -> None:
    """What stands in a long text, or in a comment that holds quotes, moves no line."""
    text = (
        f"# {quotes} begins nothing here\n"
        "[[task]]\n"
        f"description = {quotes}\n[[task]]\nepochs = 3 # [\n[defaults]\n''{quotes}\n"
        "name = 'a # b'  # it's [no bracket\n"
        "train = 'x'\n"
        "epochs = 'ten'\n"
        "[[task]]\n"
        "name = 'b'\n"
    ).replace("''" + quotes, ('""' if quotes == "'''" else "''") + quotes)
    assert said_of(tmp_path, text) == [
        "line 10: epochs is 'ten': it must be a whole number",
        "line 11: the task 'b' has no 'train'",
    ]


def test_a_list_of_several_lines_is_not_taken_for_tables(tmp_path: Path) -> None:
    """A row of a list that looks like a table's name is none, and what follows has its line."""
    text = (
        "[[task]]\n"
        "name = 'a'\n"
        "train = 'x'\n"
        "search.projections = [\n"
        "  ['query', 'value'],\n"
        '  ["query"]\n'
        "]\n"
        "epochs = 'ten'\n"
        '"search" . "size" = 8\n'
    )
    assert said_of(tmp_path, text.replace('"search" . "size" = 8\n', "")) == [
        "line 8: epochs is 'ten': it must be a whole number"
    ]
    assert said_of(tmp_path, text)[1] == "line 9: search.size is 8: write a list of values"


def test_tasks_in_one_list_have_the_line_of_the_list(tmp_path: Path) -> None:
    """`task = [{…}]` is TOML too: its errors, doubles among them, name the line it begins on."""
    text = (
        "defaults = {epoch = 3}\n\n"
        "task = [{name = 'a', train = 'x', epochs = 'ten'}, {name = 'a', train = 'x'}]\n"
    )
    assert said_of(tmp_path, text) == [
        "line 1: 'epoch' is unknown: did you mean 'epochs'?",
        "line 3: epochs is 'ten': it must be a whole number",
        "line 3: the task 'a' is there already, on line 3: rename one",
    ]
    (tmp_path / "suite.toml").write_text("\ntask = [{name = 'a', train = 'x'}]\n")
    assert [entry.line for entry in read_suite(tmp_path / "suite.toml", tmp_path)] == [2]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "it has no tasks"),
        ("[defaults]\nepochs = 1\n", "it has no tasks"),
        ("\n[task]\nname = 'a'\n", "line 2: it has no tasks"),
        ("\n\ntask = 3\n", "line 3: it has no tasks"),
    ],
)
def test_a_problem_of_no_line_names_none(tmp_path: Path, text: str, said: str) -> None:
    """There is no line 0: what is wrong with the whole file is said without a line."""
    (found,) = said_of(tmp_path, text)
    assert found.startswith(said)


@pytest.mark.parametrize(
    ("keys", "wanted"),
    [
        (
            "epochs batch_size max_length seed patience rows seeds trials size",
            "a whole number",
        ),
        ("learning_rate weight_decay warmup clip", "a number"),
        ("class_weight precision name metric train", "a text"),
        ("layers", "a text or a whole number"),
        ("keep_trials", "true or false"),
        ("options", "a table"),
    ],
)
def test_a_value_of_another_type_says_which_is_wanted(
    tmp_path: Path, keys: str, wanted: str
) -> None:
    """Every key names the one type it takes; a fraction is no whole number, true is none."""
    for key in keys.split():
        wrong = ["[1]", "[true]"] if wanted in ("a text", "true or false") else ["[1]", "true"]
        for value in [*wrong, *(["2.0"] if wanted == "a whole number" else [])]:
            others = "".join(f"{k} = 'x'\n" for k in ("name", "train") if k != key)
            (found,) = said_of(tmp_path, f"[[task]]\n{others}{key} = {value}\n")
            assert found.startswith(f"line {3 + (key not in ('name', 'train'))}: {key} is "), found
            assert found.endswith(f": it must be {wanted}"), found


def test_every_key_of_a_suite_has_a_type_that_is_named() -> None:
    """What a training takes is known to suites, and every type has words for an error."""
    assert set(TRAINING) <= set(TYPES)
    assert set(TYPES.values()) <= set(NAMES)


def test_numbers_may_be_whole(tmp_path: Path) -> None:
    """`clip = 1` is a number as `clip = 1.0` is."""
    path = tmp_path / "suite.toml"
    path.write_text("[[task]]\nname = 'a'\ntrain = 'x'\nclip = 1\nwarmup = 0.5\n")
    (entry,) = read_suite(path, tmp_path)
    assert (entry.values["clip"], entry.values["warmup"]) == (1, 0.5)


def test_bad_data_and_options_of_all_tasks_are_said_before_the_first_training(
    suite: Path, tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A missing file, an unknown method, a bad row: all at once, and no bank is made."""
    no_training(monkeypatch)
    write_jsonl(suite.parent / "bad.jsonl", [{"text": "", "label": "x"}])
    suite.write_text(
        '[[task]]\nname = "a"\ntrain = "nowhere.csv"\n'
        '[[task]]\nname = "b"\ntrain = "one.jsonl"\nmethod = "magic"\n'
        '[[task]]\nname = "c"\ntrain = "bad.jsonl"\n'
        '[[task]]\nname = "d"\ntrain = "one.jsonl"\nsize = 0\n'
        '[[task]]\nname = "e e"\ntrain = "one.jsonl"\n'
        '[[task]]\nname = "f"\ntrain = "one.jsonl"\nepoch = 3\n'
    )
    with pytest.raises(InputError) as caught:
        add_tasks(f"sqlite:///{tmp_path}/bank.db", suite, backbone=str(folder))
    said = str(caught.value)
    assert "6 problems" in said
    for part in (
        "line 21: 'epoch'",
        "line 1: task 'a'",
        "line 4: task 'b'",
        "line 8: task 'c'",
        "row 1",
        "size is 0",
    ):
        assert part in said
    assert not (tmp_path / "bank.db").exists()


def test_inputs_longer_than_the_backbone_takes_are_said_before_the_first_training(
    suite: Path, tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A length that only the backbone can refuse is refused for every task, before training."""
    no_training(monkeypatch)
    suite.write_text(suite.read_text().replace("epochs = 1", "epochs = 1\nmax_length = 999"))
    with pytest.raises(InputError, match=r"3 problems(.|\n)*max_length is 999"):
        add_tasks(f"sqlite:///{tmp_path}/bank.db", suite, backbone=str(folder))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "no tasks"),
        ("[defaults]\nepochs = 1\n", "no tasks"),
        ("[task]\nname = 'a'\n", "two brackets"),
        ("task = 3\n", "two brackets"),
        ("task = [3]\n", r"write \[\[task\]\]"),
        ("[[task]\n", "is not TOML.*line 1"),
        ("[[task]]\nname = 'a'\nname = 'b'\n", "is not TOML.*line 3"),
        ("[[task]]\nname = 3\ntrain = 'x'\n", "name is 3"),
        ("[[task]]\nname = 'a'\ntrain = ['x']\n", "train is"),
        ("[[task]]\nname = 'a'\ntrain = 'x'\nepochs = true\n", "epochs is True"),
        ("[[task]]\nname = 'a'\ntrain = 'x'\nepochs = 2030-01-01\n", "epochs is"),
    ],
)
def test_a_file_that_is_no_suite_is_refused(tmp_path: Path, text: str, says: str) -> None:
    """Rubbish in a suite is an error that says what is expected."""
    path = tmp_path / "suite.toml"
    path.write_text(text)
    with pytest.raises(InputError, match=says):
        read_suite(path, tmp_path)


def test_a_suite_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    """A missing file and one that is no text are errors, not tracebacks."""
    with pytest.raises(InputError, match="cannot be read"):
        read_suite(tmp_path / "nowhere.toml", tmp_path)
    (tmp_path / "x.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match="is not TOML"):
        read_suite(tmp_path / "x.toml", tmp_path)


def test_an_open_bank_is_taken_as_it_is(suite: Path, tmp_path: Path, folder: Path) -> None:
    """A bank that knows its backbone needs none to be named."""
    url = f"sqlite:///{tmp_path}/bank.db"
    taskbank.init(url, str(folder))
    with create_bank(url) as bank:
        assert add_tasks(bank, suite).ok
        assert len(bank) == 2


def test_a_measured_task_shows_its_best_trial_again(tmp_path: Path, folder: Path) -> None:
    """Scored on validation, a task of several seeds has the score of the best of them, in the
    first run and when it is skipped."""
    write_jsonl(tmp_path / "data.jsonl", sentences(64))
    path = tmp_path / "suite.toml"
    path.write_text(
        '[[task]]\nname = "one"\ntrain = "data.jsonl"\nmethod = "layernorm"\nepochs = 1\n'
        'seeds = 4\nlearning_rate = 0.3\n[[task]]\nname = "two"\ntrain = "data.jsonl"\n'
        'method = "full"\nepochs = 2\nseeds = 4\nlearning_rate = 0.01\n'
    )
    url = f"sqlite:///{tmp_path}/bank.db"
    first = add_tasks(url, path, backbone=str(folder), verify="none")
    again = add_tasks(url, path, verify="none")
    with Bank(url) as bank:
        scores = [trial.value("validation") for trial in bank.trials("two")]
    assert len(set(scores)) > 1
    assert first.outcomes[1].score == again.outcomes[1].score == max(scores)  # type: ignore[type-var]
