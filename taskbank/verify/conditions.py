"""Under which conditions a verification predicts: those of always, or of a question "what if?"."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from taskbank.bank.records import AdapterRecord
from taskbank.digests import Json, digest_json
from taskbank.errors import InputError
from taskbank.runtime.device import pick_device
from taskbank.runtime.environment import numerics

if TYPE_CHECKING:
    from taskbank.backbone.backbone import Backbone

DTYPES = ("float32", "bfloat16", "float16")
QUESTIONS = ("backbone", "dtype", "device", "threads")


@dataclass(frozen=True)
class Conditions:
    """Where the backbone is, and what is computed how.

    Attributes:
        device: to compute on.
        backbone: where the backbone is loaded from, or itself; none means from where it was
            recorded.
        dtype: of the products.
        threads: to compute with; none means as many as torch has.
        asked: what is only asked about, by name; empty if nothing is.
    """

    device: str
    backbone: str | Backbone | None = None
    dtype: str = "float32"
    threads: int | None = None
    asked: Mapping[str, str] = field(default_factory=dict)

    @property
    def numerics(self) -> dict[str, Json]:
        """What the last bits of a prediction depend on."""
        return numerics(self.device) | {"dtype": self.dtype}

    @property
    def reduced(self) -> bool:
        """Whether the products have fewer digits than those of the reference."""
        return self.dtype != "float32"

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Compute in this way while it lasts."""
        import torch

        from taskbank.verify.noise import threads

        count = self.threads or torch.get_num_threads()
        kind = self.device.partition(":")[0]
        dtype = getattr(torch, self.dtype)
        with threads(count), torch.autocast(kind, dtype, enabled=self.reduced):
            yield


def conditions(
    what_if: Mapping[str, str] | None, backbone: str | Backbone | None, device: str | None
) -> Conditions:
    """Return the conditions that were asked for.

    Args:
        what_if: answers to `backbone`, `dtype`, `device` and `threads` that are only tried out.
        backbone: where the backbone is now, or itself.
        device: to compute on; none means the best there is.

    Raises:
        InputError: naming what cannot be tried out.
    """
    asked = dict(what_if or {})
    for name, value in asked.items():
        if name not in QUESTIONS:
            raise InputError(f"--what-if {name}={value} is unknown: use {', '.join(QUESTIONS)}")
        if name in ("backbone", "device") and {"backbone": backbone, "device": device}[name]:
            raise InputError(f"--what-if {name}={value} and --{name}: give one of them")
    where = asked.get("device", device)
    if backbone is not None and not isinstance(backbone, str):
        there = str(backbone.device)
        if where not in (None, there):
            raise InputError(f"the backbone is on {there}, not on {where}: name one of them")
        where = there
    device = pick_device(where)
    dtype = asked.get("dtype", "float32")
    if dtype not in DTYPES:
        raise InputError(f"--what-if dtype={dtype} is unknown: use {', '.join(DTYPES)}")
    count = asked.get("threads")
    if count is not None and not (count.isdecimal() and 0 < int(count) <= 1024):
        raise InputError(f"--what-if threads={count} is no number of threads: use 1, 2, …")
    threads = None if count is None else int(count)
    return Conditions(device, asked.get("backbone", backbone), dtype, threads, asked)


def circumstances(record: AdapterRecord, backbone: str, numerics: Mapping[str, Json]) -> str:
    """Return the digest of everything that the result of a verification depends on.

    Args:
        record: the adapter.
        backbone: fingerprint of the one that was loaded.
        numerics: what the last bits of a prediction depend on.
    """
    return digest_json(
        {
            "adapter": record.digest,
            "kind": record.kind,
            "metric": record.metric,
            "method": [record.method, dict(record.options)],
            "definition": [list(record.labels), dict(record.settings)],
            "max_length": record.training["max_length"],
            "splits": [[one.name, one.digest, one.reference] for one in record.splits],
            "backbone": backbone,
            "numerics": dict(numerics),
        }
    )
