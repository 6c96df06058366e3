"""Counts the floating-point operations (FLOPs) that training and inference of an encoder need.

Only necessary work counts: products of tokens, not of padding, and in training no gradients of
frozen weights. An implementation that computes more reaches a lower share of the machine's rate.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Encoder:
    """The dimensions of a transformer encoder.

    Attributes:
        hidden: width of a hidden state.
        inner: width inside the feed-forward sublayer.
        layers: number of layers.
    """

    hidden: int
    inner: int
    layers: int

    @classmethod
    def at(cls, folder: Path) -> Encoder:
        """Return the dimensions of the model in a folder."""
        config: Any = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        return cls(config["hidden_size"], config["intermediate_size"], config["num_hidden_layers"])

    def forward(self, tokens: int, squares: int, layers: int | None = None) -> float:
        """Return the FLOPs of a forward pass.

        Args:
            tokens: total number of tokens of all inputs.
            squares: sum of the squared lengths of the inputs, in tokens².
            layers: number of layers computed (default: all).
        """
        computed = self.layers if layers is None else layers
        weights = 4 * self.hidden**2 + 2 * self.hidden * self.inner
        return computed * (2 * weights * tokens + 4 * self.hidden * squares)

    def training(
        self, tokens: int, squares: int, epochs: int, adapted: int, parameters: int
    ) -> float:
        """Return the FLOPs of training adapters on the top layers.

        The layers below the lowest adapted one are computed once. In the others, products with
        frozen weights cost a forward pass and one more for the gradient of their input, attention
        costs two more, and trained weights cost two more.

        Args:
            tokens: total number of tokens of all inputs.
            squares: sum of the squared lengths of the inputs, in tokens².
            epochs: number of passes over the inputs.
            adapted: number of adapted layers, counted from the top.
            parameters: number of trained parameters.
        """
        below = self.forward(tokens, squares, self.layers - adapted)
        frozen = 2 * self.forward(tokens, squares, adapted)
        attention = adapted * 4 * self.hidden * squares
        return below + epochs * (frozen + attention + 3 * 2 * parameters * tokens)
