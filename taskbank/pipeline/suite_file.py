"""Reads a suite: a TOML file of tasks with shared defaults.

    [defaults]                     # for every task, unless its own keys override them
    epochs = 20
    search.learning_rate = [3e-4, 1e-3]

    [[task]]
    name = "cola"
    train = "cola/train.csv"       # relative to the suite's folder
    test = "hf:nyu-mll/glue/cola:validation"
    metric = "matthews"

The keys are the options of `taskbank add-task`, with `_` for `-`; `options`, `search` and `tags`
are tables. All problems of the file are reported at once, each with its line.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections import abc
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

from taskbank.data.hub import HUB
from taskbank.errors import InputError
from taskbank.runtime.regular_file import read_regular
from taskbank.specs import TaskSpec, TrainingSpec

FILES = ("train", "validation", "test")
_NONE = type(None)


def _types() -> dict[str, tuple[type, ...]]:
    """Return the accepted types of every key, from the type hints of the specifications."""
    types: dict[str, tuple[type, ...]] = {}
    for spec in (TaskSpec, TrainingSpec):
        for name, hint in get_type_hints(spec).items():
            accepted = tuple(
                list if get_origin(kind) is abc.Sequence else kind
                for kind in (get_args(hint) or (hint,))
                if kind not in (_NONE, Any)
            )
            if get_origin(hint) in (Mapping, abc.Mapping):
                accepted = (dict,)
            types[name] = (float, int) if accepted == (float,) else accepted
    # The fields of a training are keys of their own, and so are two options of methods.
    return {name: accepted for name, accepted in types.items() if name != "training"} | {
        "size": (int,),
        "layers": (str, int),
        "recipe": (str,),
    }


TYPES = _types()
TYPE_NAMES: dict[tuple[type, ...], str] = {
    (str,): "a string",
    (int,): "a whole number",
    (float, int): "a number",
    (bool,): "true or false",
    (dict,): "a table",
    (str, int): "a string or a whole number",
    (str, list): "a string or a list of strings",
}
# Strings and comments are matched in one pass, so that neither is found inside the other.
STRINGS_AND_COMMENTS = re.compile(
    r"""(?P<lines>"{3}(?:\\.|[^\\])*?"{3,5}(?!")|'{3}.*?'{3,5}(?!'))"""
    r"""|(?P<text>"(?:\\.|[^"\\\n])*"|'[^'\n]*')|(?P<comment>#[^\n]*)""",
    re.DOTALL,
)
MAX_BYTES = 16 * 2**20
MAX_NESTING = 20  # brackets
MAX_DOTS = 1000  # of keys and numbers in a line
BRACKETS = {"[": 1, "{": 1, "]": -1, "}": -1}
TABLE = re.compile(r"\s*\[\[?\s*([\w.\- \"']+?)\s*\]\]?\s*(#.*)?")
KEY = re.compile(r"""\s*["']?([\w\-]+)["']?\s*(?:\.\s*["']?([\w\-]+)["']?\s*)?[.=]""")

Values = Mapping[str, Any]
Lines = Mapping[tuple[Any, ...], int]
Problem = tuple[int, str]  # line number, or 0 if unknown, and description


@dataclass(frozen=True)
class Entry:
    """A task of a suite.

    Attributes:
        name: the task's name.
        line: number of the line on which the task begins.
        values: the task's keys and values, defaults included.
    """

    name: str
    line: int
    values: Values


def read_suite(path: Path, folder: Path) -> tuple[Entry, ...]:
    """Return the tasks of a suite.

    Args:
        path: path of the TOML file.
        folder: the folder that relative paths refer to.

    Raises:
        InputError: if the suite is invalid; the message lists every problem with its line.
    """
    entries, problems = valid_entries(path, folder)
    raise_problems(path, problems)
    return entries


def valid_entries(path: Path, folder: Path) -> tuple[tuple[Entry, ...], list[Problem]]:
    """Return the tasks of a suite whose keys are valid, and the problems of the suite.

    Args:
        path: path of the TOML file.
        folder: the folder that relative paths refer to.

    Raises:
        InputError: if the file cannot be read or is not TOML.
    """
    try:
        text = read_regular(path, MAX_BYTES).decode("utf-8-sig")
        _check_nesting(path, text)
        document = tomllib.loads(text)
    except OSError as error:
        raise InputError(f"suite {path} cannot be read: {error.strerror}") from None
    # An integer of thousands of digits is a ValueError, as are errors of TOML and of UTF-8.
    except (ValueError, RecursionError) as error:
        raise InputError(f"suite {path} is not TOML: {error}") from None
    lines = _lines(text)
    problems = list(_problems(document, lines))
    defaults, tasks = document.get("defaults", {}), document.get("task", [])
    entries = []
    for number, task in enumerate(tasks if isinstance(tasks, list) else []):
        values = _merge(defaults, task) if isinstance(task, dict) else {}
        complete = "name" in values and "train" in values
        if complete and not any(_value_problems(number, values, lines)):
            entries.append(
                Entry(task["name"], _line(lines, number), _resolve_paths(values, folder))
            )
    return tuple(entries), problems


def _check_nesting(path: Path, text: str) -> None:
    """Raise if brackets or dotted keys are nested more deeply than in any suite."""
    depth = 0
    plain = STRINGS_AND_COMMENTS.sub(lambda match: "\n" * match[0].count("\n"), text)
    for number, line in enumerate(plain.split("\n"), start=1):
        for sign in line:
            depth += BRACKETS.get(sign, 0)
            if depth > MAX_NESTING:
                raise InputError(
                    f"suite {path}, line {number}: brackets are nested more than {MAX_NESTING} deep"
                )
        if line.count(".") > MAX_DOTS:
            raise InputError(f"suite {path}, line {number}: it has more than {MAX_DOTS} dots")


def _lines(text: str) -> dict[tuple[Any, ...], int]:
    """Return the line number of every task, and of every key of the tasks and the defaults.

    A task is identified by its index, a key by the task's index (or `defaults`) and its path.
    """
    lines: dict[tuple[Any, ...], int] = {}
    table_path: tuple[Any, ...] = ()
    index, depth = -1, 0
    for number, line in enumerate(STRINGS_AND_COMMENTS.sub(_blank, text).split("\n"), start=1):
        inside_value, depth = depth, depth + _bracket_balance(line)
        if inside_value:  # a value that began on an earlier line
            continue
        table = TABLE.fullmatch(line)
        if table is not None:
            name, *rest = (part.strip(" \"'") for part in table[1].split("."))
            index += line.lstrip().startswith("[[") and name == "task" and not rest
            table_path = (index if name == "task" else name, *rest)
            lines.setdefault(table_path, number)
            continue
        key = KEY.match(line)
        if key is not None:
            lines.setdefault((*table_path, key[1]), number)
            lines.setdefault((*table_path, key[1], key[2]), number)
    return lines


def _blank(match: re.Match[str]) -> str:
    """Return a string or comment for the line scan; a multi-line string keeps only its newlines."""
    return match[0] if match["lines"] is None else '""' + "\n" * match[0].count("\n")


def _bracket_balance(line: str) -> int:
    """Return the number of opening brackets minus the number of closing brackets."""
    return sum(BRACKETS.get(sign, 0) for sign in STRINGS_AND_COMMENTS.sub("", line))


def _line(lines: Lines, *path: str | int) -> int:
    """Return the line of a key or task, else that of its nearest known parent, else 0."""
    for end in range(len(path), 0, -1):
        if path[:end] in lines:
            return lines[path[:end]]
    # Tasks may also be written as a list: task = [{name = "cola", …}]
    return lines.get(("task",), 0) if isinstance(path[0], int) else 0


def _problems(document: Values, lines: Lines) -> Iterator[Problem]:
    for key in document.keys() - {"defaults", "task"}:
        yield _line(lines, key), f"{key!r} is unknown: a suite has [defaults] and [[task]]"
    defaults, tasks = document.get("defaults", {}), document.get("task", [])
    if not isinstance(defaults, dict) or not isinstance(tasks, list) or not tasks:
        line = _line(lines, -1)  # the line of a [task] with single brackets
        yield line, "the suite has no tasks: write [[task]], two brackets, before each task"
        return
    yield from _value_problems("defaults", defaults, lines)
    seen: dict[str, int] = {}
    for number, task in enumerate(tasks):
        line = _line(lines, number)
        if not isinstance(task, dict):
            yield line, f"a task is {task!r}: write [[task]] before its keys"
            continue
        yield from _value_problems(number, task, lines)
        for key in ("name", "train"):
            if key not in task and (key == "name" or key not in defaults):
                yield line, f"the task {task.get('name', '')!r} has no {key!r}"
        name = task.get("name")
        if isinstance(name, str) and name in seen:
            yield line, f"the task {name!r} already appears on line {seen[name]}: rename one"
        elif isinstance(name, str):
            seen[name] = line


def _value_problems(section: str | int, values: Values, lines: Lines) -> Iterator[Problem]:
    for key, value in values.items():
        line = _line(lines, section, key)
        types = TYPES.get(key)
        if types is None or (key == "name" and section == "defaults"):
            # The command line calls this key --from.
            near = ["start"] if key == "from" else difflib.get_close_matches(key, TYPES, 1)
            hint = f"did you mean {near[0]!r}?" if near else f"the keys are {', '.join(TYPES)}"
            yield line, f"{key!r} is unknown: {hint}"
        elif not isinstance(value, types) or (isinstance(value, bool) and bool not in types):
            yield line, f"{key} is {value!r}: it must be {TYPE_NAMES[types]}"
        elif isinstance(value, dict) and key == "search":
            for name, choices in value.items():
                if not isinstance(choices, list):
                    search_line = _line(lines, section, key, name)
                    yield search_line, f"search.{name} is {choices!r}: write a list of values"
        elif isinstance(value, dict) and key == "tags":
            for name, tag in value.items():
                if not isinstance(tag, str):
                    yield line, f"tags.{name} is {tag!r}: it must be a string"


def _merge(defaults: Values, task: Values) -> dict[str, Any]:
    merged = dict(defaults)
    for key, value in task.items():
        both_tables = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = merged[key] | value if both_tables else value
    return merged


def _resolve_paths(values: dict[str, Any], folder: Path) -> dict[str, Any]:
    return values | {key: str(folder / values[key]) for key in path_keys(values)}


def path_keys(values: Values) -> Iterator[str]:
    """Yield the keys of a task whose values are paths of files or folders."""
    for key in FILES:
        source = values.get(key)
        if source is not None and not source.startswith(HUB):
            yield key
    names = values.get("label_names")
    if isinstance(names, str) and "," not in names:
        yield "label_names"


def raise_problems(path: Path, problems: Sequence[Problem | None]) -> None:
    """Raise one error that lists all problems of a suite, if there are any.

    Args:
        path: path of the suite.
        problems: the problems; entries that are None are ignored.

    Raises:
        InputError: if there is a problem; the message has one line per problem.
    """
    actual = sorted(problem for problem in problems if problem is not None)
    if actual:
        listed = "".join(f"\n  {f'line {line}: ' if line else ''}{text}" for line, text in actual)
        raise InputError(
            f"suite {path} has {len(actual)} problem{'s' if len(actual) > 1 else ''}:{listed}"
        )
