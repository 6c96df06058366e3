"""Loaded adapters are kept up to a number of bytes."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import torch

from taskbank.backbone.backbone import Backbone
from taskbank.bank.bank import Bank
from taskbank.model.stored_model import StoredModel
from taskbank.serve.model_cache import ModelCache
from tests.helpers.models import put_moved


def test_adapters_are_loaded_once_and_let_go_of_by_bytes(bank: Bank, backbone: Backbone) -> None:
    """The adapters used last stay, as many as the bytes allow; one that is gone is loaded anew."""
    records = [put_moved(bank, backbone, name) for name in "abc"]
    size = sum(tensor.nbytes for tensor in bank.state_dict(records[0]).values())
    loaded = ModelCache(bank, backbone, memory=2 * size)
    first, second = loaded.model(records[0]), loaded.model(records[1])
    assert loaded.model(records[0]) is first
    loaded.model(records[2])
    assert len(loaded) == 2
    assert loaded.model(records[0]) is first
    assert loaded.model(records[1]) is not second
    tiny = ModelCache(bank, backbone, memory=0)
    assert [tiny.model(record) for record in records]
    assert len(tiny) == 1


@pytest.mark.slow
def test_adapters_are_loaded_from_many_threads(bank: Bank, backbone: Backbone) -> None:
    """Eight threads that ask for more tasks than fit get the right ones, and the bytes hold."""
    records = [put_moved(bank, backbone, name) for name in "abcde"]
    wanted = {one.task: bank.state_dict(one)["head.weight"] for one in records}
    loaded = ModelCache(bank, backbone, memory=3 * 4 * records[0].parameters)

    def use(turn: int) -> bool:
        record = records[turn % len(records)]
        head: Any = loaded.model(record).head
        return torch.equal(head.weight, wanted[record.task])

    with ThreadPoolExecutor(8) as threads:
        assert all(threads.map(use, range(200)))
    assert len(loaded) == 3


def test_an_evicted_model_is_used_again_once_it_was_given_back(
    bank: Bank, backbone: Backbone
) -> None:
    """A borrowed model keeps its tensors when it is evicted; given back, it gets those of the next
    adapter of its shape. A model that was given away is never used again."""
    records = [put_moved(bank, backbone, name) for name in "abcd"]
    wanted = [bank.state_dict(record) for record in records]

    def holds(model: StoredModel, number: int) -> bool:
        own = model.trained_tensors()
        return all(torch.equal(wanted[number][name], one) for name, one in own.items())

    cache = ModelCache(bank, backbone, memory=0)
    borrowed, given = cache.borrow(records[0]), cache.model(records[1])
    other = cache.borrow(records[2])
    assert holds(borrowed, 0)
    assert holds(given, 1)
    assert holds(other, 2)
    cache.give_back(borrowed)
    again = cache.borrow(records[3])
    assert again is borrowed
    assert holds(again, 3)
    assert holds(given, 1)
    assert holds(other, 2)
    assert cache.model(records[0]) not in (borrowed, given, other)
