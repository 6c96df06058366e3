"""Retired adapters, and what garbage collection takes."""

from __future__ import annotations

import pytest

from taskbank.bank.bank import Bank
from taskbank.errors import (
    ConflictError,
    NotFoundError,
)
from taskbank.verify.verify import verify_all
from tests.helpers.adapters import fill_every_table, new_adapter
from tests.helpers.tampering import rows


def test_retired_adapters_are_out_of_sight_but_not_gone(bank: Bank) -> None:
    """A retired version is not listed and not the newest, yet can still be shown."""
    bank.put(new_adapter())
    bank.put(new_adapter(seed=1), new_version=True)
    bank.remove("mood@2")
    assert bank["mood"].version == 1
    assert [r.ref for r in bank] == ["mood@1"]
    assert [r.ref for r in bank.adapters(retired=True)] == ["mood@1", "mood@2"]
    assert bank["mood@2"].retired
    bank.remove("mood@1")
    with pytest.raises(NotFoundError, match="every version of 'mood' is retired"):
        bank["mood"]


def test_gc_destroys_what_is_retired_and_nothing_else(bank: Bank) -> None:
    """A dry run changes nothing; a confirmed one takes the retired adapter, its bytes and its
    split, leaves the other and the trial's weights, and never gives its number again."""
    fill_every_table(bank)
    live = bank["mood@2"]
    dry = bank.gc()
    assert (dry.adapters, dry.blobs) == (("mood@1",), 3)
    assert len(rows(bank, "blobs")) == 11
    assert bank.gc(confirm=True) == dry
    assert len(rows(bank, "blobs")) == len(list(bank._blobs.sizes())) == 8
    assert rows(bank, "gc_permits") == []
    assert bank["mood@2"] == live
    assert bank.weights(live) == new_adapter("mood", seed=1).weights
    assert bank.put(new_adapter("mood", seed=2), new_version=True).version == 3
    assert bank.gc().adapters == ()
    assert bank.state_dict(bank.trials("mood")[0]).keys() == {"head.weight", "head.bias"}
    assert verify_all(bank, level="integrity").findings == ()


def test_gc_keeps_bytes_that_another_adapter_shares(bank: Bank) -> None:
    """A split and weights that two adapters share stay while one of them is in use."""
    bank.put(new_adapter("one"))
    bank.put(new_adapter("two"))
    assert len(list(bank._blobs.sizes())) == 3
    bank.remove("one@1")
    garbage = bank.gc(confirm=True)
    assert (garbage.adapters, garbage.blobs) == (("one@1",), 0)
    assert verify_all(bank, level="integrity").ok


def test_an_adapter_that_an_alias_names_is_not_retired(bank: Bank) -> None:
    """Production cannot be pulled away by mistake; a moved or dropped alias lets go."""
    bank.put(new_adapter("mood"))
    bank.alias("mood@1", "production")
    with pytest.raises(ConflictError, match="production"):
        bank.remove("mood@1")
    bank.drop_alias("mood", "production")
    bank.remove("mood@1")
    with pytest.raises(ConflictError, match="already retired"):
        bank.remove("mood@1")
    with pytest.raises(ConflictError, match="is retired"):
        bank.alias("mood@1", "production")
