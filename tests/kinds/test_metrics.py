"""Metrics are checked by name, and have a direction."""

from __future__ import annotations

import pytest

from taskbank.errors import InputError
from taskbank.kinds.kind import resolve_metric
from taskbank.kinds.metrics import orient
from taskbank.kinds.single import SINGLE


def test_a_metric_is_checked_and_has_a_direction() -> None:
    """A loss is the better the lower it is; a metric that is not there lists those that are."""
    assert orient("log_loss", 0.5) > orient("log_loss", 0.6)
    assert orient("f1", 0.6) > orient("f1", 0.5)
    assert resolve_metric(SINGLE, None, ["f1"]) == "accuracy"
    assert resolve_metric(SINGLE, "f1", ["f1"]) == "f1"
    with pytest.raises(InputError, match=r"'bleu' does not exist .*'single': use accuracy, f1"):
        resolve_metric(SINGLE, "bleu", ["accuracy", "f1"])
