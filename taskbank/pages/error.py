"""The page that says why there is no other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

ADVICE = {
    401: "Sign in with a key of this server.",
    403: "Ask whoever runs the server for a key that allows it.",
    404: "Check the address, or look for the task in the list of all tasks.",
    503: "Try again in a moment. If it stays, run taskbank verify-all.",
}


@dataclass(frozen=True)
class ErrorPage:
    """What the page shows.

    Attributes:
        status: the HTTP status.
        title: the status in words.
        detail: what happened.
    """

    template: ClassVar[str] = "error.html"

    status: int
    title: str
    detail: str

    @property
    def advice(self) -> str:
        """What to do."""
        return ADVICE.get(self.status, "Go back, correct the address or the form, and try again.")
