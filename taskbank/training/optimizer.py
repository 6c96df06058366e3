"""What trainings have in common: the optimizer, the seed, the weights of classes and the bar."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from tqdm import tqdm
from transformers import get_linear_schedule_with_warmup

from taskbank.kinds.definition import Definition
from taskbank.specs import TrainingSpec

if TYPE_CHECKING:
    from taskbank.kinds.kind import Columns, Kind

Moments = Mapping[int, Mapping[str, torch.Tensor]]


class Optimizer:
    """AdamW with a clipped gradient and a rate that rises linearly, then falls to zero.

    Args:
        parameters: the parameters to train.
        spec: the hyperparameters.
        steps: number of steps of the whole training.
    """

    def __init__(
        self, parameters: Sequence[torch.nn.Parameter], spec: TrainingSpec, steps: int
    ) -> None:
        self.parameters, self.clip = parameters, spec.clip
        groups = _groups(parameters, spec.weight_decay)
        self._adam = torch.optim.AdamW(groups, lr=spec.learning_rate, fused=True)
        self._schedule = get_linear_schedule_with_warmup(
            self._adam, int(spec.warmup * steps), steps
        )

    def zero_grad(self) -> None:
        """Forget the gradients."""
        self._adam.zero_grad(set_to_none=True)

    def step(self) -> None:
        """Change the parameters by their gradients, and the rate for the next step."""
        torch.nn.utils.clip_grad_norm_(self.parameters, self.clip)
        self._adam.step()
        self._schedule.step()

    def state(self) -> tuple[Moments, list[dict[str, Any]], dict[str, Any]]:
        """Return the moments by number of the parameter, the groups and the schedule's values."""
        adam, schedule = self._adam.state_dict(), self._schedule.state_dict()
        values = {name: value for name, value in schedule.items() if name != "lr_lambdas"}
        return adam["state"], adam["param_groups"], values

    def restore(
        self, moments: Moments, groups: Sequence[Mapping[str, Any]], schedule: Mapping[str, Any]
    ) -> None:
        """Continue from an earlier state."""
        self._adam.load_state_dict({"state": dict(moments), "param_groups": groups})
        lambdas = self._schedule.state_dict()["lr_lambdas"]
        self._schedule.load_state_dict({**schedule, "lr_lambdas": lambdas})


def _groups(
    parameters: Sequence[torch.nn.Parameter], weight_decay: float
) -> list[dict[str, object]]:
    # Weight decay pulls weights towards zero, which suits matrices but not biases or the scales of
    # a LayerNorm.
    return [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]


def class_weights(
    kind: Kind, columns: Columns, definition: Definition, spec: TrainingSpec, device: torch.device
) -> torch.Tensor | None:
    """Return the weight of each class in the loss, or None if all weigh the same."""
    weights = kind.balance(columns, definition) if spec.class_weight == "balanced" else None
    return None if weights is None else torch.from_numpy(weights).to(device)


@contextmanager
def seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Seed dropout, and restore the caller's random state afterwards."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield


def step_bar(steps: int, progress: bool) -> tqdm[None]:
    """Return a progress bar of training steps, which is shown only in a terminal."""
    # disable=None hides the bar unless stderr is a terminal.
    return tqdm(total=steps, unit="step", desc="training", disable=None if progress else True)
