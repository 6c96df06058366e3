"""Loaded adapters are kept up to a number of bytes."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import torch

from taskbank.backbone.backbone import Backbone
from taskbank.bank.bank import Bank
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


def test_an_evicted_model_is_used_again_once_nobody_holds_it(
    bank: Bank, backbone: Backbone
) -> None:
    """A model that somebody still computes with keeps its tensors; one that nobody holds gets those
    of the next adapter of its shape, and predicts as a new model does."""
    records = [put_moved(bank, backbone, name) for name in "abc"]
    cache = ModelCache(bank, backbone, memory=0)
    held = cache.model(records[0])
    before = {name: tensor.clone() for name, tensor in held.trained_tensors().items()}
    modules = id(cache.model(records[1]).adapted)
    again = cache.model(records[2])  # evicts the second
    assert id(again.adapted) != modules
    assert id(cache.model(records[0]).adapted) == modules
    assert all(torch.equal(before[name], tensor) for name, tensor in held.trained_tensors().items())
    wanted = bank.state_dict(records[2])
    assert all(torch.equal(wanted[name], one) for name, one in again.trained_tensors().items())
