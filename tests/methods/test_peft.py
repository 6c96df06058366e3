"""LoRA, (IA)³ and BitFit compute what `peft` computes on the same weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from peft import IA3Config, LoraConfig, get_peft_model

from taskbank.backbone.backbone import Backbone
from taskbank.backbone.forward import run_backbone
from taskbank.backbone.hooks import Part
from taskbank.backbone.load import load_backbone
from taskbank.data.tokenization import encode
from taskbank.kinds.definition import Definition
from taskbank.kinds.single import SINGLE
from taskbank.model.task_model import task_model
from tests.helpers.rows import sentences

TWO_CLASSES = Definition(("bad", "good"))
# our stored name -> the name that peft has for it
NAMES = {
    "lora": {
        "down": "base_model.model.encoder.layer.{}.lora_A.default.weight",
        "up": "base_model.model.encoder.layer.{}.lora_B.default.weight",
    },
    "ia3": {"scale": "base_model.model.encoder.layer.{}.ia3_l.default"},
}


@pytest.fixture
def own(folder: Path) -> Backbone:
    """A backbone of the test's own, as peft writes into the model it is given."""
    return load_backbone(str(folder))


def theirs(method: str, folder: Path, options: dict[str, Any]) -> Any:
    """Return the backbone with the method of peft on it."""
    places = [f"attention.self.{name}" for name in ("query", "key", "value")]
    if method == "lora":
        config: Any = LoraConfig(
            r=options["rank"],
            lora_alpha=options["alpha"],
            lora_dropout=0.0,
            target_modules=r".*\.(attention\.self\.(query|value)|intermediate\.dense)",
        )
    elif method == "ia3":
        config = IA3Config(
            target_modules=r".*(attention\.self\.(key|value)|layer\.\d+\.output\.dense)",
            feedforward_modules=r".*layer\.\d+\.output\.dense",
        )
    else:
        config = LoraConfig(r=1, bias="all", target_modules=places)
    return get_peft_model(load_backbone(str(folder)).model, config)


@pytest.mark.parametrize("method", ["lora", "ia3"])
def test_outputs_and_gradients_equal_those_of_peft(
    own: Backbone, folder: Path, method: str
) -> None:
    """With the same trained values, the hidden states and every gradient agree to the last bits."""
    options: dict[str, Any] = (
        {"rank": 3, "alpha": 12, "projections": "query,value,up"} if method == "lora" else {}
    )
    texts = [row["text"] for row in sentences(8)]
    batch = encode(own.tokenizer, {"text": texts}, ("text",), 32).batch(np.arange(8))
    # The same arrangement of the tokens: what is compared is what the methods compute.
    inputs = {
        "input_ids": batch.input_ids[None],
        "position_ids": batch.positions[None],
        "layout": batch.layout,
    }
    peft = theirs(method, folder, options).eval()
    chance = torch.Generator().manual_seed(0)
    model = task_model(own, SINGLE, TWO_CLASSES, method, options, seed=0)
    model.eval()
    pairs = []
    for name, tensor in model.adapted.named_parameters():
        _, layer, *path, leaf = name.split(".")
        other = peft.get_parameter(NAMES[method][leaf].format(".".join([layer, *path])))
        with torch.no_grad():
            tensor.copy_(torch.rand(tensor.shape, generator=chance) + 0.5)
            other.copy_(tensor.reshape(other.shape))
        pairs.append((tensor, other))
    ours = run_backbone(own, batch, [Part(8, model.adaptation)]).states
    expected = peft(**inputs)[0][0]
    torch.testing.assert_close(ours, expected, rtol=1e-6, atol=1e-6)
    ours.square().sum().backward()
    expected.square().sum().backward()
    assert len(pairs) == sum(p.requires_grad for p in peft.parameters())
    for tensor, other in pairs:
        torch.testing.assert_close(
            tensor.grad, other.grad.reshape(tensor.shape), rtol=1e-4, atol=1e-5
        )


def test_bitfit_trains_the_biases_that_peft_trains(own: Backbone, folder: Path) -> None:
    """With peft's `bias="all"`, the layers' biases have the same gradients, and moving them
    gives the same hidden states."""
    texts = [row["text"] for row in sentences(8)]
    batch = encode(own.tokenizer, {"text": texts}, ("text",), 32).batch(np.arange(8))
    # The same arrangement of the tokens: what is compared is what the methods compute.
    inputs = {
        "input_ids": batch.input_ids[None],
        "position_ids": batch.positions[None],
        "layout": batch.layout,
    }
    peft = theirs("bitfit", folder, {}).eval()
    known = {
        name.replace("base_model.model.", "").replace(".base_layer", ""): parameter
        for name, parameter in peft.named_parameters()
        if name.endswith("bias")
    }
    chance = torch.Generator().manual_seed(0)
    model = task_model(own, SINGLE, TWO_CLASSES, "bitfit", {}, seed=0)
    model.eval()
    ours = {
        name.removeprefix("bias."): parameter
        for name, parameter in model.adapted.named_parameters()
    }
    assert ours.keys() == known.keys()
    with torch.no_grad():
        for name, parameter in ours.items():
            parameter.add_(torch.rand(parameter.shape, generator=chance))
            known[name].copy_(parameter)
    states = run_backbone(own, batch, [Part(8, model.adaptation)]).states
    expected = peft(**inputs)[0][0]
    torch.testing.assert_close(states, expected, rtol=1e-6, atol=1e-6)
    states.square().sum().backward()
    expected.square().sum().backward()
    for name, parameter in ours.items():
        torch.testing.assert_close(parameter.grad, known[name].grad, rtol=1e-4, atol=1e-4)
