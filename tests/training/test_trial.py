"""Trials are ranked by how they ended."""

from __future__ import annotations

from tests.helpers.training import BASE


def test_a_complete_trial_comes_before_a_collapsed_one() -> None:
    """Of equal scores, and even of a worse one, the trial that learned something is better."""
    from taskbank.training.trial import RANKS, Trial

    trials = [
        Trial(BASE, "", status, score, 0.1)
        for status, score in zip(RANKS, (4, 3, 2, 1), strict=True)
    ]
    assert max(trials, key=lambda t: t.rank("accuracy")).status == "complete"
