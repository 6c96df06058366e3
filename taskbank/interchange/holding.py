"""Which formats of exports can hold a version, and why another cannot.

An exporter is only given what its format can hold. All of this is told by the record, so that a
refusal comes before anything is loaded.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from taskbank import plugins
from taskbank.bank.records import AdapterRecord
from taskbank.errors import InputError
from taskbank.interchange import peft_names
from taskbank.interchange.adapterhub_names import METHODS, reduction_factor
from taskbank.interchange.merged import PROBLEMS
from taskbank.interchange.sentence_transformers_folder import POOLING
from taskbank.interchange.stock_heads import ENCODERS, stock_head
from taskbank.methods.copies import TRAINED
from taskbank.model.standalone_ensemble import COMBINATIONS
from taskbank.specs import BackboneIdentity

if TYPE_CHECKING:
    from taskbank.kinds.kind import Kind
    from taskbank.methods.method import Method

Reason = Callable[[AdapterRecord, BackboneIdentity], str | None]
ENSEMBLES = ("onnx", "taskbank")  # the formats that hold several trainings


def check_holds(record: AdapterRecord, identity: BackboneIdentity, format: str) -> None:
    """Raise unless a format can hold a version.

    Args:
        record: the version.
        identity: the identity of its backbone.
        format: the name of the format, which may be that of a plugin.

    Raises:
        InputError: with the reason and the formats that can hold it.
    """
    reason = _reason(record, identity, format)
    if reason is None:
        return
    *others, last = [one for one in REASONS if _reason(record, identity, one) is None]
    able = f"{', '.join(others)} or {last}" if others else last
    raise InputError(f"{record.ref} cannot be exported to {format}: {reason}; export it to {able}")


def _reason(record: AdapterRecord, identity: BackboneIdentity, format: str) -> str | None:
    """Return why a format cannot hold a version; None if it can."""
    if record.ensemble > 1 and format not in ENSEMBLES:
        return (
            f"it is an ensemble of {record.ensemble} trainings, and that format holds one adapter "
            "and head"
        )
    reason = REASONS.get(format)
    return None if reason is None else reason(record, identity)


def _anything(record: AdapterRecord, identity: BackboneIdentity) -> None:
    return None


def _peft(record: AdapterRecord, identity: BackboneIdentity) -> str | None:
    methods = peft_names.METHODS.values()
    if record.method not in methods:
        return f"its method is {record.method}, and peft has {', '.join(methods)}"
    return _fraction(record)


def _adapterhub(record: AdapterRecord, identity: BackboneIdentity) -> str | None:
    if record.method not in METHODS or identity.model_type not in ENCODERS:
        return (
            f"its method is {record.method} on {identity.model_type}, and AdapterHub has "
            f"{', '.join(METHODS)} on {', '.join(ENCODERS)}"
        )
    options = record.options
    if record.method == "lora":
        if "output" in options["projections"].split(","):
            return (
                "it updates the attention's output projection, for which AdapterHub's LoRA has no "
                "option"
            )
        return _fraction(record)
    method: Method = plugins.load("methods", record.method)
    if options.get("layernorms", method.options["layernorms"].default) == TRAINED:
        return (
            "it has LayerNorms of its own, for which AdapterHub's adapters have no place (--option "
            "layernorms=frozen trains none)"
        )
    if reduction_factor(identity.hidden_size, options["size"]) is None:
        return (
            f"its option size is {options['size']}, which no reduction factor of AdapterHub gives "
            f"for the width {identity.hidden_size}"
        )
    return None


def _fraction(record: AdapterRecord) -> str | None:
    """Return why an alpha of LoRA cannot be held: other libraries have whole numbers."""
    alpha = record.options.get("alpha", 0)
    return None if alpha == int(alpha) else f"its option alpha is {alpha}, and no whole number"


def _unmerged(record: AdapterRecord) -> str | None:
    method: Method = plugins.load("methods", record.method)
    if method.merge is not None:
        return None
    return (
        f"the method {record.method} adds modules of its own, which cannot be merged into the "
        "encoder's weights"
    )


def _onnx(record: AdapterRecord, identity: BackboneIdentity) -> str | None:
    if record.ensemble == 1 or record.kind in COMBINATIONS:
        return None
    return (
        f"it is an ensemble of {record.ensemble} trainings, and a graph combines only members of "
        f"the kinds {', '.join(COMBINATIONS)}"
    )


def _transformers(record: AdapterRecord, identity: BackboneIdentity) -> str | None:
    unmerged = _unmerged(record)
    if unmerged is not None:
        return unmerged
    kind: Kind = plugins.load("kinds", record.kind)
    head = stock_head(kind, identity)
    if head is None or record.kind not in (*PROBLEMS, "tagging", "span"):
        reads = "every token" if kind.per_token else f"the backbone's {identity.pooling} vector"
        return (
            f"its head is one linear layer that reads {reads}, and transformers has no such head "
            f"for a task of kind {record.kind!r} on {identity.model_type}"
        )
    return None


def _sentence_transformers(record: AdapterRecord, identity: BackboneIdentity) -> str | None:
    if record.kind not in PROBLEMS:
        return (
            f"a task of kind {record.kind!r} reads every token, and that library gives one vector "
            "a text"
        )
    if identity.pooling not in POOLING:
        return (
            f"its backbone's vector is that of its {identity.pooling}, and that library has the "
            "mean and the first of the states"
        )
    return _unmerged(record)


# In the order in which they are named.
REASONS: Mapping[str, Reason] = {
    "peft": _peft,
    "adapterhub": _adapterhub,
    "transformers": _transformers,
    "sentence-transformers": _sentence_transformers,
    "onnx": _onnx,
    "taskbank": _anything,
}
