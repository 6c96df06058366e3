"""Exports a task of any method and kind as a model of ONNX, with the tokenizer and what to make of
its outputs.

    FOLDER/model.onnx        padded `input_ids`, `attention_mask` and, for some encoders,
                             `token_type_ids` of any number and length, to `outputs`; of an
                             ensemble, all members and what combines them
    FOLDER/model.onnx.data   its weights, if they are too large for one file
    FOLDER/tokenizer.json    for the library tokenizers; it cuts inputs, into windows if the kind
                             reads windows, and pads them
    FOLDER/config.json       labels, temperature, settings such as thresholds, and limits
    FOLDER/README.md         the model card, with code that runs all this

Before it is returned, the model is run by onnxruntime on stored examples, and compared with the
recorded predictions.
"""

from __future__ import annotations

import json
import logging
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from tokenizers import Tokenizer

from taskbank import plugins
from taskbank.bank.bank import Bank
from taskbank.bank.records import AdapterRecord
from taskbank.digests import Json
from taskbank.errors import InputError, MissingExtraError
from taskbank.interchange.merged import files_in
from taskbank.interchange.model_card import model_card
from taskbank.interchange.recorded import check_predictions
from taskbank.interchange.usage import onnx_usage
from taskbank.kinds.calibration import temperature_of
from taskbank.kinds.span import SPAN
from taskbank.kinds.tagging import TAGGING
from taskbank.model.load import load_model, load_recorded_backbone
from taskbank.model.standalone import StandaloneModel
from taskbank.model.standalone_ensemble import StandaloneEnsemble

if TYPE_CHECKING:
    from taskbank.backbone.backbone import Backbone
    from taskbank.kinds.kind import Kind

FORMAT = "taskbank-onnx/1"
PACKAGES = ("onnx", "onnxscript", "onnxruntime")
OPSET = 20  # of the operators: the first with GELU
# A file of this format holds less than 2 GiB; the graph takes some of it.
LARGEST = 2**31 - 2**26
# For the kinds that read windows: which text is cut, and how many tokens the windows share.
WINDOWS = {"tagging": ("only_first", TAGGING.overlap), "span": ("only_second", SPAN.overlap)}
MODEL, DATA = "model.onnx", "model.onnx.data"


def export_files(bank: Bank, record: AdapterRecord) -> dict[str, bytes]:
    """Return the files of a model of ONNX.

    Args:
        bank: an open bank.
        record: the adapter.

    Raises:
        MissingExtraError: if a package that makes or runs such models is not installed.
        InputError: if the tokenizer has no tokenizer.json, or the exported model does not give the
            recorded predictions.
        DamagedError: if stored bytes differ from what was recorded.
    """
    _check_packages()
    kind: Kind = plugins.load("kinds", record.kind)
    backbone = load_recorded_backbone(bank, bank.backbone(record.backbone), device="cpu")
    tokenizer = backbone.tokenizer
    rules = _tokenizer_file(record, tokenizer)
    model, names = _model(bank, record, kind, backbone)
    with TemporaryDirectory() as place:
        folder = Path(place)
        export_model(model, folder, names)
        check_predictions(bank, record, tokenizer, _runner(folder), "the model of ONNX")
        files = files_in(folder)
    split = bool(getattr(tokenizer, "split_special_tokens", False))
    usage = onnx_usage(record, split_special_tokens=split)
    config = _config(record, kind, backbone)
    files["tokenizer.json"] = rules.encode()
    files["config.json"] = (json.dumps(config, indent=2, ensure_ascii=False) + "\n").encode()
    return files | {"README.md": model_card(bank, record, library="onnx", usage=usage).encode()}


def _model(
    bank: Bank, record: AdapterRecord, kind: Kind, backbone: Backbone
) -> tuple[torch.nn.Module, Sequence[str]]:
    """Return the model of a version, and the names of its inputs."""
    names = ["input_ids", "attention_mask"]
    if "token_type_ids" in backbone.tokenizer.model_input_names:
        names.append("token_type_ids")
    members = load_model(bank, record, backbone).members
    if len(members) == 1:
        return StandaloneModel(members[0], record.method), names
    if kind is SPAN:
        names.append("answer_mask")
    return StandaloneEnsemble(members, record.method, kind.name), names


def export_model(model: torch.nn.Module, folder: Path, names: Sequence[str]) -> None:
    """Write a model of ONNX to a folder.

    Args:
        model: the model.
        folder: where to.
        names: the names of its inputs, each int64 of shape [batch, tokens].
    """
    import onnx_ir

    # Two inputs of different lengths, so that no size is mistaken for one that never changes.
    mask = (torch.arange(7) < torch.tensor([[7], [3]])).long()
    values = {"input_ids": torch.arange(5, 12) * mask, "token_type_ids": torch.zeros_like(mask)}
    sizes = {0: "batch", 1: "length"}
    with _quiet(), torch.inference_mode():
        program = torch.onnx.export(
            model,
            kwargs={name: values.get(name, mask).clone() for name in names},  # none is another
            dynamo=True,
            input_names=list(names),
            output_names=["outputs"],
            dynamic_shapes=dict.fromkeys(names, sizes),
            opset_version=OPSET,
            verbose=False,
        )
    assert program is not None  # noqa: S101 - for the type checker
    graph: Any = program.model
    _without_remarks(graph)
    if isinstance(model, StandaloneEnsemble):
        _merge_equal(graph)
    weights = sum(value.const_value.nbytes for value in graph.graph.initializers.values())
    onnx_ir.save(graph, folder / MODEL, external_data=DATA if weights > LARGEST else None)


def _merge_equal(model: Any) -> None:
    """Store once, and compute once, what the members of an ensemble share."""
    from onnx_ir.passes import common

    # The exporter merges only small tensors, and so does not see that their uses are the same.
    common.DeduplicateInitializersPass(size_limit=sys.maxsize)(model)
    common.CommonSubexpressionEliminationPass()(model)


def _without_remarks(model: Any) -> None:
    """Remove what the exporter notes of its own work, such as the places of source files."""
    model.metadata_props.clear()
    model.graph.metadata_props.clear()
    values = [*model.graph.inputs, *model.graph.initializers.values()]
    for node in model.graph.all_nodes():
        node.metadata_props.clear()
        values += node.outputs
    for value in values:
        value.metadata_props.clear()


def _runner(folder: Path) -> Any:
    """Return a function that runs the model of a folder with onnxruntime."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(folder / MODEL), providers=["CPUExecutionProvider"])
    names = [one.name for one in session.get_inputs()]

    def run(inputs: Mapping[str, np.ndarray]) -> np.ndarray:
        outputs: np.ndarray = session.run(None, {name: inputs[name] for name in names})[0]
        return outputs

    return run


def _check_packages() -> None:
    missing = [name for name in PACKAGES if find_spec(name) is None]
    if missing:
        raise MissingExtraError(
            f"an export to onnx needs {', '.join(missing)}: install them with pip install "
            "'taskbank[onnx]'"
        )


def _tokenizer_file(record: AdapterRecord, tokenizer: Any) -> str:
    """Return a tokenizer.json that cuts inputs as the kind does, and pads them."""
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        raise InputError(
            f"{record.ref} cannot be exported to onnx: its tokenizer ({type(tokenizer).__name__}) "
            "has no tokenizer.json, which the library tokenizers needs to run alone"
        )
    length = record.training["max_length"]
    own = Tokenizer.from_str(backend.to_str())
    strategy, overlap = WINDOWS.get(record.kind, ("longest_first", lambda *_: 0))
    own.enable_truncation(
        length,
        stride=overlap(tokenizer, length),
        strategy=strategy,
        direction=tokenizer.truncation_side,
    )
    own.enable_padding(pad_id=tokenizer.pad_token_id, pad_token=tokenizer.pad_token)
    rules: str = own.to_str(pretty=True)
    return rules


def _config(record: AdapterRecord, kind: Kind, backbone: Backbone) -> dict[str, Json]:
    """Return what turns outputs into answers."""
    length = record.training["max_length"]
    values: dict[str, Json] = {
        "format": FORMAT,
        "version": record.ref,
        "digest": record.digest,
        "kind": record.kind,
        "labels": list(record.labels),
        "temperature": temperature_of(record.definition),
        "settings": dict(record.settings),
        "max_length": length,
        "pooling": None if kind.per_token else backbone.identity.pooling,
    }
    if kind is TAGGING:  # the tag of a word without tokens
        values["outside"] = record.labels[TAGGING.outside(record.definition)]
    if kind is SPAN:
        values["question_tokens"] = SPAN.question_room(backbone.tokenizer, length)
    return values


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence the exporter, which warns of packages that it does not need."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
