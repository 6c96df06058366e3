"""The conditions of a verification: the usual ones, or the overrides of `--what-if`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from taskbank.bank.records import AdapterRecord
from taskbank.digests import Json, digest_json
from taskbank.errors import InputError
from taskbank.runtime.environment import numerics

if TYPE_CHECKING:
    from taskbank.backbone.backbone import Backbone
    from taskbank.workers.job import Executor

DTYPES = ("float32", "bfloat16", "float16")
RULES = 2  # incremented when a result by earlier rules no longer vouches for an adapter
WHAT_IF_NAMES = ("backbone", "dtype", "device", "threads")


@dataclass(frozen=True)
class Conditions:
    """The backbone, device and arithmetic that a verification predicts with.

    Attributes:
        device: the device to compute on.
        backbone: the backbone, or where to load it from; None means its recorded source.
        dtype: the number type of matrix products.
        threads: number of CPU threads; None means torch's current number.
        overrides: the conditions that are only tried out, by name.
    """

    device: str
    backbone: str | Backbone | None = None
    dtype: str = "float32"
    threads: int | None = None
    overrides: Mapping[str, str] = field(default_factory=dict)

    @property
    def numerics(self) -> dict[str, Json]:
        """Everything that the last bits of a prediction depend on."""
        return numerics(self.device) | {"dtype": self.dtype}

    @property
    def reduced_precision(self) -> bool:
        """Whether matrix products have a lower precision than those of the reference."""
        return self.dtype != "float32"

    @contextmanager
    def apply(self) -> Iterator[None]:
        """Compute under these conditions inside the `with` block."""
        import torch

        from taskbank.verify.noise import use_threads

        count = self.threads or torch.get_num_threads()
        kind = self.device.partition(":")[0]
        dtype = getattr(torch, self.dtype)
        with use_threads(count), torch.autocast(kind, dtype, enabled=self.reduced_precision):
            yield


def resolve_conditions(
    what_if: Mapping[str, str] | None,
    backbone: str | Backbone | None,
    device: str | None,
    executor: Executor,
) -> Conditions:
    """Return the conditions for a verification's arguments.

    Args:
        what_if: values of `backbone`, `dtype`, `device` and `threads` to try out.
        backbone: the backbone, or where to load it from; None means its recorded source.
        device: the device to compute on; None means the best available device.
        executor: where to compute.

    Raises:
        InputError: if a value cannot be used, or an argument contradicts another one.
    """
    overrides = dict(what_if or {})
    for name, value in overrides.items():
        if name not in WHAT_IF_NAMES:
            raise InputError(f"--what-if {name}={value} is unknown: use {', '.join(WHAT_IF_NAMES)}")
        if name in ("backbone", "device") and {"backbone": backbone, "device": device}[name]:
            raise InputError(f"--what-if {name}={value} conflicts with --{name}: give one of them")
    chosen_device = overrides.get("device", device)
    if backbone is not None and not isinstance(backbone, str):
        own_device = str(backbone.device)
        if chosen_device not in (None, own_device):
            raise InputError(
                f"the backbone is on {own_device}, not on {chosen_device}: omit the device, or "
                "move the backbone"
            )
        chosen_device = own_device
    device = executor.pick_device(chosen_device)
    dtype = overrides.get("dtype", "float32")
    if dtype not in DTYPES:
        raise InputError(f"--what-if dtype={dtype} is unknown: use {', '.join(DTYPES)}")
    count = overrides.get("threads")
    if count is not None and not (count.isdecimal() and 0 < int(count) <= 1024):
        raise InputError(
            f"--what-if threads={count} is not a number of threads: use a number from 1 to 1024"
        )
    threads = None if count is None else int(count)
    return Conditions(device, overrides.get("backbone", backbone), dtype, threads, overrides)


def digest_circumstances(record: AdapterRecord, backbone: str, numerics: Mapping[str, Json]) -> str:
    """Return the digest of everything that an adapter's result depends on.

    Args:
        record: the adapter.
        backbone: fingerprint of the loaded backbone.
        numerics: everything that the last bits of a prediction depend on.
    """
    return digest_json(
        {
            "adapter": record.digest,
            "kind": record.kind,
            "metric": record.metric,
            "method": [record.method, dict(record.options)],
            "definition": [list(record.labels), dict(record.settings)],
            "max_length": record.training["max_length"],
            "splits": [[split.name, split.digest, split.reference] for split in record.splits],
            "backbone": backbone,
            "numerics": dict(numerics),
            "rules": RULES,
        }
    )
