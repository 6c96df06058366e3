"""Says in plain words what went wrong between here and the Hugging Face Hub.

The clients raise many types of error for one cause, and the libraries above them wrap these. Their
messages quote URLs and requests; what a user can do about it is decided by the cause alone.
"""

from __future__ import annotations

from collections.abc import Iterator

from taskbank.redaction import redacted

LOGIN = "log in with hf auth login, or set HF_TOKEN"


def hub_reason(error: BaseException) -> str | None:
    """Return what went wrong and what to do, in words; None if the hub was not the cause.

    Args:
        error: an error of `huggingface_hub`, or of a library that uses it.
    """
    for cause in _causes(error):
        reason = _reason(cause)
        if reason is not None:
            return reason
    return None


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and what it was raised for, the first cause first."""
    chain: list[BaseException] = []
    following: BaseException | None = error
    while following is not None and following not in chain:
        chain.append(following)
        following = following.__cause__ or following.__context__
    yield from reversed(chain)


def _reason(error: BaseException) -> str | None:
    from huggingface_hub import errors

    if isinstance(error, errors.GatedRepoError):
        return f"it is gated: ask for access on its page, and {LOGIN}"
    if isinstance(error, errors.RepositoryNotFoundError):
        return f"the hub has no such repository, or hides it from you: check the name, or {LOGIN}"
    if isinstance(error, errors.RevisionNotFoundError):
        return "it has no such revision: give a branch, a tag or a commit of it"
    if isinstance(error, errors.LocalTokenNotFoundError):
        return f"it needs a token: {LOGIN}"
    if isinstance(error, errors.OfflineModeIsEnabled):
        return "HF_HUB_OFFLINE is set, and it was not downloaded before"
    if isinstance(error, errors.HFValidationError):
        return "the hub allows no such name: write OWNER/NAME"
    if isinstance(error, errors.LocalEntryNotFoundError):
        return "it was not downloaded before, and the hub cannot be reached: check the network"
    if isinstance(error, errors.EntryNotFoundError):
        return None  # which file it was says more
    if isinstance(error, errors.HfHubHTTPError):
        return _http_reason(error)
    if _is_broken_connection(error):
        problem = redacted(str(error).strip() or type(error).__name__)
        return f"the connection to the hub failed ({problem}): run it again, and check the network"
    return None


def _is_broken_connection(error: BaseException) -> bool:
    # Which of the two libraries huggingface_hub uses depends on its version.
    return any(
        cls.__name__ == "TransportError" and cls.__module__.startswith("httpx")
        for cls in type(error).__mro__
    )


def _http_reason(error: object) -> str:
    response = getattr(error, "response", None)
    status = getattr(response, "status_code", None)
    if status == 401:
        return f"the hub refuses your token: {LOGIN}"
    if status == 403:
        return "your token has no right to it: make one with the right at your settings on the hub"
    if status == 429:
        return "the hub answers no more requests for now: wait some minutes"
    stated = getattr(error, "server_message", None)
    return f"the hub answered {status}" + (f" ({redacted(str(stated))})" if stated else "")
