"""Pictures of a history."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from taskbank.errors import InputError, MissingExtraError
from taskbank.history.events import task_events
from taskbank.history.matrix import score_matrix
from taskbank.history.plots import check_plot, draw_matrix, draw_task
from tests.helpers.adapters import new_adapter
from tests.helpers.verifications import observe


@pytest.mark.slow
@pytest.mark.parametrize("tasks", [1, 3, 40])
def test_pictures_are_drawn_and_the_same_every_time(tmp_path: Path, tasks: int) -> None:
    """Of few tasks with their names and of many without; equal data gives equal bytes."""
    from taskbank.bank.open import create_bank

    with create_bank(f"sqlite:///{tmp_path}/bank.db") as bank:
        for number in range(tasks):
            bank.put(new_adapter(f"task{number}", seed=number))
        observe(bank, task0=0.1)
        matrix, events = score_matrix(bank), task_events(bank, "task0")
    for ending in ("png", "svg"):
        drawn: tuple[Callable[[Path], None], ...] = (
            lambda path: draw_matrix(matrix, path),
            lambda path: draw_task("task0", events, path),
        )
        for draw in drawn:
            paths = [tmp_path / f"{number}.{ending}" for number in range(2)]
            for path in paths:
                draw(path)
            assert paths[0].read_bytes() == paths[1].read_bytes()
            assert paths[0].stat().st_size > 1000


def test_a_picture_that_cannot_be_drawn_is_said_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another ending, a folder that is not there, no matplotlib."""
    with pytest.raises(InputError, match=r"\.png or \.svg"):
        check_plot(tmp_path / "a.jpg")
    with pytest.raises(InputError, match=r"a\.png cannot be written: create the folder"):
        check_plot(tmp_path / "nowhere" / "a.png")
    monkeypatch.setitem(__import__("sys").modules, "matplotlib", None)
    with pytest.raises(MissingExtraError, match=r"taskbank\[plots\]"):
        check_plot(tmp_path / "a.png")
