"""The state of an unfinished training on disk, so that it can be resumed.

There is one file per training in the cache folder `checkpoints`, named by the digest of
everything that determines the training. The file is written after every epoch, replaced as a
whole, and removed when the training is recorded. It begins with a signature of the remaining bytes
and names its training, so files that are truncated, altered, misplaced or another user's are
detected and reported, and training restarts.
"""

from __future__ import annotations

import hmac
import json
import warnings
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save

from taskbank.digests import Json
from taskbank.runtime.cache_trust import SIGNATURE_LENGTH, make_private, signer
from taskbank.runtime.disk_cache import cache_folder, warn_unwritable
from taskbank.runtime.files import unfinished_file, unfinished_files
from taskbank.runtime.regular_file import read_regular


@dataclass(frozen=True)
class State:
    """The state of a training after a number of epochs.

    Attributes:
        tensors: current weights, best weights, optimiser state and random number generator state.
        values: everything else, as plain JSON.
    """

    tensors: Mapping[str, torch.Tensor]
    values: Mapping[str, Json]


class Checkpoint:
    """The checkpoint file of one training.

    Args:
        specification: digest of everything that determines the training.
        resume: whether to use an existing checkpoint; otherwise the training starts over.
    """

    def __init__(self, specification: str, *, resume: bool) -> None:
        name = specification.removeprefix("sha256:") + ".safetensors"
        self.path = cache_folder() / "checkpoints" / name
        self.specification = specification
        self.resume = resume

    def save(self, state: State) -> None:
        """Write the state over the previous one; warn if that fails, so that training continues."""
        tensors = {
            name: tensor.detach().cpu().contiguous() for name, tensor in state.tensors.items()
        }
        values = json.dumps(dict(state.values))
        data = save(tensors, metadata={"training": self.specification, "values": values})
        try:
            make_private(self.path.parent.parent)
            make_private(self.path.parent)
            signature = self._signature(data)
            if signature is None:
                return
            with unfinished_file(self.path) as file:
                file.write(signature)
                file.write(data)
        except OSError as error:
            consequence = "an interrupted training cannot be resumed"
            warn_unwritable(self.path.parent, error, consequence)

    def load(self) -> State | None:
        """Return the saved state.

        Return None if `resume` is false, if there is no checkpoint, or, with a warning, if the
        checkpoint is damaged or belongs to another training.
        """
        if not self.resume:
            return None
        try:
            data = read_regular(self.path)
        except OSError:
            return None
        signature, body = data[:SIGNATURE_LENGTH], data[SIGNATURE_LENGTH:]
        expected = self._signature(body)
        if expected is None:
            return None
        try:
            if not hmac.compare_digest(signature, expected):
                raise ValueError
            training, state = _read(body)
        except (SafetensorError, ValueError, LookupError, TypeError):
            problem = "is damaged, or another user or version wrote it"
        else:
            if training == self.specification:
                return state
            problem = "belongs to another training"
        warnings.warn(f"{self.path} {problem}: training starts over", stacklevel=2)
        return None

    def remove(self) -> None:
        """Delete the checkpoint."""
        with suppress(OSError):  # a leftover checkpoint does no harm
            self.path.unlink(missing_ok=True)
            for path in unfinished_files(self.path):
                path.unlink()

    def _signature(self, body: bytes) -> bytes | None:
        """Return the signature of a file's content; None, with a warning, if there can be none."""
        signature = signer(self.path.parent, "training")
        if signature is None:
            return None
        signature.update(body)
        return signature.hexdigest().encode()


def _read(body: bytes) -> tuple[str, State]:
    """Return the training that a file belongs to, and its state; raise if the file is damaged."""
    # The header of a safetensors file: its length, then JSON.
    length = int.from_bytes(body[:8], "little")
    metadata = json.loads(body[8 : 8 + length])["__metadata__"]
    return metadata["training"], State(load(body), json.loads(metadata["values"]))
