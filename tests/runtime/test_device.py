"""Devices by name."""

from __future__ import annotations

import pytest
import torch

from taskbank.errors import InputError
from taskbank.runtime.device import fastest_precision, pick_device


def test_the_best_device_is_a_gpu_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a name the device is `cuda` if torch sees a GPU, and else `cpu`."""
    for available, device in ((True, "cuda"), (False, "cpu")):
        monkeypatch.setattr(torch.cuda, "is_available", lambda available=available: available)
        assert pick_device(None) == device


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("abacus", "'abacus' is unknown: use cpu, cuda or cuda:NUMBER"),
        ("cuda:2", "'cuda:2' is not on this machine: use cpu, or cuda:0 to cuda:1"),
        ("meta", "'meta' is not on this machine"),
    ],
)
def test_a_device_that_is_not_there_is_refused(
    monkeypatch: pytest.MonkeyPatch, name: str, says: str
) -> None:
    """A device that torch does not know or see is an error that lists the usable ones."""
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert pick_device("cpu") == "cpu"
    assert pick_device("cuda:1") == "cuda:1"
    with pytest.raises(InputError, match=says):
        pick_device(name)


@pytest.mark.parametrize("supported", [True, False])
def test_bfloat16_is_usual_only_where_the_processor_has_it(
    monkeypatch: pytest.MonkeyPatch, supported: bool
) -> None:
    """A CPU without instructions for bfloat16 computes in float32; a GPU in bfloat16."""
    for name in ("avx512_bf16", "amx_tile"):
        monkeypatch.setattr(torch.cpu, f"_is_{name}_supported", lambda: supported, raising=False)
    assert fastest_precision("cpu") == ("bfloat16" if supported else "float32")
    assert fastest_precision("cuda:0") == "bfloat16"
