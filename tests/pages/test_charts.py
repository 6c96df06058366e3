"""The shapes of small pictures."""

from __future__ import annotations

import math

import pytest

from taskbank.pages.charts import CHART_HEIGHT, HEIGHT, WIDTH, score_chart, sparkline, unit_chart


@pytest.mark.parametrize("values", [[], [0.5], [0.5, math.nan]])
def test_one_score_makes_no_line(values: list[float]) -> None:
    """A line needs two finite scores."""
    assert sparkline(values) is None


@pytest.mark.parametrize("values", [[0.1, 0.9, 0.5], [0.5, 0.5], [1e-9, 2e-9], [-5.0, 1e6]])
def test_a_line_stays_within_its_picture(values: list[float]) -> None:
    """Every point is inside, the largest value highest, and equal values are a level line."""
    line = sparkline(values)
    points = [tuple(map(float, point.split(","))) for point in line.points.split()]
    assert all(0 <= x <= WIDTH and 0 <= y <= HEIGHT for x, y in points)
    heights = [y for _, y in points]
    assert values.index(max(values)) == heights.index(min(heights))
    assert (line.x, line.y) == points[-1]


@pytest.mark.parametrize("low", [0.0, 0.8123, -3.0, 12345.0])
@pytest.mark.parametrize("span", [0.0, 1e-6, 0.013, 1.0, 5e4])
def test_a_chart_has_round_marks_and_holds_every_interval(low: float, span: float) -> None:
    """Marks are few and different, and no interval leaves the plot."""
    chart = score_chart([("@1", low, low, low, "a"), ("@2", low + span, low, low + span, "b")], "x")
    texts = [tick.text for tick in chart.y_ticks]
    assert 2 <= len(texts) <= 7
    for dot in chart.dots:
        assert chart.top - 0.1 <= dot.high <= dot.y <= dot.low <= chart.bottom + 0.1 < CHART_HEIGHT


def test_many_versions_have_few_marks() -> None:
    """Marks below a chart do not touch each other."""
    points = [(f"@{n}", 0.5, 0.4, 0.6, "") for n in range(100)]
    assert len(score_chart(points, "x").x_ticks) <= 12
    assert score_chart([], "x") is None


def test_equal_shares_lie_on_the_diagonal() -> None:
    """A point whose shares are equal is where the diagonal is."""
    chart = unit_chart([(0.5, 0.5, 0.4, 0.6, 1.0, "")], "x")
    (dot,) = chart.dots
    assert dot.x - chart.left == pytest.approx((chart.right - chart.left) / 2, abs=0.1)
    assert chart.bottom - dot.y == pytest.approx((chart.bottom - chart.top) / 2, abs=0.1)
