"""Names of classes: from a list, a text or a file, for every column of classes."""

from __future__ import annotations

from pathlib import Path

import pytest

from taskbank.data.fields import Field
from taskbank.data.label_names import read_label_names
from taskbank.data.sources import read_examples
from taskbank.errors import DataError, InputError
from taskbank.kinds.single import SINGLE
from tests.helpers.sources import write


def test_names_are_read_from_a_list_a_text_and_a_file(tmp_path: Path) -> None:
    """Each gives the same names, without the space around them."""
    path = tmp_path / "names.txt"
    path.write_bytes("\ufeffO\r\nB-PER\r\nI-PER\r\n".encode())
    for given in (["O", "B-PER", "I-PER"], "O,B-PER, I-PER", str(path)):
        assert read_label_names(given) == ("O", "B-PER", "I-PER")


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("O,O", "name 'O' twice"),
        ("O,", "1 of them are empty"),
        (["O"], "has 1 names"),
        (["O", 3], "not a list of texts"),
        (["O", "\x00"], "NUL"),
        ("missing.txt", "cannot be read from the file 'missing.txt'"),
    ],
)
def test_unusable_names_are_refused(given: str | list[str], says: str) -> None:
    """What is wrong is said, with what to write."""
    with pytest.raises(InputError, match=says):
        read_label_names(given)


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_whole_numbers_are_named_in_every_format(tmp_path: Path, ending: str) -> None:
    """Classes, and lists of them, have their names; numbers are text in CSV."""
    path = write(tmp_path / f"a.{ending}", [{"text": "a", "label": 1}, {"text": "b", "label": 0}])
    found = read_examples(path, SINGLE.inputs, SINGLE.label, label_names=["no", "yes"])
    assert found.columns["label"] == ("yes", "no")
    lists = [{"text": "a", "tags": [0, 1]}, {"text": "b", "tags": [1]}]
    if ending == "csv":
        lists = [row | {"tags": str(row["tags"])} for row in lists]
    path = write(tmp_path / f"b.{ending}", lists)
    tags = Field("tags", "tags", "--label")
    found = read_examples(path, SINGLE.inputs, tags, label_names=["O", "B-PER"])
    assert found.columns["tags"] == (["O", "B-PER"], ["B-PER"])


@pytest.mark.parametrize(
    ("label", "says"),
    [
        (2, r"row 2 of .* has class 2 .*--label-names names only 2 classes, from 0: name every"),
        (-1, r"1 rows have -1 in column 'label', row 2"),
        ("spam", r"row 2 of .* has 'spam' in column 'label', which is not a whole number"),
        (True, r"row 1 of .* has False in column 'label', which is not a whole number"),
    ],
)
def test_a_label_that_has_no_name_is_refused(tmp_path: Path, label: str | int, says: str) -> None:
    """The row, the value and the column are named."""
    first = "0" if isinstance(label, str) else type(label)(0)
    path = write(
        tmp_path / "a.jsonl", [{"text": "a", "label": first}, {"text": "b", "label": label}]
    )
    with pytest.raises(DataError, match=says):
        read_examples(path, SINGLE.inputs, SINGLE.label, label_names=["no", "yes"])
