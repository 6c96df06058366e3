"""The scores of some tasks over time, as lines between points in time."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from taskbank.pages.charts import (
    BOTTOM,
    CHART_HEIGHT,
    CHART_WIDTH,
    LEFT,
    RIGHT,
    TOP,
    Tick,
    points_of,
    round_marks,
)

LINES = 8  # as many as there are colours
TICKS = 6  # dates below

Scores = Sequence[tuple[str, float]]  # of each the time, ISO 8601, and the score


@dataclass(frozen=True)
class Line:
    """The line of a task, or of a version.

    Attributes:
        name: whose it is.
        points: its points, as SVG has them.
        places: where its points are.
        first: its first score.
        last: its last score.
    """

    name: str
    points: str
    places: tuple[tuple[float, float, str], ...]
    first: float
    last: float


@dataclass(frozen=True)
class TimeChart:
    """Lines over time.

    Attributes:
        width: of the picture.
        height: of the picture.
        left: where the plot begins.
        right: where it ends.
        bottom: where it ends, below.
        lines: the lines.
        x_ticks: dates below.
        y_ticks: scores beside.
        data: names, seconds since 1970 and scores as JSON, for a script.
    """

    width: int
    height: int
    left: float
    right: float
    bottom: float
    lines: tuple[Line, ...]
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    data: str


def time_chart(series: Sequence[tuple[str, Scores]]) -> TimeChart | None:
    """Return a chart of scores over time; None if no line has two points.

    Args:
        series: of each line its name and its scores, oldest first.
    """
    read = [
        (name, [(when, score) for at, score in scores if (when := _seconds(at)) is not None])
        for name, scores in series
    ]
    read = [(name, scores) for name, scores in read if scores]
    if not any(len(scores) > 1 for _, scores in read):
        return None
    times = sorted({when for _, scores in read for when, _ in scores})
    values = [score for _, scores in read for _, score in scores]
    begin, end = times[0], max(times[-1], times[0] + 1)
    marks = round_marks(min(values), max(values))
    low, high = min(*values, marks[0]), max(*values, marks[-1])
    left, right, top, bottom = LEFT, CHART_WIDTH - RIGHT, TOP, CHART_HEIGHT - BOTTOM

    def across(when: float) -> float:
        return round(left + (when - begin) / (end - begin) * (right - left), 1)

    def up(score: float) -> float:
        return round(bottom - (score - low) / (high - low) * (bottom - top), 1)

    lines = tuple(
        Line(
            name,
            points_of([(across(when), up(score)) for when, score in scores]),
            tuple(
                (across(when), up(score), f"{name}: {score:.4f} on {_day(when)}")
                for when, score in scores
            ),
            scores[0][1],
            scores[-1][1],
        )
        for name, scores in read
    )
    known = [dict(scores) for _, scores in read]
    data = {
        "names": [name for name, _ in read],
        "times": times,
        "scores": [[one.get(when) for when in times] for one in known],
    }
    steps = [begin + (end - begin) * number / (TICKS - 1) for number in range(TICKS)]
    days = {_day(when): across(when) for when in reversed(steps)}  # of equal days the first
    return TimeChart(
        CHART_WIDTH, CHART_HEIGHT, left, right, bottom, lines,
        tuple(Tick(place, day) for day, place in reversed(days.items())),
        tuple(Tick(up(mark), f"{mark:g}") for mark in marks),
        json.dumps(data),
    )  # fmt: skip


def most_moved(series: Sequence[tuple[str, Scores]]) -> list[tuple[str, Scores]]:
    """Return the lines that reach furthest from their first score, at most as many as colours."""

    def reach(one: tuple[str, Scores]) -> float:
        first = one[1][0][1]
        return max(abs(score - first) for _, score in one[1])

    chosen = sorted((one for one in series if len(one[1]) > 1), key=reach, reverse=True)[:LINES]
    names = {name for name, _ in chosen}
    return [one for one in series if one[0] in names]


def _seconds(at: str) -> float | None:
    try:
        return round(datetime.fromisoformat(at).timestamp(), 3)
    except ValueError:
        return None


def _day(when: float) -> str:
    return datetime.fromtimestamp(when, UTC).strftime("%Y-%m-%d")
