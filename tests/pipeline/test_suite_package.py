"""What of a suite is sent to another machine, and what never is."""

from __future__ import annotations

import json
import os
import zipfile
from pathlib import Path

import pytest

from taskbank.errors import InputError
from taskbank.pipeline import suite_package
from taskbank.pipeline.suite_file import read_suite
from taskbank.pipeline.suite_package import DATA, SUITE, plan_package


def write_suite(folder: Path, *tasks: dict[str, str]) -> Path:
    """Write a suite of tasks with some keys, each with a name and data if it has none."""
    lines = []
    for number, task in enumerate(tasks):
        values = {"name": f"t{number}", "train": "train.csv"} | task
        lines += ["[[task]]", *(f"{key} = {json.dumps(value)}" for key, value in values.items())]
    suite = folder / "mine.toml"
    suite.write_text("\n".join(lines))
    return suite


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder with data, names of labels, a saved data set, and what must stay there."""
    for name in ("train.csv", "more/test.csv", "names.txt", ".env", "saved/.cache/key.json"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    saved = tmp_path / "saved"
    (saved / "train").mkdir()
    (saved / "dataset_dict.json").write_text('{"splits": ["train"]}')
    for name in ("data-00000-of-00001.arrow", "state.json", "notes.txt"):
        (saved / "train" / name).write_text(name)
    return tmp_path


def test_what_the_suite_names_is_packed_and_nothing_else(place: Path) -> None:
    """Data, names of labels and saved data sets; no data of the hub, no other file."""
    suite = write_suite(
        place,
        {"test": "more/test.csv", "label_names": "names.txt", "validation": "hf:glue/cola:test"},
        {"train": "saved:train", "test": "./train.csv", "label_names": "no,yes"},
    )
    package = plan_package(suite, place)
    assert package.tasks == ("t0", "t1")
    assert package.elsewhere == ()
    assert set(package.files) == {
        SUITE,
        "data/train.csv",
        "data/more/test.csv",
        "data/names.txt",
        "data/saved/dataset_dict.json",
        "data/saved/train/data-00000-of-00001.arrow",
        "data/saved/train/state.json",
    }


def test_an_unpacked_suite_finds_its_data(place: Path, tmp_path: Path) -> None:
    """Where it is unpacked, every path of the suite is a file with the same bytes."""
    suite = write_suite(place, {"test": "more/test.csv", "label_names": "names.txt"})
    plan_package(suite, place).write(tmp_path / "one.zip")
    plan_package(suite, place).write(tmp_path / "two.zip")
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()
    there = tmp_path / "there"
    with zipfile.ZipFile(tmp_path / "one.zip") as archive:
        archive.extractall(there)
    (entry,) = read_suite(there / SUITE, there / DATA)
    for key, name in (("train", "train.csv"), ("test", "more/test.csv")):
        assert Path(entry.values[key]).read_text() == name
    assert Path(entry.values["label_names"]).read_text() == "names.txt"


def test_an_absolute_path_is_of_the_other_machine(place: Path) -> None:
    """It is told, and not sent, though a file may be there."""
    package = plan_package(write_suite(place, {"train": str(place / "train.csv")}), place)
    assert package.elsewhere == (str(place / "train.csv"),)
    assert list(package.files) == [SUITE]


@pytest.mark.parametrize(
    ("train", "problem"),
    [
        ("gone.csv", "there is no .*gone.csv"),
        ("-", "there is no "),
        ("train.csv:train", "there is no "),
        ("a\0b", "there is no "),
        ("x" * 5000, "there is no "),
        ("../outside.csv", "leads out of the folder"),
        ("more/../../outside.csv", "leads out of the folder"),
        ("more/../train.csv", "leads out of the folder"),
        ("link.csv", "leads out of the folder"),
        (".", "is no file, and no folder that datasets saved"),
        ("more", "is no file, and no folder that datasets saved"),
        ("pipe", "is no file"),
    ],
)
def test_what_cannot_or_must_not_be_sent_is_refused(
    tmp_path: Path, place: Path, train: str, problem: str
) -> None:
    """With the line of the task and the file."""
    inside = place / "inside"
    inside.mkdir()
    for name in ("train.csv", "more/test.csv"):
        (inside / name).parent.mkdir(exist_ok=True)
        (inside / name).write_text("x")
    (place / "outside.csv").write_text("secret")
    (inside / "link.csv").symlink_to(place / "outside.csv")
    os.mkfifo(inside / "pipe")
    suite = write_suite(inside, {"test": "train.csv"}, {"train": train})
    with pytest.raises(
        InputError, match=rf"(?s)1 problem:\n  line 5: task 't1': train: .*{problem}"
    ):
        plan_package(suite, inside)


def test_a_saved_data_set_cannot_lead_out_of_the_folder(place: Path) -> None:
    """A link among its files is refused like any other."""
    (place.parent / "elsewhere.json").write_text("secret")
    (place / "saved" / "x.json").symlink_to(place.parent / "elsewhere.json")
    with pytest.raises(InputError, match="leads out of the folder"):
        plan_package(write_suite(place, {"train": "saved"}), place)


def test_problems_of_the_suite_are_all_told(place: Path) -> None:
    """Those of its keys beside those of its files."""
    suite = write_suite(place, {"epoch": "3"}, {"test": "gone.csv"})
    with pytest.raises(InputError, match=r"(?s)2 problems:.*'epoch' is unknown.*gone\.csv"):
        plan_package(suite, place)


def test_what_is_too_large_is_refused(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With what to do instead, before all of it is packed."""
    monkeypatch.setattr(suite_package, "MAX_PACKED", 1000)
    monkeypatch.setattr(suite_package, "BLOCK", 1 << 14)
    (place / "train.csv").write_bytes(os.urandom(1 << 20))
    package = plan_package(write_suite(place, {}), place)
    with pytest.raises(InputError, match=r"more than 1\.0 kB .* absolute paths"):
        package.write(place / "package.zip")
    assert (place / "package.zip").stat().st_size < 1 << 19


def test_a_file_that_cannot_be_read_is_named(place: Path) -> None:
    """It vanished after it was looked for."""
    package = plan_package(write_suite(place, {}), place)
    (place / "train.csv").unlink()
    with pytest.raises(InputError, match=r"train\.csv cannot be read: No such file"):
        package.write(place / "package.zip")
