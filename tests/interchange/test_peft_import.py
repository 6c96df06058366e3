"""Checkpoints of peft from anyone: what taskbank computes enters a bank, the rest is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load

import taskbank
from taskbank.bank.bank import Bank
from taskbank.bank.open import create_bank
from taskbank.errors import InputError
from tests.helpers.foreign import (
    Spoil,
    Tensors,
    edit_json,
    edit_tensors,
    hostile_files,
    put_task,
    refused,
    write_peft,
)
from tests.helpers.rows import write_jsonl

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
BERT = "base_model.model.bert.encoder.layer"
ONE = f"{BERT}.0.attention.self.query"


@pytest.fixture
def checkpoint(place: Path, tmp_path: Path) -> Path:
    """A LoRA of that BERT, as peft writes it."""
    return write_peft(tmp_path / "lora", str(place / "bert"))


def take(bank: Bank, folder: Path, place: Path, **options: Any) -> taskbank.AdapterRecord:
    """Import a checkpoint with what its files do not tell."""
    given: dict[str, Any] = {
        "name": "mood",
        "kind": "single",
        "label_names": ["bad", "good"],
        "test": str(place / "test.jsonl"),
    }
    return taskbank.import_adapter(bank, folder, **given | options)


def both(*spoils: Spoil) -> Spoil:
    """Return a function that does several."""
    return lambda folder: [spoil(folder) for spoil in spoils]


def config(**changes: Any) -> Spoil:
    """Return a function that changes the configuration."""
    return edit_json(CONFIG, changes)


def tensors(change: Any) -> Spoil:
    """Return a function that changes the tensors."""
    return edit_tensors(WEIGHTS, change)


def _swap(found: Tensors) -> None:
    for name in [name for name in found if name.endswith("lora_A.weight")]:
        other = name.replace("lora_A", "lora_B")
        found[name], found[other] = found[other], found[name]


def _transpose(found: Tensors) -> None:
    found[f"{ONE}.lora_A.weight"] = found[f"{ONE}.lora_A.weight"].T


def _rename(old: str, new: str) -> Any:
    def change(found: Tensors) -> None:
        for name in [name for name in found if old in name]:
            found[name.replace(old, new)] = found.pop(name)

    return change


def _without(part: str) -> Any:
    return lambda found: [found.pop(name) for name in list(found) if part in name]


HOSTILE: dict[str, tuple[Spoil, str]] = hostile_files(WEIGHTS, CONFIG, "adapter_model.bin") | {
    "DoRA": (config(use_dora=True), r"use_dora is True: DoRA"),
    "rsLoRA that is not exact": (config(use_rslora=True, r=2, lora_alpha=3), "use_rslora"),
    "ranks by module": (config(rank_pattern={"query": 2}), "rank_pattern is .*one rank"),
    "alphas by module": (config(alpha_pattern={"query": 2}), "alpha_pattern is .*one alpha"),
    "transposed weights": (config(fan_in_fan_out=True), "fan_in_fan_out is True"),
    "repeated layers": (config(layer_replication=[[0, 2], [1, 2]]), "layer_replication"),
    "trained tokens": (config(trainable_token_indices=[1, 2]), "trainable_token_indices"),
    "biases": (config(bias="all"), "bias is 'all'"),
    "biases of updates": (config(lora_bias=True), "lora_bias is True"),
    "initial values that change the base": (config(init_lora_weights="pissa"), "init_lora_weights"),
    "LoftQ": (config(loftq_config={"loftq_bits": 4}), "loftq_config"),
    "layers by number": (config(layers_to_transform=[1]), "layers_to_transform"),
    "excluded modules": (config(exclude_modules=["value"]), "exclude_modules"),
    "another method": (config(peft_type="ADALORA"), "peft_type is 'ADALORA'"),
    "a method that is a list": (config(peft_type=["LORA"]), r"peft_type is \['LORA'\]"),
    "no rank": (config(r=...), "has no 'r'"),
    "a rank of nought": (config(r=0), "r is 0"),
    "a rank that is true": (config(r=True), "r is True"),
    "another rank than the tensors": (config(r=8), r"has the shape \[4, 32\].*\[8, 32\]"),
    "an alpha of infinity": (config(lora_alpha=10**400), "lora_alpha is"),
    "an alpha below nought": (config(lora_alpha=-8), "lora_alpha is -8"),
    "an alpha that is a text": (config(lora_alpha="8"), "lora_alpha is '8'"),
    "dropout of everything": (config(lora_dropout=1), "dropout is 1"),
    "a base in somebody's home": (
        config(base_model_name_or_path="~nobody-there/bert"),
        "'~nobody-there/bert'",
    ),
    "a base of 9,000 characters": (
        config(base_model_name_or_path="bert" * 2250),
        "base model 'bertbert",
    ),
    "an unknown kind": (put_task(kind="essay"), "essay"),
    "a setting that the kind does not have": (put_task(settings={"x": 1}), "setting 'x'"),
    "a length that is too long": (put_task(max_length=65), "max_length is 65"),
    "another base": (config(base_model_name_or_path="other/bert"), "'other/bert'"),
    "a base out of the folder": (config(base_model_name_or_path="../../bert"), "base model"),
    "no base": (config(base_model_name_or_path=None), "names no base model"),
    "a base that is a number": (config(base_model_name_or_path=5), "base_model_name_or_path is 5"),
    "more modules named than tensors": (
        config(target_modules=["query", "key", "value"]),
        "names 6 modules .* tensors are of 4",
    ),
    "fewer modules named than tensors": (config(target_modules=["query"]), "names 2 modules"),
    "no modules named": (config(target_modules=None), "target_modules is None"),
    "a pattern that takes for ever": (
        config(target_modules="(" * 40 + "(?:a|.|.)*" + ")*" * 40 + "(?:.|.)*" * 2000 + "x"),
        "is the pattern",
    ),
    "a pattern with a look ahead": (config(target_modules=".*(?=query).*"), "is the pattern"),
    "a pattern that is not closed": (config(target_modules="(query|value"), "is the pattern"),
    "a pattern of groups in groups": (config(target_modules="(" * 9000), "is the pattern"),
    "A and B swapped": (tensors(_swap), r"has the shape \[32, 4\]"),
    "A transposed": (tensors(_transpose), r"has the shape \[32, 4\]"),
    "a layer missing": (tensors(_without("layer.1.")), "only named is bert.encoder.layer.1"),
    "half a module": (tensors(_without(f"{ONE}.lora_B")), "missing .*query.lora_B.weight"),
    "a layer too many": (tensors(_rename("layer.1.", "layer.7.")), "only with tensors"),
    "a magnitude": (
        tensors(lambda t: t.update({f"{ONE}.lora_magnitude_vector.weight": np.ones(32, "f4")})),
        "lora_magnitude_vector.weight' is unexpected",
    ),
    "embeddings": (
        tensors(lambda t: t.update({f"{BERT}.lora_embedding_A": np.ones((4, 99), "f4")})),
        "lora_embedding_A' is unexpected",
    ),
    "another prefix": (tensors(_rename("base_model.model.", "model.")), "none of peft"),
    "no head": (
        both(tensors(_without("classifier")), config(modules_to_save=None)),
        "it has no head, and taskbank guesses none",
    ),
    "a head that is named only": (tensors(_without("classifier")), "there are no tensors"),
    "a head that is not named": (config(modules_to_save=None), "does not name"),
    "a head without bias": (tensors(_without("classifier.bias")), "the head has the tensors"),
    "a head of two layers": (
        tensors(lambda t: t.update({"base_model.model.classifier.dense.weight": t[min(t)]})),
        "must be one linear layer",
    ),
    "two heads": (
        tensors(lambda t: t.update({"base_model.model.score.weight": t[min(t)]})),
        "the heads classifier and score",
    ),
    "a head of tokens": (config(task_type="TOKEN_CLS"), "of the task type TOKEN_CLS"),
    "a head of three outputs": (
        tensors(
            lambda t: t.update(
                {
                    "base_model.model.classifier.weight": np.ones((3, 32), "f4"),
                    "base_model.model.classifier.bias": np.ones(3, "f4"),
                }
            )
        ),
        "the head has 3 outputs",
    ),
    "a head of another width": (
        tensors(lambda t: t.update({"base_model.model.classifier.weight": np.ones((2, 31), "f4")})),
        "head.weight",
    ),
    "a whole module beside the head": (
        config(modules_to_save=["classifier", "pooler"]),
        "modules_to_save has 'pooler'",
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


NEEDED = {
    "test": "no evidence",
    "kind": "the kind of the task",
    "name": "a name for the task",
    "label_names": "the names of the classes",
}


@pytest.mark.parametrize("missing", NEEDED)
def test_what_the_files_do_not_tell_must_be_given(
    known: Bank, checkpoint: Path, place: Path, missing: str
) -> None:
    """Nothing is guessed: data, kind, name and labels are asked for by option."""
    with pytest.raises(InputError, match=NEEDED[missing]):
        take(known, checkpoint, place, **{missing: None})
    assert len(known) == 0


def test_a_checkpoint_of_peft_becomes_a_version_that_is_verified(
    checkpoint: Path, place: Path, tmp_path: Path
) -> None:
    """It is scored on the data, which becomes its evidence; the record says what is known of its
    training, which is only how inputs are read, and where it came from."""
    with create_bank(f"sqlite:///{tmp_path}/bank.db") as bank:
        record = take(
            bank, checkpoint, place, backbone=str(place / "bert"), max_length=32, tags={"of": "us"}
        )
        assert (record.method, record.kind, record.labels) == ("lora", "single", ("bad", "good"))
        assert record.training == {"max_length": 32}
        assert record.options["alpha"] / record.options["rank"] == 2
        assert [split.name for split in record.splits] == [record.split] == ["test"]
        assert record.course["imported"]["versions"] == {"peft": "0.21.2"}
        assert record.tags == {"of": "us"}
        assert taskbank.verify_all(bank).ok
        stored = load(bank.weights(record))
        theirs = load((checkpoint / WEIGHTS).read_bytes())
        down = stored["lora.0.attention.self.query.down"]
        assert np.array_equal(down, theirs[f"{ONE}.lora_A.weight"])
        again = taskbank.export_adapter(bank, "mood", tmp_path / "own")
        copy = taskbank.import_adapter(bank, tmp_path / "own", name="copy")
        assert (copy.digest, copy.training) == (again.digest, record.training)
        assert copy.course == {"imported": record.course["imported"]}


def test_rank_stabilised_lora_is_read_where_its_scale_is_the_same_number(
    checkpoint: Path, place: Path, tmp_path: Path
) -> None:
    """Its alpha becomes one that gives the same scale to the last bit."""
    config(use_rslora=True)(checkpoint)
    with create_bank(f"sqlite:///{tmp_path}/bank.db") as bank:
        record = take(bank, checkpoint, place, backbone=str(place / "bert"))
        assert record.options["alpha"] / 4 == 8 / 4**0.5


def test_numbers_in_the_data_are_positions_of_the_classes(
    checkpoint: Path, place: Path, tmp_path: Path
) -> None:
    """Data with 0 and 1 scores like data with the names, in the order of the head's outputs."""
    rows = [json.loads(line) for line in (place / "test.jsonl").read_text().splitlines()]
    numbers = [row | {"label": ["bad", "good"].index(row["label"])} for row in rows]
    data = write_jsonl(tmp_path / "numbers.jsonl", numbers)
    with create_bank(f"sqlite:///{tmp_path}/bank.db") as bank:
        named = take(bank, checkpoint, place, backbone=str(place / "bert"))
        numbered = take(bank, checkpoint, place, name="numbers", test=data)
        assert named.score == numbered.score
        assert bank.examples(numbered, "test").columns == bank.examples(named, "test").columns


def test_the_class_of_f1_may_be_chosen(checkpoint: Path, place: Path, tmp_path: Path) -> None:
    """It goes before the last class and that of `task.json`, and must be one of two."""
    with create_bank(f"sqlite:///{tmp_path}/bank.db") as bank:
        given = {"backbone": str(place / "bert"), "metric": "f1"}
        usual = take(bank, checkpoint, place, **given)
        chosen = take(bank, checkpoint, place, name="chosen", positive="bad", **given)
        assert (usual.settings["positive"], chosen.settings["positive"]) == ("good", "bad")
        assert usual.score != chosen.score
        taskbank.export_adapter(bank, "chosen", tmp_path / "out", format="peft")
        told = take(bank, tmp_path / "out", place, name="told", **given)
        again = take(bank, tmp_path / "out", place, name="again", positive="good", **given)
        assert (told.settings["positive"], again.settings["positive"]) == ("bad", "good")
        assert (told.score, again.score) == (chosen.score, usual.score)
        assert taskbank.verify_all(bank).ok
        with pytest.raises(InputError, match="positive is 'fine': it must name one of two classes"):
            take(bank, checkpoint, place, name="other", positive="fine", **given)


def test_a_device_that_is_not_there_is_refused_before_anything_is_loaded(
    known: Bank, checkpoint: Path, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error says which there are, and the backbone is not read."""
    monkeypatch.setattr("taskbank.interchange.peft_import.named_backbone", None)
    with pytest.raises(InputError, match="device 'tpu' is unknown: use cpu"):
        take(known, checkpoint, place, device="tpu")
