"""Which modules a configuration of peft names, in a bounded time."""

from __future__ import annotations

import re
import time

import pytest

from taskbank.digests import Json
from taskbank.errors import InputError
from taskbank.interchange.peft_targets import target_modules

PATHS = [
    f"bert.encoder.layer.{layer}.{place}"
    for layer in (0, 1, 10)
    for place in ("attention.self.query", "attention.output.dense", "output.dense", "dropout")
]
LINEAR = {path for path in PATHS if not path.endswith("dropout")}
PATTERNS = [
    r".*query",
    r".*layer\.(1)\.(attention\.self\.(key|query)|output\.dense)",
    r"bert\.encoder\.layer\.(?:0|10)\.output\.dense",
    r".*\.\d+\.output\.dense",
    r".*layer\.[0-9]+\.output\.[a-z]*",
    r"^bert.*dense$",
    r".*(?:attention\.)?output\.dense",
    r"(?:(?:a|b|[c-z])+\.)+encoder(?:\..*)*",
    r"",
    r"query",
    r"bert(.encoder)?.layer.*",
    r"[^b].*",
    r".*|query",
    r"(?:)*.*",
]


@pytest.mark.parametrize("pattern", PATTERNS)
def test_a_pattern_names_what_it_matches_as_a_whole(pattern: str) -> None:
    """The same paths as `re.fullmatch`, which peft uses, for every sign that is read."""
    expected = {path for path in PATHS if re.fullmatch(pattern, path)}
    assert target_modules("here", pattern, PATHS, LINEAR) == expected


def test_names_of_a_list_are_ends_of_paths() -> None:
    """`output.dense` is at the end of the attention's output, too, as peft has it."""
    found = target_modules("here", ["output.dense", "query"], PATHS, LINEAR)
    assert found == {path for path in PATHS if path.endswith((".output.dense", ".query"))}
    assert len([path for path in found if "attention.output" in path]) == 3
    assert target_modules("here", ["uery"], PATHS, LINEAR) == set()
    assert target_modules("here", "all-linear", PATHS, LINEAR) == LINEAR


@pytest.mark.parametrize("targets", [None, 5, {}, [5], [["query"]], True])
def test_what_is_neither_a_pattern_nor_a_list_of_names_is_refused(targets: Json) -> None:
    """The error names the place and the value."""
    with pytest.raises(InputError, match="here is"):
        target_modules("here", targets, PATHS, LINEAR)


@pytest.mark.parametrize(
    "pattern",
    ["(a", "a)", "*a", "(?=a)", r"a{2}", r"\1", "[z-a]", "a\nb", "(?i)a", "a" * 20_001, "(" * 60],
)
def test_patterns_of_another_form_are_refused(pattern: str) -> None:
    """What is not read is refused, and never handed to `re`."""
    with pytest.raises(InputError, match="is the pattern"):
        target_modules("here", pattern, PATHS, LINEAR)


@pytest.mark.parametrize(
    "pattern",
    [
        "(?:a*)*" * 50 + "x",
        "(" * 45 + "()*" + ")*" * 45 + "x",
        "(?:.|.)" * 2800,
        "(?:(?:.*)*(?:.*)*)*" * 900 + "x",
    ],
)
def test_no_pattern_takes_long(pattern: str) -> None:
    """Patterns for which `re` needs longer than anyone can wait are answered or refused."""
    started = time.process_time()
    try:
        target_modules("here", pattern, ["a" * 80] * 100, LINEAR)
    except InputError as error:
        assert "is the pattern" in str(error)  # noqa: PT017 - either outcome is right
    assert time.process_time() - started < 10
