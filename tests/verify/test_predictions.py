"""Evidence of every adapter, whatever it gives."""

from __future__ import annotations

import numpy as np
import pytest

from taskbank.bank.bank import Bank
from taskbank.errors import ConflictError
from taskbank.verify.verify import verify_all
from tests.helpers.findings import messages
from tests.helpers.tampering import replica, rewrite


def test_a_task_whose_split_is_gone_is_unverifiable(mood: Bank) -> None:
    """It is not left out, and not called damaged: its weights are what was recorded."""
    rewrite(mood, "DELETE FROM blobs WHERE digest = ?", mood["mood"].splits[1].digest)
    for level in ("integrity", "full"):
        report = verify_all(mood, level=level)
        assert [task.status for task in report.tasks] == ["unverifiable"]
        assert {finding.check for finding in report.findings} == {"gone"}
        assert "the evidence of split 'test' is missing" in messages(report)
    rewrite(mood, "DELETE FROM blobs WHERE digest = ?", mood["mood"].digest)
    assert [task.status for task in verify_all(mood).tasks] == ["damaged"]


@pytest.mark.slow
def test_an_adapter_whose_outputs_are_infinite_is_a_finding(mood: Bank) -> None:
    """Infinity and NaN are a regression that is recorded, and nothing that could be accepted."""

    def endless(tensors: dict[str, np.ndarray]) -> None:
        tensors["head.bias"] = np.array([np.inf, 0], dtype=np.float32)

    def broken(tensors: dict[str, np.ndarray]) -> None:
        tensors["head.bias"] = np.full(2, np.nan, dtype=np.float32)

    mood.put(replica(mood, "endless", endless))
    mood.put(replica(mood, "broken", broken))
    report = verify_all(mood)
    assert [task.status for task in report.tasks] == ["ok", "regressed", "regressed"]
    assert report.unrecorded is None
    for name in ("endless", "broken"):
        with pytest.raises(ConflictError, match=f"{name}@1 predicted NaN or infinity"):
            mood.accept(name, report.id, "why not")
