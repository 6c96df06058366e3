"""Errors become problems with a status, a kind and bounded words."""

from __future__ import annotations

import json
import time

import pytest

from taskbank.errors import (
    BackboneMismatchError,
    ConflictError,
    DamagedError,
    DataError,
    NotFoundError,
    NotWritableError,
    OverloadedError,
    TaskbankError,
    TrainingError,
    UnreachableError,
)
from taskbank.serve.http.problems import DETAIL, Problem, limit, problem_of


@pytest.mark.parametrize(
    ("error", "status", "kind"),
    [
        (NotFoundError("x"), 404, "not-found"),
        (ConflictError("x"), 409, "conflict"),
        (NotWritableError("x"), 409, "not-writable"),
        (DataError("x"), 422, "data"),
        (OverloadedError("x", 3.0), 429, "overloaded"),
        (DamagedError("x"), 503, "damaged"),
        (UnreachableError("x"), 503, "unreachable"),
        (BackboneMismatchError("x"), 503, "backbone-mismatch"),
        (TrainingError("x"), 500, "training"),
    ],
)
def test_each_error_has_its_status(error: TaskbankError, status: int, kind: str) -> None:
    """The status and the kind tell what went wrong, and a passing trouble when to try again."""
    problem = problem_of(error)
    assert (problem.status, problem.kind, problem.detail) == (status, kind, "x")
    assert ("retry-after" in problem.headers) == (status == 429 or kind == "unreachable")
    if status == 429:
        assert problem.headers["retry-after"] == "3"


def test_a_problem_has_the_form_of_the_standard() -> None:
    """The response has the type of RFC 9457, its members, and the headers."""
    response = limit(413, "row", "too many").response()
    assert response.media_type == "application/problem+json"
    assert json.loads(bytes(response.body)) == {
        "type": "urn:taskbank:problem:row-limit",
        "title": "Request Entity Too Large",
        "status": 413,
        "detail": "too many",
    }
    own = Problem(429, "x", "y", {"retry-after": "2"}).response({"error": "y"})
    assert (own.media_type, own.headers["retry-after"]) == ("application/json", "2")
    assert json.loads(bytes(own.body)) == {"error": "y"}


def test_words_are_short_and_without_passwords() -> None:
    """An error that quotes a password or megabytes of a client is shortened, in no time."""
    assert "hunter2" not in problem_of(DamagedError("postgresql://me:hunter2@host/bank")).detail
    for part in ("a.", ":/", ":/a:", "password"):
        started = time.perf_counter()
        problem = problem_of(DataError(part * 500_000))
        assert len(problem.detail) < 2 * DETAIL
        assert time.perf_counter() - started < 1
