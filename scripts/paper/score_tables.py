"""Writes the tables of `reproduce.py`, with the paper's own scores in columns beside ours."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import mean
from typing import Any

from scripts.paper import published_scores as paper
from scripts.shared.tables import markdown_header, markdown_row
from taskbank.specs import BackboneIdentity

Row = Mapping[str, Any]
Cells = Mapping[tuple[str, str], Row]  # rows by task and method

METHODS = ("full", "top-k", "layernorm", "houlsby-64", "houlsby")
DESCRIPTIONS = {
    "full": "full fine-tuning: all parameters are trained",
    "top-k": "fine-tuning of the top layers; their number is tuned",
    "layernorm": "training of the LayerNorms only",
    "houlsby-64": "adapters of size 64, unless the suite names another size",
    "houlsby": "adapters of the best of several sizes",
}
MISSING = "–"


def write_scores(path: Path, rows: Sequence[Row], backbone: BackboneIdentity) -> None:
    """Write the tables of scores as Markdown.

    Args:
        path: the file.
        rows: one per task and method, from `reproduce.score_method`; some may still be missing.
        backbone: the encoder of all scores.
    """
    cells = {(row["task"], row["method"]): row for row in rows}
    tasks = list(dict.fromkeys(task for task, _ in cells))
    present = {method for _, method in cells}
    # Unknown methods come last, in the order of the rows.
    methods = [one for one in METHODS if one in present]
    methods += [one for one in dict.fromkeys(method for _, method in cells) if one not in METHODS]
    parts = [
        _introduction(backbone, methods),
        _scores(cells, tasks, methods),
        _summary(cells, tasks, methods),
        _stability(cells, tasks, methods),
        _choices(cells, tasks, methods),
    ]
    path.write_text("\n\n".join(parts) + "\n", encoding="utf-8")


def _introduction(backbone: BackboneIdentity, methods: Sequence[str]) -> str:
    lines = [
        "# Scores",
        "",
        f"Backbone `{backbone.spec}`: {backbone.model_type}, {backbone.layers} layers, "
        f"{backbone.parameters:,} parameters. Every score is 100 x the metric, the mean ± its "
        "standard error over seeds. A missing cell is “"
        f"{MISSING}”.",
        "",
        *(f"- `{one}`: {DESCRIPTIONS[one]}" for one in methods if one in DESCRIPTIONS),
    ]
    return "\n".join(lines)


# Scores


def _scores(cells: Cells, tasks: Sequence[str], methods: Sequence[str]) -> str:
    quoted = {task: _quoted(task, _metric(cells, task)) for task in tasks}
    theirs = [one for one in METHODS if any(one in own for own in quoted.values())]
    header = ["task", "metric", "split", "seeds", *methods, *(f"paper: {one}" for one in theirs)]
    table = [
        [
            task,
            _metric(cells, task),
            _several(row["split"] for row in _of_task(cells, task)),
            _several(row["seeds"] for row in _of_task(cells, task)),
            *(_score(cells.get((task, one))) for one in methods),
            *(quoted[task].get(one, "") for one in theirs),
        ]
        for task in tasks
    ]
    notes = []
    if theirs:
        notes = [
            "",
            "**The paper's columns were measured with another backbone on another test set** (and "
            "with more training examples, where the suite limits `rows`): they give the order of "
            f"magnitude and are no comparison. ¹ {paper.GLUE_ORIGIN}. ² {paper.ADDITIONAL_ORIGIN}.",
        ]
    return "\n".join(["## By task", "", *_table(header, table), *notes])


def _quoted(task: str, metric: str) -> dict[str, str]:
    """Return the paper's scores of a task by method, if it used the same metric."""
    if task in paper.GLUE and paper.GLUE_METRICS[task] == metric:
        return {method: f"{value:.1f} ¹" for method, value in paper.GLUE[task].items()}
    if task in paper.ADDITIONAL and metric == "accuracy":
        values = paper.ADDITIONAL[task]
        return {method: f"{value:.1f} ± {error:.1f} ²" for method, (value, error) in values.items()}
    return {}


def _score(row: Row | None) -> str:
    if row is None:
        return MISSING
    value = f"{100 * row['mean']:.1f}"
    return f"{value} ± {100 * row['standard_error']:.1f}" if row["seeds"] > 1 else value


# Summary


def _summary(cells: Cells, tasks: Sequence[str], methods: Sequence[str]) -> str:
    common = [task for task in tasks if all((task, method) in cells for method in methods)]
    title = f"## Mean over the {len(common)} of {len(tasks)} tasks with scores of all methods"
    if not common:
        return f"{title}\n\nNone yet."
    header = ["method", "tasks", "mean", "minus `full`", "trained per task", "all tasks"]
    theirs = [*_paper_glue(common), *_paper_additional(common)]
    lines = [
        title,
        "",
        f"The tasks: {', '.join(common)}. “Trained per task” is a share of the backbone's "
        "parameters. “All tasks” is the storage for all of them, as a multiple of the backbone: "
        f"full fine-tuning stores a model per task, {len(common)} x; the other methods store the "
        "backbone once and the trained parameters of each task.",
        "",
        *_table(header, [*_ours(cells, common, methods), *theirs]),
    ]
    if theirs:
        lines += [
            "",
            "The paper's rows cover all its tasks: table 1's is the leaderboard's total, which is "
            "not the mean of its columns; table 2's is the average.",
        ]
    return "\n".join(lines)


def _ours(cells: Cells, tasks: Sequence[str], methods: Sequence[str]) -> list[list[str]]:
    def over_tasks(key: str) -> dict[str, float]:
        return {one: mean(cells[task, one][key] for task in tasks) for one in methods}

    # With its head a fine-tuned model is slightly larger than the backbone; count it as 100 %.
    shares = over_tasks("share") | ({"full": 1.0} if "full" in methods else {})
    return _means(
        "",
        len(tasks),
        {one: 100 * value for one, value in over_tasks("mean").items()},
        {one: 100 * share for one, share in shares.items()},
        {one: len(tasks) * share + (one != "full") for one, share in shares.items()},
    )


def _paper_glue(tasks: Sequence[str]) -> list[list[str]]:
    if not any(task in paper.GLUE for task in tasks):
        return []
    totals, shares = paper.GLUE_TOTAL, paper.GLUE_SHARE
    return _means("paper, table 1: ", 9, totals, shares, paper.GLUE_MULTIPLE)


def _paper_additional(tasks: Sequence[str]) -> list[list[str]]:
    if not any(task in paper.ADDITIONAL for task in tasks):
        return []
    averages, shares = paper.ADDITIONAL_AVERAGE, paper.ADDITIONAL_SHARE
    return _means("paper, table 2: ", 17, averages, shares, paper.ADDITIONAL_MULTIPLE)


def _means(
    label: str,
    tasks: int,
    scores: Mapping[str, float],
    shares: Mapping[str, float],
    multiples: Mapping[str, float],
) -> list[list[str]]:
    """Return a row per method; scores are in points, shares in percent."""
    return [
        [
            f"{label}{method}",
            str(tasks),
            f"{score:.1f}",
            f"{score - scores['full']:+.1f}" if "full" in scores and method != "full" else "",
            f"{round(shares[method], 2):g} %",
            f"{round(multiples[method], 2):g} x",
        ]
        for method, score in scores.items()
    ]


# Stability


def _stability(cells: Cells, tasks: Sequence[str], methods: Sequence[str]) -> str:
    lines = ["## Stability over seeds", ""]
    if "full" in methods:
        others = [one for one in methods if one != "full"]
        lines += [
            "Tasks on which the standard error over seeds (with a few seeds, a rough figure) is no "
            "larger than that of `full`:",
            "",
            *(f"- `{method}`: {_steadier(cells, tasks, method)}" for method in others),
            "",
        ]
    collapsed = [
        f"- {task}, `{method}`: {row['collapsed']} of {row['seeds']}"
        for (task, method), row in cells.items()
        if row["collapsed"]
    ]
    lines += ["Collapsed runs (no better than the constant baseline):", ""]
    return "\n".join(lines + (collapsed or ["- none"]))


def _steadier(cells: Cells, tasks: Sequence[str], method: str) -> str:
    both = [(task, cells.get((task, "full")), cells.get((task, method))) for task in tasks]
    errors = {
        task: (full["standard_error"], own["standard_error"])
        for task, full, own in both
        if full and own and min(full["seeds"], own["seeds"]) > 1
    }
    if not errors:
        return "none with more than one seed yet"
    steady = [task for task, (full, own) in errors.items() if own <= full]
    others = [task for task in errors if task not in steady]
    found = f"{len(steady)} of {len(errors)}"
    found += f" ({', '.join(steady)})" if steady else ""
    return found + (f"; larger on {', '.join(others)}" if others else "")


# Choices


def _choices(cells: Cells, tasks: Sequence[str], methods: Sequence[str]) -> str:
    header = ["task", "method", "learning rate", "options", "parameters", "share", "scores"]
    table = [
        [
            task,
            method,
            f"{row['learning_rate']:g}",
            ", ".join(f"{key} {value}" for key, value in row["options"].items()),
            f"{row['parameters']:,}",
            f"{100 * row['share']:.2f} %",
            ", ".join(f"{100 * score:.1f}" for score in row["scores"]),
        ]
        for task in tasks
        for method in methods
        if (row := cells.get((task, method))) is not None
    ]
    lines = ["## Chosen settings", "", "Chosen on validation with one seed; one score per seed."]
    return "\n".join([*lines, "", *_table(header, table)])


# Markdown


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    return [markdown_header(header), *(markdown_row(row) for row in rows)]


def _of_task(cells: Cells, task: str) -> list[Row]:
    return [row for (name, _), row in cells.items() if name == task]


def _metric(cells: Cells, task: str) -> str:
    return _several(row["metric"] for row in _of_task(cells, task))


def _several(values: Iterable[Any]) -> str:
    return ", ".join(dict.fromkeys(map(str, values)))
