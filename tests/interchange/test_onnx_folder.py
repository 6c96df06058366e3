"""Models of ONNX: the graph, the tokenizer, and the code that makes answers of both.

An export takes seconds. So most tests run the code of the card with a stand-in for onnxruntime that
runs the same model in torch; `model/test_standalone.py` holds that to the task's outputs.
"""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from taskbank.backbone.backbone import Backbone
from taskbank.backbone.load import load_backbone
from taskbank.bank.bank import Bank
from taskbank.errors import InputError, MissingExtraError
from taskbank.interchange import onnx_folder
from taskbank.interchange.export import export_adapter
from tests.helpers.backbones import make_backbone
from tests.helpers.checked_exports import check_export
from tests.helpers.exports import LENGTH, put_task
from tests.helpers.rows import ROWS

ABSTAIN = {"single": "alpha=0.3", "pair": "precision=0.9", "regression": None}


@pytest.mark.parametrize(
    ("model_type", "kind", "method", "abstain", "largest"),
    [
        ("bert", "single", "houlsby", "alpha=0.3", 2**31),
        ("roberta", "tagging", "lora", "coverage=0.7", 0),
    ],
)
@pytest.mark.slow
def test_onnxruntime_gives_the_recorded_answers(
    own: Bank,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    model_type: str,
    kind: str,
    method: str,
    abstain: str,
    largest: int,
) -> None:
    """Adapters and merged weights, texts and tokens, short and long inputs, alone and 32 at once,
    in one file and with the weights in another."""
    monkeypatch.setattr(onnx_folder, "LARGEST", largest)
    backbone = load_backbone(str(make_backbone(tmp_path / "encoder", model_type)))
    record = put_task(own, backbone, kind, method, abstain=abstain)
    folder = check_export(own, record, backbone, "onnx", tmp_path)
    names = {"README.md", "config.json", "model.onnx", "tokenizer.json"}
    data = {"model.onnx.data"} if largest == 0 else set()
    assert {one.name for one in folder.iterdir()} == names | data | {"tokens.npz", "outputs.npy"}
    graph = (folder / "model.onnx").read_bytes()
    assert b"stack_trace" not in graph
    assert b".py" not in graph
    assert not any(str(tmp_path).encode() in one.read_bytes() for one in folder.glob("*.[jo]*"))


@pytest.fixture
def in_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let models be exported and run in torch."""
    exported: list[tuple[Any, Sequence[str]]] = []

    class Session:
        """The part of onnxruntime's session that cards use."""

        def __init__(self, _path: object, **_options: object) -> None:
            self.model, self.names = exported[-1]

        def get_inputs(self) -> list[Any]:
            return [SimpleNamespace(name=name) for name in self.names]

        @torch.no_grad()
        def run(self, _outputs: None, feeds: dict[str, np.ndarray]) -> list[np.ndarray]:
            assert all(values.dtype == np.int64 for values in feeds.values())
            assert list(feeds) == self.names
            return [self.model(**{n: torch.from_numpy(v) for n, v in feeds.items()}).numpy()]

    def export_model(model: Any, _folder: Path, names: Sequence[str]) -> None:
        exported.append((model, names))

    module = ModuleType("onnxruntime")
    module.InferenceSession = Session  # type: ignore[attr-defined]
    module.__spec__ = ModuleSpec("onnxruntime", None)
    monkeypatch.setitem(sys.modules, "onnxruntime", module)
    monkeypatch.setattr(onnx_folder, "export_model", export_model)


@pytest.mark.usefixtures("in_torch")
@pytest.mark.parametrize("kind", ROWS)
@pytest.mark.parametrize("abstains", [False, True])
def test_the_code_of_a_card_gives_taskbanks_answers(
    own: Bank, pooled: Backbone, tmp_path: Path, kind: str, abstains: bool
) -> None:
    """Probabilities and withheld answers are those of `predict`, for cut inputs and windows too."""
    abstain = ABSTAIN.get(kind, "coverage=0.7") if abstains else None
    check_export(
        own, put_task(own, pooled, kind, "pfeiffer", abstain=abstain), pooled, "onnx", tmp_path
    )


@pytest.mark.usefixtures("in_torch")
@pytest.mark.parametrize("kind", ROWS)
def test_the_code_of_an_ensembles_card_gives_taskbanks_answers(
    own: Bank, pooled: Backbone, tmp_path: Path, kind: str
) -> None:
    """Members are combined as `predict` combines them, over the windows of a question too."""
    record = put_task(own, pooled, kind, "pfeiffer", members=3, layers="top:1")
    check_export(own, record, pooled, "onnx", tmp_path)


@pytest.mark.parametrize(("kind", "method"), [("pair", "houlsby"), ("span", "lora")])
@pytest.mark.slow
def test_a_graph_has_what_members_share_once(
    own: Bank, pooled: Backbone, tmp_path: Path, kind: str, method: str
) -> None:
    """It stores the encoder and what each member trained, and computes the lower layers once."""
    import onnx

    record = put_task(own, pooled, kind, method, members=3, layers="top:1")
    folder = check_export(own, record, pooled, "onnx", tmp_path)
    graph = onnx.load(folder / "model.onnx").graph
    stored = sum(len(one.raw_data) for one in graph.initializer)
    merged = sum(one.nbytes for one in pooled.module(f"{pooled.layer(1)}").parameters())
    frozen = sum(one.nbytes for one in pooled.model.parameters())
    added = record.bytes if method == "houlsby" else record.bytes + 2 * merged
    assert stored < frozen + added
    # Two in each layer and one of the embeddings.
    assert sum(node.op_type == "LayerNormalization" for node in graph.node) == 3 + 3 * 2


@pytest.mark.usefixtures("in_torch")
def test_no_threshold_withholds_every_answer(own: Bank, pooled: Backbone, tmp_path: Path) -> None:
    """A version whose rule no threshold keeps to answers nothing, and neither does its export."""
    record = put_task(own, pooled, "single", "linear", abstain="precision=0.999")
    assert record.settings["abstain"]["threshold"] is None
    check_export(own, record, pooled, "onnx", tmp_path)


@pytest.mark.usefixtures("in_torch")
def test_the_folder_tells_what_its_outputs_mean(
    own: Bank, pooled: Backbone, tmp_path: Path
) -> None:
    """The configuration has labels, temperature, settings and limits of the version."""
    record = put_task(own, pooled, "tagging", "houlsby", abstain="coverage=0.7")
    export_adapter(own, record.ref, tmp_path / "out", format="onnx")
    config = json.loads((tmp_path / "out" / "config.json").read_text())
    assert config["labels"] == list(record.labels)
    assert config["temperature"] == record.settings["temperature"]
    assert config["settings"] == dict(record.settings)
    assert (config["max_length"], config["outside"]) == (LENGTH, "O")
    assert config["digest"] == record.digest


def test_missing_packages_are_named_before_the_encoder_is_loaded(
    mood: Bank, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error names what is missing and the extra, and nothing was computed."""
    known = importlib.util.find_spec
    missing = ("onnxscript", "onnxruntime")
    monkeypatch.setattr(
        onnx_folder, "find_spec", lambda name: None if name in missing else known(name)
    )
    monkeypatch.setattr(onnx_folder, "load_recorded_backbone", None)
    with pytest.raises(MissingExtraError, match=r"needs onnxscript, onnxruntime: .*taskbank\[onnx"):
        export_adapter(mood, "mood", tmp_path / "out", format="onnx")


@pytest.mark.usefixtures("in_torch")
def test_a_tokenizer_of_python_is_refused(
    own: Bank, pooled: Backbone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a tokenizer.json nothing else could read texts as the encoder's tokenizer does."""
    record = put_task(own, pooled, "single", "lora")
    slow = SimpleNamespace(model_input_names=[])
    monkeypatch.setattr(
        onnx_folder, "load_recorded_backbone", lambda *_, **__: SimpleNamespace(tokenizer=slow)
    )
    with pytest.raises(InputError, match="has no tokenizer"):
        export_adapter(own, record.ref, tmp_path / "out", format="onnx")


@pytest.mark.usefixtures("in_torch")
def test_a_model_that_differs_is_not_written(
    own: Bank, pooled: Backbone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What onnxruntime computes is compared with the recorded predictions first."""
    record = put_task(own, pooled, "single", "lora")
    real = onnx_folder._runner

    def runner(folder: Path) -> Any:
        return lambda inputs: real(folder)(inputs) + 0.01

    monkeypatch.setattr(onnx_folder, "_runner", runner)
    with pytest.raises(InputError, match="the model of ONNX differs"):
        export_adapter(own, record.ref, tmp_path / "out", format="onnx")
    assert not (tmp_path / "out").exists()
