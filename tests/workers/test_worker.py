"""The backbone of a worker."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from taskbank.backbone.backbone import Backbone
from taskbank.bank.bank import Bank
from taskbank.errors import BackboneMismatchError, InputError, UnreachableError
from taskbank.model.load import confirm_backbone
from taskbank.workers import worker as module
from taskbank.workers.worker import Worker
from tests.helpers.backbones import make_backbone


def test_a_backbone_is_loaded_once(
    own: Bank, backbone: Backbone, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one that was given is used, and one that was identified is there for the next job."""
    assert Worker(own, backbone).backbone(backbone.identity, "cpu") is backbone
    worker = Worker(own)
    identity = worker.identify(backbone.identity.spec, "cpu")
    assert identity == backbone.identity
    monkeypatch.setattr(module, "load_backbone", lambda *_: pytest.fail("loaded again"))
    assert worker.backbone(identity, "cpu").identity == identity


def test_another_backbone_at_its_place_is_refused_once(
    own: Bank, backbone: Backbone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is not used, and the next job hears the same without loading it again."""
    worker = Worker(own)
    other = make_backbone(tmp_path / "other", seed=5)
    wanted = replace(backbone.identity, spec=str(other))
    with pytest.raises(BackboneMismatchError, match="weights is"):
        worker.backbone(wanted, "cpu")
    monkeypatch.setattr(module, "load_backbone", lambda *_: pytest.fail("loaded again"))
    with pytest.raises(BackboneMismatchError, match="weights is"):
        worker.backbone(wanted, "cpu")


def test_a_backbone_that_is_not_there_is_refused(
    own: Bank, backbone: Backbone, tmp_path: Path
) -> None:
    """The message has the place, which another machine may not have."""
    place = tmp_path / "none"
    with pytest.raises(InputError, match=f"there is no folder {place}"):
        Worker(own).backbone(replace(backbone.identity, spec=str(place)), "cpu")


def test_a_bank_that_was_away_is_asked_again(
    own: Bank, backbone: Backbone, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A backbone that could not be confirmed for that reason is not refused to the next job."""

    def lose(*_given: object) -> None:
        monkeypatch.setattr(module, "confirm_backbone", confirm_backbone)
        raise UnreachableError("the server is away")

    monkeypatch.setattr(module, "confirm_backbone", lose)
    worker = Worker(own)
    with pytest.raises(UnreachableError, match="away"):
        worker.backbone(backbone.identity, "cpu")
    assert worker.backbone(backbone.identity, "cpu").identity == backbone.identity


def test_what_a_job_keeps_goes_with_the_backbone(
    own: Bank, backbone: Backbone, tmp_path: Path
) -> None:
    """It is made once, and again after another backbone was loaded."""
    worker = Worker(own)
    worker.backbone(backbone.identity, "cpu")
    first = worker.keep(dict, lambda: {1: 1})
    worker.backbone(backbone.identity, "cpu")
    assert worker.keep(dict, lambda: {2: 2}) is first
    worker.identify(str(make_backbone(tmp_path / "other", seed=5)), "cpu")
    assert worker.keep(dict, lambda: {3: 3}) == {3: 3}
