"""Checks of JSON from outside."""

from __future__ import annotations

from typing import Any

import pytest

from taskbank.errors import InputError
from taskbank.interchange import schema

MOMENT = "2026-01-31T12:00:00.000000+00:00"
DIGEST = "sha256:" + "0" * 64
CHECKS: list[tuple[schema.Check, list[Any], list[Any]]] = [
    (schema.text(3), ["", "abc", "äöü"], ["abcd", 5, None, "a\n", "\x1b", "\ud800", "\u202e"]),
    (schema.text(lines=True), ["a\n\tb"], ["a\rb", "\x00"]),
    (schema.name, ["mood", "a-1"], ["", "../x", "a b", 5, "x" * 101, "-a"]),
    (schema.digest, [DIGEST], ["sha256:0", DIGEST.upper(), 5, DIGEST + "\n"]),
    (schema.moment, [MOMENT], ["x", "2026-01-31", MOMENT + " ", MOMENT[:-6] + "Z", 5, None, ""]),
    (schema.boolean, [True, False], [0, 1, "true", None]),
    (schema.number(), [0, -1.5, 1e300], [True, "1", float("inf"), float("nan"), 10**400]),
    (schema.number(0), [0, 1.5], [-0.1]),
    (schema.whole(1, 3), [1, 3], [0, 4, 1.0, True, "1"]),
    (schema.one_of(("a", "b")), ["a"], ["c", ["a"], None]),
    (schema.or_null(schema.digest), [None, DIGEST], ["x"]),
    (schema.items(schema.boolean, least=1, most=2), [[True]], [[], [1], [True] * 3, {}]),
    (schema.table(schema.name, schema.boolean, most=1), [{}, {"a": True}], [{"a b": True}, []]),
    (schema.record({"a": schema.boolean}, {"b": schema.boolean}), [{"a": True}], [{}, {"c": 1}]),
    (schema.plain, [None, {"a": [1, 2.5, "x", True]}], [{"a": 2**63}, {"a": "\x00"}]),
]


@pytest.mark.parametrize(("check", "right", "wrong"), CHECKS)
def test_each_check_takes_what_it_says_and_names_the_place_of_the_rest(
    check: schema.Check, right: list[Any], wrong: list[Any]
) -> None:
    """Right values pass; every other is an error that begins with its place."""
    for value in right:
        check("here", value)
    for value in wrong:
        with pytest.raises(InputError, match="here"):
            check("here", value)


def test_the_place_leads_to_the_value() -> None:
    """In values in values, the error names the way to the one that is wrong."""
    check = schema.record({"list": schema.items(schema.record({"x": schema.boolean}))})
    with pytest.raises(InputError, match=r"top\.list\[1\]\.x is 5: it must be true or false"):
        check("top", {"list": [{"x": True}, {"x": 5}]})


def test_values_in_values_have_a_limit() -> None:
    """What is nested more deeply than any record is refused, not followed."""
    value: Any = 1
    for _ in range(30):
        value = [value]
    with pytest.raises(InputError, match="deep"):
        schema.plain("here", value)
