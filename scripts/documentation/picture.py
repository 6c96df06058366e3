"""Draws the picture of the README: one encoder, an adapter per task beside it, and the ledger.

Every word stands on a shape of its own colour or in a middle grey, so the picture has no
background and reads on a light page as well as on a dark one.

usage: python -m scripts.documentation.picture
"""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from pathlib import Path

PLACE = Path(__file__).parents[2] / "docs" / "pictures" / "taskbank.svg"
WIDTH, HEIGHT = 880, 262
GREY = "#7d8896"  # has a contrast of about 4 with white and 5 with black
FROZEN, PALE = "#3d4f73", "#e8edf7"
LEDGER, LINE = "#22303c", "#41525f"
BOLD = ' font-weight="600"'
TICK = 'fill="none" stroke="#5fd38d" stroke-width="2.4"'
LAYERS = 6
TOP, STEP, SLAB = 42, 27, 22  # of the stacks: where they begin, from slab to slab, a slab's height
FOOT = TOP + LAYERS * STEP
TASKS = (  # name, what it answers, colour, digest of its bytes
    ("topic", "delivery", "#118f91", "sha256:6c1cfa49…"),
    ("urgent", "yes", "#cf5c42", "sha256:508b8c54…"),
    ("spam", "no", "#9d5bba", "sha256:e07b3d12…"),
)
TITLE = (
    "A frozen encoder reads a text once; beside it stands one small adapter per task, each with "
    "its own answer. A ledger holds every adapter with its digest and the result of its "
    "verification."
)


def draw() -> str:
    """Return the picture as SVG."""
    body = "\n".join([*_text_to_encoder(), *_encoder(), *_adapters(), *_ledger()])
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        f'width="{WIDTH}" height="{HEIGHT}" role="img" font-family="system-ui, -apple-system, '
        f"'Segoe UI', 'DejaVu Sans', sans-serif\" font-size=\"13\">\n"
        f"<title>{escape(TITLE)}</title>\n{body}\n</svg>\n"
    )


def _box(x: float, y: float, width: float, height: float, fill: str, extra: str = "") -> str:
    return f'<rect x="{x}" y="{y}" width="{width}" height="{height}" rx="5" fill="{fill}"{extra}/>'


def _words(x: float, y: float, text: str, fill: str = GREY, extra: str = "") -> str:
    return f'<text x="{x}" y="{y}" fill="{fill}" text-anchor="middle"{extra}>{escape(text)}</text>'


def _arrow(x: float, y: float, end: float) -> str:
    """Return an arrow to the right."""
    head = f"M{end - 6} {y - 4}L{end} {y}L{end - 6} {y + 4}"
    return f'<path d="M{x} {y}H{end}{head}" fill="none" stroke="{GREY}" stroke-width="1.6"/>'


def _text_to_encoder() -> Iterator[str]:
    middle = TOP + LAYERS * STEP / 2
    yield _box(1, middle - 32, 130, 60, "none", f' stroke="{GREY}"')
    yield _words(66, middle - 8, "“My parcel is late,")
    yield _words(66, middle + 12, "I need it tonight”")
    yield _arrow(137, middle, 160)


def _encoder() -> Iterator[str]:
    x, width = 166, 128
    yield _words(x + width / 2, 20, "one frozen encoder", extra=BOLD)
    for layer in range(LAYERS):
        y = TOP + layer * STEP
        yield _box(x, y, width, SLAB, FROZEN)
        yield _words(x + width / 2, y + 15.5, f"layer {LAYERS - layer}", PALE, ' font-size="11.5"')
    yield _words(x + width / 2, FOOT + 18, "shared, never changed")


def _adapters() -> Iterator[str]:
    width, gap = 58, 20
    start = 320
    middle = start + (len(TASKS) * (width + gap) - gap) / 2
    yield _words(middle, 20, "a small adapter per task", extra=BOLD)
    for number, (name, answer, colour, _) in enumerate(TASKS):
        x = start + number * (width + gap)
        for layer in range(LAYERS):
            y = TOP + layer * STEP
            for part in range(2):  # two adapters a layer
                yield _box(x + 6 + part * 25, y + 3, 21, SLAB - 6, colour)
        yield _words(x + width / 2, FOOT + 18, name, colour, BOLD)
        yield _box(x - 6, FOOT + 28, width + 12, 24, colour)
        yield _words(x + width / 2, FOOT + 44, answer, "#ffffff", BOLD)


def _ledger() -> Iterator[str]:
    x, y, width, row = 574, TOP - 4, 306, 34
    yield _words(x + width / 2, 20, "a bank that shows none changed", GREY, BOLD)
    yield _box(x, y, width, row * (len(TASKS) + 1) + 28, LEDGER)
    columns = ((x + 16, "adapter"), (x + 104, "bytes"), (x + 238, "verified"))
    for place, heading in columns:
        yield _cell(place, y + 22, heading, "#a9b7c4")
    for number, (name, _, colour, digest) in enumerate(TASKS, start=1):
        top = y + number * row
        yield f'<path d="M{x + 12} {top}H{x + width - 12}" stroke="{LINE}"/>'
        yield _box(x + 16, top + 12, 10, 10, colour)
        yield _cell(x + 34, top + 22, f"{name}@1")
        yield _cell(x + 104, top + 22, digest, extra=' font-family="ui-monospace, monospace"')
        yield f'<path d="M{x + 240} {top + 17}l4 5l8 -10" {TICK}/>'
        yield _cell(x + 260, top + 22, "ok")
    bottom = y + (len(TASKS) + 1) * row
    yield f'<path d="M{x + 12} {bottom}H{x + width - 12}" stroke="{LINE}"/>'
    yield _cell(x + 16, bottom + 18, "rows are added, never altered", "#a9b7c4")


def _cell(x: float, y: float, text: str, fill: str = "#f2f5f8", extra: str = "") -> str:
    return f'<text x="{x}" y="{y}" fill="{fill}" font-size="12.5"{extra}>{escape(text)}</text>'


if __name__ == "__main__":
    PLACE.parent.mkdir(exist_ok=True)
    PLACE.write_text(draw(), encoding="utf-8")
    print(f"wrote {PLACE}")
