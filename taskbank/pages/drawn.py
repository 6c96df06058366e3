"""A text with marked places, as a page draws it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

SHOWN = 6000  # characters


@dataclass(frozen=True)
class Place:
    """A place in a text to mark: where, the class of the mark, and what is said of it."""

    start: int
    end: int
    mark: str
    note: str = ""


@dataclass(frozen=True)
class Part:
    """A part of a text; its mark is empty where nothing is marked."""

    text: str
    mark: str = ""
    note: str = ""


@dataclass(frozen=True)
class Drawn:
    """A text in parts.

    Attributes:
        name: what the text is, as `question`.
        parts: its parts, in order.
        characters: number of characters of the text if it is cut, else None.
    """

    name: str
    parts: tuple[Part, ...]
    characters: int | None


def draw(name: str, text: str, places: Iterable[Place]) -> Drawn:
    """Return a text in parts; of places that overlap, the one that begins first is marked."""
    parts = tuple(_parts(text[:SHOWN], sorted(places, key=lambda place: place.start)))
    return Drawn(name, parts, len(text) if len(text) > SHOWN else None)


def _parts(text: str, places: Iterable[Place]) -> Iterator[Part]:
    at = 0
    for place in places:
        if place.start < at or place.end > len(text):
            continue
        if place.start > at:
            yield Part(text[at : place.start])
        yield Part(text[place.start : place.end], place.mark, place.note)
        at = place.end
    if at < len(text):
        yield Part(text[at:])
