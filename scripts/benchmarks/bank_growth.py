"""Measures commands as the number of tasks in a bank grows: memory, time and file size per task.

    python scripts/benchmarks/bank_growth.py FOLDER --backbone SPEC [--tasks 10 100 1000]
        [--repeats 3] [--catalog FOLDER/scale.csv]

Makes a bank of each size in FOLDER: untrained adapters of size 8, each with different weights and
8 examples. Then runs these commands in alternation, each as a process:

- `verify-all --level full`: reads everything stored, and predicts every example again.
- `predict --task '*' --file`: 8 texts for every task.
- `predict`: one text for one task, named by its alias. Every predicting command takes at least
  this long to start, so it is subtracted before a time per task is computed.
- `list`: the newest 50.

Prints a table and writes growth.md; growth.csv and growth.json with the figures of every run; and
the figure growth.png and growth.svg. With `--catalog`, the figure includes the timings of
`catalog_scale.py`. With `--draw`, nothing is measured and the figure is drawn again from FOLDER.
`serving_speed.py` measures switching between loaded tasks.
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

from scripts.benchmarks.catalog_scale import OPERATIONS, SYSTEMS, Timing, read_timings
from scripts.benchmarks.comparison import (
    Run,
    Side,
    median_and_range,
    run_rounds,
    values,
    write_runs,
)
from scripts.benchmarks.peers import backbone_folder, run_worker
from scripts.benchmarks.processes import run_measured, taskbank_command
from scripts.shared.arguments import script_parser
from scripts.shared.plotting import STYLES, check_matplotlib, saved_figure
from scripts.shared.tables import markdown
from taskbank.bank.bank import Bank

ALIAS = "production"
TEXT = "Where is my invoice?"
# The vocabulary of the generated texts, whose content does not matter here.
WORDS = (
    "the a new old order invoice screen never always works fails slow quick support answer very "
    "good bad late early again where when password page charge refund price upload"
)
SHORTEST, LONGEST = 6, 24  # words per text
COMMANDS = {
    "verify-all": "verify-all",
    "file": "predict --task '*' --file",
    "predict": "predict, one task",
    "list": "list",
}
START = "predict"  # its cost is subtracted as the cost of starting
EVERY_TASK = ("verify-all", "file")  # commands that process every task

Runs = Mapping[tuple[str, int], Sequence[Run]]  # by command and number of tasks


def main() -> None:
    """Measure, print, write and draw."""
    arguments = _arguments()
    check_matplotlib()
    catalog = read_timings(arguments.catalog) if arguments.catalog else []
    folder: Path = arguments.folder
    folder.mkdir(parents=True, exist_ok=True)
    if not arguments.draw:
        write_runs(folder, "growth", measure(arguments))
    runs = by_command(json.loads((folder / "growth.json").read_text(encoding="utf-8")))
    print(table(runs))
    (folder / "growth.md").write_text(table(runs) + "\n", encoding="utf-8")
    draw(folder / "growth", runs, catalog, arguments.note)


def _arguments() -> argparse.Namespace:
    parser = script_parser(__doc__)
    parser.add_argument("folder", type=Path, help="holds the banks and the results")
    parser.add_argument("--backbone", metavar="SPEC", help="needed unless --draw is given")
    parser.add_argument(
        "--tasks", type=int, nargs="+", default=[10, 100, 1000], help="numbers of tasks"
    )
    parser.add_argument("--rows", type=int, default=8, help="examples per task; an even number")
    parser.add_argument("--size", type=int, default=8, help="adapter size")
    parser.add_argument("--repeats", type=int, default=3, help="number of rounds")
    parser.add_argument("--threads", type=int, default=1, help="threads per process")
    parser.add_argument("--catalog", type=Path, metavar="CSV", help="timings of catalog_scale.py")
    parser.add_argument("--draw", action="store_true", help="only draw the figure again")
    parser.add_argument("--note", default="", help="text below the figure")
    arguments = parser.parse_args()
    if not arguments.draw and arguments.backbone is None:
        parser.error("--backbone is required unless --draw is given")
    return arguments


# Measurements


def measure(arguments: argparse.Namespace) -> dict[str, list[Run]]:
    """Make the banks, and return the cost of each command on each of them, by round."""
    texts = arguments.folder / "texts.txt"
    lines = "".join(f"{TEXT} {number}\n" for number in range(arguments.rows))
    texts.write_text(lines, encoding="utf-8")
    sides: dict[str, Side] = {}
    for tasks in arguments.tasks:
        file = make_bank(arguments, tasks)
        bank = {"tasks": tasks, "kilobytes": file.stat().st_size / 1000 / tasks}
        words = {
            "verify-all": ["verify-all", "--level", "full", "--device", "cpu"],
            "file": ["predict", "--task", "*", "--file", str(texts), "--device", "cpu"],
            "predict": ["predict", f"task-{tasks // 2}@{ALIAS}", TEXT, "--device", "cpu"],
            "list": ["list"],
        }
        for name, own in words.items():
            command = taskbank_command(f"sqlite:///{file}", *own)
            sides[f"{name}-{tasks}"] = partial(
                _measured, {"command": name} | bank, command, arguments.threads
            )
    return run_rounds(sides, arguments.repeats, "growth")


def _measured(labels: Run, command: Sequence[str], threads: int) -> Run:
    return labels | run_measured(command, threads)


def make_bank(arguments: argparse.Namespace, tasks: int) -> Path:
    """Make a bank with this many tasks, each with an alias, and return its file."""
    file: Path = arguments.folder.resolve() / f"growth-{tasks}.db"
    texts = file.with_suffix(".texts.json")
    examples = {"tasks": make_examples(tasks, arguments.rows)}
    texts.write_text(json.dumps(examples), encoding="utf-8")
    job = {
        "part": "fill",
        "backbone": str(backbone_folder(arguments.backbone)),
        "bank": str(file),
        "texts": str(texts),
        "method": "houlsby",
        "size": arguments.size,
        "max_length": 128,
        "threads": arguments.threads,
    }
    run_worker(Path(sys.executable), "taskbank_serving.py", job, arguments.folder / "runs")
    with Bank(f"sqlite:///{file}") as bank:
        for record in bank.adapters():
            bank.alias(record.ref, ALIAS)
    return file


def make_examples(tasks: int, rows: int) -> list[dict[str, list[str]]]:
    """Return the columns of each task's examples; equal arguments give equal examples."""
    generator, words = random.Random(0), WORDS.split()
    return [
        {
            "text": [
                " ".join(generator.choices(words, k=generator.randint(SHORTEST, LONGEST)))
                for _ in range(rows)
            ],
            "label": ["no", "yes"] * (rows // 2),
        }
        for _ in range(tasks)
    ]


# Results


def by_command(runs: Mapping[str, Sequence[Run]]) -> Runs:
    """Return runs by command and number of tasks, the smallest bank first."""
    named = {(own[0]["command"], own[0]["tasks"]): own for own in runs.values()}
    return dict(sorted(named.items(), key=lambda item: item[0][1]))


def time_per_task(runs: Runs, command: str, tasks: int) -> list[float]:
    """Return the processor time per task in ms, without the start, by round."""
    whole, start = runs[command, tasks], runs[START, tasks]
    return [
        1000 * (one - other) / tasks
        for one, other in zip(values(whole, "processor"), values(start, "processor"), strict=True)
    ]


def table(runs: Runs) -> str:
    """Return a Markdown table with a column per bank."""
    sizes = sorted({tasks for _, tasks in runs})
    lines = [["", *(f"{tasks:,} tasks" for tasks in sizes)]]
    for command, words in COMMANDS.items():
        own = [runs[command, tasks] for tasks in sizes]
        memory = [median_and_range(values(one, "memory"), 0) for one in own]
        seconds = [median_and_range(values(one, "seconds"), 1) for one in own]
        lines.append([f"`{words}`: peak, MiB", *memory])
        lines.append(["— seconds", *seconds])
        if command in EVERY_TASK:
            taken = [median_and_range(time_per_task(runs, command, tasks), 0) for tasks in sizes]
            lines.append(["— processor ms per task, without the start", *taken])
    kilobytes = [f"{runs[START, tasks][0]['kilobytes']:,.0f}" for tasks in sizes]
    lines.append(["database file, kB per task", *kilobytes])
    return markdown(lines)


# The figure


def draw(path: Path, runs: Runs, catalog: Sequence[Timing] = (), note: str = "") -> None:
    """Draw the curves of the commands, and below them those of the catalog operations.

    Args:
        path: the files' path without suffix.
        runs: the measured commands.
        catalog: timings of `catalog_scale.py`.
        note: text below the figure, such as the machine.
    """
    height = 8.2 if catalog else 3.2
    shape: dict[str, Any] = {"nrows": 3 if catalog else 1, "ncols": 3, "figsize": (10.6, height)}
    with saved_figure(path, **shape) as (figure, axes):
        memory, time, single = axes[0]
        _draw_commands(memory, runs, tuple(COMMANDS), lambda *of: values(runs[of], "memory"))
        memory.set_title("peak memory", loc="left")
        memory.set_ylabel("MiB")
        memory.legend(fontsize=7, loc="center", bbox_to_anchor=(0.6, 0.33))  # between the curves
        _draw_commands(time, runs, EVERY_TASK, lambda *of: time_per_task(runs, *of))
        time.set_title("time per task, without the start", loc="left")
        time.set_ylabel("processor ms")
        _draw_commands(single, runs, ("predict", "list"), lambda *of: values(runs[of], "seconds"))
        single.set_title("time of predict and list", loc="left")
        single.set_ylabel("seconds")
        if catalog:
            for axis, operation in zip(axes[1:].flat, OPERATIONS, strict=True):
                _draw_operation(axis, operation, catalog)
            axes[1][0].legend(fontsize=7)
        caption = "median, lowest and highest" + (f"; {note}" if note else "")
        figure.supxlabel(caption, fontsize=7, x=0.01, ha="left")


def _draw_commands(
    axis: Any, runs: Runs, commands: Sequence[str], figures: Callable[[str, int], list[float]]
) -> None:
    for style, command in zip(STYLES, COMMANDS, strict=False):
        if command in commands:
            sizes = [tasks for name, tasks in runs if name == command]
            curve = {tasks: figures(command, tasks) for tasks in sizes}
            _draw_curve(axis, curve, COMMANDS[command], style)
    axis.set_ylim(0, 1.35 * axis.get_ylim()[1])  # from zero, so that a flat curve looks flat
    axis.margins(x=0.1)
    _format_sizes(axis, "tasks in the bank", (tasks for _, tasks in runs))
    axis.legend(fontsize=7)


def _draw_operation(axis: Any, operation: str, timings: Sequence[Timing]) -> None:
    for style, (system, name) in zip(STYLES, SYSTEMS.items(), strict=False):
        curve = {
            one.adapters: one.milliseconds
            for one in timings
            if (one.system, one.operation) == (system, operation)
        }
        if curve:
            _draw_curve(axis, curve, name, style)
    # The same limits in every panel, so that operations can be compared.
    medians = [one.median for one in timings]
    sizes = [one.adapters for one in timings]
    axis.set_yscale("log")
    axis.set_ylim(min(medians) / 2, max(medians) * 2)
    axis.set_xlim(min(sizes) / 2, max(sizes) * 2)
    axis.set_title(OPERATIONS[operation], loc="left")
    axis.set_ylabel("ms (log scale)")
    _format_numbers(axis.yaxis, "g")
    _format_sizes(axis, "adapters in the catalog", sizes)


def _draw_curve(
    axis: Any, curve: Mapping[int, Sequence[float]], label: str, style: Mapping[str, Any]
) -> None:
    """Draw medians, with a bar from the lowest to the highest value."""
    middle = [median(own) for own in curve.values()]
    below = [one - min(own) for one, own in zip(middle, curve.values(), strict=True)]
    above = [max(own) - one for one, own in zip(middle, curve.values(), strict=True)]
    axis.errorbar(
        list(curve), middle, yerr=[below, above], label=label, elinewidth=0.8, capsize=2, **style
    )


def _format_sizes(axis: Any, label: str, sizes: Iterable[int]) -> None:
    axis.set_xscale("log")
    axis.set_xticks(sorted(set(sizes)))
    _format_numbers(axis.xaxis, ".0f")
    axis.set_xlabel(f"{label} (log scale)")


def _format_numbers(axis: Any, digits: str) -> None:
    from matplotlib.ticker import FuncFormatter, NullFormatter

    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,{digits}}"))
    axis.set_minor_formatter(NullFormatter())


if __name__ == "__main__":
    main()
