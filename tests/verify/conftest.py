"""A report of a bank with a regressed task, and a count of predictions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from taskbank.bank.bank import Bank
from taskbank.model.predict import predict_examples
from taskbank.verify import observer
from taskbank.verify.report import Report
from taskbank.verify.verify import verify_all
from tests.helpers.tampering import reseal


@pytest.fixture
def regressed(mood: Bank) -> Report:
    """The report of a bank with a regressed task and a text that would break a page."""

    def swap(tensors: dict[str, np.ndarray]) -> None:
        tensors["head.bias"] = np.array([9, -9], dtype=np.float32)

    reseal(mood, swap, "weights")
    return verify_all(mood)


@pytest.fixture
def predicted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The number of examples of every prediction that a verification makes, a task at a time."""
    monkeypatch.setattr(observer, "WINDOW_EXAMPLES", 0)
    calls: list[int] = []

    def counted(model: Any, kind: Any, encoded: Any, *arguments: Any) -> Any:
        calls.append(len(encoded))
        return predict_examples(model, kind, encoded, *arguments)

    monkeypatch.setattr(observer, "predict_examples", counted)
    return calls
