"""What a verification asks of every adapter that it predicts with."""

from __future__ import annotations

from dataclasses import dataclass

from taskbank.verify.conditions import Conditions
from taskbank.verify.report import Level
from taskbank.verify.verdict import Standard


@dataclass(frozen=True)
class Terms:
    """What a verification asks of every adapter that it predicts with.

    Attributes:
        level: `changed`, `canary` or `full`.
        conditions: the conditions to predict under.
        standard: what is asked of a result.
        run: the run that records the predictions; None if nothing is recorded.
    """

    level: Level
    conditions: Conditions
    standard: Standard
    run: int | None = None
