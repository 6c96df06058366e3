"""What a format cannot hold is refused with the reason and the formats that can."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest

from taskbank import plugins
from taskbank.bank.bank import Bank
from taskbank.errors import InputError
from taskbank.interchange.holding import check_holds
from tests.helpers.models import options_of

MERGED = "sentence-transformers, onnx or taskbank"  # of a version on a backbone that pools the mean


def check(
    bank: Bank,
    format: str,
    method: str = "lora",
    kind: str = "single",
    *,
    ensemble: int = 1,
    model_type: str = "bert",
    pooling: str = "mean",
    **options: Any,
) -> None:
    """Check a version like the bank's that differs in some ways."""
    record = bank["mood"]
    complete = plugins.load("methods", method).complete({**options_of(method), **options})
    training = {**record.training, "ensemble": ensemble}
    record = replace(record, method=method, options=complete, kind=kind, training=training)
    identity = bank.backbone(record.backbone).identity
    check_holds(record, replace(identity, model_type=model_type, pooling=pooling), format)


@pytest.mark.parametrize(
    ("format", "given", "reason", "able"),
    [
        ("peft", {"method": "houlsby"}, "its method is houlsby, and peft has", "onnx or taskbank"),
        ("peft", {"method": "bitfit"}, "its method is bitfit", MERGED),
        ("peft", {"alpha": 12.5}, "its option alpha is 12.5", MERGED),
        (
            "peft",
            {"method": "houlsby", "layernorms": "frozen"},
            "its method is houlsby",
            "adapterhub, onnx or taskbank",
        ),
        (
            "adapterhub",
            {"method": "houlsby"},
            "LayerNorms of its own.*--option layernorms=frozen",
            "onnx or taskbank",
        ),
        (
            "adapterhub",
            {"method": "parallel", "layernorms": "trained"},
            "LayerNorms of its own",
            "onnx or taskbank",
        ),
        (
            "adapterhub",
            {"method": "ia3", "pooling": "pooler"},
            "its method is ia3 on bert, and AdapterHub has",
            "peft, transformers, onnx or taskbank",
        ),
        ("adapterhub", {"model_type": "modernbert"}, "lora on modernbert", f"peft, {MERGED}"),
        ("adapterhub", {"alpha": 12.5}, "its option alpha is 12.5", MERGED),
        ("adapterhub", {"projections": "query,output"}, "output projection", f"peft, {MERGED}"),
        ("transformers", {"method": "houlsby"}, "the method houlsby adds", "onnx or taskbank"),
        ("transformers", {}, "reads the backbone's mean vector", f"peft, adapterhub, {MERGED}"),
        (
            "transformers",
            {"method": "linear", "model_type": "electra", "pooling": "first"},
            "no such head for a task of kind 'single' on electra",
            MERGED,
        ),
        (
            "transformers",
            {"method": "linear", "kind": "tagging", "model_type": "modernbert"},
            "reads every token",
            "onnx or taskbank",
        ),
        (
            "sentence-transformers",
            {"method": "linear", "pooling": "pooler"},
            "that of its pooler",
            "transformers, onnx or taskbank",
        ),
        (
            "sentence-transformers",
            {"method": "linear", "kind": "span"},
            "'span' reads every token",
            "transformers, onnx or taskbank",
        ),
        ("sentence-transformers", {"method": "pfeiffer"}, "pfeiffer adds modules", "or taskbank"),
        ("peft", {"ensemble": 3}, "an ensemble of 3 trainings", "onnx or taskbank"),
        ("of-a-plugin", {"ensemble": 3}, "an ensemble of 3 trainings", "onnx or taskbank"),
    ],
)
def test_what_a_format_cannot_hold_is_refused(
    mood: Bank, format: str, given: dict[str, Any], reason: str, able: str
) -> None:
    """The error names the version, the reason and exactly the formats that can hold it."""
    says = rf"^mood@1 cannot be exported to {format}: .*{reason}.*; export it to .*{able}$"
    with pytest.raises(InputError, match=says) as refused:
        check(mood, format, **given)
    named = re.split(", | or ", str(refused.value).rpartition("export it to ")[2])
    for one in plugins.TABLES["exporters"]:
        if one in named:
            check(mood, one, **given)
        else:
            with pytest.raises(InputError):
                check(mood, one, **given)


@pytest.mark.parametrize(
    ("model_type", "pooling"), [("bert", "pooler"), ("roberta", "pooler"), ("deberta-v2", "first")]
)
def test_a_head_that_can_be_made_equal_is_held(mood: Bank, model_type: str, pooling: str) -> None:
    """A version that merges goes to transformers, and every version to a format of a plugin."""
    check(mood, "transformers", model_type=model_type, pooling=pooling)
    check(mood, "of-a-plugin", model_type=model_type, pooling=pooling)


def test_a_width_that_no_factor_reduces_is_refused(
    mood: Bank, monkeypatch: pytest.MonkeyPatch
) -> None:
    """AdapterHub has no option of the size itself."""
    monkeypatch.setattr("taskbank.interchange.holding.reduction_factor", lambda *_: None)
    with pytest.raises(InputError, match=r"option size is 4, .* for the width 32; export it to"):
        check(mood, "adapterhub", "pfeiffer", size=4)
