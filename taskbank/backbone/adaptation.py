"""What one task changes in a backbone: modules of its own, and where they act."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

from taskbank.backbone.backbone import Backbone

Before = Callable[[torch.Tensor], torch.Tensor]
After = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


@dataclass
class Change:
    """What becomes of one of the backbone's modules.

    Attributes:
        before: from what the module takes to what it is given.
        instead: computed in the module's place.
        after: from what it was given and what it gives to what comes of it.
    """

    before: Before | None = None
    instead: torch.nn.Module | None = None
    after: After | None = None


class Adaptation:
    """What one task changes in a backbone: modules of its own, and where they act.

    It is only said here. The backbone stays as it is, and `taskbank.engine` computes it with the
    adaptations of as many tasks as there are rows.

    Args:
        backbone: the one that is adapted.

    Attributes:
        modules: everything that is trained and stored, named as it is stored.
        changes: by path in the model.
        mixes: whether rows of other tasks may be in the same batch: where whole layers are
            computed instead of the backbone's, each task needs them to itself.
    """

    def __init__(self, backbone: Backbone, *, mixes: bool = True) -> None:
        self.backbone = backbone
        self.modules = torch.nn.ModuleDict()
        self.changes: dict[str, Change] = {}
        self.mixes = mixes

    def add(self, name: str, module: torch.nn.Module) -> None:
        """Take over a module that is trained and stored, under a name."""
        self.modules[name] = module

    def before(self, path: str, function: Before) -> None:
        """Give a module something else than it takes."""
        self._at(path).before = function

    def instead(self, path: str, module: torch.nn.Module) -> None:
        """Compute another module in the place of one."""
        self._at(path).instead = module

    def after(self, path: str, function: After) -> None:
        """Make something else of what a module gives."""
        self._at(path).after = function

    @property
    def lowest(self) -> int:
        """The lowest layer that is not as in the bare backbone; so many as there are for none."""
        return min(
            (self.backbone.layer_of(path) for path in self.changes),
            default=self.backbone.identity.layers,
        )

    def _at(self, path: str) -> Change:
        return self.changes.setdefault(path, Change())
