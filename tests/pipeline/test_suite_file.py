"""Suite files: every problem is named with its line."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from taskbank.errors import InputError
from taskbank.pipeline.suite import add_tasks
from taskbank.pipeline.suite_file import TYPE_NAMES, TYPES, read_suite
from taskbank.specs import TRAINING_FIELDS


@pytest.mark.slow
def test_files_are_looked_for_where_the_user_says(
    suite: Path, tmp_path: Path, folder: Path
) -> None:
    """Relative files are beside the suite, or in the folder that is named; hub names stay."""
    moved = suite.rename(tmp_path / "elsewhere.toml")
    url = f"sqlite:///{tmp_path}/bank.db"
    with pytest.raises(InputError, match=r"one\.jsonl does not exist"):
        add_tasks(url, moved, backbone=str(folder))
    assert add_tasks(url, moved, data=tmp_path / "suite", backbone=str(folder)).ok
    moved.write_text('[[task]]\nname = "a"\ntrain = "hf:owner/name:train"\ntest = "/x.csv"\n')
    (entry,) = read_suite(moved, tmp_path)
    assert (entry.values["train"], entry.values["test"]) == ("hf:owner/name:train", "/x.csv")


def test_label_names_are_a_list_a_text_or_a_file_beside_the_suite(tmp_path: Path) -> None:
    """Only the name of a file is completed with the folder."""
    suite = tmp_path / "suite.toml"
    task = '[[task]]\nname = "a"\ntrain = "a.csv"\nlabel_names = '
    for written, expected in (
        ('["no", "yes"]', ["no", "yes"]),
        ('"no,yes"', "no,yes"),
        ('"names.txt"', str(tmp_path / "names.txt")),
    ):
        suite.write_text(task + written)
        assert read_suite(suite, tmp_path)[0].values["label_names"] == expected
    suite.write_text(f"{task}3")
    with pytest.raises(InputError, match="label_names is 3: it must be a string or a list"):
        read_suite(suite, tmp_path)


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
        (12, "'one' already appears on line 6"),
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
        "line 3: the task 'a' already appears on line 3: rename one",
    ]
    (tmp_path / "suite.toml").write_text("\ntask = [{name = 'a', train = 'x'}]\n")
    assert [entry.line for entry in read_suite(tmp_path / "suite.toml", tmp_path)] == [2]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "the suite has no tasks"),
        ("[defaults]\nepochs = 1\n", "the suite has no tasks"),
        ("\n[task]\nname = 'a'\n", "line 2: the suite has no tasks"),
        ("\n\ntask = 3\n", "line 3: the suite has no tasks"),
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
        ("class_weight precision name metric train", "a string"),
        ("layers", "a string or a whole number"),
        ("keep_trials", "true or false"),
        ("options", "a table"),
    ],
)
def test_a_value_of_another_type_says_which_is_wanted(
    tmp_path: Path, keys: str, wanted: str
) -> None:
    """Every key names the one type it takes; a fraction is no whole number, true is none."""
    for key in keys.split():
        wrong = ["[1]", "[true]"] if wanted in ("a string", "true or false") else ["[1]", "true"]
        for value in [*wrong, *(["2.0"] if wanted == "a whole number" else [])]:
            others = "".join(f"{k} = 'x'\n" for k in ("name", "train") if k != key)
            (found,) = said_of(tmp_path, f"[[task]]\n{others}{key} = {value}\n")
            assert found.startswith(f"line {3 + (key not in ('name', 'train'))}: {key} is "), found
            assert found.endswith(f": it must be {wanted}"), found


def test_every_key_of_a_suite_has_a_type_that_is_named() -> None:
    """What a training takes is known to suites, and every type has words for an error."""
    assert set(TRAINING_FIELDS) <= set(TYPES)
    assert set(TYPES.values()) <= set(TYPE_NAMES)


def test_numbers_may_be_whole(tmp_path: Path) -> None:
    """`clip = 1` is a number as `clip = 1.0` is."""
    path = tmp_path / "suite.toml"
    path.write_text("[[task]]\nname = 'a'\ntrain = 'x'\nclip = 1\nwarmup = 0.5\n")
    (entry,) = read_suite(path, tmp_path)
    assert (entry.values["clip"], entry.values["warmup"]) == (1, 0.5)


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


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"x = " + b"[" * 100_000 + b"]" * 100_000, "line 1: brackets are nested more than 20"),
        (b"\n\nx = " + b"{a = " * 100_000, "line 3: brackets are nested more than 20 deep"),
        (b"\n" + b"a." * 50_000 + b"a = 1", "line 2: it has more than 1000 dots"),
        (b"[a" + b".a" * 50_000 + b"]", "line 1: it has more than 1000 dots"),
        (b'[[task]]\nname = "a"\nrows = ' + b"9" * 5000, "is not TOML"),
        (b"\xff", "is not TOML"),
    ],
)
def test_a_file_that_no_parser_should_follow_is_refused(
    tmp_path: Path, content: bytes, says: str
) -> None:
    """Endless nesting and numbers are one error with the line, and not a failure of the parser."""
    path = tmp_path / "suite.toml"
    path.write_bytes(content)
    with pytest.raises(InputError, match=says):
        read_suite(path, tmp_path)


def test_what_is_no_file_is_refused_and_a_byte_order_mark_is_not(tmp_path: Path) -> None:
    """A pipe and a device are not waited for; what Windows editors put first is left out."""
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("/dev/zero"), tmp_path):
        with pytest.raises(InputError, match="cannot be read"):
            read_suite(path, tmp_path)
    path = tmp_path / "suite.toml"
    path.write_bytes(b'\xef\xbb\xbf[[task]]\nname = "a"\ntrain = "b.csv"')
    assert [entry.name for entry in read_suite(path, tmp_path)] == ["a"]


def test_the_option_from_is_the_key_start(tmp_path: Path) -> None:
    """A suite that calls the key as the command line does is told its name."""
    suite = tmp_path / "suite.toml"
    suite.write_text('[[task]]\nname = "one"\ntrain = "one.csv"\nfrom = "two"\n')
    with pytest.raises(InputError, match="line 4: 'from' is unknown: did you mean 'start'"):
        read_suite(suite, suite.parent)
