"""Applies the changes of tasks to a backbone's modules during one call."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch

from taskbank.backbone.adaptation import Adaptation, Change
from taskbank.backbone.backbone import Backbone
from taskbank.backbone.short_pass import Forward, ShortPass, shadow
from taskbank.data.packed import Batch

UNCHANGED = Change()
EntryHook = Callable[[torch.Tensor], torch.Tensor]


@dataclass(frozen=True)
class Part:
    """Rows of a batch that belong to one task.

    Attributes:
        inputs: number of inputs.
        adaptation: the task's adaptation. None means the bare backbone.
    """

    inputs: int
    adaptation: Adaptation | None = None


@contextmanager
def task_hooks(
    backbone: Backbone,
    batch: Batch,
    parts: Sequence[Part],
    entry_hooks: dict[str, EntryHook],
    skipped: Sequence[int],
    short: ShortPass | None,
) -> Iterator[Forward]:
    """Hook tasks' changes into a model's modules within the context, and yield what computes it.

    Args:
        backbone: the frozen backbone.
        batch: the inputs.
        parts: the batch's parts, one per task, in the order of the rows.
        entry_hooks: functions of the inputs of modules, by path.
        skipped: the numbers of the layers that return their inputs.
        short: computes the model in fewer calls, if it suits the changes. None leaves it.
    """
    skipped_paths = {backbone.layer(number) for number in skipped}
    task_changes = [part.adaptation.changes if part.adaptation else {} for part in parts]
    paths = dict.fromkeys(
        [*skipped_paths, *entry_hooks, *(path for changes in task_changes for path in changes)]
    )
    sizes = _Sizes(batch, parts)
    forwards: dict[str, Forward] = {}
    compute: Forward = backbone.model
    if short is not None and short.suits(paths):
        compute = short
        forwards |= short.short_layers
    skip = _skip_pair if backbone.architecture.pairs else _skip
    forwards |= dict.fromkeys(skipped_paths, skip)
    for path in paths:
        forwards[path] = _Hook(
            forwards.get(path, backbone.module(path).forward),
            [changes.get(path, UNCHANGED) for changes in task_changes],
            sizes,
            entry_hooks.get(path),
        )
    with shadow({backbone.module(path): forward for path, forward in forwards.items()}):
        yield compute


def _skip(states: torch.Tensor, *_others: Any, **_keywords: Any) -> torch.Tensor:
    return states


def _skip_pair(states: torch.Tensor, *_others: Any, **_keywords: Any) -> tuple[torch.Tensor, None]:
    return states, None


class _Sizes:
    """The division of a batch's rows and tokens among its parts."""

    def __init__(self, batch: Batch, parts: Sequence[Part]) -> None:
        self.rows = [part.inputs for part in parts]
        ends = [sum(self.rows[: number + 1]) for number in range(len(parts))]
        self.tokens = [
            int(batch.lengths[e - n : e].sum()) for e, n in zip(ends, self.rows, strict=True)
        ]

    def divide(self, values: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Split values among the parts: by tokens if they are all in one row, else by rows."""
        if values.ndim == 3 and values.shape[0] == 1:
            return torch.split(values, self.tokens, dim=1)
        return torch.split(values, self.rows)

    def join(self, values: Sequence[torch.Tensor]) -> torch.Tensor:
        """Join the values of the parts."""
        first = values[0]
        return torch.cat(list(values), dim=1 if first.ndim == 3 and first.shape[0] == 1 else 0)


class _Hook:
    """The `forward` of a module of the backbone during one call, with the tasks' changes."""

    def __init__(
        self,
        original: Forward,
        changes: Sequence[Change],
        sizes: _Sizes,
        entry: EntryHook | None,
    ) -> None:
        self.original, self.changes, self.sizes, self.entry = original, changes, sizes, entry

    def __call__(self, *inputs: Any, **keywords: Any) -> Any:
        if self.entry is not None:
            inputs = (self.entry(inputs[0]), *inputs[1:])
        if len(self.changes) > 1:
            return self._mixed(*inputs, **keywords)
        change = self.changes[0] if self.changes else UNCHANGED
        if change.input is not None:
            inputs = (change.input(inputs[0]), *inputs[1:])
        output = (change.replacement or self.original)(*inputs, **keywords)
        return output if change.output is None else change.output(inputs[0], output)

    def _mixed(self, states: torch.Tensor, *others: Any, **keywords: Any) -> Any:
        changes, sizes = self.changes, self.sizes
        if any(change.input for change in changes):
            states = sizes.join(
                [
                    part if change.input is None else change.input(part)
                    for change, part in zip(changes, sizes.divide(states), strict=True)
                ]
            )
        if any(change.replacement for change in changes):
            outputs = [
                (change.replacement or self.original)(part, *others, **keywords)
                for change, part in zip(changes, sizes.divide(states), strict=True)
            ]
        elif any(change.output for change in changes):
            outputs = list(sizes.divide(self.original(states, *others, **keywords)))
        else:
            return self.original(states, *others, **keywords)
        if any(change.output for change in changes):
            outputs = [
                output if change.output is None else change.output(part, output)
                for change, part, output in zip(changes, sizes.divide(states), outputs, strict=True)
            ]
        return sizes.join(outputs)
