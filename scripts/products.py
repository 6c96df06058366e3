"""How much a computation has to multiply: what is counted as reached of a machine's rate.

Only what the task needs counts: products of tokens, not of padding, and in training no gradients
of frozen weights. Whoever computes more than that reaches a lower share.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Encoder:
    """The sizes of a transformer encoder.

    Attributes:
        hidden: width of a hidden state.
        inner: width inside the feed-forward sublayer.
        layers: how many.
    """

    hidden: int
    inner: int
    layers: int

    @classmethod
    def at(cls, folder: Path) -> Encoder:
        """Return the sizes of the model in a folder."""
        said: Any = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        return cls(said["hidden_size"], said["intermediate_size"], said["num_hidden_layers"])

    def forward(self, tokens: int, squares: int, layers: int | None = None) -> float:
        """Return the floating-point operations of some layers on some inputs.

        Args:
            tokens: of all inputs.
            squares: the sum of the squares of their lengths.
            layers: how many are computed; none means all.
        """
        chosen = self.layers if layers is None else layers
        weights = 4 * self.hidden**2 + 2 * self.hidden * self.inner
        return chosen * (2 * weights * tokens + 4 * self.hidden * squares)

    def training(
        self, tokens: int, squares: int, epochs: int, adapted: int, parameters: int
    ) -> float:
        """Return the floating-point operations of training what is added to the top layers.

        Frozen products are computed forwards and, for the gradient of what enters them, once
        more; those of attention twice more; those of trained weights twice more. What lies below
        the lowest adapted layer is computed once.

        Args:
            tokens: of all inputs.
            squares: the sum of the squares of their lengths.
            epochs: passes over them.
            adapted: layers that are.
            parameters: that are trained.
        """
        below = self.forward(tokens, squares, self.layers - adapted)
        frozen = 2 * self.forward(tokens, squares, adapted)
        attention = adapted * 4 * self.hidden * squares
        return below + epochs * (frozen + attention + 3 * 2 * parameters * tokens)
