"""Faults of a machine or its libraries, each injected into a loaded backbone.

A fault is a context manager: predictions inside the `with` block are computed with it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any
from unittest.mock import patch

import numpy as np
import torch

from taskbank.backbone.attention import _attend_group
from taskbank.backbone.backbone import Backbone
from taskbank.backbone.forward import BackboneOutput
from taskbank.data.packed import Batch
from taskbank.model.load import load_model
from taskbank.model.stored_model import StoredModel
from taskbank.model.task_model import TaskModel

ATTENTION = "taskbank.backbone.attention"
Fault = Callable[[Backbone], AbstractContextManager[None]]


@dataclass(frozen=True)
class FaultCase:
    """A fault and what a verification must say of it.

    Attributes:
        inject: the fault.
        batch: whether an output depends on the other texts of its batch, or on chance.
        harmless: whether no answer can change, so that a finding would be a false alarm.
    """

    inject: Fault
    batch: bool = False
    harmless: bool = False


# Faults of attention and positions


@contextmanager
def ignore_mask(_backbone: Backbone) -> Iterator[None]:
    """Texts attend to the padding that their group needs."""
    with patch(f"{ATTENTION}._mask", lambda *_given: None):
        yield


@contextmanager
def attend_across_texts(_backbone: Backbone) -> Iterator[None]:
    """Each text attends to all texts of its group, as if the mask between them were lost."""
    attend: Any = _attend_group

    def leaking(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, *rest: Any) -> Any:
        joined = [torch.cat(list(states), dim=1)[None] for states in (query, key, value)]
        (output,) = attend(*joined, None, *rest[1:])
        inputs, heads, tokens, size = query.shape
        return [output.view(heads, inputs, tokens, size).transpose(0, 1)]

    with patch(f"{ATTENTION}._attend_group", leaking):
        yield


@contextmanager
def scale_attention(_backbone: Backbone) -> Iterator[None]:
    """The attention kernel scales its products by twice the factor."""

    attend: Any = _attend_group

    def scaled(*given: Any) -> Any:
        *rest, scale = given
        return attend(*rest, 2 * scale)

    with patch(f"{ATTENTION}._attend_group", scaled):
        yield


@contextmanager
def shift_positions(backbone: Backbone) -> Iterator[None]:
    """Every position is one too high."""
    with patch.object(backbone, "first_position", backbone.first_position + 1):
        yield


@contextmanager
def run_positions_on(backbone: Backbone) -> Iterator[None]:
    """Positions do not start again with each text of a batch."""

    def positions(batch: Batch) -> torch.Tensor:
        return torch.arange(len(batch.input_ids)) % (backbone.identity.max_length - 2)

    with patch.object(Batch, "positions", property(positions)):
        yield


# Faults of the arithmetic


@contextmanager
def leak_in_layernorm(_backbone: Backbone) -> Iterator[None]:
    """Half of the mean over all texts of the batch is added to every token."""
    original = torch.nn.functional.layer_norm

    def leaking(*given: Any, **named: Any) -> torch.Tensor:
        output = original(*given, **named)
        return output + 0.5 * output.flatten(0, -2).mean(0)

    with patch("torch.nn.functional.layer_norm", leaking):
        yield


@contextmanager
def change_epsilon(_backbone: Backbone, epsilon: float) -> Iterator[None]:
    """Every LayerNorm uses another epsilon."""
    original = torch.nn.functional.layer_norm

    def changed(
        states: torch.Tensor, shape: Any, weight: Any = None, bias: Any = None, _eps: float = 0.0
    ) -> torch.Tensor:
        return original(states, shape, weight, bias, epsilon)

    with patch("torch.nn.functional.layer_norm", changed):
        yield


@contextmanager
def approximate_gelu(backbone: Backbone) -> Iterator[None]:
    """The activation is GELU's approximation by a hyperbolic tangent."""

    def approximate(_module: Any, given: Any, _output: Any) -> torch.Tensor:
        return torch.nn.functional.gelu(given[0], approximate="tanh")

    named = backbone.model.named_modules()
    modules = [module for name, module in named if name.endswith("intermediate_act_fn")]
    with hooked(dict.fromkeys(modules, approximate)):
        yield


@contextmanager
def lower_precision(backbone: Backbone) -> Iterator[None]:
    """Matrix products are computed in bfloat16, without anybody having asked for it."""
    original = backbone.model.forward

    def lowered(*given: Any, **named: Any) -> Any:
        with torch.autocast("cpu", torch.bfloat16):
            return original(*given, **named)

    with patch.object(backbone.model, "forward", lowered):
        yield


@contextmanager
def other_threads(_backbone: Backbone) -> Iterator[None]:
    """Another number of threads computes, which changes only the order of summation."""
    before = torch.get_num_threads()
    torch.set_num_threads(3 if before != 3 else 2)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def stuck_dropout(backbone: Backbone) -> Iterator[None]:
    """Dropout of the embeddings stays active outside of training."""

    def drop(_module: Any, _given: Any, output: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.dropout(output, 0.1, training=True)

    with hooked({backbone.model.embeddings: drop}):
        yield


# Faults of memory


@contextmanager
def kill_layer(backbone: Backbone) -> Iterator[None]:
    """The last layer returns its input."""
    layer = backbone.model.get_submodule(backbone.layer(backbone.identity.layers - 1))
    with hooked({layer: lambda _module, given, _output: given[0]}):
        yield


@contextmanager
def spoil_one_text(backbone: Backbone) -> Iterator[None]:
    """The first text of a batch of several becomes NaN."""
    with changed_outputs(lambda values: values.index_fill(0, torch.tensor([0]), torch.nan)):
        yield


@contextmanager
def disturb_large_batches(backbone: Backbone) -> Iterator[None]:
    """One text of each batch of more than eight is disturbed, another one each time."""
    generator = np.random.default_rng(0)

    def disturb(values: torch.Tensor) -> torch.Tensor:
        if len(values) > 8:
            values = values.clone()
            values[generator.integers(len(values))] *= -1
        return values

    with changed_outputs(disturb):
        yield


@contextmanager
def rotate_answers(_backbone: Backbone) -> Iterator[None]:
    """Each text gets the outputs of the next text in its batch."""
    with changed_outputs(lambda values: values.roll(1, 0)):
        yield


@contextmanager
def swap_embeddings(backbone: Backbone) -> Iterator[None]:
    """The word embeddings are rotated by one row."""
    weight = backbone.model.get_input_embeddings().weight
    with changed_weight(weight, weight.roll(1, 0)):
        yield


@contextmanager
def flip_bit(backbone: Backbone) -> Iterator[None]:
    """The highest bit of the exponent flips in one weight of the last layer."""
    layer = backbone.layer(backbone.identity.layers - 1)
    name = f"{layer}.output.dense.bias"
    weight = dict(backbone.model.named_parameters())[name]
    flipped = weight.detach().clone()
    flipped[0] = (flipped[:1].view(torch.int32) ^ (1 << 30)).view(torch.float32)[0]
    with changed_weight(weight, flipped):
        yield


@contextmanager
def round_weights(backbone: Backbone) -> Iterator[None]:
    """All weights of the backbone are rounded to bfloat16."""
    weights = list(backbone.model.parameters())
    before = [weight.detach().clone() for weight in weights]
    try:
        for weight in weights:
            weight.data = weight.data.bfloat16().float()
        yield
    finally:
        for weight, values in zip(weights, before, strict=True):
            weight.data = values


# Faults of the code around the model


@contextmanager
def truncate_texts(backbone: Backbone, tokens: int) -> Iterator[None]:
    """The tokenizer truncates texts to a few tokens."""
    original = type(backbone.tokenizer).__call__

    def truncated(tokenizer: Any, *given: Any, **named: Any) -> Any:
        return original(tokenizer, *given, **named | {"max_length": tokens})

    with patch.object(type(backbone.tokenizer), "__call__", truncated):
        yield


@contextmanager
def pad_left(backbone: Backbone) -> Iterator[None]:
    """The tokenizer pads on the left, which texts without padding do not notice."""
    with patch.object(backbone.tokenizer, "padding_side", "left"):
        yield


@contextmanager
def pool_first_token(backbone: Backbone) -> Iterator[None]:
    """The vector of a text is that of its first token instead of the mean."""

    def first(output: BackboneOutput) -> torch.Tensor:
        return output.states.index_select(0, output.batch.first_tokens)

    with patch.object(BackboneOutput, "vectors", property(first)):
        yield


@contextmanager
def drop_head_bias(_backbone: Backbone) -> Iterator[None]:
    """The bias of the head is not added."""
    original = TaskModel.apply_head

    def without_bias(model: TaskModel, output: BackboneOutput) -> torch.Tensor:
        bias = model.head.bias
        assert isinstance(bias, torch.Tensor)  # noqa: S101 - for the type checker
        return original(model, output) - bias

    with patch.object(TaskModel, "apply_head", without_bias):
        yield


@contextmanager
def skip_adapter(_backbone: Backbone) -> Iterator[None]:
    """The adapter of one sublayer is left out."""

    def without_one(*given: Any) -> StoredModel:
        model = load_model(*given)
        changes = model.adaptation.changes
        path = next(path for path, change in changes.items() if change.output is not None)
        changes[path].output = None
        return model

    with patch("taskbank.verify.observer.load_model", without_one):
        yield


FAULTS: Mapping[str, FaultCase] = {
    "attention mask ignored": FaultCase(ignore_mask, batch=True),
    "attention across texts": FaultCase(attend_across_texts, batch=True),
    "attention scaled twice": FaultCase(scale_attention),
    "positions shifted by one": FaultCase(shift_positions),
    "positions not restarted": FaultCase(run_positions_on, batch=True),
    "LayerNorm leaks other texts": FaultCase(leak_in_layernorm, batch=True),
    "LayerNorm epsilon of 0.1": FaultCase(partial(change_epsilon, epsilon=0.1)),
    "GELU approximated": FaultCase(approximate_gelu),
    "products in bfloat16": FaultCase(lower_precision),
    "other number of threads": FaultCase(other_threads, harmless=True),
    "dropout stuck": FaultCase(stuck_dropout, batch=True),
    "one dead layer": FaultCase(kill_layer),
    "NaN in one text": FaultCase(spoil_one_text, batch=True),
    "one text of large batches disturbed": FaultCase(disturb_large_batches, batch=True),
    "answers of other rows": FaultCase(rotate_answers, batch=True),
    "embeddings of other words": FaultCase(swap_embeddings),
    "one bit flipped in a weight": FaultCase(flip_bit),
    "weights rounded to bfloat16": FaultCase(round_weights),
    "texts truncated": FaultCase(partial(truncate_texts, tokens=5)),
    "padding on the left": FaultCase(pad_left, harmless=True),
    "first token instead of the mean": FaultCase(pool_first_token),
    "head without bias": FaultCase(drop_head_bias),
    "adapter of one sublayer skipped": FaultCase(skip_adapter),
}

# Tools of the faults


@contextmanager
def hooked(hooks: Mapping[torch.nn.Module, Callable[..., Any]]) -> Iterator[None]:
    """Replace the outputs of modules by what a hook returns."""
    handles = [module.register_forward_hook(hook) for module, hook in hooks.items()]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


@contextmanager
def changed_outputs(change: Callable[[torch.Tensor], torch.Tensor]) -> Iterator[None]:
    """Change the outputs of every batch with several texts."""
    original = TaskModel.apply_head

    def changed(model: TaskModel, output: BackboneOutput) -> torch.Tensor:
        values = original(model, output)
        return change(values) if len(output.batch) > 1 else values

    with patch.object(TaskModel, "apply_head", changed):
        yield


@contextmanager
def changed_weight(weight: torch.nn.Parameter, values: torch.Tensor) -> Iterator[None]:
    """Give a weight other values."""
    before = weight.data
    weight.data = values.detach().clone()
    try:
        yield
    finally:
        weight.data = before
