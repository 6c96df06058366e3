"""Draws the figures of `reproduce.py`. Scores are in points, 100 x the metric."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import ceil, log10
from pathlib import Path
from typing import Any

import numpy as np

from scripts.shared.plotting import STYLES, add_legend, saved_figure

Rows = Sequence[Mapping[str, Any]]

METHODS = {  # name of the curve, and meaning of its points' labels
    "houlsby": ("adapters", "size"),
    "top-k": ("fine-tuning of the top layers", "layers"),
}
LOW, HIGH = 20, 80  # percentiles over tasks, as in the paper
DEFAULT_SCALE = 1e-2
CELL, SMALLEST_CELL, WIDTH = 0.36, 0.15, 11.0  # inches: of a layer, and of a row of panels
LABEL_DISTANCE = 0.05  # powers of ten; labels closer than this would overlap
DARK = 0.55  # share of the colour range above which a cell's number is black


def _grouped(rows: Rows, *keys: str) -> dict[Any, list[Mapping[str, Any]]]:
    """Return rows by one or several keys, in order of appearance."""
    found: dict[Any, list[Mapping[str, Any]]] = {}
    for row in rows:
        place = tuple(row[key] for key in keys)
        found.setdefault(place if len(keys) > 1 else place[0], []).append(row)
    return found


def _scored(rows: Rows) -> list[Mapping[str, Any]]:
    return [row for row in rows if row["score"] is not None]


def _log_parameters(axis: Any) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axis.set_xscale("log")
    axis.xaxis.set_major_locator(LogLocator(subs=(1, 3), numticks=12))
    axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: _short(value)))
    axis.xaxis.set_minor_formatter(NullFormatter())
    axis.set_xlabel("trained parameters per task (log scale)")


def _short(number: float) -> str:
    """Return a number of parameters in short form: 40k, 1.2M."""
    for unit, name in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if number >= unit:
            return f"{number / unit:.3g}{name}"
    return f"{number:.3g}"


# Figures 3 and 4


def draw_curve(path: Path, rows: Rows, note: str = "") -> None:
    """Draw the score, relative to full fine-tuning, by the number of trained parameters.

    Args:
        path: the files' path without suffix.
        rows: `task`, `method` (`houlsby` or `top-k`), `value` (size or number of layers),
            `parameters` and `score`. The top-k row with the most layers is the reference; tasks
            without one are left out.
        note: text below the figure, such as the backbone.
    """
    compared = list(_compared(rows))
    if not compared:
        return
    tasks = len({row["task"] for row in compared})
    with saved_figure(path, figsize=(6.4, 4.2)) as (figure, ((axis,),)):
        axis.axhline(0, color="0.4", linewidth=0.8)
        for style, (method, own) in zip(STYLES, _grouped(compared, "method").items(), strict=False):
            _draw_band(axis, method, own, style)
        _log_parameters(axis)
        axis.set_ylabel("score minus full fine-tuning (points)")
        summary = f"median and {LOW}th to {HIGH}th percentile of {tasks} tasks"
        axis.set_title(
            f"Score by trained parameters: {summary if tasks > 1 else compared[0]['task']}",
            loc="left",
        )
        axis.margins(x=0.06, y=0.12)
        add_legend(figure, note)


def _compared(rows: Rows) -> Iterator[dict[str, Any]]:
    """Yield the rows of tasks that have a reference, with the `difference` from it in points."""
    rows = _scored(rows)
    layers = max((row["value"] for row in rows if row["method"] == "top-k"), default=0)
    full = {
        row["task"]: row["score"]
        for row in rows
        if row["method"] == "top-k" and row["value"] == layers
    }
    for row in rows:
        if row["task"] in full:
            yield dict(row) | {"difference": 100 * (row["score"] - full[row["task"]])}


def _draw_band(axis: Any, method: str, rows: Rows, style: Mapping[str, Any]) -> None:
    name, counted = METHODS.get(method, (method, "value"))
    points = sorted(_grouped(rows, "value").items())
    x = [float(np.median([row["parameters"] for row in own])) for _, own in points]
    differences = [[row["difference"] for row in own] for _, own in points]
    low, middle, high = (
        [float(np.percentile(own, share)) for own in differences] for share in (LOW, 50, HIGH)
    )
    axis.fill_between(x, low, high, color=style["color"], alpha=0.18, linewidth=0)
    axis.plot(x, middle, label=f"{name} (labels: {counted})", **style)
    labelled = 0.0
    for place, score, (value, _) in zip(x, middle, points, strict=True):
        if labelled and log10(place / labelled) < LABEL_DISTANCE:
            continue
        labelled = place
        axis.annotate(
            str(value),
            (place, score),
            xytext=(0, 6 if method == "houlsby" else -11),
            textcoords="offset points",
            ha="center",
            fontsize=7,
            color=style["color"],
        )


# Figure 6, left


def draw_ablation(path: Path, rows: Rows, note: str = "") -> None:
    """Draw the change of the score when adapters are removed from a span of layers.

    Args:
        path: the files' path without suffix.
        rows: `task`, `metric`, `first` and `last` layer of the span, and `change` of the score.
        note: text below the figure, such as the backbone.
    """
    tasks = _grouped(rows, "task")
    if not tasks:
        return
    layers = 1 + max(row["last"] for row in rows)
    panel = max(2.2, layers * CELL) if layers <= 12 else layers * SMALLEST_CELL
    lines = ceil(len(tasks) / max(1, int(WIDTH // panel)))
    columns = ceil(len(tasks) / lines)
    changes = [100 * row["change"] for row in rows]
    span = (min(*changes, -1.0), max(*changes, 0.0))
    size = (columns * panel + 1.3, lines * (panel + 0.5) + 0.5)
    shape = {"nrows": lines, "ncols": columns, "figsize": size}
    with saved_figure(path, "compressed", **shape) as (figure, axes):
        for axis in axes.flat[len(tasks) :]:
            axis.set_axis_off()
        for axis, (task, own) in zip(axes.flat, tasks.items(), strict=False):
            image = _draw_spans(axis, own, layers, span)
            axis.set_title(f"{task} ({own[0]['metric']})", loc="left")
        figure.colorbar(image, ax=axes, label="change of the score (points)", aspect=30)
        figure.suptitle(
            "Adapters removed from a span of layers after training", x=0.01, ha="left", fontsize=10
        )
        if note:
            figure.supxlabel(note, fontsize=7, x=0.01, ha="left")


def _draw_spans(axis: Any, rows: Rows, layers: int, span: tuple[float, float]) -> Any:
    values = np.full((layers, layers), np.nan)
    for row in rows:
        values[row["first"], row["last"]] = 100 * row["change"]
    # Light where nothing is lost and dark where all is, in grey as well.
    image = axis.imshow(values, cmap="cividis", vmin=span[0], vmax=span[1])
    steps = range(0, layers, 1 if layers <= 12 else 4)
    axis.set_xticks(steps)
    axis.set_yticks(steps)
    axis.set_xlabel("last layer removed")
    axis.set_ylabel("first layer removed")
    axis.tick_params(length=0)
    axis.spines[:].set_visible(False)
    if layers <= 12:
        for (first, last), value in np.ndenumerate(values):
            if np.isfinite(value):
                share = (value - span[0]) / (span[1] - span[0])
                colour = "black" if share > DARK else "white"
                axis.text(
                    last,
                    first,
                    _change(value),
                    color=colour,
                    fontsize=6.5,
                    ha="center",
                    va="center",
                )
    return image


def _change(value: float) -> str:
    text = f"{value:.0f}" if abs(value) >= 9.95 else f"{value:.1f}"
    return "0" if float(text) == 0 else text.replace("-", "−")


# Figure 6, right


def draw_initial_scale(path: Path, rows: Rows, note: str = "") -> None:
    """Draw the score by the standard deviation of the adapters' initial weights.

    Args:
        path: the files' path without suffix.
        rows: `task`, `metric`, `init_std` and `score`.
        note: text below the figure, such as the backbone.
    """
    tasks = _grouped(_scored(rows), "task")
    if not tasks:
        return
    with saved_figure(path, figsize=(5.6, 3.6)) as (figure, ((axis,),)):
        axis.axvline(DEFAULT_SCALE, color="0.6", linewidth=0.8, linestyle=":")
        axis.annotate(
            "default",
            (DEFAULT_SCALE, 0),
            xycoords=("data", "axes fraction"),
            xytext=(3, 4),
            textcoords="offset points",
            fontsize=7,
            color="0.35",
        )
        for number, (task, own) in enumerate(tasks.items()):
            points = sorted((row["init_std"], row["score"]) for row in own)
            best = max(score for _, score in points)
            axis.plot(
                [scale for scale, _ in points],
                [100 * (score - best) for _, score in points],
                label=f"{task} ({own[0]['metric']})",
                **STYLES[number % len(STYLES)],
            )
        axis.set_xscale("log")
        axis.set_xlabel("standard deviation of the initial weights (log scale)")
        axis.set_ylabel("score minus the task's best (points)")
        axis.set_title("Score by the initial scale of the adapters", loc="left")
        add_legend(figure, note)


# Figure 5


def draw_squad(path: Path, rows: Rows, note: str = "") -> None:
    """Draw F1 by trained parameters, with full fine-tuning as a horizontal line.

    Args:
        path: the files' path without suffix.
        rows: `task`, `method` (`houlsby` or `full`), `size`, `parameters`, `mean`,
            `standard_error` and `seeds`.
        note: text below the figure, such as the backbone.
    """
    tasks = _grouped(rows, "task")
    if not tasks:
        return
    seeds = max(row["seeds"] for row in rows)
    with saved_figure(path, figsize=(5.6, 3.6)) as (figure, ((axis,),)):
        for number, (task, own) in enumerate(tasks.items()):
            _draw_f1(axis, task, own, STYLES[number % len(STYLES)])
        _log_parameters(axis)
        error = f" ± standard error over {seeds} seeds" if seeds > 1 else ""
        axis.set_ylabel(f"F1{error} (points)")
        axis.set_title("Question answering by adapter size", loc="left")
        axis.margins(x=0.08, y=0.15)
        add_legend(figure, note)


def _draw_f1(axis: Any, task: str, rows: Rows, style: Mapping[str, Any]) -> None:
    adapters = sorted((row for row in rows if row["method"] != "full"), key=lambda r: r["size"])
    x = [row["parameters"] for row in adapters]
    axis.errorbar(
        x,
        [100 * row["mean"] for row in adapters],
        yerr=[100 * row["standard_error"] for row in adapters],
        capsize=3,
        label=f"{task}: adapters (labels: size)",
        **dict(style) | {"linestyle": "-"},
    )
    for place, row in zip(x, adapters, strict=True):
        axis.annotate(
            str(row["size"]),
            (place, 100 * row["mean"]),
            xytext=(5, -10),
            textcoords="offset points",
            fontsize=7,
            color=style["color"],
        )
    for row in (row for row in rows if row["method"] == "full"):
        middle, error = 100 * row["mean"], 100 * row["standard_error"]
        axis.axhspan(middle - error, middle + error, color=style["color"], alpha=0.15, linewidth=0)
        axis.axhline(
            middle,
            color=style["color"],
            linestyle="--",
            label=f"{task}: full fine-tuning ({_short(row['parameters'])} parameters)",
        )
