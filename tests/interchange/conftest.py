"""An exported task, an encoder with a pooler, and a bank to import into."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import taskbank
from taskbank.backbone.backbone import Backbone
from taskbank.backbone.load import load_backbone
from taskbank.bank.bank import Bank
from taskbank.interchange.export import export_adapter
from tests.helpers.backbones import make_backbone
from tests.helpers.rows import sentences, write_jsonl


@pytest.fixture
def exported(mood: Bank, tmp_path: Path) -> Path:
    """The task `mood` as a folder."""
    export_adapter(mood, "mood", tmp_path / "out")
    return tmp_path / "out"


@pytest.fixture(scope="package")
def pooled(tmp_path_factory: pytest.TempPathFactory) -> Backbone:
    """A tiny BERT with a pooler, whose vector is what its tasks read."""
    return load_backbone(str(make_backbone(tmp_path_factory.mktemp("pooled") / "bert")))


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a BERT that has a pooler, and test data, for imports from other libraries."""
    made = tmp_path_factory.mktemp("foreign")
    make_backbone(made / "bert")
    write_jsonl(made / "test.jsonl", sentences(16, seed=3))
    return made


@pytest.fixture(scope="module")
def known(place: Path) -> Iterator[Bank]:
    """An empty bank that knows the backbone."""
    taskbank.init(f"sqlite:///{place}/bank.db", str(place / "bert"))
    with Bank(f"sqlite:///{place}/bank.db") as bank:
        yield bank
