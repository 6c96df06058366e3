"""What is printed: whatever names, texts and messages hold, a terminal is not told what to do."""

from __future__ import annotations

import json
import warnings
from dataclasses import replace
from pathlib import Path

import pytest

import taskbank
from taskbank.bank.bank import Bank
from taskbank.cli.main import run
from taskbank.cli.output import echo, print_fields, print_json
from taskbank.cli.text_table import print_table
from tests.helpers.adapters import new_adapter

HOSTILE = "a\x1b[2Jb\u202ec\x9bd\x07e"
SHOWN = r"a\x1b[2Jb\u202ec\x9bd\x07e"


@pytest.fixture
def hostile(tmp_path: Path) -> Bank:
    """A bank with such characters in whatever an adapter says of itself."""
    from taskbank.bank.open import create_bank

    bank = create_bank(f"sqlite:///{tmp_path}/bank.db")
    new = new_adapter(description=HOSTILE, tags={"team": HOSTILE}, environment={"device": HOSTILE})
    splits = tuple(replace(split, origin=HOSTILE) for split in new.splits)
    bank.put(replace(new, splits=splits))
    return bank


def is_safe(text: str) -> bool:
    """Return whether a terminal shows a text and does nothing else."""
    return all(sign.isprintable() or sign == "\n" for sign in text)


@pytest.mark.parametrize(
    "arguments",
    [
        ["list"],
        ["show", "mood"],
        ["show", "mood", "--json"],
        ["list", "--json"],
        ["history"],
        ["history", "mood", "--json"],
        ["trials"],
        ["query", f'description = "{HOSTILE}"'],
        ["query", f"task = {HOSTILE}"],
        ["show", HOSTILE],
        ["list", f"--{HOSTILE}"],
        ["list", "--limit", HOSTILE],
        ["export", "mood", "--output", f"/nowhere/{HOSTILE}"],
        ["import", f"/nowhere/{HOSTILE}"],
        ["alias", "mood", HOSTILE],
        ["add-tasks", HOSTILE],
        ["predict", "mood", "--file", HOSTILE],
        [HOSTILE],
    ],
)
def test_no_command_prints_what_a_terminal_obeys(
    hostile: Bank, arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """Results, JSON, errors and usage show escapes, and no command takes it for a defect."""
    assert run(["--bank", hostile.url, *arguments]) in (0, 2)
    printed = capsys.readouterr()
    assert is_safe(printed.out)
    assert is_safe(printed.err)
    hostile.close()


def test_texts_fields_tables_and_json_show_escapes(capsys: pytest.CaptureFixture[str]) -> None:
    """Each way to print shows which character there is; JSON means the same as before."""
    echo(HOSTILE)
    print_fields({HOSTILE: HOSTILE + "\n"})
    print_table(("name",), [(HOSTILE,)])
    printed = capsys.readouterr().out
    assert printed.count(SHOWN) == 4
    assert is_safe(printed)
    print_json({HOSTILE: HOSTILE})
    printed = capsys.readouterr().out
    assert is_safe(printed)
    assert json.loads(printed) == {HOSTILE: HOSTILE}


def test_warnings_show_escapes(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, hostile: Bank
) -> None:
    """A warning that quotes a name is printed as other text is."""
    from taskbank.bank import open as opening

    def warn(url: str) -> Bank:
        warnings.warn(HOSTILE, stacklevel=1)
        return Bank(url)

    monkeypatch.setattr(opening, "open_bank", warn)
    assert run(["--bank", hostile.url, "list"]) == 0
    assert f"warning: {SHOWN}" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        ["show", "\udcff"],
        ["query", 'task = "\udcff"'],
        ["add-task", "mood", "--train", "\udcff.csv", "--backbone", "x"],
        ["list", "--limit", "9" * 30],
        ["list", "--limit", "9" * 5000],
        ["show", "mood@" + "9" * 30],
        ["accept", "mood", "--verification", "9" * 30, "--reason", "x"],
        ["add-task", "new", "--train", "x.csv", "--rows", "9" * 30, "--backbone", "x"],
        ["add-task", "new", "--train", "x.csv", "--seeds", "9" * 30, "--backbone", "x"],
        ["add-task", "new", "--train", "x.csv", "--search", "size=" + "[" * 5000],
        ["add-task", "new", "--train", "x.csv", "--search", "size=[1e999]"],
        ["query", "(" * 200 + "score > 1" + ")" * 200],
    ],
)
def test_arguments_that_nothing_can_hold_are_refused(hostile: Bank, arguments: list[str]) -> None:
    """Bytes that are not UTF-8, endless numbers and deep nesting are invalid input."""
    assert run(["--bank", hostile.url, *arguments]) == 2
    hostile.close()


def test_every_command_prints_through_the_same_function() -> None:
    """Only this module, and the shell script of `completion`, print text as it is."""
    folder = Path(taskbank.__file__).parent / "cli"
    printing = {path.stem for path in folder.glob("*.py") if "click.echo(" in path.read_text()}
    assert printing == {"output", "completion"}
