"""An ensemble as a plain module of torch, to be exported: its members, and what combines them.

What `Kind.combine` computes for arrays in float64 is computed here for padded tensors in float32,
which every runtime of models has.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import torch

from taskbank.model.standalone import StandaloneModel
from taskbank.model.task_model import TaskModel

# Given the outputs of the members, of shape [members, batch, …, outputs], and which tokens may
# begin or end an answer, returns the outputs that stand for their mean.
Combination = Callable[[torch.Tensor, torch.Tensor | None], torch.Tensor]


class StandaloneEnsemble(torch.nn.Module):
    """Maps padded inputs to the outputs of an ensemble.

    Args:
        members: the models of the trainings, in evaluation mode.
        method: the name of their method of adaptation.
        kind: the name of the task's kind, one of `COMBINATIONS`.
    """

    def __init__(self, members: Sequence[TaskModel], method: str, kind: str) -> None:
        super().__init__()
        self.each = torch.nn.ModuleList()
        self.combine = COMBINATIONS[kind]
        for member in members:
            model = StandaloneModel(member, method)
            if len(self.each):
                _share(model.encoder, self.each[0].get_submodule("encoder"))
            self.each.append(model)

    def forward(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        token_type_ids: torch.Tensor | None = None,
        answer_mask: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Return the outputs of inputs that are padded on the right; see `StandaloneModel.forward`.

        Args:
            input_ids: of shape [batch, tokens].
            attention_mask: of the same shape, 0 for padding.
            token_type_ids: of the same shape, for encoders that tell two texts apart by them.
            answer_mask: of the same shape, for the kind `span` only, whose batch is the windows of
                one example: 1 for tokens that may begin or end an answer, and for the first.
        """
        each = [model(input_ids, attention_mask, token_type_ids) for model in self.each]
        return self.combine(torch.stack(each), answer_mask)


def _share(encoder: torch.nn.Module, other: torch.nn.Module) -> None:
    """Give an encoder the memory of another one's parameters where both have the same values."""
    known = dict(other.named_parameters())
    for name, own in encoder.named_parameters():
        if name in known and torch.equal(own, known[name]):
            own.data = known[name].data


def _mean_probabilities(outputs: torch.Tensor, totals: torch.Tensor) -> torch.Tensor:
    """See `taskbank.kinds.logits.shifted_log_mean`."""
    return (outputs - totals).logsumexp(dim=0) - math.log(len(outputs)) + totals.mean(dim=0)


def _classes(outputs: torch.Tensor, _mask: torch.Tensor | None) -> torch.Tensor:
    return _mean_probabilities(outputs, outputs.logsumexp(dim=-1, keepdim=True))


def _labels(outputs: torch.Tensor, _mask: torch.Tensor | None) -> torch.Tensor:
    """See `taskbank.kinds.logits.logit_of_mean`."""
    log_share = torch.nn.functional.logsigmoid
    return log_share(outputs).logsumexp(dim=0) - log_share(-outputs).logsumexp(dim=0)


def _numbers(outputs: torch.Tensor, _mask: torch.Tensor | None) -> torch.Tensor:
    return outputs.mean(dim=0)


def _spans(outputs: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
    assert mask is not None  # noqa: S101 - whoever calls a model of spans gives it
    kept = outputs.masked_fill(mask[..., None] == 0, -math.inf)
    return _mean_probabilities(outputs, kept.logsumexp(dim=(1, 2), keepdim=True))


COMBINATIONS: Mapping[str, Combination] = {
    "single": _classes,
    "pair": _classes,
    "multilabel": _labels,
    "regression": _numbers,
    "tagging": _classes,
    "span": _spans,
}
