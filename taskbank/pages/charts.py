"""The shapes of small pictures, as numbers: templates draw them as SVG without any script."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 96, 24  # of a sparkline
PADDING = 3
LEFT, RIGHT, TOP, BOTTOM = 52, 12, 12, 28  # margins of a chart
CHART_WIDTH, CHART_HEIGHT = 640, 240
SIDE = 260  # of a square chart


@dataclass(frozen=True)
class Sparkline:
    """A line without axes.

    Attributes:
        points: its points as SVG has them.
        x: where it ends.
        y: where it ends.
        description: what it shows, in words.
    """

    points: str
    x: float
    y: float
    description: str


@dataclass(frozen=True)
class Tick:
    """A mark on an axis."""

    at: float
    text: str


@dataclass(frozen=True)
class Dot:
    """A point of a chart with its interval.

    Attributes:
        x: its place.
        y: its place.
        low: where its interval ends, downwards.
        high: where its interval ends, upwards.
        radius: of the dot.
        text: what it stands for, in words.
    """

    x: float
    y: float
    low: float
    high: float
    radius: float
    text: str


@dataclass(frozen=True)
class Chart:
    """Points with intervals over an axis.

    Attributes:
        width: of the picture.
        height: of the picture.
        left: where the plot begins.
        right: where it ends.
        top: where it begins.
        bottom: where it ends.
        dots: the points.
        line: the line through them; empty for none.
        x_ticks: marks below.
        y_ticks: marks beside.
        description: what it shows, in words.
    """

    width: int
    height: int
    left: float
    right: float
    top: float
    bottom: float
    dots: tuple[Dot, ...]
    line: str
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    description: str


def sparkline(values: Sequence[float]) -> Sparkline | None:
    """Return the line through some values; None if there are fewer than two."""
    finite = [value for value in values if math.isfinite(value)]
    if len(finite) < 2:
        return None
    low, high = min(finite), max(finite)
    step = (WIDTH - 2 * PADDING) / (len(finite) - 1)
    room = HEIGHT - 2 * PADDING
    places = [
        (
            PADDING + number * step,
            PADDING + (room * (high - value) / (high - low) if high > low else room / 2),
        )
        for number, value in enumerate(finite)
    ]
    return Sparkline(
        points_of(places),
        round(places[-1][0], 1),
        round(places[-1][1], 1),
        f"{len(finite)} scores from {low:.4f} to {high:.4f}, the last {finite[-1]:.4f}",
    )


def score_chart(
    points: Sequence[tuple[str, float, float, float, str]], description: str
) -> Chart | None:
    """Return a chart of scores with their intervals, at equal distances; None without scores.

    Args:
        points: of each the mark below it, its score, the ends of its interval, and its words.
        description: what the chart shows.
    """
    if not points:
        return None
    low = min(min(one[1], one[2]) for one in points)
    high = max(max(one[1], one[3]) for one in points)
    marks = round_marks(low, high)
    bottom_value, top_value = min(low, marks[0]), max(high, marks[-1])
    left, right, top, bottom = LEFT, CHART_WIDTH - RIGHT, TOP, CHART_HEIGHT - BOTTOM
    step = (right - left) / len(points)

    def place(value: float) -> float:
        share = (value - bottom_value) / (top_value - bottom_value)
        return round(bottom - share * (bottom - top), 1)

    dots = tuple(
        Dot(round(left + (number + 0.5) * step, 1), place(score), place(one), place(other), 4, text)
        for number, (_, score, one, other, text) in enumerate(points)
    )
    every = math.ceil(len(points) / 12)  # marks below, so that they do not touch
    return Chart(
        CHART_WIDTH, CHART_HEIGHT, left, right, top, bottom, dots,
        points_of([(dot.x, dot.y) for dot in dots]),
        tuple(
            Tick(dot.x, one[0])
            for number, (dot, one) in enumerate(zip(dots, points, strict=True))
            if number % every == 0
        ),
        tuple(Tick(place(mark), f"{mark:g}") for mark in marks),
        description,
    )  # fmt: skip


def unit_chart(
    points: Sequence[tuple[float, float, float, float, float, str]], description: str
) -> Chart:
    """Return a square chart of shares against shares.

    Args:
        points: of each its two shares, the ends of the second one's interval, its weight from 0
            to 1, and its words.
        description: what the chart shows.
    """
    left, right, top, bottom = LEFT - 8, SIDE - 8, 8, SIDE - BOTTOM - 8
    marks = (0.0, 0.25, 0.5, 0.75, 1.0)

    def across(share: float) -> float:
        return round(left + share * (right - left), 1)

    def up(share: float) -> float:
        return round(bottom - share * (bottom - top), 1)

    dots = tuple(
        Dot(across(x), up(y), up(low), up(high), round(2.5 + 4 * math.sqrt(weight), 1), text)
        for x, y, low, high, weight, text in points
    )
    return Chart(
        SIDE, SIDE, left, right, top, bottom, dots, "",
        tuple(Tick(across(mark), f"{mark:g}") for mark in marks),
        tuple(Tick(up(mark), f"{mark:g}") for mark in marks),
        description,
    )  # fmt: skip


def points_of(places: Sequence[tuple[float, float]]) -> str:
    """Return points as SVG has them."""
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in places)


def round_marks(low: float, high: float) -> list[float]:
    """Return about five round numbers that reach from one number to another."""
    span = max(high - low, 1e-3)
    power = 10.0 ** math.floor(math.log10(span / 4))
    step = next(power * unit for unit in (1, 2, 2.5, 5, 10) if power * unit * 5 >= span)
    first, last = math.floor(low / step), math.ceil(high / step)
    return [round(number * step, 10) for number in range(first, max(last, first + 1) + 1)]
