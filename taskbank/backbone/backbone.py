"""The frozen backbone: a pretrained model, its tokenizer and its identity."""

from __future__ import annotations

from threading import RLock
from typing import Any

import torch
from transformers import PreTrainedModel

from taskbank.backbone.architectures import Architecture
from taskbank.backbone.attention import enable_packing
from taskbank.backbone.short_pass import ShortPass, short_pass
from taskbank.runtime.lru import LruCache
from taskbank.specs import BackboneIdentity

TRUNK_MEMORY = 1 << 30  # bytes of states kept in memory; more are mapped from the disk cache


class Backbone:
    """A frozen pretrained model and its tokenizer.

    Attributes:
        model: the transformer, in evaluation mode, with frozen parameters.
        tokenizer: the tokenizer of the model.
        identity: digests and properties that identify the backbone.
        architecture: the places for adapters in the model.
        supports_packing: whether the model can compute inputs laid end to end, without padding.
        short_pass: computes the model in fewer calls; None if nothing does.
        first_position: the position index of an input's first token.
        trunk_states: cached hidden states that enter adapted layers; they are released with
            the backbone.
        lock: held during every computation of the model.
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
        self._modules: dict[str, torch.nn.Module] = dict(
            model.named_modules(remove_duplicate=False)
        )
        padded = architecture.padded_positions
        self.first_position = model.config.pad_token_id + 1 if padded else 0
        self.supports_packing = enable_packing(model, self.first_position)
        self.short_pass: ShortPass | None = None
        if self.supports_packing:
            layers = {self.layer(n): self.module(self.layer(n)) for n in range(identity.layers)}
            self.short_pass = short_pass(model, layers, self.first_position)
        self.trunk_states: LruCache[torch.Tensor] = LruCache(
            TRUNK_MEMORY, lambda states: states.nbytes
        )
        self.lock = RLock()

    @property
    def device(self) -> torch.device:
        """The model's device."""
        return torch.device(self.model.device)

    def module(self, path: str) -> torch.nn.Module:
        """Return the module at a path in the model."""
        return self._modules[path]

    def layer(self, number: int) -> str:
        """Return the path of a layer in the model; layers are numbered from 0."""
        return f"{self.architecture.layers}.{number}"

    def is_above(self, path: str) -> bool:
        """Return whether a module is above the last layer."""
        return any(path == top or path.startswith(f"{top}.") for top in self.architecture.top)

    def layer_of(self, path: str) -> int:
        """Return a module's layer: 0 below the first layer, the number of layers above the last."""
        prefix = self.architecture.layers + "."
        if path.startswith(prefix):
            return int(path.removeprefix(prefix).partition(".")[0])
        return self.identity.layers if self.is_above(path) else 0
