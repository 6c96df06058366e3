"""The changes that one task makes to a backbone: its own modules and where they act."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

from taskbank.backbone.backbone import Backbone

InputChange = Callable[[torch.Tensor], torch.Tensor]
OutputChange = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


@dataclass
class Change:
    """The change of one of the backbone's modules.

    Attributes:
        input: maps the module's input to a new input.
        replacement: the module to compute instead.
        output: maps the module's input and output to a new output.
    """

    input: InputChange | None = None
    replacement: torch.nn.Module | None = None
    output: OutputChange | None = None


class Adaptation:
    """The changes that one task makes to a backbone: its own modules and where they act.

    It only describes the changes: the backbone stays unchanged, and `taskbank.backbone.forward`
    computes one batch with the adaptations of any number of tasks.

    Args:
        backbone: the adapted backbone.

    Attributes:
        modules: the trained and stored modules, by stored name.
        changes: the changes by module path in the model.
        lowest_layer: the lowest layer that the task changes; the number of layers if it changes
            none.
        supports_mixing: whether a batch may have rows of other tasks too. It may not if the task
            replaces whole layers, which must be computed for each task alone.
    """

    def __init__(self, backbone: Backbone, *, supports_mixing: bool = True) -> None:
        self.backbone = backbone
        self.modules = torch.nn.ModuleDict()
        self.changes: dict[str, Change] = {}
        self.supports_mixing = supports_mixing
        self.lowest_layer = backbone.identity.layers

    def add(self, name: str, module: torch.nn.Module) -> None:
        """Add a module that is trained, and stored under a name."""
        self.modules[name] = module

    def change_input(self, path: str, function: InputChange) -> None:
        """Change a module's input."""
        self._change(path).input = function

    def replace(self, path: str, module: torch.nn.Module) -> None:
        """Replace a module by another."""
        self._change(path).replacement = module

    def change_output(self, path: str, function: OutputChange) -> None:
        """Change a module's output."""
        self._change(path).output = function

    def _change(self, path: str) -> Change:
        self.lowest_layer = min(self.lowest_layer, self.backbone.layer_of(path))
        return self.changes.setdefault(path, Change())
