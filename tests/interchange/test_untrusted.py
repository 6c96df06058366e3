"""Export folders from anyone: nothing hostile enters a bank."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load, save

import taskbank
from taskbank import plugins
from taskbank.bank.bank import Bank
from taskbank.bank.open import create_bank
from taskbank.digests import digest_bytes
from taskbank.errors import InputError
from taskbank.interchange.export import export_adapter
from taskbank.pipeline.add_task import add_task
from taskbank.pipeline.import_adapter import import_adapter
from tests.helpers.rows import ROWS, write_jsonl

WHERE = ("validation", "accuracy")


def _edit(**changes: Any) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        path = folder / "adapter.json"
        description = json.loads(path.read_text())
        for key, value in changes.items():
            if value is None:
                del description[key]
            else:
                description[key] = value
        path.write_text(json.dumps(description))

    return spoil


def _twice(key: str) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        path = folder / "adapter.json"
        description = json.loads(path.read_text())
        description[key] *= 2
        path.write_text(json.dumps(description))

    return spoil


def _edit_split(**changes: Any) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        path = folder / "adapter.json"
        description = json.loads(path.read_text())
        description["splits"][0] |= changes
        path.write_text(json.dumps(description))

    return spoil


TOKENIZER = {
    "max_length": 64,
    "split_special_tokens": False,
    "token_type_ids": True,
    "truncation_side": "right",
}


def _edit_metric(**changes: Any) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        path = folder / "adapter.json"
        description = json.loads(path.read_text())
        description["metrics"][0] |= changes
        path.write_text(json.dumps(description))

    return spoil


def _edit_backbone(**changes: Any) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        path = folder / "adapter.json"
        description = json.loads(path.read_text())
        description["backbone"] |= changes
        path.write_text(json.dumps(description))

    return spoil


def _replace(old: str, new: str) -> Callable[[Path], int]:
    def spoil(folder: Path) -> int:
        path = folder / "adapter.json"
        return path.write_text(path.read_text().replace(old, new, 1))

    return spoil


def _special(name: str, target: str | None) -> Callable[[Path], None]:
    """Put a link to a device in a file's place, or a pipe."""

    def spoil(folder: Path) -> None:
        (folder / name).unlink()
        if target is None:
            os.mkfifo(folder / name)
        else:
            (folder / name).symlink_to(target)

    return spoil


def _flip(name: str) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        data = bytearray((folder / name).read_bytes())
        data[len(data) // 2] ^= 0x20
        (folder / name).write_bytes(data)

    return spoil


def _write(name: str, data: bytes) -> Callable[[Path], int]:
    return lambda folder: (folder / name).write_bytes(data)


@pytest.mark.parametrize(
    "spoil",
    [
        shutil.rmtree,
        lambda folder: (folder / "weights.safetensors").unlink(),
        lambda folder: (folder / "test.jsonl").unlink(),
        _flip("weights.safetensors"),
        _flip("test.jsonl"),
        _flip("validation.logits.safetensors"),
        _write("adapter.json", b""),
        _write("adapter.json", b"\xff\xfe"),
        _write("adapter.json", b"[]"),
        _write("adapter.json", b"[" * 200_000),
        _write("adapter.json", b'{"format": "taskbank-adapter/1"}'),
        _edit(format="taskbank-adapter/9"),
        _edit(labels=None),
        _edit(labels=["good"]),
        _edit(labels=["good", "good"]),
        _edit(labels=["good", "bad", "ugly"]),
        _edit(labels="good"),
        _edit(task="../../etc"),
        _edit(kind="magic"),
        _edit(kind=["single"]),
        _edit(method="magic"),
        _edit(options={"size": -1}),
        _edit(options={"size": 8, "evil": 1}),
        _edit(training={"epochs": 0}),
        _edit(training={"surprise": 1}),
        _edit(parameters=1),
        _edit(metric="f9"),
        _edit(split="elsewhere"),
        _edit(metrics=[]),
        _edit(splits=[]),
        _edit(splits=[{}]),
        _twice("splits"),
        _twice("metrics"),
        _edit(metrics=[{"split": "test", "name": "accuracy", "value": "high"}]),
        _edit(backbone={"spec": "x"}),
        _edit(tags={"a b": "c"}),
        _edit(digest="sha256:" + "0" * 64),
        _edit(digest="../../../etc/passwd"),
        _edit_split(name="../../../etc/passwd"),
        _edit_split(rows=3),
        _edit_split(digest="x"),
        _edit(surprise=1),
        _edit(version=10**400),
        _edit(version=-1),
        _edit(version=True),
        _edit(bytes=1),
        _edit(score=0.123),
        _edit(score=None),
        _edit(description="\x1b[31mred"),
        _edit(description="\ud800"),
        _edit(description=5),
        _edit(labels=["bad", "go\u202eod"]),
        _edit(labels=["bad", ["good"]]),
        _edit(tags={"team": 5}),
        _edit(environment={"deep": [[[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]]]}),
        _edit(environment={"large": 2**63}),
        _edit(options={"size": 8, "init_std": 0.01, "activation": "gelu", "layers": "99"}),
        _edit(training={"max_length": 10**30}),
        _edit(training={"learning_rate": "high"}),
        _edit_split(surprise=1),
        _edit_split(rows=-1),
        _edit_split(rows=1.5),
        _edit_split(canary=[-1]),
        _edit_split(scored_at="x"),
        _edit_metric(count=-1),
        _edit_metric(count=7),
        _edit_metric(standard_error=-0.1),
        _edit_metric(value=10**400),
        _edit_metric(surprise=1),
        _edit_backbone(spec="a\x00b"),
        _edit_backbone(max_length=0),
        _edit_backbone(weights="sha256:0"),
        _edit_backbone(settings=TOKENIZER | {"split_special_tokens": 0}),
        _edit_backbone(settings=TOKENIZER | {"surprise": 1}),
        _replace('"score":', '"score": 1e999, "x":'),
        _replace('"score":', '"score": 1, "score":'),
        _replace('"score":', '"score": ' + "9" * 5000 + ', "x":'),
        _special("adapter.json", "/dev/zero"),
        _special("weights.safetensors", "/dev/zero"),
        _special("test.jsonl", None),
        _special("adapter.json", None),
        lambda folder: (folder / "weights.safetensors").rename(folder / "x") and None,
    ],
)
def test_a_folder_that_does_not_fit_is_refused_and_leaves_the_bank_as_it_was(
    exported: Path, tmp_path: Path, spoil: Callable[[Path], None]
) -> None:
    """Missing, changed, contradictory and hostile content is an error, and nothing is stored."""
    spoil(exported)
    with create_bank(f"sqlite:///{tmp_path}/other.db") as bank:
        with pytest.raises(InputError) as caught:
            import_adapter(bank, exported)
        assert caught.value.exit_code == 2
        assert len(bank) == len(list(bank._blobs.sizes())) == len(bank.backbones()) == 0


def exported_as(url: str, folder: Path, kind: str, place: Path) -> Path:
    """Return the folder of an adapter of a kind, trained little."""
    data = [
        write_jsonl(place / f"{name}.jsonl", ROWS[kind](count, seed))
        for name, count, seed in (("train", 96, 1), ("validation", 30, 2))
    ]
    add_task(
        url,
        kind,
        data[0],
        kind=kind,
        validation=data[1],
        backbone=str(folder),
        options={"size": 2},
        # So few that not all is right; a span's threshold counts only where something is answered.
        training={
            "epochs": 6 if kind == "span" else 2,
            "learning_rate": 0.02,
            "max_length": 48,
        },
    )
    with Bank(url) as bank:
        export_adapter(bank, kind, place / "out")
    return place / "out"


def forge(exported: Path, **settings: Any) -> None:
    """Change settings of an exported adapter; those that are none are left out."""
    path = exported / "adapter.json"
    description = json.loads(path.read_text())
    new = description["settings"] | settings
    description["settings"] = {name: own for name, own in new.items() if own is not None}
    path.write_text(json.dumps(description))


FORGED: dict[str, list[tuple[dict[str, Any], str]]] = {
    "single": [
        ({"inputs": ["text_a", "text_b"]}, "'inputs' is unknown"),
        ({"surprise": 1}, "'surprise' is unknown to tasks of kind 'single': they have positive"),
        ({"positive": "bad"}, "f1 of the stored predictions on split 'validation' is"),
    ],
    "pair": [({"inputs": 5}, "'inputs' is unknown")],
    "regression": [
        ({"inputs": ["text_a", "text_b"]}, "'inputs' is"),
        ({"extra": 1}, "'extra' is unknown"),
        ({"std": 0.0}, "'std' is 0.0"),
        ({"std": -1.0}, "'std' is"),
        ({"mean": 10**400}, "settings.mean is"),
    ],
    "multilabel": [
        ({"inputs": ["text_a", "text_b"]}, "'inputs' is"),
        ({"thresholds": [0.999, 0.999]}, "f1_micro of the stored predictions"),
        ({"thresholds": [0.001, 0.001]}, "f1_micro of the stored predictions"),
    ],
    "span": [
        ({"null_threshold": 1e30}, "f1 of the stored predictions"),
        ({"null_threshold": -1e30}, "f1 of the stored predictions"),
        ({"inputs": ["question", "context"]}, "'inputs' is unknown"),
    ],
    "tagging": [({"surprise": 1}, "'surprise' is unknown to tasks of kind 'tagging'")],
}


def test_every_kind_has_settings_that_were_forged() -> None:
    """A new kind says what a forger would change of it."""
    assert set(FORGED) == set(plugins.names("kinds"))


@pytest.mark.slow
@pytest.mark.parametrize("kind", FORGED)
def test_forged_settings_are_refused(kind: str, tmp_path: Path, folder: Path) -> None:
    """Settings that are unknown, or read inputs or predictions otherwise, never enter a bank."""
    genuine = exported_as(f"sqlite:///{tmp_path}/bank.db", folder, kind, tmp_path)
    with create_bank(f"sqlite:///{tmp_path}/other.db") as bank:
        for number, (settings, says) in enumerate(FORGED[kind]):
            forged = Path(shutil.copytree(genuine, tmp_path / f"forged{number}"))
            forge(forged, **settings)
            with pytest.raises(InputError, match=f"cannot be imported.*{says}"):
                import_adapter(bank, forged)
        assert len(bank) == len(list(bank._blobs.sizes())) == 0
        assert import_adapter(bank, genuine, backbone=str(folder)).task == kind


def test_labels_in_another_order_are_refused(exported: Path, tmp_path: Path) -> None:
    """What the outputs mean is part of what the metrics prove."""
    _edit(labels=["good", "bad"])(exported)
    with (
        create_bank(f"sqlite:///{tmp_path}/other.db") as bank,
        pytest.raises(InputError, match=r"accuracy of the stored predictions.*export it again"),
    ):
        import_adapter(bank, exported)


@pytest.mark.parametrize(("name", "says"), [("accuracy", "is 0.9"), ("fame", "is not a metric")])
def test_forged_metrics_are_refused(exported: Path, tmp_path: Path, name: str, says: str) -> None:
    """A score that does not follow from the predictions, or that no kind computes, is no score."""
    path = exported / "adapter.json"
    description = json.loads(path.read_text())
    forged = {**description["metrics"][0], "name": name, "value": 0.5}
    kept = [one for one in description["metrics"] if (one["split"], one["name"]) != WHERE]
    path.write_text(json.dumps(description | {"metrics": [*kept, forged]}))
    with (
        create_bank(f"sqlite:///{tmp_path}/other.db") as bank,
        pytest.raises(InputError, match=f"{name}.*on split 'validation' {says}"),
    ):
        import_adapter(bank, exported)


def test_reference_predictions_that_are_no_numbers_are_refused(
    exported: Path, tmp_path: Path
) -> None:
    """Every comparison with NaN is false: it must not pass for agreement."""
    path = exported / "validation.logits.safetensors"
    logits = load(path.read_bytes())["logits"]
    logits[3, 0] = np.nan
    path.write_bytes(save({"logits": logits}))
    _edit_split(predictions=digest_bytes(path.read_bytes()))(exported)
    with (
        create_bank(f"sqlite:///{tmp_path}/other.db") as bank,
        pytest.raises(InputError, match="prediction of split 'validation' is NaN or infinite"),
    ):
        import_adapter(bank, exported)


def test_numbers_that_json_does_not_have_are_refused(exported: Path, tmp_path: Path) -> None:
    """NaN in a score is no number of a bank."""
    path = exported / "adapter.json"
    path.write_text(path.read_text().replace('"standard_error":', '"standard_error": NaN, "x":', 1))
    with (
        create_bank(f"sqlite:///{tmp_path}/other.db") as bank,
        pytest.raises(InputError, match="NaN"),
    ):
        import_adapter(bank, exported)


@pytest.mark.slow
def test_an_adapter_from_before_there_were_settings_is_imported(
    exported: Path, tmp_path: Path, folder: Path
) -> None:
    """Without the settings there is no F1 of one class and no temperature; nothing else is
    missing."""
    forge(exported, positive=None, temperature=None)
    path = exported / "adapter.json"
    description = json.loads(path.read_text())
    assert description["settings"] == {}
    later = ("f1", "log_loss", "brier", "ece")  # of a class, or of calibrated probabilities
    kept = [metric for metric in description["metrics"] if metric["name"] not in later]
    path.write_text(json.dumps(description | {"metrics": kept}))
    with create_bank(f"sqlite:///{tmp_path}/other.db") as bank:
        assert import_adapter(bank, exported, backbone=str(folder)).settings == {}
        assert taskbank.verify_all(bank).ok
