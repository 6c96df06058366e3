"""The noise of a machine is measured with room to spare, and hides nothing broken."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from taskbank import plugins
from taskbank.errors import UnstableError
from taskbank.kinds.definition import Definition
from taskbank.verify import noise as module
from taskbank.verify.noise import (
    check_stable,
    measure_noise,
    use_threads,
)
from taskbank.verify.rounding import (
    LARGEST_DIFFERENCE,
    LARGEST_NOISE,
    MINIMUM_RELATIVE_NOISE,
    SAFETY_FACTOR,
    is_unstable,
    minimum_noise,
)

COLUMNS = {"text": ("a", "b"), "label": ("no", "yes")}
DEFINITION = Definition(("no", "yes"), {"positive": "yes"})
MODEL: Any = SimpleNamespace(backbone=SimpleNamespace(device=torch.device("cpu")))
OBSERVED = np.array([[1.0, -1.0], [-4.0, 4.0]], dtype=np.float32)


def measured(monkeypatch: pytest.MonkeyPatch, shapes: Iterator[np.ndarray]) -> float:
    """Return the noise of predictions that come out as given, one after the other."""
    monkeypatch.setattr(module, "predict_examples", lambda *_given: next(shapes))
    kind = plugins.load("kinds", "single")
    encoded: Any = [0, 1]  # nothing but its length is asked for
    return measure_noise(MODEL, kind, DEFINITION, COLUMNS, encoded, OBSERVED, 4.0)


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


@pytest.mark.parametrize("share", [0.5, 1.5])
def test_a_difference_that_rounding_cannot_explain_is_unstable(
    monkeypatch: pytest.MonkeyPatch, share: float
) -> None:
    """Noise has a limit in proportion to the largest output; a larger difference is no noise."""
    moved = OBSERVED.copy()
    moved[0, 1] += share * 4 * LARGEST_DIFFERENCE
    assert is_unstable(measured(monkeypatch, iter([moved, OBSERVED])), 4.0) == (share > 1)


def test_a_reduced_precision_may_differ_by_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """What bfloat16 rounds away is not taken for a broken machine, but a leak of other texts is."""
    for difference, unstable in ((0.01, False), (2.0, True)):
        moved = OBSERVED + np.float32(difference)
        with torch.autocast("cpu", torch.bfloat16):
            found = measured(monkeypatch, iter([moved, OBSERVED]))
        assert is_unstable(found, 4.0) == unstable


@pytest.mark.parametrize("broken", [np.nan, np.inf])
def test_an_output_that_is_a_number_in_one_batch_only_is_unstable(
    monkeypatch: pytest.MonkeyPatch, broken: float
) -> None:
    """The noise is then as large as can be stored, and not infinite."""
    odd = OBSERVED.copy()
    odd[0, 0] = broken
    assert measured(monkeypatch, iter([odd, OBSERVED])) == LARGEST_NOISE


def test_an_output_that_is_never_a_number_is_not_unstable(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Weights that are NaN are a finding of their own."""
    odd = OBSERVED.copy()
    odd[0, 0] = np.nan
    monkeypatch.setattr(module, "predict_examples", lambda *_given: odd)
    encoded: Any = [0, 1]
    kind = plugins.load("kinds", "single")
    found = measure_noise(MODEL, kind, DEFINITION, COLUMNS, encoded, odd, 4.0)
    assert found == 4 * MINIMUM_RELATIVE_NOISE


def test_unstable_outputs_are_an_error_before_anything_is_recorded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The error names the difference, what rounding explains, and what to check."""
    monkeypatch.setattr(module, "predict_examples", lambda *_given: OBSERVED[::-1])
    encoded: Any = [0, 1]
    kind = plugins.load("kinds", "single")
    with pytest.raises(UnstableError, match=r"differ by 5, .* at most 0.0004.* check its memory"):
        check_stable(MODEL, kind, DEFINITION, COLUMNS, encoded, OBSERVED)


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
