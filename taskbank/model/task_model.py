"""A task's model: the frozen backbone with one task's adaptation and head."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import torch

from taskbank import plugins
from taskbank.backbone.adaptation import Adaptation
from taskbank.backbone.backbone import Backbone
from taskbank.backbone.forward import BackboneOutput, run_backbone, trunk_states
from taskbank.backbone.hooks import Part
from taskbank.backbone.linear import unfilled_linear
from taskbank.data.packed import Batch
from taskbank.digests import Json
from taskbank.errors import DamagedError
from taskbank.kinds.definition import Definition

if TYPE_CHECKING:
    from taskbank.kinds.kind import Kind
    from taskbank.methods.method import Method

# Dropout before the head and the deviation of its initial values, as in the paper's code.
HEAD_DROPOUT = 0.1
HEAD_STD = 0.02


class TaskModel(torch.nn.Module):
    """Maps texts to outputs: backbone, adaptation and head. `task_model` creates it.

    Args:
        backbone: the frozen backbone; many models may share it.
        adaptation: the task's adaptation.
        head: maps a vector to outputs.
        per_token: whether the head reads every token's state instead of one vector per input.
    """

    def __init__(
        self,
        backbone: Backbone,
        adaptation: Adaptation,
        head: torch.nn.Module,
        *,
        per_token: bool = False,
    ) -> None:
        super().__init__()
        self.backbone, self.adaptation = backbone, adaptation
        self.encoder = backbone.model
        self.adapted = adaptation.modules
        self.dropout = torch.nn.Dropout(HEAD_DROPOUT)
        self.head = head
        self.per_token = per_token

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

    def outputs(self, batch: Batch) -> torch.Tensor:
        """Return the outputs of a batch.

        Args:
            batch: the inputs.

        Returns:
            a tensor of shape [inputs, outputs], or [tokens, outputs] if per token.
        """
        if self.training and self.has_trunk and batch.states is None:
            states = trunk_states(self.backbone, batch, self.adaptation.lowest_layer)
            batch = replace(batch, states=states)
        parts = (Part(len(batch), self.adaptation),)
        return self.apply_head(run_backbone(self.backbone, batch, parts, training=self.training))

    def apply_head(self, output: BackboneOutput) -> torch.Tensor:
        """Return the head's outputs for a backbone's output.

        Args:
            output: the output of the backbone with this adaptation.
        """
        states = output.states if self.per_token else output.vectors
        outputs: torch.Tensor = self.head(self.dropout(states))
        return outputs

    def shape_for_loss(self, outputs: torch.Tensor, batch: Batch) -> torch.Tensor:
        """Return a batch's outputs in the form for the loss: padded if per token."""
        return batch.pad(outputs) if self.per_token else outputs

    def forward(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        token_type_ids: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Return the outputs of padded inputs.

        Args:
            input_ids: of shape [batch, tokens].
            attention_mask: of the same shape, 0 for padding.
            token_type_ids: of the same shape, for backbones that tell two texts apart by them.

        Returns:
            a tensor of shape [batch, outputs], or [batch, tokens, outputs] if per token.
        """
        outputs = self.outputs(Batch.from_padded(input_ids, attention_mask, token_type_ids))
        if not self.per_token:
            return outputs
        padded_outputs = outputs.new_zeros(*input_ids.shape, outputs.shape[1])
        return padded_outputs.index_put((attention_mask.bool(),), outputs)

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
        tensors: dict[str, torch.Tensor] = self.adapted.state_dict(keep_vars=True)
        self.head.state_dict(destination=tensors, prefix="head.", keep_vars=True)
        return tensors

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


def task_model(
    backbone: Backbone,
    kind: Kind,
    definition: Definition,
    method: str,
    options: Mapping[str, Json],
    seed: int | None,
) -> TaskModel:
    """Create the untrained model of a task.

    Args:
        backbone: the frozen backbone; it stays unchanged.
        kind: the task's kind.
        definition: the task's definition.
        method: the name of the method of adaptation.
        options: the method's options; missing options have their defaults.
        seed: the seed of the initial values. None means that stored values will replace them.
    """
    generator = None if seed is None else torch.Generator().manual_seed(seed)
    chosen_method: Method = plugins.load("methods", method)
    head = _head(backbone.identity.hidden_size, kind.outputs(definition), generator)
    head.to(backbone.device)
    adaptation = chosen_method.adapt(backbone, chosen_method.complete(options), generator)
    return TaskModel(backbone, adaptation, head, per_token=kind.per_token)


def _head(hidden_size: int, outputs: int, generator: torch.Generator | None) -> torch.nn.Linear:
    head = unfilled_linear(hidden_size, outputs)
    if generator is None:
        return head
    with torch.no_grad():
        torch.nn.init.trunc_normal_(
            head.weight, 0.0, HEAD_STD, -2 * HEAD_STD, 2 * HEAD_STD, generator=generator
        )
        head.bias.zero_()
    return head
