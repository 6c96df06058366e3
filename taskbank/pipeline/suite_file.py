"""Reads a suite: a TOML file of tasks with shared defaults.

    [defaults]                     # for every task that does not say otherwise
    epochs = 20
    search.learning_rate = [3e-4, 1e-3]

    [[task]]
    name = "cola"
    train = "cola/train.csv"       # files are looked for beside the suite
    test = "hf:nyu-mll/glue/cola:validation"
    metric = "matthews"

The keys are the options of `taskbank add-task`, with `_` for `-`; `options`, `search` and `tags`
are tables. Everything that is wrong with the file is said at once, with its line.
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
from taskbank.specs import TaskSpec, TrainingSpec

FILES = ("train", "validation", "test")
_NONE = type(None)


def _types() -> dict[str, tuple[type, ...]]:
    """Return the types that the value of each key may have, from the fields they set."""
    found: dict[str, tuple[type, ...]] = {}
    for spec in (TaskSpec, TrainingSpec):
        for name, hint in get_type_hints(spec).items():
            kinds = tuple(kind for kind in (get_args(hint) or (hint,)) if kind is not _NONE)
            if get_origin(hint) in (Mapping, abc.Mapping):
                kinds = (dict,)
            found[name] = (float, int) if kinds == (float,) else kinds
    # A training has its own keys, and the shortcuts are options of methods.
    return {name: kinds for name, kinds in found.items() if name != "training"} | {
        "size": (int,),
        "layers": (str, int),
    }


TYPES = _types()
NAMES: dict[tuple[type, ...], str] = {
    (str,): "a text",
    (int,): "a whole number",
    (float, int): "a number",
    (bool,): "true or false",
    (dict,): "a table",
    (str, int): "a text or a whole number",
}
# Matched one after the other, so that none of them is looked for inside another.
APART = re.compile(
    r"""(?P<lines>"{3}(?:\\.|[^\\])*?"{3,5}(?!")|'{3}.*?'{3,5}(?!'))"""
    r"""|(?P<text>"(?:\\.|[^"\\\n])*"|'[^'\n]*')|(?P<comment>#[^\n]*)""",
    re.DOTALL,
)
BRACKETS = {"[": 1, "{": 1, "]": -1, "}": -1}
TABLE = re.compile(r"\s*\[\[?\s*([\w.\- \"']+?)\s*\]\]?\s*(#.*)?")
KEY = re.compile(r"""\s*["']?([\w\-]+)["']?\s*(?:\.\s*["']?([\w\-]+)["']?\s*)?[.=]""")

Values = Mapping[str, Any]
Lines = Mapping[tuple[Any, ...], int]
Problem = tuple[int, str]  # a line, 0 where none is known, and what is wrong there


@dataclass(frozen=True)
class Entry:
    """A task of a suite.

    Attributes:
        name: of the task.
        line: where it begins.
        values: what is said of it, defaults included.
    """

    name: str
    line: int
    values: Values


def read_suite(path: Path, folder: Path) -> tuple[Entry, ...]:
    """Return the tasks of a suite.

    Args:
        path: of the TOML file.
        folder: in which relative files are looked for.

    Raises:
        InputError: naming everything that is wrong with it, with lines.
    """
    entries, problems = sound_entries(path, folder)
    raise_all(path, problems)
    return entries


def sound_entries(path: Path, folder: Path) -> tuple[tuple[Entry, ...], list[Problem]]:
    """Return the tasks of a suite whose keys are as they should be, and what is wrong with others.

    Args:
        path: of the TOML file.
        folder: in which relative files are looked for.

    Raises:
        InputError: if it cannot be read, or is no TOML.
    """
    try:
        text = path.read_text(encoding="utf-8")
        document = tomllib.loads(text)
    except OSError as error:
        raise InputError(f"suite {path} cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"suite {path} is not TOML: {error}") from None
    lines = _lines(text)
    problems = list(_problems(document, lines))
    defaults, tasks = document.get("defaults", {}), document.get("task", [])
    entries = []
    for number, task in enumerate(tasks if isinstance(tasks, list) else []):
        values = _merged(defaults, task) if isinstance(task, dict) else {}
        complete = "name" in values and "train" in values
        if complete and not any(_wrong_values(number, values, lines)):
            entries.append(Entry(task["name"], _line(lines, number), _in_folder(values, folder)))
    return tuple(entries), problems


def _lines(text: str) -> dict[tuple[Any, ...], int]:
    """Return the line of every task, and of every key of it and of the defaults.

    A task is known by its number, a key by that (or `defaults`) and its path.
    """
    found: dict[tuple[Any, ...], int] = {}
    where: tuple[Any, ...] = ()
    count, depth = -1, 0
    for number, line in enumerate(APART.sub(_blank, text).split("\n"), start=1):
        inside, depth = depth, depth + _opened(line)
        if inside:  # a value that began further up
            continue
        table = TABLE.fullmatch(line)
        if table is not None:
            name, *rest = (part.strip(" \"'") for part in table[1].split("."))
            count += line.lstrip().startswith("[[") and name == "task" and not rest
            where = (count if name == "task" else name, *rest)
            found.setdefault(where, number)
            continue
        key = KEY.match(line)
        if key is not None:
            found.setdefault((*where, key[1]), number)
            found.setdefault((*where, key[1], key[2]), number)
    return found


def _blank(match: re.Match[str]) -> str:
    """Return a text or comment as it may stay for the scan: one of several lines without them."""
    return match[0] if match["lines"] is None else '""' + "\n" * match[0].count("\n")


def _opened(line: str) -> int:
    """Return how many more brackets a line opens than it closes."""
    return sum(BRACKETS.get(sign, 0) for sign in APART.sub("", line))


def _line(lines: Lines, *path: str | int) -> int:
    """Return the line of a key or task, or of what it is in; 0 where that is not known."""
    for end in range(len(path), 0, -1):
        if path[:end] in lines:
            return lines[path[:end]]
    # A task may also be in a list: task = [{name = "cola", …}]
    return lines.get(("task",), 0) if isinstance(path[0], int) else 0


def _problems(document: Values, lines: Lines) -> Iterator[Problem]:
    for key in document.keys() - {"defaults", "task"}:
        yield _line(lines, key), f"{key!r} is unknown: a suite has [defaults] and [[task]]"
    defaults, tasks = document.get("defaults", {}), document.get("task", [])
    if not isinstance(defaults, dict) or not isinstance(tasks, list) or not tasks:
        line = _line(lines, -1)  # of [task], which is no task of a list
        yield line, "it has no tasks: write [[task]] before the keys of each, with two brackets"
        return
    yield from _wrong_values("defaults", defaults, lines)
    seen: dict[str, int] = {}
    for number, task in enumerate(tasks):
        line = _line(lines, number)
        if not isinstance(task, dict):
            yield line, f"a task is {task!r}: write [[task]] before its keys"
            continue
        yield from _wrong_values(number, task, lines)
        for key in ("name", "train"):
            if key not in task and (key == "name" or key not in defaults):
                yield line, f"the task {task.get('name', '')!r} has no {key!r}"
        name = task.get("name")
        if isinstance(name, str) and name in seen:
            yield line, f"the task {name!r} is there already, on line {seen[name]}: rename one"
        elif isinstance(name, str):
            seen[name] = line


def _wrong_values(where: str | int, values: Values, lines: Lines) -> Iterator[Problem]:
    for key, value in values.items():
        line = _line(lines, where, key)
        types = TYPES.get(key)
        if types is None or (key == "name" and where == "defaults"):
            near = difflib.get_close_matches(key, TYPES, 1)
            hint = f"did you mean {near[0]!r}?" if near else f"it can be {', '.join(TYPES)}"
            yield line, f"{key!r} is unknown: {hint}"
        elif not isinstance(value, types) or (isinstance(value, bool) and bool not in types):
            yield line, f"{key} is {value!r}: it must be {NAMES[types]}"
        elif isinstance(value, dict) and key == "search":
            for name, own in value.items():
                if not isinstance(own, list):
                    own_line = _line(lines, where, key, name)
                    yield own_line, f"search.{name} is {own!r}: write a list of values"
        elif isinstance(value, dict) and key == "tags":
            for name, own in value.items():
                if not isinstance(own, str):
                    yield line, f"tags.{name} is {own!r}: it must be a text"


def _merged(defaults: Values, task: Values) -> dict[str, Any]:
    found = dict(defaults)
    for key, value in task.items():
        both = isinstance(value, dict) and isinstance(found.get(key), dict)
        found[key] = found[key] | value if both else value
    return found


def _in_folder(values: dict[str, Any], folder: Path) -> dict[str, Any]:
    for key in FILES:
        source = values.get(key)
        if source is not None and not source.startswith(HUB):
            values[key] = str(folder / source)
    return values


def raise_all(path: Path, problems: Sequence[Problem | None]) -> None:
    """Raise one error for everything that is wrong with a suite, if anything is.

    Args:
        path: of the suite.
        problems: line (0 where it is not known) and text of each; none where there was no problem.

    Raises:
        InputError: with a line for each.
    """
    found = sorted(problem for problem in problems if problem is not None)
    if found:
        listed = "".join(f"\n  {f'line {line}: ' if line else ''}{text}" for line, text in found)
        raise InputError(
            f"suite {path} has {len(found)} problem{'s' if len(found) > 1 else ''}:{listed}"
        )
