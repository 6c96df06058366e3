"""The versions, device and threads of a computation, as the catalog records them."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version

from taskbank.digests import Json
from taskbank.version import __version__

NUMERICS = 3  # raised whenever other numbers come of the same weights, or of the same seed
RECORDED = ("torch", "transformers", "tokenizers", "safetensors", "numpy", "scikit-learn")


def numerics(device: str) -> dict[str, Json]:
    """Return what the last bits of a result depend on: versions and the kind of processor."""
    found = environment(device)
    names = ("torch", "transformers", "tokenizers", "machine", "gpu")
    versions = {name: found[name] for name in names if name in found}
    return versions | {"taskbank": NUMERICS, "device": device.partition(":")[0]}


def environment(device: str | None = None) -> dict[str, Json]:
    """Return the versions, and the device and threads that were computed on.

    Args:
        device: where torch computed; none if torch was not used.
    """
    found: dict[str, Json] = {
        "taskbank": __version__,
        "python": platform.python_version(),
        "machine": platform.machine(),
        "system": platform.system(),
    }
    for name in RECORDED:
        try:
            found[name] = version(name)
        except PackageNotFoundError:  # a vendored build without metadata
            found[name] = "unknown"
    if device is not None:
        import torch

        found["device"] = device
        found["threads"] = torch.get_num_threads()
        if device.startswith("cuda"):
            found["gpu"] = torch.cuda.get_device_name(device)
    else:
        found["processors"] = os.cpu_count()
    return found
