"""What a method of adaptation must do, and what it leaves on a backbone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

import torch

from taskbank.backbone import Backbone
from taskbank.errors import InputError
from taskbank.specs import Json


class Attachment:
    """What a method has put onto a backbone, until it is taken off again.

    A backbone carries one attachment at a time.

    Args:
        backbone: the one it is put on.

    Attributes:
        modules: everything that is trained and stored, named as it is stored.
    """

    def __init__(self, backbone: Backbone) -> None:
        if backbone.carries is not None:
            raise InputError(
                f"the backbone {backbone.identity.spec!r} carries another task's adapter: leave "
                "its context first, or load the backbone once more"
            )
        backbone.carries = self
        self.backbone = backbone
        self.modules = torch.nn.ModuleDict()
        self._undo: list[Callable[[], None]] = []

    def add(self, name: str, module: torch.nn.Module) -> None:
        """Take over a module that is trained and stored, under a name."""
        self.modules[name] = module

    def undo_with(self, step: Callable[[], None]) -> None:
        """Remember a step that takes something off again."""
        self._undo.append(step)

    def detach(self) -> None:
        """Take everything off, last first; the backbone is exactly as before."""
        while self._undo:
            self._undo.pop()()
        self.backbone.carries = None


class Method(Protocol):
    """A way to adapt a backbone. A new one is one file, and a line in `plugins`."""

    @property
    def name(self) -> str:
        """The word for it, such as `houlsby`."""

    @property
    def stored(self) -> bool:
        """Whether the bank keeps what it trains without being asked to."""

    def options(self, given: Mapping[str, Json]) -> dict[str, Json]:
        """Return every option with its value, defaults filled in.

        Raises:
            InputError: if one is unknown or out of range.
        """

    def attach(
        self, backbone: Backbone, options: Mapping[str, Json], generator: torch.Generator
    ) -> Attachment:
        """Put untrained modules onto a backbone.

        Args:
            backbone: frozen, and carrying nothing.
            options: complete, as `options` gives them.
            generator: gives the initial values; no other source of chance is used.

        Raises:
            InputError: if the backbone does not have what is to be adapted; it is as before.
        """
