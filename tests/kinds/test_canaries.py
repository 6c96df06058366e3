"""Canaries: the few examples that stand for a split."""

from __future__ import annotations

import numpy as np

from taskbank import plugins
from taskbank.kinds.canaries import MAX_CANARIES, MIN_CANARIES, choose_canaries
from taskbank.kinds.kind import Kind


def test_canaries_are_near_the_boundary_and_of_every_class() -> None:
    """Each class has the example nearest to its boundary; the rest are the nearest of all."""
    kind: Kind = plugins.load("kinds", "single")
    generator = np.random.default_rng(0)
    for classes in (2, 5, 40, 300):
        names = [f"class {number:03}" for number in range(classes)]
        labels = [names[number % classes] for number in range(600)]
        columns = {"text": ["a"] * 600, "label": labels}
        definition = kind.define(columns, "here", {})
        logits = generator.normal(size=(600, classes)).astype(np.float32)
        rows = choose_canaries(kind, logits, columns, definition)
        margins = kind.margins(logits, columns, definition)
        assert rows == tuple(sorted(set(rows)))
        assert len(rows) == min(max(MIN_CANARIES, classes), MAX_CANARIES)
        assert len({labels[row] for row in rows}) == min(classes, MAX_CANARIES)
        assert int(margins.argmin()) in rows
        for name in {labels[row] for row in rows}:
            own = [row for row in range(600) if labels[row] == name]
            assert min(own, key=lambda row: margins[row]) in rows
