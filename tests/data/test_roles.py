"""The split of the role's name is read, and no source has two roles."""

from __future__ import annotations

from pathlib import Path

import datasets
import pytest

from taskbank.data.roles import check_sources_differ, source_for
from taskbank.errors import DataError, InputError
from tests.helpers.sources import read, read_texts, write

ROWS = {
    split: [{"text": f"{split} {number}", "label": "ab"[number % 2]} for number in range(4)]
    for split in ("train", "validation", "test")
}


def saved(folder: Path, *splits: str) -> str:
    """Save a data set with some splits and return its path as text."""
    parts = {split: datasets.Dataset.from_list(ROWS[split]) for split in splits}
    datasets.DatasetDict(parts).save_to_disk(folder)
    return str(folder)


def test_each_role_reads_the_split_of_its_name(tmp_path: Path) -> None:
    """One folder for three roles gives three different parts, and another split if it is named."""
    folder = saved(tmp_path / "dd", "train", "validation", "test")
    for role in ("train", "validation", "test"):
        assert read(folder, role=role).columns["text"][0] == f"{role} 0"
    assert read(f"{folder}:test", role="train").columns["text"][0] == "test 0"
    assert read(f"{folder}/", role="test").origin == f"{folder}/:test"


def test_a_role_without_a_split_of_its_name_is_asked_about(tmp_path: Path) -> None:
    """Nothing is read in place of a missing split; the splits that there are, are named."""
    folder = saved(tmp_path / "dd", "train", "validation")
    with pytest.raises(DataError, match=r"no split 'test': add one of train, validation after a"):
        read(folder, role="test")
    with pytest.raises(
        DataError, match=r"has 2 splits: add one of train, validation after a colon"
    ):
        read_texts(folder)
    assert read_texts(f"{folder}:validation")[0] == ("validation 0",)
    only = saved(tmp_path / "only", "test")
    assert read_texts(only)[0] == ("test 0",)
    with pytest.raises(DataError, match="no split 'train': add one of test"):
        read(only, role="train")


@pytest.mark.parametrize("content", ["", "[]", '{"splits": 3}', '{"splits": []}', "\x00", "{"])
def test_a_folder_without_splits_is_left_to_its_reader(tmp_path: Path, content: str) -> None:
    """What does not list its splits is no set of splits."""
    (tmp_path / "dataset_dict.json").write_text(content)
    assert source_for(str(tmp_path), "test") == str(tmp_path)


def test_a_name_of_the_hub_gets_the_split_of_the_role() -> None:
    """So does a configuration, but no name that has a split; to predict, a split is asked for."""
    assert source_for("hf:owner/name", "test") == "hf:owner/name:test"
    assert source_for("hf:glue/cola", "validation") == "hf:glue/cola:validation"
    assert source_for("hf:glue/cola:dev", "test") == "hf:glue/cola:dev"
    with pytest.raises(DataError, match="names no split: add one after a colon"):
        source_for("hf:owner/name", "data")


def test_one_source_for_two_roles_is_refused(tmp_path: Path) -> None:
    """However the path is written, and for every pair of roles."""
    path = write(tmp_path / "a.csv", ROWS["train"])
    other = write(tmp_path / "b.csv", ROWS["test"])
    link = tmp_path / "link.csv"
    link.symlink_to(path)
    again = f"{tmp_path}/./a.csv"
    for same in (path, again, str(link), link):
        with pytest.raises(InputError, match="train and test are the same data"):
            check_sources_differ({"train": path, "validation": None, "test": same})
    with pytest.raises(InputError, match=r"train and validation are the same .*leave out --valid"):
        check_sources_differ({"train": path, "validation": path, "test": other})
    with pytest.raises(InputError, match="validation and test are the same data"):
        check_sources_differ({"train": path, "validation": other, "test": other})
    check_sources_differ({"train": path, "validation": None, "test": other})
    check_sources_differ({"train": "hf:a:train", "validation": None, "test": "hf:a:test"})
    check_sources_differ({"train": "dd:train", "validation": "dd:validation", "test": "dd:test"})
    with pytest.raises(InputError, match="train and test are the same data"):
        check_sources_differ({"train": f"{tmp_path}:x", "test": f"{tmp_path}/:x"})
