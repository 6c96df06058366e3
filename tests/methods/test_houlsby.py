"""Houlsby adapters: where they sit, and how many parameters they have."""

from __future__ import annotations

import torch

from taskbank.backbone.backbone import Backbone
from taskbank.kinds.single import SINGLE
from taskbank.methods.houlsby import HOULSBY
from taskbank.model.task_model import task_model
from tests.helpers.models import classes, vectors_of


def test_houlsby_trains_what_the_papers_formula_says(any_backbone: Backbone) -> None:
    """Two adapters of 2md + d + m a layer, every LayerNorm, and the head: nothing else."""
    d, m, layers, labels = 32, 4, 2, 3
    norms = [mod for mod in any_backbone.model.modules() if isinstance(mod, torch.nn.LayerNorm)]
    expected = (
        layers * 2 * (2 * m * d + d + m)
        + sum(p.numel() for norm in norms for p in norm.parameters())
        + labels * d
        + labels
    )
    options = HOULSBY.complete({"size": m})
    model = task_model(any_backbone, SINGLE, classes(labels), "houlsby", options, seed=0)
    assert sum(t.numel() for t in model.trained_tensors().values()) == expected
    trainable = sum(p.numel() for p in model.parameters() if p.requires_grad)
    assert trainable == expected


PLACES = {
    "bert": ("attention.output.LayerNorm", "output.LayerNorm"),
    "distilbert": ("sa_layer_norm", "output_layer_norm"),
    "modernbert": ("mlp_norm", None),
}


for same in ("roberta", "electra", "deberta-v2"):
    PLACES[same] = PLACES["bert"]


def test_houlsby_adapters_sit_before_the_residual_and_the_layernorm(
    any_backbone: Backbone,
) -> None:
    """An adapter that adds a constant to a sublayer moves what is added to the residual by just
    that constant: the input of the next LayerNorm, seen from outside, and no other."""
    after_attention, after_ffn = PLACES[any_backbone.identity.model_type]
    layer = any_backbone.model.get_submodule(any_backbone.layer(0))
    constant = torch.linspace(-1, 1, 32)

    def residual_sums(add: str | None) -> dict[str, torch.Tensor]:
        options = HOULSBY.complete({"size": 4, "init_std": 1e-20})
        model = task_model(any_backbone, SINGLE, classes(2), "houlsby", options, seed=0)
        model.eval()
        if add is not None:
            model.trained_tensors()[f"adapter.0.{add}.up.bias"].copy_(constant)
        seen: dict[str, torch.Tensor] = {}
        hooks = []
        for place, name in (("attention", after_attention), ("feed_forward", after_ffn)):
            if name is not None:
                hooks.append(
                    layer.get_submodule(name).register_forward_pre_hook(
                        lambda _m, args, place=place: seen.__setitem__(place, args[0])
                    )
                )
        if after_ffn is None:  # a pre-norm layer gives the residual sum itself
            hooks.append(
                layer.register_forward_hook(
                    lambda _m, _i, out: seen.__setitem__("feed_forward", out)
                )
            )
        vectors_of(any_backbone, model)
        for hook in hooks:
            hook.remove()
        return seen

    bare, attention, ffn = (residual_sums(add) for add in (None, "attention", "feed_forward"))
    torch.testing.assert_close(
        attention["attention"] - bare["attention"], constant.expand_as(bare["attention"])
    )
    torch.testing.assert_close(ffn["attention"], bare["attention"])
    torch.testing.assert_close(
        ffn["feed_forward"] - bare["feed_forward"], constant.expand_as(bare["feed_forward"])
    )
