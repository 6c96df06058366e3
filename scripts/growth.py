"""Whether things stay as they are while a bank grows: memory, time a task, bytes a task.

    python scripts/growth.py FOLDER --backbone SPEC [--tasks 10 100 1000] [--catalog SCALE.CSV]

Makes a bank of each size in FOLDER: untrained adapters of size 8, each with weights of its own and
8 examples. What is measured are commands, each as a process of its own, in turn:

- `verify-all`: at level `full`, everything that is stored is read and predicted again.
- `file`: `predict --task '*' --file` asks every task about 8 texts.
- `predict`: one task, by its alias, about one text. This is what every command that predicts takes
  to start, so it is taken off where time a task is beyond the start.
- `list`: the newest 50.

Prints a table, and writes it to FOLDER as growth.md; every run's numbers as growth.csv and
growth.json; the curves as growth.png and growth.svg. With `--catalog`, what catalog_scale.py
measured is drawn below them. With `--draw`, nothing is measured: what is in FOLDER is drawn again.
How long it takes to switch between loaded tasks is in serving_speed.py.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from catalog_scale import NAMES, OPERATIONS, Timing, read
from peers import backbone_folder, run_worker
from pictures import STYLES, check_matplotlib, picture
from processes import commandline, cost
from side_by_side import Found, in_turn, markdown, shown, values, write

from taskbank.bank.bank import Bank

ALIAS = "production"
TEXT = "Where is my invoice?"
# Tasks have nothing but their texts to tell them apart, and these nothing to say.
WORDS = (
    "the a new old order invoice screen never always works fails slow quick support answer very "
    "good bad late early again where when password page charge refund price upload"
)
SHORTEST, LONGEST = 6, 24  # words of a text
COMMANDS = {
    "verify-all": "verify-all",
    "file": "predict --task '*' --file",
    "predict": "predict, one task",
    "list": "list",
}
STARTED = "predict"  # what a start costs
MANY = ("verify-all", "file")  # commands that go through every task
SYSTEMS = {"sqlite": 0, "postgresql": 1, "mlflow": 2}  # which style each has

Runs = Mapping[tuple[str, int], Sequence[Found]]  # by command and number of tasks


def made_texts(tasks: int, rows: int) -> list[dict[str, list[str]]]:
    """Return the columns of each task's examples; equal numbers give equal ones."""
    chance, words = random.Random(0), WORDS.split()
    return [
        {
            "text": [
                " ".join(chance.choices(words, k=chance.randint(SHORTEST, LONGEST)))
                for _ in range(rows)
            ],
            "label": ["no", "yes"] * (rows // 2),
        }
        for _ in range(tasks)
    ]


def make_bank(given: argparse.Namespace, tasks: int) -> Path:
    """Make a bank of so many tasks, each with an alias, and return its file."""
    file: Path = given.folder.resolve() / f"growth-{tasks}.db"
    texts = file.with_suffix(".texts.json")
    texts.write_text(json.dumps({"tasks": made_texts(tasks, given.rows)}), encoding="utf-8")
    job = {
        "part": "fill",
        "backbone": str(backbone_folder(given.backbone)),
        "bank": str(file),
        "texts": str(texts),
        "method": "houlsby",
        "size": given.size,
        "max_length": 128,
        "threads": given.threads,
    }
    run_worker(Path(sys.executable), "taskbank_serving.py", job, given.folder / "runs")
    with Bank(f"sqlite:///{file}") as bank:
        for record in bank.adapters():
            bank.alias(record.ref, ALIAS)
    return file


def measure(given: argparse.Namespace) -> dict[str, list[Found]]:
    """Make the banks, and return what each command cost with each of them, round by round."""
    asked = given.folder / "asked.txt"
    asked.write_text("".join(f"{TEXT} {number}\n" for number in range(given.rows)))
    sides: dict[str, Callable[[], Found]] = {}
    for tasks in given.tasks:
        file = make_bank(given, tasks)
        about = {"tasks": tasks, "kilobytes": file.stat().st_size / 1000 / tasks}
        arguments = {
            "verify-all": ["verify-all", "--level", "full", "--device", "cpu"],
            "file": ["predict", "--task", "*", "--file", str(asked), "--device", "cpu"],
            "predict": ["predict", f"task-{tasks // 2}@{ALIAS}", TEXT, "--device", "cpu"],
            "list": ["list"],
        }
        for command, words in arguments.items():
            line = commandline(f"sqlite:///{file}", *words)
            sides[f"{command}-{tasks}"] = partial(
                _measured, {"command": command} | about, line, given.threads
            )
    return in_turn(sides, given.repeats, "growth")


def _measured(about: Found, command: Sequence[str], threads: int) -> Found:
    return about | cost(command, threads)


def beyond_the_start(runs: Runs, command: str, tasks: int) -> list[float]:
    """Return the processor's milliseconds a task, less those of the start, round by round."""
    whole, start = runs[command, tasks], runs[STARTED, tasks]
    return [
        1000 * (one - other) / tasks
        for one, other in zip(values(whole, "processor"), values(start, "processor"), strict=True)
    ]


def table(runs: Runs) -> str:
    """Return what was measured as a Markdown table, a column a bank."""
    sizes = sorted({tasks for _, tasks in runs})
    lines = [["", *(f"{tasks:,} tasks" for tasks in sizes)]]
    for command, words in COMMANDS.items():
        own = [runs[command, tasks] for tasks in sizes]
        lines.append([f"`{words}`: peak, MiB", *(shown(values(one, "memory"), 0) for one in own)])
        lines.append(["— seconds", *(shown(values(one, "seconds"), 1) for one in own)])
        if command in MANY:
            taken = [shown(beyond_the_start(runs, command, tasks), 0) for tasks in sizes]
            lines.append(["— processor ms a task, beyond the start", *taken])
    sizes_of_files = [f"{runs[STARTED, tasks][0]['kilobytes']:,.0f}" for tasks in sizes]
    lines.append(["database file, kB a task", *sizes_of_files])
    return markdown(lines)


# The picture


def draw(path: Path, runs: Runs, catalog: Sequence[Timing] = (), note: str = "") -> None:
    """Draw the curves, those of the catalog below.

    Args:
        path: of the picture, without an ending.
        runs: what was measured.
        catalog: what catalog_scale.py measured.
        note: under the picture, such as what it was measured on.
    """
    height = 8.2 if catalog else 3.2
    shape: dict[str, Any] = {"nrows": 3 if catalog else 1, "ncols": 3, "figsize": (10.6, height)}
    with picture(path, **shape) as (figure, axes):
        memory, time, single = axes[0]
        _draw_commands(memory, runs, tuple(COMMANDS), lambda *of: values(runs[of], "memory"))
        memory.set_title("peak memory of a command", loc="left")
        memory.set_ylabel("MiB")
        memory.legend(fontsize=7, loc="center", bbox_to_anchor=(0.6, 0.33))  # between the curves
        _draw_commands(time, runs, MANY, lambda *of: beyond_the_start(runs, *of))
        time.set_title("time a task, beyond the start", loc="left")
        time.set_ylabel("ms of the processor")
        _draw_commands(single, runs, ("predict", "list"), lambda *of: values(runs[of], "seconds"))
        single.set_title("time of a command that asks little", loc="left")
        single.set_ylabel("seconds")
        if catalog:
            for axis, operation in zip(axes[1:].flat, OPERATIONS, strict=True):
                _draw_operation(axis, operation, catalog)
            axes[1][0].legend(fontsize=7)
        about = "median, lowest and highest" + (f"; {note}" if note else "")
        figure.supxlabel(about, fontsize=7, x=0.01, ha="left")


def _number_axis(axis: Any, label: str, sizes: Iterable[int]) -> None:
    from matplotlib.ticker import FuncFormatter, NullFormatter

    axis.set_xscale("log")
    axis.set_xticks(sorted(set(sizes)))
    axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axis.xaxis.set_minor_formatter(NullFormatter())
    axis.set_xlabel(f"{label} (log scale)")


def _draw_commands(
    axis: Any, runs: Runs, commands: Sequence[str], numbers: Callable[[str, int], list[float]]
) -> None:
    for style, command in zip(STYLES, COMMANDS, strict=False):
        if command in commands:
            sizes = [tasks for name, tasks in runs if name == command]
            curve = {tasks: numbers(command, tasks) for tasks in sizes}
            _draw_curve(axis, curve, COMMANDS[command], style)
    axis.set_ylim(0, 1.35 * axis.get_ylim()[1])  # what is flat is seen to be
    axis.margins(x=0.1)
    _number_axis(axis, "tasks in the bank", (tasks for _, tasks in runs))
    axis.legend(fontsize=7)


def _draw_curve(
    axis: Any, curve: Mapping[int, Sequence[float]], label: str, style: Mapping[str, Any]
) -> None:
    """Draw medians, with the lowest and the highest as a bar."""
    middle = [median(own) for own in curve.values()]
    below = [one - min(own) for one, own in zip(middle, curve.values(), strict=True)]
    above = [max(own) - one for one, own in zip(middle, curve.values(), strict=True)]
    axis.errorbar(
        list(curve), middle, yerr=[below, above], label=label, elinewidth=0.8, capsize=2, **style
    )


def _draw_operation(axis: Any, operation: str, timings: Sequence[Timing]) -> None:
    for system, number in SYSTEMS.items():
        curve = {
            one.adapters: one.milliseconds
            for one in timings
            if (one.system, one.operation) == (system, operation)
        }
        if curve:
            _draw_curve(axis, curve, NAMES[system], STYLES[number])
    # The same for all, so that one can be seen to take longer than another.
    every = [one.median for one in timings]
    axis.set_yscale("log")
    axis.set_ylim(min(every) / 2, max(every) * 2)
    axis.set_xlim(
        min(one.adapters for one in timings) / 2, max(one.adapters for one in timings) * 2
    )
    axis.set_title(OPERATIONS[operation], loc="left")
    axis.set_ylabel("ms (log scale)")
    _plain_numbers(axis)
    _number_axis(axis, "adapters in the catalog", (one.adapters for one in timings))


def _plain_numbers(axis: Any) -> None:
    from matplotlib.ticker import FuncFormatter, NullFormatter

    axis.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
    axis.yaxis.set_minor_formatter(NullFormatter())


def by_command(found: Mapping[str, Sequence[Found]]) -> Runs:
    """Return runs by command and number of tasks, the smallest bank first."""
    named = {(own[0]["command"], own[0]["tasks"]): own for own in found.values()}
    return dict(sorted(named.items(), key=lambda one: one[0][1]))


def main() -> None:
    """Measure, print, write and draw."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--backbone", metavar="SPEC")
    parser.add_argument("--tasks", type=int, nargs="+", default=[10, 100, 1000])
    parser.add_argument("--rows", type=int, default=8, help="of each task; an even number")
    parser.add_argument("--size", type=int, default=8, help="of the adapters")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--catalog", type=Path, metavar="CSV", help="of catalog_scale.py")
    parser.add_argument("--draw", action="store_true", help="only draw what is in the folder")
    parser.add_argument("--note", default="", help="under the picture")
    given = parser.parse_args()
    if not given.draw and given.backbone is None:
        parser.error("--backbone is needed, unless --draw is given")
    check_matplotlib()
    catalog = read(given.catalog) if given.catalog else []
    given.folder.mkdir(parents=True, exist_ok=True)
    if not given.draw:
        write(given.folder, "growth", measure(given))
    runs = by_command(json.loads((given.folder / "growth.json").read_text(encoding="utf-8")))
    print(table(runs))
    (given.folder / "growth.md").write_text(table(runs) + "\n", encoding="utf-8")
    draw(given.folder / "growth", runs, catalog, given.note)


if __name__ == "__main__":
    main()
