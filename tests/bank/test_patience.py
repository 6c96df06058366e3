"""Storing waits for a server that is away, and stores nothing twice."""

from __future__ import annotations

import time
import warnings

import pytest

from taskbank.bank.patience import store_patiently
from taskbank.errors import ConflictError, UnreachableError


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let time pass by itself."""
    now = [0.0]

    def sleep(seconds: float) -> None:
        now[0] += seconds

    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    monkeypatch.setattr(time, "sleep", sleep)


class Server:
    """A server that is away for some calls, and may lose the answer to a commit."""

    def __init__(self, away: int, *, commit_lost: bool = False) -> None:
        self.away, self.commit_lost = away, commit_lost
        self.stored: list[str] = []

    def _call(self) -> None:
        self.away -= 1
        if self.away >= 0:
            raise UnreachableError("the bank cannot be reached")

    def store(self) -> str:
        """Store one thing."""
        if self.commit_lost:
            self.commit_lost = False
            self.stored.append("one")
            raise UnreachableError("the connection was lost")
        self._call()
        self.stored.append("one")
        return "one"

    def find(self) -> str | None:
        """Return what is stored."""
        self._call()
        return self.stored[0] if self.stored else None


def patiently(server: Server) -> str:
    """Store on a server without minding the warnings."""
    with warnings.catch_warnings(record=True):
        return store_patiently(server.store, server.find, "use --resume")


@pytest.mark.parametrize("away", [0, 1, 2, 5])
def test_a_server_that_comes_back_gets_what_is_stored_once(away: int) -> None:
    """However many attempts fail before, one thing is stored."""
    server = Server(away)
    assert patiently(server) == "one"
    assert server.stored == ["one"]


@pytest.mark.parametrize("away", [0, 3])
def test_what_a_lost_commit_stored_is_found_and_not_stored_again(away: int) -> None:
    """A commit that went through unheard is looked up, and it is said."""
    server = Server(away, commit_lost=True)
    with pytest.warns(UserWarning, match="lost after it was recorded"):
        assert store_patiently(server.store, server.find, "") == "one"
    assert server.stored == ["one"]


def test_a_server_that_stays_away_is_given_up_with_advice() -> None:
    """After about two minutes the error says what to do."""
    with pytest.raises(UnreachableError, match=r"cannot be reached; use --resume"):
        patiently(Server(1000))


def test_another_error_is_raised_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only a server that is away is waited for."""
    monkeypatch.setattr(time, "sleep", lambda _seconds: pytest.fail("it waited"))

    def conflict() -> str:
        raise ConflictError("it exists")

    with pytest.raises(ConflictError):
        store_patiently(conflict, lambda: None, "")
