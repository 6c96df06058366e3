"""Which device to compute on, and which number type is fastest there."""

from __future__ import annotations

from taskbank.errors import InputError


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
