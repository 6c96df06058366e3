"""The device to compute on, and its fastest number type for training."""

from __future__ import annotations

from taskbank.errors import InputError


def pick_device(name: str | None) -> str:
    """Return the named device, else a GPU if there is one, else the CPU.

    Args:
        name: `cpu`, `cuda` or `cuda:1`. None means the best available device.

    Raises:
        InputError: if the device does not exist.
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


def fastest_precision(device: str) -> str:
    """Return the fastest number type for a training's products.

    Args:
        device: the device to compute on.
    """
    import torch

    # Emulated bfloat16 is slower than float32. Older versions of torch lack these functions.
    checks = (
        getattr(torch.cpu, f"_is_{name}_supported", None) for name in ("avx512_bf16", "amx_tile")
    )
    native = not device.startswith("cpu") or any(supported and supported() for supported in checks)
    return "bfloat16" if native else "float32"
