"""Everything that writes to a bank, for banks that take no writes."""

from __future__ import annotations

from collections.abc import Callable

from taskbank.bank.bank import Bank
from tests.helpers.adapters import identity, new_adapter

# Each needs a bank with the task `one`.
WRITES: list[Callable[[Bank], object]] = [
    lambda bank: bank.put(new_adapter("two", seed=1)),
    lambda bank: bank.check_can_add("two", "single", new_version=False),
    lambda bank: bank.check_can_score(bank["one"], "june"),
    lambda bank: bank.add_backbone(identity("other")),
    lambda bank: bank.alias("one@1", "production"),
    lambda bank: bank.remove("one@1"),
    lambda bank: bank.set_tolerance("one", 0.1),
    lambda bank: bank.gc(confirm=True),
]
