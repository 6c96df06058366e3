"""Writes the generated sections of the documentation from the code.

A section stands between two comments, so it may be part of a page that is written by hand:

    <!-- generated: methods -->
    ...
    <!-- end generated -->

The pages are committed with these sections filled in: they are readable without a build, a change
of the interface shows in its diff, and a test compares them with the code.

usage: python -m scripts.documentation.reference [FOLDER]
"""

from __future__ import annotations

import ast
import json
import re
import sys
import tomllib
from collections.abc import Callable, Iterator, Sequence
from inspect import isclass
from pathlib import Path
from typing import Any

import click

import taskbank
from taskbank import errors, plugins
from taskbank.cli import commands, main
from taskbank.kinds.kind import Kind
from taskbank.methods.method import Method
from taskbank.pipeline import suite_file
from taskbank.specs import SHORTCUTS, TaskSpec, TrainingSpec, descriptions

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
SECTION = re.compile(
    r"(?P<start><!-- generated: (?P<name>[\w -]+) -->\n).*?(?P<end><!-- end generated -->)",
    re.DOTALL,
)
# What a process says with its exit code. The codes of errors are on their classes.
EXIT_CODES = {
    0: "success",
    1: "a verification has findings, a task of a suite failed, or a requirement is not met",
    2: "usage error or bad input; nothing was changed",
    3: "the bank is damaged or has another schema version",
    4: "the backbone is not the recorded one",
    5: "memory, disk space or file handles ran out, a disk failed, or a server was lost; nothing "
    "was recorded in part, and the command can be run again",
    main.BUG: "a defect in taskbank",
    130: "interrupted (Ctrl-C, SIGINT)",
    143: "terminated (SIGTERM); 129 for SIGHUP",
}
EVERYWHERE = {"--bank", "--quiet"}  # options of every command, described once


def fill(page: str) -> str:
    """Return a page with its generated sections as the code gives them.

    Args:
        page: its Markdown text.

    Raises:
        KeyError: if a section has a name that this script does not know.
    """
    return SECTION.sub(
        lambda found: f"{found['start']}\n{SECTIONS[found['name']]()}\n{found['end']}", page
    )


def command_line() -> str:
    """Return a section for each command: its usage, its help and its options."""
    parent = _context()
    return "\n".join(
        _command(command, click.Context(command, info_name=name, parent=parent))
        for name, command in sorted(commands.cli.commands.items())
    )


def _context() -> click.Context:
    return click.Context(commands.cli, info_name="taskbank", **commands.cli.context_settings)


def _command(command: click.Command, context: click.Context) -> str:
    usage = " ".join(command.collect_usage_pieces(context))
    lines = [
        f"## {context.command_path}\n",
        f"```text\n{context.command_path} {usage}\n```\n",
        *(f"{_escaped(_plain(part))}\n" for part in (command.help or "").split("\n\n")),
    ]
    own = [param for param in command.params if not EVERYWHERE & set(param.opts)]
    lines.append(_options(own, context))
    if isinstance(command, click.Group):
        for name, part in sorted(command.commands.items()):
            lines.append("#" + _command(part, click.Context(part, info_name=name, parent=context)))
    return "\n".join(lines)


def _options(params: Sequence[click.Parameter], context: click.Context) -> str:
    options = (param for param in params if isinstance(param, click.Option))
    records = filter(None, (option.get_help_record(context) for option in options))
    rows = [(f"`{name}`", _escaped(text)) for name, text in records]
    return _table(("option", "meaning"), rows) if rows else ""


def global_options() -> str:
    """Return the table of the options that may stand before any command."""
    context = _context()
    return _options(commands.cli.get_params(context), context)


def _plain(text: str) -> str:
    """Return a text in one line."""
    return " ".join(text.replace("\b", "").split())


def _escaped(text: str) -> str:
    """Return a text in which no character but the backticks around code is Markdown."""
    special = {"<": "&lt;"}
    return re.sub(
        r"(`[^`]*`)|([*<\[\]])",
        lambda found: found[1] or special.get(found[2], f"\\{found[2]}"),
        text,
    )


def kinds() -> str:
    """Return the table of kinds, those of installed plugins included."""
    return _table(
        ("kind", "input and prediction", "columns", "metric"),
        [
            (f"`{name}`", kind.summary, _columns(kind), f"`{kind.metric}`")
            for name, kind in _loaded("kinds")
        ],
    )


def _columns(kind: Kind) -> str:
    inputs = " or ".join(", ".join(f"`{field.name}`" for field in fields) for fields in kind.inputs)
    return f"{inputs}; `{kind.label.name}`"


def methods() -> str:
    """Return the table of methods, those of installed plugins included."""
    found: list[tuple[str, Method]] = list(_loaded("methods"))
    return _table(
        ("method", "trained beside the head", "learning rate", "weights stored"),
        [
            (
                f"[`{name}`](#{name})",
                method.summary,
                f"{method.rate:g}",
                "yes" if method.stored else "with `--keep-weights`",
            )
            for name, method in found
        ],
    )


def method_options() -> str:
    """Return a section for each method with its options."""
    return "\n".join(
        f"### {name}\n\n"
        + _table(
            ("option", "default", "meaning"),
            [
                (f"`{key}`", f"`{_as_text(option.default)}`", option.summary)
                for key, option in method.options.items()
            ],
        )
        for name, method in _loaded("methods")
    )


def _as_text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def suite_keys() -> str:
    """Return the table of the keys that a task of a suite may have."""
    described = {**descriptions(TaskSpec), **descriptions(TrainingSpec), **SHORTCUTS}
    return _table(
        ("key", "value", "meaning"),
        [
            (f"`{key}`", suite_file.TYPE_NAMES[types], _escaped(described[key].removesuffix(".")))
            for key, types in suite_file.TYPES.items()
        ],
    )


def architectures() -> str:
    """Return the architectures that a backbone may have, those of plugins included."""
    return ", ".join(f"`{name}`" for name in plugins.names("architectures")) + "\n"


def _loaded(group: str) -> Iterator[tuple[str, Any]]:
    """Yield each name of a group with what it stands for: the built-in ones first, in order."""
    built_in = list(plugins.TABLES[group])
    for name in [*built_in, *(n for n in plugins.names(group) if n not in built_in)]:
        yield name, plugins.load(group, name)


def exit_codes() -> str:
    """Return the table of exit codes, with the errors that lead to each."""
    raised: dict[int, list[str]] = {code: [] for code in EXIT_CODES}
    for name, value in vars(errors).items():
        if isclass(value) and issubclass(value, errors.TaskbankError):
            raised[value.exit_code].append(f"`{name}`")
    return _table(
        ("exit code", "meaning", "errors"),
        [(str(code), text, ", ".join(raised[code])) for code, text in EXIT_CODES.items()],
    )


def python() -> str:
    """Return an entry for each public name of the package, for mkdocstrings to fill in."""
    stub = ast.parse(Path(taskbank.__file__).with_suffix(".pyi").read_text(encoding="utf-8"))
    imported, public = {}, {}
    for node in stub.body:
        if isinstance(node, ast.ImportFrom):
            for alias in node.names:
                imported[alias.name] = f"{node.module}.{alias.name}"
                if alias.asname is not None:  # a stub exports a name with `name as name`
                    public[alias.asname] = imported[alias.name]
        elif isinstance(node, ast.Assign):
            public[ast.unparse(node.targets[0])] = imported[ast.unparse(node.value)]
    names = sorted(public, key=str.lower)
    return "\n".join(f"## taskbank.{name}\n\n::: {public[name]}\n" for name in names)


def tree() -> str:
    """Return the files of the package, each with the first line of its docstring."""
    return "```text\n" + "\n".join(_branch(Path(taskbank.__file__).parent, 0)) + "\n```\n"


def _branch(folder: Path, depth: int) -> Iterator[str]:
    yield f"{'  ' * depth}{folder.name}/"
    inside = [path for path in folder.iterdir() if path.name not in ("__pycache__", "__init__.py")]
    for path in sorted(inside, key=lambda path: (path.is_dir(), path.name)):
        if path.is_dir():
            yield from _branch(path, depth + 1)
        elif path.suffix == ".py":
            first = (ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").split(
                "\n\n"
            )[0]
            summary = _plain(first).rstrip(".")
            yield f"{'  ' * (depth + 1)}{path.name:<{24 - 2 * depth}} {summary}"


def layers() -> str:
    """Return the layers of the import contract, the uppermost first."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    contracts = settings["tool"]["importlinter"]["contracts"]
    (found,) = [contract["layers"] for contract in contracts if contract["type"] == "layers"]
    lines = [layer.replace("taskbank.", "") for layer in found]
    return "```text\n" + "\n".join(lines) + "\n```\n"


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table."""
    cells = [columns, ["---"] * len(columns), *rows]
    lines = (" | ".join(_plain(cell).replace("|", r"\|") for cell in row) for row in cells)
    return "".join(f"| {line} |\n" for line in lines)


SECTIONS: dict[str, Callable[[], str]] = {
    "global options": global_options,
    "command line": command_line,
    "kinds": kinds,
    "methods": methods,
    "method options": method_options,
    "architectures": architectures,
    "suite keys": suite_keys,
    "exit codes": exit_codes,
    "python": python,
    "tree": tree,
    "layers": layers,
}


if __name__ == "__main__":
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else DOCS
    for path in sorted(folder.rglob("*.md")):
        text = path.read_text(encoding="utf-8")
        if fill(text) != text:
            path.write_text(fill(text), encoding="utf-8")
            print(f"wrote {path}")
