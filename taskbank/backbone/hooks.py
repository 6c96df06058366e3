"""Applies the changes of tasks to a backbone's modules during one call."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from taskbank.backbone.adaptation import Adaptation, Change
from taskbank.backbone.backbone import Backbone
from taskbank.backbone.short_pass import Forward
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


def changed_paths(
    parts: Sequence[Part], entry_hooks: Mapping[str, EntryHook], skipped: Sequence[str]
) -> list[str]:
    """Return the paths of the modules that `change_forwards` changes."""
    changes = (path for part in parts if part.adaptation for path in part.adaptation.changes)
    return list(dict.fromkeys([*skipped, *entry_hooks, *changes]))


def change_forwards(
    forwards: dict[str, Forward],
    backbone: Backbone,
    batch: Batch,
    parts: Sequence[Part],
    entry_hooks: Mapping[str, EntryHook],
    skipped: Sequence[str],
    paths: Sequence[str],
) -> None:
    """Put tasks' changes around what computes the modules of a model.

    Args:
        forwards: what computes each module, by path. A module that is missing computes itself.
        backbone: the frozen backbone.
        batch: the inputs.
        parts: the batch's parts, one per task, in the order of the rows.
        entry_hooks: functions of the inputs of modules, by path.
        skipped: the paths of the layers that return their inputs.
        paths: what `changed_paths` returns for these.
    """
    task_changes = [part.adaptation.changes if part.adaptation else {} for part in parts]
    sizes = _Sizes(batch, parts)
    forwards |= dict.fromkeys(skipped, _skip_pair if backbone.architecture.pairs else _skip)
    for path in paths:
        forwards[path] = _Hook(
            backbone.module(path),
            forwards.get(path),
            [changes.get(path, UNCHANGED) for changes in task_changes],
            sizes,
            entry_hooks.get(path),
        )


def _skip(states: torch.Tensor, *_others: Any, **_keywords: Any) -> torch.Tensor:
    return states


def _skip_pair(states: torch.Tensor, *_others: Any, **_keywords: Any) -> tuple[torch.Tensor, None]:
    return states, None


class _Sizes:
    """The division of a batch's rows and tokens among its parts."""

    def __init__(self, batch: Batch, parts: Sequence[Part]) -> None:
        self.rows = [part.inputs for part in parts]
        ends = np.cumsum([0, *self.rows])
        self.tokens: list[int] = np.diff(np.cumsum([0, *batch.lengths])[ends]).tolist()
        self._owners: dict[bool, torch.Tensor] = {}

    def owners(self, values: torch.Tensor) -> torch.Tensor:
        """Return the number of the part of each token or row of some values."""
        by_token = _is_one_row(values)
        if by_token not in self._owners:
            sizes = torch.tensor(self.tokens if by_token else self.rows, device=values.device)
            self._owners[by_token] = torch.repeat_interleave(sizes)
        return self._owners[by_token]

    def divide(self, values: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Split values among the parts: by tokens if they are all in one row, else by rows."""
        if _is_one_row(values):
            return values.split_with_sizes(self.tokens, dim=1)
        return values.split_with_sizes(self.rows)

    def join(self, values: Sequence[torch.Tensor]) -> torch.Tensor:
        """Join the values of the parts."""
        return torch.cat(list(values), dim=1 if _is_one_row(values[0]) else 0)


def _is_one_row(values: torch.Tensor) -> bool:
    return values.ndim == 3 and values.shape[0] == 1


class _Hook:
    """The `forward` of a module of the backbone during one call, with the tasks' changes."""

    def __init__(
        self,
        module: torch.nn.Module,
        original: Forward | None,
        changes: Sequence[Change],
        sizes: _Sizes,
        entry: EntryHook | None,
    ) -> None:
        self.module, self.original = module, original or module.forward
        self.changes, self.sizes, self.entry = changes, sizes, entry

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
            modules = [change.replacement or self.module for change in changes]
            if all(map(_is_scaling_norm, modules)) and not any(c.output for c in changes):
                return _normalise(modules, states, sizes.owners(states))
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


def _is_scaling_norm(module: torch.nn.Module) -> bool:
    return (
        type(module) is torch.nn.LayerNorm and module.weight is not None and module.bias is not None
    )


def _normalise(norms: Sequence[Any], states: torch.Tensor, owners: torch.Tensor) -> torch.Tensor:
    """Return states, each normalised by the norm of its part: all of them in one call."""
    first = norms[0]
    normal = torch.nn.functional.layer_norm(states, first.normalized_shape, eps=first.eps)
    scales = torch.stack([norm.weight for norm in norms]).index_select(0, owners)
    shifts = torch.stack([norm.bias for norm in norms]).index_select(0, owners)
    return torch.addcmul(shifts.view_as(states), normal, scales.view_as(states))
