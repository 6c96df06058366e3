"""The model of a stored version: of one training, or of several whose predictions are combined.

A version of one training has a `TaskModel`, one of several an `Ensemble`; both are a
`StoredModel`, so that what predicts with a version need not know which of them it has.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import torch

from taskbank.backbone.adaptation import Adaptation
from taskbank.backbone.backbone import Backbone
from taskbank.errors import DamagedError

if TYPE_CHECKING:
    import numpy as np

    from taskbank.data.encoded import Encoded
    from taskbank.model.task_model import TaskModel


class StoredModel(torch.nn.Module):
    """A model whose trained tensors are stored, as one blob.

    Args:
        backbone: the frozen backbone; many models may share it.
        adaptation: the task's adaptation; members differ in its values only, so it is the first's.
        per_token: whether the heads read every token's state instead of one vector per input.
    """

    def __init__(self, backbone: Backbone, adaptation: Adaptation, *, per_token: bool) -> None:
        super().__init__()
        self.backbone, self.adaptation, self.per_token = backbone, adaptation, per_token

    @property
    @abstractmethod
    def members(self) -> Sequence[TaskModel]:
        """The models of the trainings, in the order of `combine`."""

    @abstractmethod
    def combine(self, outputs: Sequence[np.ndarray], encoded: Encoded) -> np.ndarray:
        """Return the model's outputs, given those of its members.

        Args:
            outputs: per member, an array of shape [inputs, outputs], or [all tokens, outputs] if
                per token.
            encoded: the inputs.
        """

    @abstractmethod
    def named_tensors(self) -> dict[str, torch.Tensor]:
        """Return the trained tensors by stored name, as parameters if they are."""

    @property
    def has_trunk(self) -> bool:
        """Whether the task leaves the lowest layers, or the whole backbone, unchanged."""
        lowest, layers = self.adaptation.lowest_layer, self.backbone.identity.layers
        return 0 < lowest < layers or not self.adaptation.changes

    @property
    def supports_mixing(self) -> bool:
        """Whether inputs of other tasks may share a batch with this task's inputs."""
        adaptation = self.adaptation
        return (
            self.backbone.supports_packing
            and adaptation.supports_mixing
            and (self.has_trunk or adaptation.lowest_layer == 0)
        )

    @cached_property
    def trained_bytes(self) -> int:
        """The size of all trained tensors in bytes."""
        return sum(tensor.nbytes for tensor in self._tensors.values())

    def trained_tensors(self) -> dict[str, torch.Tensor]:
        """Return all trained and stored tensors by stored name."""
        return {name: tensor.detach() for name, tensor in self._tensors.items()}

    @cached_property
    def _tensors(self) -> dict[str, torch.Tensor]:
        """The trained tensors themselves by stored name."""
        return self.named_tensors()

    @cached_property
    def _shapes(self) -> dict[str, tuple[Any, ...]]:
        """The type and the shape of each trained tensor, also after `release_tensors`."""
        return {name: (tensor.dtype, *tensor.shape) for name, tensor in self._tensors.items()}

    def load_tensors(self, tensors: Mapping[str, torch.Tensor]) -> None:
        """Copy values into the model's tensors.

        Args:
            tensors: the values by stored name, with exactly the names of `trained_tensors`.

        Raises:
            DamagedError: naming tensors that are missing, unexpected, or of another shape or type.
        """
        current = self._matching_tensors(tensors)
        with torch.no_grad():
            for name, tensor in tensors.items():
                current[name].copy_(tensor)

    def adopt_tensors(self, tensors: Mapping[str, torch.Tensor]) -> None:
        """Use stored tensors as the model's own, without a copy if they are on its device.

        Args:
            tensors: the values by stored name, with exactly the names of `trained_tensors`.

        Raises:
            DamagedError: naming tensors that are missing, unexpected, or of another shape or type.
        """
        own, device = self._matching_tensors(tensors), self.backbone.device
        for name, tensor in tensors.items():
            own[name].data = tensor if tensor.device == device else tensor.to(device)

    def release_tensors(self) -> None:
        """Free the memory of the model's tensors; it can be used again after `adopt_tensors`."""
        shapes = self._shapes  # which the tensors tell only as long as they have values
        nothing = torch.empty(0, device=self.backbone.device)
        for name, tensor in self._tensors.items():
            tensor.data = nothing if shapes[name][0] == nothing.dtype else nothing.to(tensor.dtype)

    def _matching_tensors(self, tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Return the model's tensors if others match them in name, shape and type."""
        current, shapes = self._tensors, self._shapes
        missing, unexpected = sorted(current.keys() - tensors), sorted(tensors.keys() - current)
        if missing or unexpected:
            raise DamagedError(
                f"the stored tensors do not fit the model: missing {missing or 'none'}, "
                f"unexpected {unexpected or 'none'}"
            )
        for name, tensor in tensors.items():
            given = (tensor.dtype, *tensor.shape)
            if given != shapes[name]:
                raise DamagedError(
                    f"stored tensor {name!r} is {given}, the model has {shapes[name]}"
                )
        return current
