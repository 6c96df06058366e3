"""The page with the form that takes a key."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True)
class SignInPage:
    """What the page shows.

    Attributes:
        next: the path to go to afterwards.
        problem: why the key was refused; None before the first attempt.
        by_link: whether no key but a link opens the server.
    """

    template: ClassVar[str] = "sign_in.html"

    next: str
    problem: str | None = None
    by_link: bool = False

    @property
    def title(self) -> str:
        """The page's title."""
        return "Sign in"
