"""Draws the history: all tasks as a heat map, one task as a line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from taskbank.checks import check_writable
from taskbank.errors import InputError, MissingExtraError
from taskbank.history.events import Event
from taskbank.history.matrix import Matrix

ENDINGS = (".png", ".svg")
READABLE = 14  # tasks whose names and scores can be read in a picture
CELL = 0.55  # inches


def check_plot(path: Path) -> None:
    """Raise unless a picture can be drawn and written to a path.

    Raises:
        MissingExtraError: if matplotlib is not installed.
        InputError: if the path has another ending, or cannot be written to.
    """
    if path.suffix.lower() not in ENDINGS:
        raise InputError(f"{path} is no picture: name a file that ends in {' or '.join(ENDINGS)}")
    check_writable(path)
    try:
        import matplotlib  # noqa: F401
    except ModuleNotFoundError:
        raise MissingExtraError(
            "a picture needs matplotlib: install it with pip install 'taskbank[plots]'"
        ) from None


def draw_matrix(matrix: Matrix, path: Path) -> None:
    """Draw the scores of every task after each one was added, as a heat map.

    What is not added is left blank; a cell says its score where there is room, and is framed
    where the score is not what it was right after the task was added.

    Args:
        matrix: of the bank.
        path: ends in `.png` or `.svg`.
    """
    count = len(matrix.tasks)
    few = count <= READABLE
    side = max(4.0, CELL * count) if few else 9.0
    with _figure(path, (side + 2.2, side + 1.0)) as (figure, axes):
        image = axes.imshow(matrix.scores, cmap="viridis", aspect="equal", interpolation="nearest")
        axes.set_xlabel("score of")
        axes.set_ylabel("after adding")
        if few:
            axes.set_xticks(range(count), matrix.tasks, rotation=45, ha="right")
            axes.set_yticks(range(count), matrix.tasks)
            _write_scores(axes, matrix.scores, image)
        measures = matrix.measures().items()
        axes.set_title(
            ", ".join(f"{name.replace('_', ' ')} {v:.4f}" for name, v in measures if v is not None),
            fontsize=9,
        )
        figure.colorbar(image, ax=axes, label="score (each task's own metric)", shrink=0.8)


def draw_task(task: str, events: Sequence[Event], path: Path) -> None:
    """Draw the score of one task over time, with a mark where it was added, verified, accepted.

    Args:
        task: its name.
        events: what happened to it.
        path: ends in `.png` or `.svg`.
    """
    seen = [event for event in events if event.score is not None]
    with _figure(path, (7.0, 3.5)) as (_, axes):
        times = np.array([event.at[:19] for event in seen], dtype="datetime64[s]")
        scores = [event.score for event in seen]
        axes.plot(times, scores, color="#0072B2", linewidth=1, zorder=1)
        looks = {"added": ("s", "#D55E00"), "verified": ("o", "#0072B2")}
        for what, (marker, color) in looks.items():
            own = [number for number, event in enumerate(seen) if event.what == what]
            axes.scatter(
                times[own], [scores[one] for one in own], marker=marker, color=color, label=what
            )
        for event in events:
            if event.what == "accepted":
                moment = np.datetime64(event.at[:19])
                axes.axvline(moment, color="#009E73", linestyle=":", label="accepted")
        handles, labels = axes.get_legend_handles_labels()
        unique = dict(zip(labels, handles, strict=True))
        axes.legend(unique.values(), unique.keys(), frameon=False)
        axes.set_title(task)
        axes.set_ylabel("score")
        axes.tick_params(axis="x", rotation=30)


def _write_scores(axes: Any, scores: np.ndarray, image: Any) -> None:
    from matplotlib.patches import Rectangle

    for (row, column), score in np.ndenumerate(scores):
        if np.isnan(score):
            continue
        light = image.norm(score) < 0.55
        axes.text(
            column,
            row,
            f"{100 * score:.1f}",
            ha="center",
            va="center",
            fontsize=7,
            color="white" if light else "black",
        )
        if not np.isclose(score, scores[column, column], rtol=0, atol=1e-9):
            frame = Rectangle((column - 0.47, row - 0.47), 0.94, 0.94, fill=False)
            frame.set(edgecolor="#D55E00", linewidth=2)
            axes.add_patch(frame)


@contextmanager
def _figure(path: Path, size: tuple[float, float]) -> Iterator[tuple[Any, Any]]:
    """Give a figure and its axes, and write them: the same bytes from the same data."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context({"font.size": 9, "svg.hashsalt": "taskbank"}):
        figure = Figure(figsize=size, layout="constrained")
        yield figure, figure.subplots()
        metadata = {"Date": None} if path.suffix.lower() == ".svg" else {}
        figure.savefig(path, dpi=150, metadata=metadata)
