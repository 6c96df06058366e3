"""The state of an unfinished training on disk, so that it can be resumed.

One file a training, named by the digest of everything that decides it, in the folder
`checkpoints` of the cache. It is written after every epoch, replaced as a whole, and removed when
the training is recorded. A file begins with the digest of the rest and says which training it is
of, so that one that was cut, changed or renamed is noticed: it is said, and the training starts
over.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from uuid import uuid4

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save

from taskbank.digests import Json, digest_bytes
from taskbank.runtime.disk_cache import cache_folder, warn_unwritable

DIGEST_BYTES = 71  # "sha256:" and 64 hex digits


@dataclass(frozen=True)
class State:
    """A training after some epochs.

    Attributes:
        tensors: weights, best weights, the optimiser's state and that of the random numbers.
        values: everything else, as plain JSON.
    """

    tensors: Mapping[str, torch.Tensor]
    values: Mapping[str, Json]


class Checkpoint:
    """Where the state of one training is kept.

    Args:
        specification: digest of everything that decides the training.
        resume: whether a state that is there is used; otherwise the training starts over.
    """

    def __init__(self, specification: str, *, resume: bool) -> None:
        name = specification.removeprefix("sha256:") + ".safetensors"
        self.path = cache_folder() / "checkpoints" / name
        self.specification = specification
        self.resume = resume

    def save(self, state: State) -> None:
        """Replace the state; one that cannot be written is a warning, and training goes on."""
        tensors = {
            name: tensor.detach().cpu().contiguous() for name, tensor in state.tensors.items()
        }
        values = json.dumps(dict(state.values))
        data = save(tensors, metadata={"training": self.specification, "values": values})
        unfinished = self.path.with_name(f"{self.path.name}.{uuid4().hex}")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            unfinished.write_bytes(digest_bytes(data).encode() + data)
            unfinished.replace(self.path)
        except OSError as error:
            with suppress(OSError):
                unfinished.unlink()
            consequence = "a training cannot be resumed if it is interrupted"
            warn_unwritable(self.path.parent, error, consequence)

    def load(self) -> State | None:
        """Return the state; none if there is none, or it is not wanted, or it is not usable.

        One that is damaged, or of another training, is a warning.
        """
        if not self.resume:
            return None
        try:
            data = self.path.read_bytes()
        except OSError:
            return None
        try:
            training, state = _read(data)
        except (SafetensorError, ValueError, LookupError, TypeError):
            problem = "is damaged"
        else:
            if training == self.specification:
                return state
            problem = "is of another training"
        warnings.warn(f"{self.path} {problem}: training starts over", stacklevel=2)
        return None

    def remove(self) -> None:
        """Forget the state."""
        with suppress(OSError):  # it is no longer needed, and does no harm where it is
            for path in self.path.parent.glob(f"{self.path.name}*"):  # a half-written one, too
                path.unlink()


def _read(data: bytes) -> tuple[str, State]:
    """Return which training a file is of, and its state; raise where it is not as written."""
    digest, body = data[:DIGEST_BYTES], data[DIGEST_BYTES:]
    if digest != digest_bytes(body).encode():
        raise ValueError
    # The header of a safetensors file: its length, then JSON.
    length = int.from_bytes(body[:8], "little")
    metadata = json.loads(body[8 : 8 + length])["__metadata__"]
    return metadata["training"], State(load(body), json.loads(metadata["values"]))
