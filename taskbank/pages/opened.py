"""The page between a link that works once and the pages that it has opened."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True)
class OpenedPage:
    """What the page shows: the address to go on to."""

    template: ClassVar[str] = "opened.html"

    next: str

    @property
    def title(self) -> str:
        """The page's title."""
        return "Opened"
