"""Command-line options that are derived from the fields of specifications.

Every field of `TaskSpec` and `TrainingSpec` becomes an option, described by its class docstring.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, Field, fields
from functools import partial
from typing import Any

import click

from taskbank import plugins
from taskbank.cli.settings import Command, literal, pairs
from taskbank.data.style import FORMATS
from taskbank.errors import InputError
from taskbank.specs import SHORTCUTS, TaskSpec, TrainingSpec, descriptions

TYPES: Mapping[str, Any] = {"int": int, "float": float, "str": str}
METAVARS: Mapping[str, str] = {
    **dict.fromkeys(("train", "validation", "test"), "DATA"),
    **dict.fromkeys(("text", "text_pair", "label"), "COL"),
    **dict.fromkeys(("delimiter", "quote"), "CHAR"),
    **dict.fromkeys(("format", "encoding"), "NAME"),
    "columns": "COL,COL,…",
    "label_names": "NAMES",
    "abstain": "RULE=LEVEL",
    "options": "K=V",
    "search": "K=V,V,…",
    "start": "REF",
    "tags": "K=V",
}
# Fields that hold several values take one value per option.
FLAGS: Mapping[str, str] = {"options": "--option", "search": "--search", "tags": "--tag"}
FROM = "--from"  # of the field `start`: in Python, `from` is a keyword
# Fields whose values or default columns depend on the installed kinds and methods.
LABEL_NAMES = "Names of the classes, in order, if the data has whole numbers from 0 for them"
STYLE_FIELDS = ("format", "delimiter", "quote", "encoding", "columns")
PLUGIN_HELP: Mapping[str, Callable[[], str]] = {
    "kind": lambda: f" ({', '.join(plugins.names('kinds'))})",
    "method": lambda: f" ({', '.join(plugins.names('methods'))})",
    "text": lambda: _columns(0),
    "text_pair": lambda: _columns(1),
    "label": lambda: _columns(-1),
    "format": lambda: f" ({', '.join(FORMATS)})",
}


class SpecOption(click.Option):
    """An option whose help also lists names from plugins, which are loaded only for the help."""

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        """Return the option and its help text."""
        record = super().get_help_record(ctx)
        if record is None or self.name not in PLUGIN_HELP:
            return record
        text, mark, default = record[1].partition("  [default:")
        return record[0], f"{text.removesuffix('.')}{PLUGIN_HELP[self.name]()}.{mark}{default}"


def spec_options(command: Command) -> Command:
    """Add every field of `TaskSpec` except the name, and of `TrainingSpec`, to a command."""
    described = descriptions(TaskSpec) | descriptions(TrainingSpec)
    options = []
    for field in fields(TaskSpec):
        if field.name == "training":
            options += [_option(training, described) for training in fields(TrainingSpec)]
            continue
        if field.name != "name":
            options.append(_option(field, described))
        if field.name == "method":
            options += [_shortcut(name, text) for name, text in SHORTCUTS.items()]
    for option in reversed(options):
        command = option(command)
    return command


def given_spec(values: Mapping[str, Any]) -> TaskSpec:
    """Return the specification that a command's options describe.

    Args:
        values: the values of the options, and of the argument `name`, maybe among others.

    Raises:
        InputError: if they contradict each other, or one is invalid.
    """
    known = {field.name for field in (*fields(TaskSpec), *fields(TrainingSpec))} | SHORTCUTS.keys()
    given = {key: values[key] for key in known & values.keys() if values[key] is not None}
    options = {key: literal(text) for key, text in pairs(given.pop("options"), "--option").items()}
    for key in SHORTCUTS:
        if key in given and key in options:
            raise InputError(f"{key} is given twice, with --{key} and with --option: leave one out")
    search = {
        key.replace("-", "_"): _searched(text)
        for key, text in pairs(given.pop("search"), "--search").items()
    }
    tags = pairs(given.pop("tags"), "--tag")
    return TaskSpec.of({**given, "options": options, "search": search, "tags": tags})


def _searched(text: str) -> list[Any]:
    """Return the values of a search from a JSON list or from a comma-separated list."""
    parsed = literal(text)
    return parsed if isinstance(parsed, list) else [literal(value) for value in text.split(",")]


def style_options(command: Command, names: Sequence[str] = STYLE_FIELDS) -> Command:
    """Add options that say how files of data are written; see `Style`."""
    described = descriptions(TaskSpec)
    for field in reversed(fields(TaskSpec)):
        if field.name in names:
            command = _option(field, described)(command)
    return command


def reading_options(
    command: Command, style: Sequence[str] = STYLE_FIELDS, label_names: str = LABEL_NAMES
) -> Command:
    """Add the options that say how labelled data of an existing task is read.

    Args:
        command: the command.
        style: the names of the options that say how files are written.
        label_names: what the help says of `--label-names`.
    """
    options = (
        click.option("--text", metavar="COL", help="Column of the texts.  [default: by kind]"),
        click.option(
            "--text-pair", metavar="COL", help="Column of the second texts.  [default: by kind]"
        ),
        click.option("--label", metavar="COL", help="Column of the labels.  [default: by kind]"),
        partial(style_options, names=style),
        click.option(
            "--label-names",
            metavar="NAMES",
            help=f"{label_names}: names with commas between them, or a text file with one name per "
            "line.",
        ),
        click.option(
            "--merge-labels",
            is_flag=True,
            help="Read a label that differs from one of the task's only in letter case, or is the "
            "same number, as that one.",
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command


def _option(field: Field[Any], described: Mapping[str, str]) -> Callable[[Command], Command]:
    text = described[field.name]
    help_text = text[0].upper() + text[1:]
    kind = str(field.type).split(" | ", maxsplit=1)[0]
    own = FROM if field.name == "start" else f"--{field.name.replace('_', '-')}"
    flag = FLAGS.get(field.name, own)
    metavar = METAVARS.get(field.name)
    if field.name in FLAGS:
        help_text = help_text.removesuffix(".") + "; repeatable."
        return click.option(
            flag, field.name, multiple=True, metavar=metavar, help=help_text, cls=SpecOption
        )
    if kind == "bool":
        return click.option(flag, field.name, is_flag=True, help=help_text, cls=SpecOption)
    # The specification applies the defaults, so an option that is not given has no value.
    if field.name in ("epochs", "learning_rate"):
        help_text += "  [default: by method and data size]"
    elif field.default not in (None, "", MISSING):
        help_text += f"  [default: {field.default}]"
    return click.option(
        flag,
        field.name,
        type=TYPES[kind],
        metavar=metavar,
        required=field.default is MISSING,
        help=help_text,
        cls=SpecOption,
    )


def _shortcut(name: str, text: str) -> Callable[[Command], Command]:
    return click.option(
        f"--{name}", name, type=int if name == "size" else str, help=f"{text[0].upper()}{text[1:]}."
    )


def _columns(position: int) -> str:
    """Return the help text for the default name of a column in every kind.

    Args:
        position: 0 for an input's first text, 1 for its second text, -1 for the label.
    """
    names: dict[str, None] = {}
    for kind in map(lambda name: plugins.load("kinds", name), plugins.names("kinds")):
        for inputs in kind.inputs:
            columns = [field.name for field in inputs]
            if position < len(columns):
                names[kind.label.name if position < 0 else columns[position]] = None
    return f" (default, by kind: {', '.join(names)})"
