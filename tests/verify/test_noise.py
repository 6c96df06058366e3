"""How far rounding moves outputs is measured, with room to spare, and hides nothing broken."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch

from taskbank import plugins
from taskbank.kinds.definition import Definition
from taskbank.verify import noise as module
from taskbank.verify.noise import (
    MINIMUM_RELATIVE_NOISE,
    SAFETY_FACTOR,
    measure_noise,
    minimum_noise,
    use_threads,
)

COLUMNS = {"text": ("a", "b"), "label": ("no", "yes")}
DEFINITION = Definition(("no", "yes"), {"positive": "yes"})
OBSERVED = np.array([[1.0, -1.0], [-4.0, 4.0]], dtype=np.float32)


def measured(monkeypatch: pytest.MonkeyPatch, shapes: Iterator[np.ndarray]) -> float:
    """Return the noise of predictions that come out as given, one after the other."""
    monkeypatch.setattr(module, "predict_examples", lambda *_given: next(shapes))
    kind = plugins.load("kinds", "single")
    model: Any = None
    encoded: Any = [0, 1]  # nothing but its length is asked for
    return measure_noise(model, kind, DEFINITION, COLUMNS, encoded, OBSERVED)


def test_noise_is_some_times_the_largest_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whichever shape of batch moves an output most, in whatever direction."""
    moved = OBSERVED.copy()
    moved[1, 0] -= 3e-4
    assert measured(monkeypatch, iter([OBSERVED, moved])) == pytest.approx(
        SAFETY_FACTOR * 3e-4, rel=1e-3
    )


def test_where_nothing_moves_there_is_some_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Relative to the largest output, which is 4 here."""
    found = measured(monkeypatch, iter([OBSERVED, OBSERVED]))
    assert found == minimum_noise(4.0) == 4 * MINIMUM_RELATIVE_NOISE


@pytest.mark.parametrize("broken", [np.nan, np.inf])
def test_what_is_no_number_is_no_noise(monkeypatch: pytest.MonkeyPatch, broken: float) -> None:
    """Outputs that are no numbers do not make everything pass for rounding."""
    odd = OBSERVED.copy()
    odd[0, 0] = broken
    assert measured(monkeypatch, iter([odd, odd])) == 4 * MINIMUM_RELATIVE_NOISE


def test_another_number_of_threads_is_tried_where_there_are_several(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The third prediction is on one thread, and the number of threads is put back."""
    seen: list[int] = []

    def shapes() -> Iterator[np.ndarray]:
        for _ in range(3):
            seen.append(torch.get_num_threads())
            yield OBSERVED

    with use_threads(2):
        measured(monkeypatch, shapes())
        assert torch.get_num_threads() == 2
    assert seen == [2, 2, 1]


def test_threads_are_put_back_whatever_happens() -> None:
    """Also after an error."""
    before = torch.get_num_threads()
    with pytest.raises(ValueError, match="oops"), use_threads(before + 1):
        raise ValueError("oops")
    assert torch.get_num_threads() == before
