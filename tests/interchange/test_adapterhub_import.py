"""Checkpoints of AdapterHub from anyone: what taskbank computes enters a bank, the rest not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load, save

import taskbank
from taskbank.bank.bank import Bank
from taskbank.errors import InputError
from tests.helpers.foreign import (
    Spoil,
    Tensors,
    edit_json,
    edit_tensors,
    hostile_files,
    put_task,
    refused,
    write_adapterhub,
)

CONFIG, WEIGHTS = "adapter_config.json", "adapter.safetensors"
HEAD_CONFIG, HEAD = "head_config.json", "model_head.safetensors"
ONE = "bert.encoder.layer.0.attention.output.adapters.mood"


@pytest.fixture
def checkpoint(place: Path, tmp_path: Path) -> Path:
    """Houlsby adapters of that BERT, as the library writes them."""
    return write_adapterhub(tmp_path / "houlsby", str(place / "bert"))


def take(bank: Bank, folder: Path, place: Path, **options: Any) -> taskbank.AdapterRecord:
    """Import a checkpoint with what its files do not tell."""
    given: dict[str, Any] = {"kind": "single", "test": str(place / "test.jsonl")}
    return taskbank.import_adapter(bank, folder, **given | options)


def option(name: str = CONFIG, **changes: Any) -> Spoil:
    """Return a function that changes options of the adapter or of the head; `...` removes one."""

    def change(content: dict[str, Any]) -> None:
        merged = content["config"] | changes
        content["config"] = {key: value for key, value in merged.items() if value is not ...}

    return edit_json(name, change)


def head(**changes: Any) -> Spoil:
    """Return a function that changes options of the head."""
    return option(HEAD_CONFIG, **changes)


def tensors(change: Any) -> Spoil:
    """Return a function that changes the adapter's tensors."""
    return edit_tensors(WEIGHTS, change)


def _swap(found: Tensors) -> None:
    down, up = f"{ONE}.adapter_down.0.weight", f"{ONE}.adapter_up.weight"
    found[down], found[up] = found[up], found[down]


def _without(part: str) -> Any:
    return lambda found: [found.pop(name) for name in list(found) if part in name]


def _rename(old: str, new: str) -> Any:
    return lambda found: [
        found.update({name.replace(old, new): found.pop(name)}) for name in list(found)
    ]


def _two_layers(folder: Path) -> None:
    head(layers=2)(folder)
    edit_tensors(HEAD, lambda t: t.update({"heads.mood.4.weight": np.ones((2, 32), "f4")}))(folder)


def _no_head(folder: Path) -> None:
    (folder / HEAD).unlink()
    (folder / HEAD_CONFIG).unlink()


LORA = {
    "alpha": 8,
    "architecture": "lora",
    "attn_matrices": ["q", "v"],
    "composition_mode": "add",
    "dropout": 0.0,
    "intermediate_lora": False,
    "leave_out": [],
    "output_lora": False,
    "r": 4,
    "selfattn_lora": True,
    "use_dora": False,
    "use_gating": False,
}


def lora(**changes: Any) -> Spoil:
    """Return a function that makes the configuration one of LoRA, with changes."""
    return edit_json(CONFIG, {"config": LORA | changes})


HOSTILE: dict[str, tuple[Spoil, str]] = hostile_files(WEIGHTS, CONFIG, "pytorch_adapter.bin") | {
    "another activation": (option(non_linearity="gelu"), "non_linearity is 'gelu'.*gelu_new"),
    "a LayerNorm of its own": (option(ln_before=True), "ln_before is True"),
    "Pfeiffer's other place": (
        option(mh_adapter=False, original_ln_before=True),
        "original_ln_before is True: the adapter is in another place",
    ),
    "a residual after the LayerNorm": (option(residual_before_ln=False), "residual_before_ln"),
    "an adapter after the attention only": (option(output_adapter=False), "output_adapter"),
    "an adapter beside both": (option(is_parallel=True), "is_parallel and mh_adapter"),
    "a scale of a serial adapter": (option(scaling=4.0), "scaling is 4.0: only parallel"),
    "a learned scale": (option(scaling="learned"), "scaling is 'learned'"),
    "gates": (option(use_gating=True), "use_gating is True"),
    "invertible adapters": (option(inv_adapter="nice"), "inv_adapter is 'nice'"),
    "Compacter": (option(phm_layer=True), "phm_layer is True"),
    "sizes by layer": (option(reduction_factor={"0": 8}), "reduction_factor is"),
    "a reduction by nought": (option(reduction_factor=0), "gives the size 0"),
    "a reduction to nothing": (option(reduction_factor=64), "gives the size 0"),
    "another size than the tensors": (
        option(reduction_factor=4),
        r"\[4, 32\].*must have \[8, 32\]",
    ),
    "every layer left out": (option(leave_out=[0, 1]), "one must be adapted"),
    "a layer that there is not": (option(leave_out=[7]), "leave_out is .*layers 0 to 1"),
    "a layer left out that has tensors": (option(leave_out=[0]), "unexpected bert.encoder.layer.0"),
    "no activation": (option(non_linearity=...), "has no 'non_linearity'"),
    "an unknown option": (option(new_idea=1), "unknown key 'new_idea'"),
    "another architecture": (edit_json(CONFIG, {"config": {"architecture": "reft"}}), "reft"),
    "LoRA that multiplies": (lora(composition_mode="scale"), "composition_mode is 'scale'"),
    "DoRA": (lora(use_dora=True), "use_dora is True"),
    "VeRA": (lora(vera_d=0.1), "vera_d is 0.1"),
    "LoRA of nothing": (lora(selfattn_lora=False), "updates no projection"),
    "LoRA with the tensors of another": (lora(), "missing .*lora_A"),
    "half precision": (lora(dtype="float16"), "dtype is 'float16'"),
    "a base in somebody's home": (
        edit_json(CONFIG, {"model_name": "~nobody-there/bert"}),
        "'~nobody-there/bert'",
    ),
    "a base of 9,000 characters": (
        edit_json(CONFIG, {"model_name": "bert" * 2250}),
        "base model 'bertbert",
    ),
    "a class twice": (put_task(labels=["good", "good"]), "there twice"),
    "a class of spaces": (put_task(labels=["good", " "]), "is blank"),
    "an unknown kind": (put_task(kind="essay"), "essay"),
    "a setting that the kind does not have": (put_task(settings={"x": 1}), "setting 'x'"),
    "a length that is too long": (put_task(max_length=65), "max_length is 65"),
    "another base": (edit_json(CONFIG, {"model_name": "other/bert"}), "'other/bert'"),
    "another architecture of the base": (edit_json(CONFIG, {"model_type": "t5"}), "model_type"),
    "another width": (edit_json(CONFIG, {"hidden_size": 64}), "hidden_size is 64"),
    "an older version": (edit_json(CONFIG, {"version": "0.0.1"}), "version is '0.0.1'"),
    "a name out of the folder": (
        edit_json(CONFIG, {"name": "../../x"}),
        "task name '../../x'|missing",
    ),
    "down and up swapped": (tensors(_swap), r"has the shape \[32, 4\].*must have \[4, 32\]"),
    "a layer missing": (tensors(_without("layer.1.")), "missing bert.encoder.layer.1"),
    "a layer too many": (tensors(_rename("layer.1.", "layer.7.")), "unexpected .*layer.7"),
    "tensors of another name": (tensors(_rename("mood", "other")), "missing .*mood"),
    "a head of two layers": (_two_layers, "layers is 2: taskbank's head is one linear layer"),
    "a head of another sort": (head(head_type="causal_lm"), "head_type is 'causal_lm'"),
    "a head of tokens": (head(head_type="tagging", use_pooler=...), "'single'.*'classification'"),
    "a head of the first token": (head(use_pooler=False), "use_pooler is False.*'pooler'"),
    "a head without bias": (head(bias=False), "bias is False"),
    "more labels than outputs": (head(num_labels=3), "num_labels is 3.*2 outputs"),
    "a number of a label twice": (head(label2id={"a": 0, "b": 0}), "label2id is"),
    "a label without a number": (head(label2id={"a": 0, "b": 2}), "label2id is"),
    "head tensors of another name": (edit_tensors(HEAD, _rename("mood", "x")), "the head has the"),
    "a head that is not a number": (
        edit_tensors(HEAD, lambda t: t["heads.mood.1.bias"].fill(np.nan)),
        "NaN or infinite",
    ),
    "a head in a pickle": (
        lambda folder: (folder / HEAD).rename(folder / "pytorch_model_head.bin"),
        "a pickle can run any code",
    ),
    "no head": (_no_head, "it has no head, and taskbank guesses none"),
    "two heads": (
        lambda folder: (folder / "head.safetensors").write_bytes((folder / HEAD).read_bytes()),
        "it has two heads",
    ),
    "values that are too large": (
        tensors(lambda t: [array.fill(3e38) for array in t.values()]),
        "NaN or infinite",
    ),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_folder_is_refused_by_name_and_the_bank_is_as_before(
    known: Bank, checkpoint: Path, place: Path, case: str
) -> None:
    """Whatever is wrong, the error says what and where, and nothing enters the bank."""
    spoil, says = HOSTILE[case]
    spoil(checkpoint)
    with refused(known, says):
        take(known, checkpoint, place)


def test_a_checkpoint_of_adapterhub_becomes_a_version_that_is_verified(
    own: Bank, checkpoint: Path, place: Path
) -> None:
    """Name and labels, in the order of the outputs, are told by its files; every tensor is its
    own, and the LayerNorms are the backbone's."""
    record = take(own, checkpoint, place, backbone=str(place / "bert"), max_length=32)
    assert (record.task, record.method, record.labels) == ("mood", "houlsby", ("bad", "good"))
    assert (record.options["size"], record.options["layernorms"]) == (4, "frozen")
    assert record.course["imported"]["versions"] == {"adapters": "1.3.0"}
    assert taskbank.verify_all(own).ok
    stored = load(own.weights(record))
    theirs = load((checkpoint / WEIGHTS).read_bytes()) | load((checkpoint / HEAD).read_bytes())
    assert len(stored) == len(theirs)
    assert np.array_equal(
        stored["adapter.0.attention.down.weight"], theirs[f"{ONE}.adapter_down.0.weight"]
    )
    assert np.array_equal(stored["head.weight"], theirs["heads.mood.1.weight"])


def test_numbers_of_16_bits_become_the_same_numbers(
    own: Bank, checkpoint: Path, place: Path
) -> None:
    """Values in half precision are widened, which changes none of them."""
    path = checkpoint / WEIGHTS
    halves = {name: array.astype(np.float16) for name, array in load(path.read_bytes()).items()}
    path.write_bytes(save(halves))
    record = take(own, checkpoint, place, backbone=str(place / "bert"))
    down = load(own.weights(record))["adapter.0.attention.down.weight"]
    assert np.array_equal(down, halves[f"{ONE}.adapter_down.0.weight"].astype(np.float32))


def test_classes_without_names_are_asked_for(own: Bank, checkpoint: Path, place: Path) -> None:
    """LABEL_0 and LABEL_1 are what the library calls classes that nobody has named."""
    head(label2id={"LABEL_0": 0, "LABEL_1": 1})(checkpoint)
    with pytest.raises(InputError, match="--label-names"):
        take(own, checkpoint, place, backbone=str(place / "bert"))
    names = {"label_names": ["bad", "good"], "backbone": str(place / "bert")}
    assert take(own, checkpoint, place, **names).labels == ("bad", "good")


def test_a_model_without_a_head_has_no_name_for_its_encoder(
    own: Bank, checkpoint: Path, place: Path
) -> None:
    """Where the library adapted the bare encoder, the names of the tensors start in it, and the
    head is a file beside them."""
    tensors(_rename("bert.", ""))(checkpoint)
    head_tensors = load((checkpoint / HEAD).read_bytes())
    _no_head(checkpoint)
    plain = {leaf: head_tensors[f"heads.mood.1.{leaf}"] for leaf in ("weight", "bias")}
    (checkpoint / "head.safetensors").write_bytes(save(plain))
    names = {"label_names": ["bad", "good"], "backbone": str(place / "bert")}
    stored = load(own.weights(take(own, checkpoint, place, **names)))
    assert np.array_equal(stored["head.weight"], plain["weight"])
