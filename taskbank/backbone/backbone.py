"""The frozen backbone: a pretrained model, its tokenizer and its identity."""

from __future__ import annotations

from threading import RLock
from typing import Any

import torch
from transformers import PreTrainedModel

from taskbank.backbone.architectures import Architecture
from taskbank.backbone.attention import packs
from taskbank.runtime.lru import LruCache
from taskbank.specs import BackboneIdentity

TRUNK_MEMORY = 1 << 30  # bytes of states kept in memory; more are mapped from the disk cache


class Backbone:
    """A frozen pretrained model and its tokenizer.

    Attributes:
        model: the transformer, in evaluation mode, no parameter trainable.
        tokenizer: the tokenizer it was trained with.
        identity: which one it is.
        architecture: where adapters go in it.
        packs: whether inputs can be computed end to end, without padding.
        first_position: the number of the first token's position.
        trunk_states: hidden states that enter adapted layers, used last; they are released with
            the backbone.
        lock: held while the model is computed.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: Any,
        identity: BackboneIdentity,
        architecture: Architecture,
    ) -> None:
        self.model = model
        self.tokenizer = tokenizer
        self.identity = identity
        self.architecture = architecture
        padded = architecture.padded_positions
        self.first_position = model.config.pad_token_id + 1 if padded else 0
        self.packs = packs(model, self.first_position)
        self.trunk_states: LruCache[torch.Tensor] = LruCache(TRUNK_MEMORY, lambda own: own.nbytes)
        self.lock = RLock()

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        return torch.device(self.model.device)

    def layer(self, number: int) -> str:
        """Return the path of a layer in the model, from 0."""
        return f"{self.architecture.layers}.{number}"

    def is_above(self, path: str) -> bool:
        """Return whether a module stands above the last layer."""
        return any(path == top or path.startswith(f"{top}.") for top in self.architecture.top)

    def layer_of(self, path: str) -> int:
        """Return the layer that a module is in: 0 for what is below, their number for above."""
        inside = self.architecture.layers + "."
        if path.startswith(inside):
            return int(path.removeprefix(inside).partition(".")[0])
        return self.identity.layers if self.is_above(path) else 0
