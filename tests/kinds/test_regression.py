"""Numbers: their unit, their correlations, and what is no number to learn from."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import pearsonr, spearmanr

from taskbank.errors import DataError
from taskbank.kinds.definition import Definition
from taskbank.kinds.regression import FARTHEST, REGRESSION
from taskbank.kinds.resampling import bootstrap_error

UNIT = Definition((), {"mean": 0.0, "std": 1.0, "inputs": ["text"]})


def columns_of(*labels: float) -> dict[str, Any]:
    """Return examples with some numbers."""
    return {"text": ["x"] * len(labels), "label": list(labels)}


def as_predictions(values: Any) -> np.ndarray:
    """Return values as predictions."""
    return np.asarray(values, dtype=np.float32)[:, None]


@pytest.mark.parametrize("levels", [None, 6, 2])
@pytest.mark.parametrize("count", [2, 3, 200])
def test_correlations_are_those_of_scipy(levels: int | None, count: int) -> None:
    """Pearson's and Spearman's coefficients agree to the last digits, ties and all."""
    generator = np.random.default_rng(count)
    wanted: np.ndarray = generator.normal(size=count)
    if levels is not None:
        wanted = np.arange(count) % levels + 0.0
    values = (wanted + generator.normal(size=count)).astype(np.float32)
    found = REGRESSION.metrics(as_predictions(values), columns_of(*wanted), UNIT)
    expected = {
        "pearson": pearsonr(values.astype(float), wanted).statistic,
        "spearman": spearmanr(values, wanted).statistic,
    }
    assert {name: one.value for name, one in found.items()} == pytest.approx(expected, abs=1e-12)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    ("values", "wanted"),
    [
        ([1, 1, 1], [1, 2, 3]),
        ([0.1, 0.1, 0.1], [1, 2, 3]),
        ([1, 2, 3], [0.1, 0.1, 0.1]),
        ([0.1, 0.2, 0.4], [0.1] * 3),
        ([5], [1]),
        ([math.nan, 1, 2], [1, 2, 3]),
        ([3e38, -3e38, math.inf], [1, 2, 3]),
        ([1, 2, 3], [0, 0, 5e-324]),
    ],
)
def test_what_does_not_vary_correlates_with_nothing(
    values: list[float], wanted: list[float]
) -> None:
    """Constant numbers, a single one and what is none score nought, and nothing is said."""
    found = REGRESSION.metrics(as_predictions(values), columns_of(*wanted), UNIT)
    assert found["pearson"].value == 0
    assert all(math.isfinite(one.value + one.standard_error) for one in found.values())


@pytest.mark.filterwarnings("error")
def test_correlations_survive_large_outputs() -> None:
    """The largest numbers of float32 do not overflow on the way."""
    found = REGRESSION.scores(as_predictions([-3e38, 0, 3e38]), columns_of(1, 2, 3), UNIT)
    assert found == pytest.approx({"pearson": 1.0, "spearman": 1.0})


def test_the_error_is_that_of_resampled_examples() -> None:
    """It agrees with what is known of the coefficient of normal numbers: (1 - r²) / √n."""
    generator = np.random.default_rng(0)
    wanted = generator.normal(size=500)
    values = 0.6 * wanted + 0.8 * generator.normal(size=500)
    found = REGRESSION.metrics(as_predictions(values), columns_of(*wanted), UNIT)["pearson"]
    assert found.standard_error == pytest.approx((1 - found.value**2) / math.sqrt(500), rel=0.2)


def test_the_error_of_ranks_is_that_of_ranks_in_each_resample() -> None:
    """Spearman's error is the deviation of SciPy's coefficient over the resamples, ties and all;
    a resample with a number that is none correlates with nothing."""
    generator = np.random.default_rng(4)
    wanted = np.round(generator.normal(size=60), 1)
    values = np.round(wanted + generator.normal(size=60), 1).astype(np.float32)
    for place in (None, 7):
        if place is not None:
            values[place] = math.nan

        def coefficient(rows: np.ndarray) -> float:
            drawn = values[rows]
            return 0.0 if np.isnan(drawn).any() else float(spearmanr(drawn, wanted[rows]).statistic)

        found = REGRESSION.metrics(as_predictions(values), columns_of(*wanted), UNIT)["spearman"]
        assert found.standard_error == pytest.approx(bootstrap_error(60, coefficient), rel=1e-9)


def test_numbers_are_learned_in_their_own_unit_and_answered_in_ours() -> None:
    """What is learned has mean 0 and deviation 1; the answers of a perfect model are the labels."""
    labels = [1500.0, 2500.0, 1700.0, 9000.0]
    definition = REGRESSION.define(columns_of(*labels), "here", {})
    assert definition.settings["mean"] == pytest.approx(np.mean(labels))
    assert definition.settings["std"] == pytest.approx(np.std(labels))
    targets = REGRESSION.targets(columns_of(*labels), definition)
    assert targets.dtype == np.float32
    assert (targets.mean(), targets.std()) == (pytest.approx(0, abs=1e-6), pytest.approx(1))
    answers = REGRESSION.answers(targets[:, None], {}, definition)
    assert [one["value"] for one in answers] == pytest.approx(labels)
    assert [one["score"] for one in answers] == [one["value"] for one in answers]
    assert [one["label"] for one in answers] == ["1500", "2500", "1700", "9000"]


def test_the_loss_is_the_mean_square() -> None:
    """An error of two costs four."""
    loss = REGRESSION.loss(
        torch.tensor([[1.0], [5.0]]), {"targets": torch.tensor([1.0, 3.0])}, None
    )
    assert loss.item() == pytest.approx(2)
    found: np.ndarray | None = REGRESSION.balance(columns_of(1, 2), UNIT)  # type: ignore[func-returns-value]
    assert found is None


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    ("labels", "says"),
    [
        ([5, 5, 5], "every label of here is 5: there is nothing to predict"),
        ([0.1] * 3, "every label of here is 0.1"),
        ([1e308, -1e308], r"the labels of here go from -1e\+308 to 1e\+308: write them in a unit"),
        ([1e308, 1e307], "write them in a unit"),
        ([0, 1e-200], "go from 0 to 1e-200"),
    ],
)
def test_numbers_that_cannot_be_learned_are_refused(labels: list[float], says: str) -> None:
    """One number alone, and numbers too large or too close to compute with, are errors."""
    with pytest.raises(DataError, match=says):
        REGRESSION.define(columns_of(*labels), "here", {})


@pytest.mark.parametrize("value", [1e7, -1e7, 1e300])
def test_a_number_far_from_those_of_train_is_named(value: float) -> None:
    """A slip of the pen in validation is found with its row, not as a training that diverged."""
    REGRESSION.check(columns_of(0, FARTHEST, -FARTHEST), UNIT, "here")
    with pytest.raises(DataError, match=r"row 2 of here has the label .*e\+.*more than 1,000,000"):
        REGRESSION.check(columns_of(0, value), UNIT, "here")


@pytest.mark.parametrize("rows", [3, 10, 15, 40, 99, 100, 1000])
def test_the_strata_are_equal_parts_of_the_range(rows: int) -> None:
    """A held-out part has numbers of all sizes, and of few rows some can be held out as well."""
    labels = np.random.default_rng(0).normal(size=rows)
    strata = np.array(REGRESSION.strata(columns_of(*labels)))
    parts = len(set(strata.tolist()))
    assert parts == min(10, max(1, rows // 10))
    counts = np.bincount(strata)
    assert counts.max() - counts.min() <= 1
    ordered = strata[np.argsort(labels)]
    assert (np.diff(ordered) >= 0).all()


def test_equal_numbers_are_parted_in_their_order() -> None:
    """Which of equal numbers are held out does not depend on how a machine sorts."""
    assert REGRESSION.strata(columns_of(*[1.0] * 20)) == [0] * 10 + [1] * 10


def test_a_number_written_alike_is_no_change() -> None:
    """A number is another answer only where four of its digits show it."""
    before = as_predictions([0.5, 0.5, 0.5])
    after = as_predictions([0.5, 0.5 + 4e-5, 0.5 + 5e-3])
    found = REGRESSION.changes(before, after, columns_of(1, 2, 3), UNIT)
    assert found.changed.tolist() == [False, False, True]
    assert found.moved == pytest.approx([0, 4e-5, 5e-3], abs=1e-7)
    assert not found.within(1e-4)[2]


def test_a_number_between_two_of_four_digits_may_be_rounded_to_either() -> None:
    """A move by a bit is no change of the answer, wherever the number lies and however small."""
    before = as_predictions([0.12345, 1e-6, 0.9])
    after = as_predictions([0.12345 + 3e-8, 1.2e-6, 0.9002])
    found = REGRESSION.changes(before, after, columns_of(1, 2, 3), UNIT)
    labels = [
        [answer["label"] for answer in REGRESSION.answers(x, {}, UNIT)] for x in (before, after)
    ]
    assert labels[0][1] != labels[1][1]
    assert found.changed.tolist() == [False, False, False]
