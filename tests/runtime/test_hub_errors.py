"""What went wrong between here and the hub, in words."""

from __future__ import annotations

import re

import httpx2
import pytest
from huggingface_hub import errors

from taskbank.runtime.hub_errors import hub_reason

REQUEST = httpx2.Request("GET", "https://hub.example/api/models/team/x")


def _answered(status: int, cls: type[Exception] = errors.HfHubHTTPError) -> Exception:
    return cls("an answer", response=httpx2.Response(status, request=REQUEST))  # type: ignore[call-arg]


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (_answered(401), "the hub refuses your token"),
        (_answered(403), "your token has no right to it"),
        (_answered(429), "wait some minutes"),
        (_answered(503), "the hub answered 503"),
        (_answered(401, errors.RepositoryNotFoundError), "no such repository"),
        (_answered(403, errors.GatedRepoError), "it is gated"),
        (_answered(404, errors.RevisionNotFoundError), "no such revision"),
        (errors.OfflineModeIsEnabled("offline"), "HF_HUB_OFFLINE is set"),
        (errors.LocalTokenNotFoundError("none"), "it needs a token"),
        (errors.HFValidationError("bad"), "write OWNER/NAME"),
        (httpx2.ConnectError("Connection refused"), r"failed \(Connection refused\): run it again"),
        (httpx2.ReadTimeout(""), r"failed \(ReadTimeout\)"),
    ],
)
def test_each_cause_is_said_in_words_also_when_it_is_wrapped(error: Exception, says: str) -> None:
    """The cause is found behind the errors of the libraries that met it."""
    wrapped = OSError("We could not load it")
    wrapped.__cause__ = ValueError("something")
    wrapped.__cause__.__context__ = error
    for one in (error, wrapped):
        reason = hub_reason(one)
        assert reason is not None
        assert re.search(says, reason), reason


def test_an_error_that_is_not_of_the_hub_has_no_reason_here() -> None:
    """Other errors, and a file that a repository lacks, are left to who knows more."""
    missing = _answered(404, errors.RemoteEntryNotFoundError)
    assert hub_reason(ValueError("bad header")) is None
    assert hub_reason(missing) is None


def test_a_secret_in_an_error_is_not_repeated() -> None:
    """An error of the connection that quotes a password in a URL is shown without it."""
    reason = hub_reason(httpx2.ConnectError("no route to https://ann:hunter2@proxy.example"))
    assert reason is not None
    assert "hunter2" not in reason
