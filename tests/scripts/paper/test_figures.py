"""Tests of scripts/paper/figures.py."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from scripts.paper import figures
from tests.helpers.score_rows import Row, score_row

CURVE = [
    {"task": t, "method": m, "value": v, "parameters": 100 * v, "score": 0.7 + v / 100}
    for t in "ab"
    for m, values in (("houlsby", (2, 16)), ("top-k", (1, 2)))
    for v in values
]
ABLATION = [
    {"task": t, "metric": "f1", "first": i, "last": j, "change": -0.1 * (j - i)}
    for t in "abc"
    for i in range(3)
    for j in range(i, 3)
]
SCALES = [
    {"task": "a", "metric": "f1", "init_std": 10.0**n, "score": None if n == 0 else 0.8}
    for n in range(-7, 1)
]
SQUAD = [
    score_row("xquad", "houlsby", size=2),
    score_row("xquad", "houlsby", size=64, parameters=900),
    score_row("xquad", "full", size=0, standard_error=0.0, seeds=1),
]
FIGURES: list[tuple[Callable[..., None], list[Row]]] = [
    (figures.draw_curve, CURVE),
    (figures.draw_ablation, ABLATION),
    (figures.draw_initial_scale, SCALES),
    (figures.draw_squad, SQUAD),
]


@pytest.mark.slow
@pytest.mark.parametrize(("draw", "rows"), FIGURES)
def test_a_figure_has_the_same_bytes_each_time(
    tmp_path: Path, draw: Callable[..., None], rows: list[Row]
) -> None:
    """Two figures of the same rows are the same PNG and the same SVG."""
    pytest.importorskip("matplotlib")
    files = []
    for name in ("one", "two"):
        draw(tmp_path / name, rows, "the backbone")
        files.append([(tmp_path / f"{name}.{end}").read_bytes() for end in ("png", "svg")])
    assert files[0] == files[1]
    assert files[0][0].startswith(b"\x89PNG")
    assert b"</svg>" in files[0][1]


@pytest.mark.parametrize(("draw", "rows"), FIGURES)
def test_without_rows_there_is_no_figure(
    tmp_path: Path, draw: Callable[..., None], rows: list[Row]
) -> None:
    """No file is written for a suite without a task for the figure."""
    draw(tmp_path / "none", [])
    assert not list(tmp_path.iterdir())


def test_the_curve_omits_tasks_without_fine_tuning() -> None:
    """A task without a reference is left out, and the differences are in points."""
    partial = [one for one in CURVE if (one["task"], one["value"]) != ("b", 2)]
    partial = [one for one in partial if (one["task"], one["method"]) != ("b", "top-k")]
    compared = list(figures._compared(partial))
    assert {one["task"] for one in compared} == {"a"}
    differences = {(one["method"], one["value"]): one["difference"] for one in compared}
    assert differences["top-k", 2] == 0
    assert differences["houlsby", 16] == pytest.approx(14)
