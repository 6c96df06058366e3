"""The options of `add-task` are the fields of the specifications."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import click
import pytest
from click.testing import CliRunner

from taskbank import plugins
from taskbank.cli.spec_options import spec_options
from taskbank.specs import SHORTCUTS, TaskSpec, TrainingSpec, descriptions

PARSED: dict[str, Any] = {}


@click.command()
@spec_options
def command(**values: Any) -> None:
    """Keep the parsed values."""
    PARSED.clear()
    PARSED.update(values)


def parse(*arguments: str) -> dict[str, Any]:
    """Return the values of the options that are given."""
    result = CliRunner().invoke(command, arguments)
    assert result.exit_code == 0, result.output
    return {key: value for key, value in PARSED.items() if value not in (None, (), False)}


def help_of(name: str) -> str:
    """Return the help text of an option, as `--help` shows it."""
    context = click.Context(command)
    (option,) = (one for one in command.params if one.name == name)
    record = option.get_help_record(context)
    assert record is not None
    return record[1]


def test_every_field_is_one_option_with_the_description_of_its_docstring() -> None:
    """No field is missing or doubled, and the help begins with the field's description."""
    described = descriptions(TaskSpec) | descriptions(TrainingSpec)
    names = [field.name for spec in (TaskSpec, TrainingSpec) for field in fields(spec)]
    wanted = {*names, *SHORTCUTS} - {"name", "training"}
    assert sorted(str(option.name) for option in command.params) == sorted(wanted)
    for name in wanted - SHORTCUTS.keys():
        text = described[name].removesuffix(".")
        assert help_of(name).startswith(text[0].upper() + text[1:]), name


def test_values_have_the_type_of_their_field() -> None:
    """Numbers, flags and repeated options arrive as the specification takes them."""
    given = ["--train", "a.csv", "--rows", "40", "--learning-rate", "1e-3", "--keep-trials"]
    given += ["--tag", "a=b", "--tag", "c=d", "--option", "init_std=1", "--size", "8"]
    assert parse(*given, "--layers", "3", "--search", "size=4,8", "--text-pair", "body") == {
        "train": "a.csv",
        "rows": 40,
        "learning_rate": 0.001,
        "keep_trials": True,
        "tags": ("a=b", "c=d"),
        "options": ("init_std=1",),
        "size": 8,
        "layers": "3",
        "search": ("size=4,8",),
        "text_pair": "body",
    }


def test_an_option_that_is_not_given_has_no_value() -> None:
    """The specification applies its defaults, so only `--train` is required and has a value."""
    assert parse("--train", "a.csv") == {"train": "a.csv"}
    missing = CliRunner().invoke(command, [])
    assert missing.exit_code == 2
    assert "Missing option '--train'" in missing.output
    wrong = CliRunner().invoke(command, ["--train", "a.csv", "--epochs", "many"])
    assert wrong.exit_code == 2
    assert "'many' is not a valid integer" in wrong.output


@pytest.mark.parametrize(
    ("name", "end"),
    [
        ("kind", f" ({', '.join(plugins.names('kinds'))}).  [default: single]"),
        ("method", f" ({', '.join(plugins.names('methods'))}).  [default: houlsby]"),
        ("text", " (default, by kind: text, text_a, question, words)."),
        ("text_pair", " (default, by kind: text_b, context)."),
        ("label", " (default, by kind: label, labels, answers, tags)."),
        ("epochs", ".  [default: by method and data size]"),
        ("batch_size", ".  [default: 32]"),
        ("tags", "; repeatable."),
    ],
)
def test_the_help_ends_with_the_choices_and_the_default(name: str, end: str) -> None:
    """Installed kinds, methods and columns are listed, then the default if there is one."""
    assert help_of(name).endswith(end)
