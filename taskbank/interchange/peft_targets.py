"""The modules that a configuration of peft names.

A stranger's pattern is never given to `re`, which takes exponential time for some. It is matched by
sets of positions (Thompson, "Regular expression search algorithm", 1968), in a bounded number of
steps.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Sequence

from taskbank.data.fields import preview
from taskbank.digests import Json
from taskbank.errors import InputError

ALL_LINEAR = "all-linear"
MAX_PATTERN = 20_000  # characters
MAX_DEPTH = 50  # of groups in groups
MAX_STEPS = 500_000  # `.*` and names take fewer than 100 for each module
# One character, a class of characters, or one of the signs that stand for other things.
TOKEN = re.compile(r"\\[.dDwW/_-]|\[\^?(?:[\w.-]|\\[dw])+\]|\(\?:|[\w./()|^$*+?-]", re.ASCII)

Matcher = Callable[[str, set[int]], set[int]]  # from the positions before to those after


def target_modules(
    place: str, targets: Json, paths: Sequence[str], linear: Collection[str]
) -> set[str]:
    """Return the paths of the modules that a value of `target_modules` names.

    Args:
        place: where the value stands, for errors.
        targets: a list of names, which are ends of paths, a pattern for whole paths, or
            `all-linear`.
        paths: the path of every module.
        linear: the paths of the linear layers.

    Raises:
        InputError: if the value is none of these, or has signs of patterns that are not known.
    """
    if targets == ALL_LINEAR:
        return set(linear)
    if isinstance(targets, str):
        matcher = _Parser(place, targets).parse()
        return {path for path in paths if len(path) in matcher(path, {0})}
    if not isinstance(targets, list) or not all(isinstance(name, str) for name in targets):
        raise InputError(
            f"{place} is {preview(targets)}: it must be a pattern, or a list of names of modules"
        )
    ends = tuple(f".{name}" for name in targets)
    return {path for path in paths if path in targets or path.endswith(ends)}


class _Parser:
    """Reads a pattern into a matcher."""

    def __init__(self, place: str, text: str) -> None:
        self._refused = InputError(
            f"{place} is the pattern {preview(text)}: of patterns, taskbank reads names, classes "
            "of characters, groups, alternatives and the repeats *, + and ?; save the checkpoint "
            "with a list of names, or with such a pattern"
        )
        self._tokens: list[str] = TOKEN.findall(text)
        if len(text) > MAX_PATTERN or "".join(self._tokens) != text:
            raise self._refused
        self._next, self._depth, self._steps = 0, 0, 0

    def parse(self) -> Matcher:
        """Return the matcher of the whole pattern."""
        matcher = self._alternatives()
        if self._next < len(self._tokens):  # a group that was not opened is closed
            raise self._refused
        return matcher

    def _alternatives(self) -> Matcher:
        found = [self._sequence()]
        while self._peek() == "|":
            self._next += 1
            found.append(self._sequence())
        return found[0] if len(found) == 1 else _any_of(found)

    def _sequence(self) -> Matcher:
        parts = []
        while self._peek() not in ("|", ")", ""):
            parts.append(self._repeated())
        return _one_after_another(parts)

    def _repeated(self) -> Matcher:
        matcher = self._single()
        if self._peek() not in ("*", "+", "?"):
            return matcher
        sign = self._peek()
        self._next += 1
        if sign == "?":
            return lambda text, starts: starts | matcher(text, starts)
        return self._many(matcher, least=int(sign == "+"))

    def _single(self) -> Matcher:
        sign = self._peek()
        self._next += 1
        if sign in ("(", "(?:"):
            self._depth += 1
            if self._depth > MAX_DEPTH:
                raise self._refused
            inner = self._alternatives()
            if self._peek() != ")":
                raise self._refused
            self._next, self._depth = self._next + 1, self._depth - 1
            return inner
        if sign in ("*", "+", "?"):
            raise self._refused
        if sign == "^":
            return lambda _text, starts: starts & {0}
        if sign == "$":
            return lambda text, starts: starts & {len(text)}
        try:
            one = re.compile(sign)
        except re.error:  # such as the class [z-a]
            raise self._refused from None

        def match(text: str, starts: set[int]) -> set[int]:
            self._count(len(starts))
            return {start + 1 for start in starts if start < len(text) and one.match(text[start])}

        return match

    def _many(self, matcher: Matcher, *, least: int) -> Matcher:
        def match(text: str, starts: set[int]) -> set[int]:
            found = set() if least else set(starts)
            new = set(starts)
            while new:
                self._count(1)
                reached = matcher(text, new)
                new = reached - found
                found |= reached
            return found

        return match

    def _count(self, steps: int) -> None:
        self._steps += steps
        if self._steps > MAX_STEPS:
            raise self._refused

    def _peek(self) -> str:
        return self._tokens[self._next] if self._next < len(self._tokens) else ""


def _any_of(matchers: Iterable[Matcher]) -> Matcher:
    known = tuple(matchers)
    return lambda text, starts: set().union(*(matcher(text, starts) for matcher in known))


def _one_after_another(matchers: Iterable[Matcher]) -> Matcher:
    known = tuple(matchers)

    def match(text: str, starts: set[int]) -> set[int]:
        for matcher in known:
            if not starts:
                break
            starts = matcher(text, starts)
        return starts

    return match
