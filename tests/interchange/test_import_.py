"""Which format a folder has, and what an import of it takes."""

from __future__ import annotations

from pathlib import Path

import pytest

import taskbank
from taskbank.bank.bank import Bank
from taskbank.errors import InputError
from tests.helpers.foreign import write_adapterhub, write_peft


def test_a_folder_that_tells_no_format_is_refused(own: Bank, tmp_path: Path) -> None:
    """The error says which file tells which format."""
    (tmp_path / "some").mkdir()
    for folder in (tmp_path / "some", tmp_path / "nowhere"):
        with pytest.raises(InputError, match=r"no folder of a known format: adapter\.json is of"):
            taskbank.import_adapter(own, folder)


def test_the_files_tell_the_format(own: Bank, tmp_path: Path) -> None:
    """Both libraries call their configuration alike; its keys say whose it is."""
    for folder, format in (
        (write_peft(tmp_path / "one", "base"), "peft"),
        (write_adapterhub(tmp_path / "two", "base"), "adapterhub"),
    ):
        with pytest.raises(InputError, match=f"a folder of format {format} has no evidence"):
            taskbank.import_adapter(own, folder)


def test_a_format_that_is_not_the_folders_is_refused(own: Bank, tmp_path: Path) -> None:
    """A format that is given goes before what the files tell, and they do not fit it."""
    peft = write_peft(tmp_path / "one", "base")
    with pytest.raises(InputError, match="has no 'config'"):
        taskbank.import_adapter(own, peft, format="adapterhub", test="some.csv")
    with pytest.raises(InputError, match=r"adapter\.json cannot be read"):
        taskbank.import_adapter(own, peft, format="taskbank")
    with pytest.raises(InputError, match="importer 'csv' is unknown"):
        taskbank.import_adapter(own, peft, format="csv")


def test_an_option_that_a_format_does_not_take_is_refused(
    own: Bank, exported: Path, tmp_path: Path
) -> None:
    """An export has its own evidence and kind; a checkpoint of another library is never signed."""
    with pytest.raises(InputError, match="--test is given for a folder of format taskbank"):
        taskbank.import_adapter(own, exported, test=[{"text": "a", "label": "good"}])
    with pytest.raises(InputError, match="--kind is given"):
        taskbank.import_adapter(own, exported, kind="single")
    with pytest.raises(InputError, match="--device is given"):
        taskbank.import_adapter(own, exported, device="cpu")
    peft = write_peft(tmp_path / "one", "base")
    with pytest.raises(InputError, match="--signer is given for a folder of format peft"):
        taskbank.import_adapter(own, peft, signer="alice.pub", test="some.csv")
