"""The options of a server."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import pytest

from taskbank.cli.serve import serve
from taskbank.errors import InputError
from taskbank.serve.http.options import ServeOptions, serve_options


def test_options_have_defaults() -> None:
    """One name is a list of one; whatever is not given has its default."""
    options = serve_options(tasks="mood", canary=0.5)
    assert (options.tasks, options.canary, options.admin) == (("mood",), 0.5, False)
    assert serve_options(tasks=["a", "b"]).tasks == ("a", "b")


def test_the_command_has_the_same_defaults() -> None:
    """`taskbank serve` writes them out, as reading them would import torch."""
    context = serve.make_context("serve", [])
    for field in fields(ServeOptions):
        assert context.params[field.name] == field.default


@pytest.mark.parametrize(
    "given",
    [
        {"queue": 0},
        {"memory": -1},
        {"max_batch_tokens": 0},
        {"deadline": 0},
        {"deadline": float("nan")},
        {"deadline": float("inf")},
        {"canary": 1.1},
        {"canary": float("nan")},
        {"no_such": 1},
    ],
)
def test_invalid_options_are_named(given: dict[str, Any]) -> None:
    """A value out of range, or an unknown option, is refused with its name."""
    with pytest.raises(InputError, match=next(iter(given))):
        serve_options(**given)
