"""The versions, device and threads of a computation, for the catalog's records."""

from __future__ import annotations

import os
import platform
from functools import cache
from importlib import metadata
from importlib.metadata import PackageNotFoundError

from taskbank.digests import Json
from taskbank.version import __version__

NUMERICS = 3  # incremented when the same weights or the same seed give other numbers
version = cache(metadata.version)  # reading all takes 20 ms, and a training asks ten times
RECORDED = ("torch", "transformers", "tokenizers", "safetensors", "numpy")


def numerics(device: str) -> dict[str, Json]:
    """Return the conditions that determine a result's last bits: versions and processor type."""
    values = environment(device)
    names = ("torch", "transformers", "tokenizers", "machine", "gpu")
    versions = {name: values[name] for name in names if name in values}
    return versions | {"taskbank": NUMERICS, "device": device.partition(":")[0]}


def environment(device: str | None = None) -> dict[str, Json]:
    """Return the versions, and the device and threads of the computation.

    Args:
        device: torch's device. None means that torch was not used.
    """
    values: dict[str, Json] = {
        "taskbank": __version__,
        "python": platform.python_version(),
        "machine": platform.machine(),
        "system": platform.system(),
    }
    for name in RECORDED:
        try:
            values[name] = version(name)
        except PackageNotFoundError:  # a vendored build without metadata
            values[name] = "unknown"
    if device is not None:
        import torch

        values["device"] = device
        values["threads"] = torch.get_num_threads()
        if device.startswith("cuda"):
            values["gpu"] = torch.cuda.get_device_name(device)
    else:
        values["processors"] = os.cpu_count()
    return values
