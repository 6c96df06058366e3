"""What is repeated, how often, and after which waits."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from taskbank.bank.blobs.retries import (
    ATTEMPTS,
    FIRST_WAIT,
    GIVE_UP,
    LONGEST_WAIT,
    is_damage,
    may_pass,
    repeated,
    status_of,
)


class Carrier(Exception):
    """An exception that carries what a driver's does."""

    def __init__(self, **carried: Any) -> None:
        super().__init__("failed")
        vars(self).update(carried)


def of(name: str) -> Exception:
    """Return an exception whose class has a driver's name, below others."""
    parent = type(name, (Exception,), {})
    error: Exception = type("Special", (parent,), {})("failed")
    return error


def caused(cause: BaseException) -> OSError:
    """Return an error that stands for another one, as drivers translate them."""
    error = OSError(5, "failed")
    error.__cause__ = cause
    return error


def botocore(status: int) -> Carrier:
    """Return an exception as botocore's."""
    return Carrier(response={"ResponseMetadata": {"HTTPStatusCode": status}})


@pytest.mark.parametrize(
    ("error", "status", "passing"),
    [
        (botocore(503), 503, True),
        (caused(botocore(503)), 503, True),
        (caused(botocore(403)), 403, False),
        (botocore(409), 409, True),
        (Carrier(status=429), 429, True),
        (Carrier(status_code=500), 500, True),
        (Carrier(code="502"), 502, True),
        (Carrier(code=404), 404, False),
        (Carrier(code="NoSuchKey"), None, False),
        (Carrier(response=Carrier(status_code=504)), 504, True),
        (Carrier(status=400), 400, False),
        (ConnectionResetError(), None, True),
        (TimeoutError(), None, True),
        (of("HTTPClientError"), None, True),
        (of("ClientPayloadError"), None, True),
        (caused(of("ServiceResponseError")), None, True),
        (of("FlexibleChecksumError"), None, True),
        (FileNotFoundError(), None, False),
        (PermissionError(), None, False),
        (of("NoCredentialsError"), None, False),
        (ValueError(), None, False),
    ],
)
def test_failures_that_pass_are_told_from_others(
    error: Exception, status: int | None, passing: bool
) -> None:
    """By the HTTP status, or without one by the class, of the error or of its cause."""
    assert status_of(error) == status
    assert may_pass(error) == passing


def test_a_cut_body_passes_although_its_cause_is_called_a_bad_request() -> None:
    """What the outer error says comes first, as aiohttp gives its own finding the status 400."""
    error = of("ClientPayloadError")
    error.__cause__ = Carrier(code=400)
    assert may_pass(error)


def test_a_wrong_checksum_is_damage() -> None:
    """It may pass, but if it stays it is no lost connection."""
    assert is_damage(caused(of("FlexibleChecksumError")))
    assert not is_damage(caused(of("ClientPayloadError")))


class Clock:
    """A clock that goes on only while something waits or works."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now, self.waits = 0.0, list[float]()
        monkeypatch.setattr(time, "monotonic", lambda: self.now)
        monkeypatch.setattr(time, "sleep", self.wait)

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.waits.append(seconds)
        self.now += seconds


def failing(times: int, error: Exception, clock: Clock, seconds: float = 0.0) -> Callable[[], str]:
    """Return an operation that takes some time, and fails some times before it succeeds."""
    left = [times]

    def operate() -> str:
        clock.now += seconds
        left[0] -= 1
        if left[0] >= 0:
            raise error
        return "done"

    return operate


def test_what_passes_is_repeated_a_few_times(monkeypatch: pytest.MonkeyPatch) -> None:
    """The last attempt may succeed; if it fails as well, its error is the result."""
    clock = Clock(monkeypatch)
    assert repeated(failing(ATTEMPTS - 1, TimeoutError("late"), clock)) == "done"
    assert len(clock.waits) == ATTEMPTS - 1
    with pytest.raises(TimeoutError, match="late"):
        repeated(failing(ATTEMPTS, TimeoutError("late"), clock))


def test_what_does_not_pass_fails_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A refusal or a missing file is not asked for again."""
    clock = Clock(monkeypatch)
    for error in (PermissionError(), FileNotFoundError(), botocore(403), botocore(404)):
        with pytest.raises(type(error)):
            repeated(failing(1, error, clock))
    assert clock.waits == []


def test_waits_grow_and_differ(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each wait is anywhere below a bound that doubles, so that clients come back one by one."""
    rounds = []
    for _ in range(50):
        clock = Clock(monkeypatch)
        repeated(failing(ATTEMPTS - 1, TimeoutError(), clock))
        rounds.append(clock.waits)
    for number, waits in enumerate(zip(*rounds, strict=True)):
        bound = min(FIRST_WAIT * 2**number, LONGEST_WAIT)
        assert bound / 2 < max(waits) <= bound
        assert min(waits) < bound / 2
        assert len(set(waits)) == len(waits)


def test_a_driver_that_tried_for_long_is_not_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Drivers repeat requests themselves, and the two do not multiply."""
    clock = Clock(monkeypatch)
    with pytest.raises(TimeoutError):
        repeated(failing(1, TimeoutError(), clock, seconds=GIVE_UP + 1))
    assert clock.waits == []
