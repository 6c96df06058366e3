"""Where something ran: versions, device and threads, as the catalog records them."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version

from taskbank.errors import InputError
from taskbank.specs import Json
from taskbank.version import __version__

NUMERICS = 3  # raised whenever other numbers come of the same weights, or of the same seed
RECORDED = ("torch", "transformers", "tokenizers", "safetensors", "numpy", "scikit-learn")


def pick_device(name: str | None) -> str:
    """Return the device to compute on: the one named, else a GPU if there is one.

    Args:
        name: `cpu`, `cuda` or `cuda:1`; none means the best there is.

    Raises:
        InputError: if there is no such device.
    """
    import torch

    if name is None:
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError:
        raise InputError(f"device {name!r} is unknown: use cpu, cuda or cuda:NUMBER") from None
    count = torch.cuda.device_count()
    if device.type == "cpu" or (device.type == "cuda" and (device.index or 0) < count):
        return name
    raise InputError(
        f"device {name!r} is not on this machine: use cpu"
        + (f", or cuda:0 to cuda:{count - 1}" if count else "")
    )


def usual_precision(device: str) -> str:
    """Return the number type that products are quickest in where a training may use it.

    Args:
        device: to compute on.
    """
    import torch

    # What a CPU only emulates is slower than float32. Older versions of torch cannot say.
    cpu = (
        getattr(torch.cpu, f"_is_{name}_supported", None) for name in ("avx512_bf16", "amx_tile")
    )
    own = not device.startswith("cpu") or any(supported and supported() for supported in cpu)
    return "bfloat16" if own else "float32"


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
