"""Draws the history: all tasks as a heat map, or one task as a line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from taskbank.checks import check_writable
from taskbank.errors import InputError, MissingExtraError
from taskbank.history.events import Event
from taskbank.history.matrix import Matrix
from taskbank.runtime.files import write_file

PICTURE_SUFFIXES = (".png", ".svg")
MAX_LABELLED_TASKS = 14  # names and scores of more tasks would be too small to read
CELL_SIZE = 0.55  # inches


def check_plot(path: Path) -> None:
    """Raise unless a picture can be drawn and written to a path.

    Raises:
        MissingExtraError: if matplotlib is not installed.
        InputError: if the path has an unsupported suffix or is not writable.
    """
    if path.suffix.lower() not in PICTURE_SUFFIXES:
        raise InputError(
            f"{path} has an unsupported suffix: use a name that ends in "
            f"{' or '.join(PICTURE_SUFFIXES)}"
        )
    check_writable(path)
    try:
        import matplotlib  # noqa: F401
    except ModuleNotFoundError:
        raise MissingExtraError(
            "a picture needs matplotlib: install it with pip install 'taskbank[plots]'"
        ) from None


def draw_matrix(matrix: Matrix, path: Path) -> None:
    """Draw the scores of every task after each one was added, as a heat map.

    Cells of tasks that were not added yet are blank. Cells show their scores if there is room, and
    have a frame if the score differs from the one right after the task was added.

    Args:
        matrix: the bank's matrix.
        path: the picture's path, ending in `.png` or `.svg`.
    """
    count = len(matrix.tasks)
    labelled = count <= MAX_LABELLED_TASKS
    side = max(4.0, CELL_SIZE * count) if labelled else 9.0
    with _figure(path, (side + 2.2, side + 1.0)) as (figure, axes):
        image = axes.imshow(matrix.scores, cmap="viridis", aspect="equal", interpolation="nearest")
        axes.set_xlabel("score of")
        axes.set_ylabel("after adding")
        if labelled:
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
    """Draw the score of one task over time, and mark its additions, verifications and acceptances.

    Args:
        task: the task's name.
        events: the task's events.
        path: the picture's path, ending in `.png` or `.svg`.
    """
    scored = [event for event in events if event.score is not None]
    with _figure(path, (7.0, 3.5)) as (_, axes):
        times = np.array([event.at[:19] for event in scored], dtype="datetime64[s]")
        scores = [event.score for event in scored]
        axes.plot(times, scores, color="#0072B2", linewidth=1, zorder=1)
        styles = {"added": ("s", "#D55E00"), "verified": ("o", "#0072B2")}
        for what, (marker, color) in styles.items():
            positions = [number for number, event in enumerate(scored) if event.what == what]
            axes.scatter(
                times[positions],
                [scores[position] for position in positions],
                marker=marker,
                color=color,
                label=what,
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
        on_dark = image.norm(score) < 0.55
        axes.text(
            column,
            row,
            f"{100 * score:.1f}",
            ha="center",
            va="center",
            fontsize=7,
            color="white" if on_dark else "black",
        )
        if not np.isclose(score, scores[column, column], rtol=0, atol=1e-9):
            frame = Rectangle((column - 0.47, row - 0.47), 0.94, 0.94, fill=False)
            frame.set(edgecolor="#D55E00", linewidth=2)
            axes.add_patch(frame)


@contextmanager
def _figure(path: Path, size: tuple[float, float]) -> Iterator[tuple[Any, Any]]:
    """Open a figure, and write it at the end; equal data gives equal bytes."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context({"font.size": 9, "svg.hashsalt": "taskbank"}):
        figure = Figure(figsize=size, layout="constrained")
        yield figure, figure.subplots()
        metadata = {"Date": None} if path.suffix.lower() == ".svg" else {}
        picture = BytesIO()
        figure.savefig(picture, format=path.suffix[1:].lower(), dpi=150, metadata=metadata)
        write_file(path, picture.getvalue())
