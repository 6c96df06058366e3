"""The protocol of a method of adaptation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol

import torch

from taskbank.backbone.backbone import Backbone
from taskbank.digests import Json

if TYPE_CHECKING:
    from taskbank.backbone.adaptation import Adaptation


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

    def adapt(
        self, backbone: Backbone, options: Mapping[str, Json], generator: torch.Generator | None
    ) -> Adaptation:
        """Return an untrained adaptation of a backbone.

        Args:
            backbone: frozen.
            options: complete, as `options` gives them.
            generator: gives the initial values, and no other source of chance is used; none
                where stored values are about to take their place.

        Raises:
            InputError: if the backbone does not have what is to be adapted.
        """
