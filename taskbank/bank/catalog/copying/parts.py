"""The parts of a copy, in the order in which they are recorded.

What a row refers to comes before it. Aliases come after everything that the versions need to be
served and verified, and retirements after the aliases that were moved away.
"""

from __future__ import annotations

from typing import Any

from taskbank.bank.catalog.copying.decisions import Acceptances, Aliases, Retirements, Tolerances
from taskbank.bank.catalog.copying.part import Part
from taskbank.bank.catalog.copying.verifications import Observations, Runs, Verifications
from taskbank.bank.catalog.copying.versions import Backbones, ScoredSplits, Trials, Versions

PARTS: tuple[type[Part[Any]], ...] = (
    Backbones,
    Versions,
    ScoredSplits,
    Trials,
    Runs,
    Observations,
    Verifications,
    Acceptances,
    Tolerances,
    Aliases,
    Retirements,
)
