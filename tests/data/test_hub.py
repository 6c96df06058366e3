"""Saved data sets and those of the hub."""

from __future__ import annotations

from pathlib import Path

import datasets
import pyarrow as pa
import pytest
from pyarrow import ipc, parquet

from taskbank.errors import DataError
from tests.helpers.sources import ODD_ROWS, read, read_texts, write


def test_class_labels_of_a_saved_data_set_are_read_by_name(tmp_path: Path) -> None:
    """A ClassLabel column gives its names, and its -1 of an unlabelled split is refused."""
    features = datasets.Features(
        {"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["no", "yes"])}
    )
    saved = datasets.Dataset.from_dict({"text": ["a", "b"], "label": [1, 0]}, features=features)
    saved.save_to_disk(tmp_path / "saved")
    assert read(str(tmp_path / "saved")).columns["label"] == ("yes", "no")
    hidden = datasets.Dataset.from_dict({"text": ["a", "b"], "label": [-1, -1]}, features=features)
    hidden.save_to_disk(tmp_path / "hidden")
    with pytest.raises(DataError, match="not labelled"):
        read(str(tmp_path / "hidden"))
    assert read_texts(str(tmp_path / "hidden")) == [("a",), ("b",)]


@pytest.mark.parametrize("name", ["a.parquet", "a.arrow"])
def test_class_labels_are_read_by_name_from_a_file_too(tmp_path: Path, name: str) -> None:
    """The same data gives the same labels from a file as from a saved folder."""
    names = datasets.ClassLabel(names=["no", "yes"])
    features = datasets.Features({"text": datasets.Value("string"), "label": names})

    def saved(numbers: list[int]) -> str:
        table = pa.table({"text": ["x"] * len(numbers), "label": numbers})
        table = table.replace_schema_metadata(features.arrow_schema.metadata)
        if name == "a.parquet":
            parquet.write_table(table, tmp_path / name)
        else:
            with ipc.new_stream(tmp_path / name, table.schema) as stream:
                stream.write_table(table)
        return str(tmp_path / name)

    assert read(saved([1, 0])).columns["label"] == ("yes", "no")
    with pytest.raises(DataError, match=r"1 rows have -1 .* row 2"):
        read(saved([0, -1]))
    with pytest.raises(DataError, match=r"row 3 .* class 2 .* only 2 classes"):
        read(saved([0, 1, 2]))


def test_a_split_of_a_saved_data_set_is_chosen_after_a_colon(tmp_path: Path) -> None:
    """`FOLDER:SPLIT` names a split, `train` is the default, and a wrong one lists them."""
    one, two = (datasets.Dataset.from_list([{"text": t, "label": t}] * 2) for t in "ab")
    datasets.DatasetDict({"train": one, "dev": two}).save_to_disk(tmp_path / "saved")
    assert read(f"{tmp_path}/saved").columns["text"] == ("a", "a")
    assert read(f"{tmp_path}/saved:dev").columns["text"] == ("b", "b")
    with pytest.raises(DataError, match="one of train, dev"):
        read(f"{tmp_path}/saved:test")


@pytest.mark.parametrize("source", ["hf:reviews", "hf:reviews/plain:test", "hf:../here/reviews"])
def test_a_hub_name_never_reads_what_is_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str
) -> None:
    """A folder of the same name is not taken for the hub's data set."""
    (tmp_path / "here" / "reviews" / "plain").mkdir(parents=True)
    write(tmp_path / "here" / "reviews" / "train.csv", ODD_ROWS)
    monkeypatch.chdir(tmp_path / "here")
    with pytest.raises(DataError, match="also here"):
        read(source)
