"""Puts the changes of tasks in the way of a backbone's modules for the time of one call."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch

from taskbank.backbone.adaptation import Adaptation, Change
from taskbank.backbone.backbone import Backbone
from taskbank.data.packed import Batch

UNCHANGED = Change()
Enter = Callable[[torch.Tensor], torch.Tensor]


@dataclass(frozen=True)
class Part:
    """Rows of a batch that belong to one task.

    Attributes:
        inputs: how many.
        adaptation: of their task; none for the bare backbone.
    """

    inputs: int
    adaptation: Adaptation | None = None


@contextmanager
def hooked(
    backbone: Backbone,
    batch: Batch,
    parts: Sequence[Part],
    enter: dict[str, Enter],
    skipped: Sequence[int],
) -> Iterator[None]:
    """Put tasks' changes in the way of a model's modules while it lasts."""
    passed = {backbone.layer(number) for number in skipped}
    changed = [part.adaptation.changes if part.adaptation else {} for part in parts]
    paths = dict.fromkeys([*passed, *enter, *(path for changes in changed for path in changes)])
    sizes = _Sizes(batch, parts)
    modules = []
    try:
        for path in paths:
            module = backbone.model.get_submodule(path)
            place = _Place(
                module.forward,
                [changes.get(path, UNCHANGED) for changes in changed],
                sizes,
                enter.get(path),
            )
            if path in passed:
                place.original = _pass_pair if backbone.architecture.pairs else _pass
            modules.append(module)
            # Found before the method of the class, and gone without a trace.
            module.__dict__["forward"] = place
        yield
    finally:
        for module in modules:
            del module.__dict__["forward"]


def _pass(states: torch.Tensor, *_others: Any, **_more: Any) -> torch.Tensor:
    return states


def _pass_pair(states: torch.Tensor, *_others: Any, **_more: Any) -> tuple[torch.Tensor, None]:
    return states, None


class _Sizes:
    """How the rows of a batch are divided among its parts."""

    def __init__(self, batch: Batch, parts: Sequence[Part]) -> None:
        self.rows = [part.inputs for part in parts]
        ends = [sum(self.rows[: number + 1]) for number in range(len(parts))]
        self.tokens = [
            int(batch.lengths[e - n : e].sum()) for e, n in zip(ends, self.rows, strict=True)
        ]

    def divide(self, values: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Return the values of each part: of its tokens if all are in one row, else of its rows."""
        if values.ndim == 3 and values.shape[0] == 1:
            return torch.split(values, self.tokens, dim=1)
        return torch.split(values, self.rows)

    def join(self, values: Sequence[torch.Tensor]) -> torch.Tensor:
        """Return together what was divided."""
        first = values[0]
        return torch.cat(list(values), dim=1 if first.ndim == 3 and first.shape[0] == 1 else 0)


class _Place:
    """A module of the backbone for the time of one call: `forward`, with the tasks' changes."""

    def __init__(
        self,
        original: Callable[..., Any],
        changes: Sequence[Change],
        sizes: _Sizes,
        enter: Enter | None,
    ) -> None:
        self.original, self.changes, self.sizes, self.enter = original, changes, sizes, enter

    def __call__(self, *inputs: Any, **more: Any) -> Any:
        if self.enter is not None:
            inputs = (self.enter(inputs[0]), *inputs[1:])
        if len(self.changes) > 1:
            return self._mixed(*inputs, **more)
        change = self.changes[0] if self.changes else UNCHANGED
        if change.before is not None:
            inputs = (change.before(inputs[0]), *inputs[1:])
        found = (change.instead or self.original)(*inputs, **more)
        return found if change.after is None else change.after(inputs[0], found)

    def _mixed(self, states: torch.Tensor, *others: Any, **more: Any) -> Any:
        changes, sizes = self.changes, self.sizes
        if any(change.before for change in changes):
            states = sizes.join(
                [
                    part if change.before is None else change.before(part)
                    for change, part in zip(changes, sizes.divide(states), strict=True)
                ]
            )
        if any(change.instead for change in changes):
            found = [
                (change.instead or self.original)(part, *others, **more)
                for change, part in zip(changes, sizes.divide(states), strict=True)
            ]
        elif any(change.after for change in changes):
            found = list(sizes.divide(self.original(states, *others, **more)))
        else:
            return self.original(states, *others, **more)
        if any(change.after for change in changes):
            found = [
                out if change.after is None else change.after(part, out)
                for change, part, out in zip(changes, sizes.divide(states), found, strict=True)
            ]
        return sizes.join(found)
