"""An adapter from elsewhere and the backbone that was loaded here."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load, save

import taskbank
from taskbank.backbone.backbone import Backbone
from taskbank.bank.bank import Bank
from taskbank.bank.open import create_bank
from taskbank.digests import digest_bytes
from taskbank.errors import BackboneMismatchError, InputError
from taskbank.model.load import recorded_source
from taskbank.pipeline.import_adapter import import_adapter
from taskbank.pipeline.init import init
from tests.helpers.backbones import make_backbone

Tensors = dict[str, np.ndarray]


@pytest.fixture
def url(tmp_path: Path) -> str:
    """The URL of a bank that is not there yet."""
    return f"sqlite:///{tmp_path}/other.db"


def edit(exported: Path, **changes: object) -> None:
    """Change keys of the description."""
    path = exported / "adapter.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def claim(exported: Path, **changes: object) -> None:
    """Change what the description says of the backbone."""
    description = json.loads((exported / "adapter.json").read_text())
    edit(exported, backbone=description["backbone"] | changes)


def test_an_unknown_backbone_is_needed_and_its_stated_place_is_not_recorded(
    exported: Path, url: str, folder: Path
) -> None:
    """Without a place there is an error; with one, the bank records that place and what is there,
    whatever the export says of both."""
    claim(exported, spec="/stranger/model", hidden_size=7, max_length=9)
    with create_bank(url) as bank:
        with pytest.raises(InputError, match=r"'/stranger/model'.*--backbone SPEC"):
            import_adapter(bank, exported)
        assert len(bank) == len(bank.backbones()) == 0
        import_adapter(bank, exported, backbone=str(folder))
        (recorded,) = bank.backbones()
        assert recorded.identity.spec == str(folder)
        assert (recorded.identity.hidden_size, recorded.identity.max_length) == (32, 64)
        assert taskbank.verify_all(bank).ok


def test_another_backbone_than_the_adapters_is_refused(
    exported: Path, url: str, tmp_path: Path
) -> None:
    """A backbone with other weights is a mismatch, and nothing is recorded."""
    other = make_backbone(tmp_path / "elsewhere", seed=1)
    with create_bank(url) as bank:
        with pytest.raises(BackboneMismatchError, match="weights is"):
            import_adapter(bank, exported, backbone=str(other))
        assert len(bank) == len(bank.backbones()) == 0


def test_an_import_does_not_close_a_bank_to_its_own_backbone(
    exported: Path, url: str, folder: Path, tmp_path: Path
) -> None:
    """A stranger's adapter that names the bank's own place with other digests is refused, and the
    place stays the bank's; a bank that recorded such a claim earlier still takes its own."""
    init(url, str(folder))
    forged = digest_bytes(b"other weights")
    claim(exported, spec=str(folder), weights=forged)
    with Bank(url) as bank:
        with pytest.raises(InputError, match="does not know the backbone"):
            import_adapter(bank, exported)
        with pytest.raises(BackboneMismatchError):
            import_adapter(bank, exported, backbone=str(folder))
        (own,) = bank.backbones()
        # As versions before this one recorded it:
        bank.add_backbone(replace(own.identity, weights=forged))
    assert init(url, str(folder)).fingerprint == own.fingerprint


def test_a_known_backbone_is_loaded_from_its_recorded_place(
    exported: Path, url: str, folder: Path
) -> None:
    """Where the bank knows the backbone, the place in the export is of no interest."""
    init(url, str(folder))
    claim(exported, spec="/stranger/model")
    with Bank(url) as bank:
        import_adapter(bank, exported)
        assert [one.identity.spec for one in bank.backbones()] == [str(folder)]


def _rename(tensors: Tensors) -> None:
    tensors["head.weights"] = tensors.pop("head.weight")


def _reshape(tensors: Tensors) -> None:
    name = next(name for name, array in tensors.items() if array.ndim == 2 and "head" not in name)
    tensors[name] = tensors[name].T.copy()


def _move(tensors: Tensors) -> None:
    name = next(name for name in tensors if "head" not in name)
    tensors[f"{name}.extra"] = tensors.pop(name)


def _infinite(tensors: Tensors) -> None:
    tensors["head.bias"][0] = np.inf


def _not_a_number(tensors: Tensors) -> None:
    next(iter(tensors.values())).flat[0] = np.nan


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (_rename, "head"),
        (_reshape, "the model has"),
        (_move, "missing"),
        (_infinite, "'head.bias' has a value that is NaN or infinite"),
        (_not_a_number, "NaN or infinite"),
    ],
)
def test_tensors_that_the_method_would_not_make_are_refused(
    exported: Path, url: str, folder: Path, change: Callable[[Tensors], None], says: str
) -> None:
    """Names, shapes and values are those of the method and kind, though every digest fits."""
    path = exported / "weights.safetensors"
    tensors = {name: array.copy() for name, array in load(path.read_bytes()).items()}
    change(tensors)
    data = save(tensors)
    path.write_bytes(data)
    edit(exported, digest=digest_bytes(data), bytes=len(data))
    with create_bank(url) as bank:
        with pytest.raises(InputError, match=says):
            import_adapter(bank, exported, backbone=str(folder))
        assert len(bank) == len(list(bank._blobs.sizes())) == 0


def test_lengths_that_the_backbone_cannot_read_are_refused(
    exported: Path, url: str, folder: Path
) -> None:
    """A longer input than the backbone has positions for would fail in every prediction."""
    description = json.loads((exported / "adapter.json").read_text())
    edit(exported, training=description["training"] | {"max_length": 65})
    with (
        create_bank(url) as bank,
        pytest.raises(InputError, match=r"max_length is 65.*at most 64 tokens"),
    ):
        import_adapter(bank, exported, backbone=str(folder))


def test_an_ensemble_has_the_tensors_of_every_member(
    exported: Path, url: str, folder: Path
) -> None:
    """An adapter that claims another number of trainings than its tensors are of is refused."""
    description = json.loads((exported / "adapter.json").read_text())
    for count, says in ((2, "member.0.head.weight has shape"), (1000, "ensemble is 1000")):
        edit(exported, training=description["training"] | {"ensemble": count})
        with create_bank(f"{url}{count}") as bank, pytest.raises(InputError, match=says):
            import_adapter(bank, exported, backbone=str(folder))
    tensors = load((exported / "weights.safetensors").read_bytes())
    twice = {f"member.{n}.{name}": one for n in range(2) for name, one in tensors.items()}
    for stranger in ("member.2.head.bias", "head.bias"):
        data = save({**twice, stranger: np.zeros(2, dtype=np.float32)})
        (exported / "weights.safetensors").write_bytes(data)
        edit(
            exported,
            training=description["training"] | {"ensemble": 2},
            parameters=2 * description["parameters"] + 2,
            digest=digest_bytes(data),
            bytes=len(data),
        )
        with (
            create_bank(f"{url}.{stranger}") as bank,
            pytest.raises(InputError, match=f"'{stranger}' belongs to none of the 2 members"),
        ):
            import_adapter(bank, exported, backbone=str(folder))


def test_a_bare_name_of_the_hub_means_the_commit_that_the_bank_has(
    own: Bank, backbone: Backbone
) -> None:
    """A branch that moved is not loaded for a name that the bank knows; other sources stay."""
    commit = f"team/tiny@{'a' * 40}"
    own.add_backbone(replace(backbone.identity, spec=commit))
    assert recorded_source(own, "team/tiny") == commit
    for other in (commit, f"team/tiny@{'b' * 40}", "team/tin", "team/tiny@main"):
        assert recorded_source(own, other) == other
    assert recorded_source(None, "team/tiny") == "team/tiny"
