"""Export: where it writes, and which formats it knows."""

from __future__ import annotations

from pathlib import Path

import pytest

import taskbank
from taskbank.backbone.backbone import Backbone
from taskbank.bank.bank import Bank
from taskbank.errors import InputError
from tests.helpers.adapters import put_model
from tests.helpers.exports import put_task
from tests.helpers.models import ensemble
from tests.helpers.terminal import Terminal


def test_an_unknown_format_is_refused_with_those_that_are_known(mood: Bank, tmp_path: Path) -> None:
    """An unknown format is an error that lists the known ones, and no folder is made."""
    with pytest.raises(InputError, match=r"'csv' is unknown: taskbank knows taskbank"):
        taskbank.export_adapter(mood, "mood", tmp_path / "out", format="csv")
    assert not (tmp_path / "out").exists()


def test_a_folder_with_files_is_refused_before_anything_is_computed(
    mood: Bank, tmp_path: Path
) -> None:
    """A folder that is not empty is refused before the adapter is looked up."""
    (tmp_path / "note.txt").write_text("mine")
    with pytest.raises(InputError, match="is not empty"):
        taskbank.export_adapter(mood, "no-such-task", tmp_path)


def test_the_command_says_what_to_do_with_a_model(
    own: Bank, pooled: Backbone, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is run as its card says, cannot be signed, and needs data to be imported."""
    record = put_task(own, pooled, "single", "linear")
    terminal, out = Terminal(own.url, capsys), str(tmp_path / "out")
    said = terminal("export", record.ref, "--output", out, "--format", "transformers")
    assert said == f"exported {record.ref} to {out}; its README.md has the code that runs it\n"
    terminal("export", record.ref, "--output", f"{out}2", "--format", "onnx", "--key", "k", code=2)
    assert "an export to onnx cannot be signed" in terminal.err
    terminal("import", out, code=2)
    assert "no evidence that the adapter could be verified by" in terminal.err


@pytest.mark.parametrize("format", ["transformers", "sentence-transformers", "peft", "adapterhub"])
def test_a_format_of_one_adapter_holds_no_ensemble(
    own: Bank, backbone: Backbone, tmp_path: Path, format: str
) -> None:
    """A version of several trainings is refused with the formats that hold it, and no folder."""
    options = {"layers": "top:1"}
    record = put_model(own, "mood", ensemble(backbone, "houlsby", (0, 1), **options), options)
    says = r"it is an ensemble of 2 trainings, .* export it to onnx or taskbank$"
    with pytest.raises(InputError, match=says):
        taskbank.export_adapter(own, record.ref, tmp_path / "out", format=format)
    assert not (tmp_path / "out").exists()
