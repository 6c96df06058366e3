"""CoNLL and other column files: sentences of words with tags."""

from __future__ import annotations

from pathlib import Path

import pytest

from taskbank.data.style import Style
from taskbank.errors import DataError
from taskbank.kinds.tagging import TAGGING
from tests.helpers.sources import read, read_texts

CONLL_2003 = """-DOCSTART- -X- -X- O

EU NNP B-NP B-ORG
rejects VBZ B-VP O

Peter NNP B-NP B-PER
"""
CONLLU = """# sent_id = 1
# text = Don't go
1-2\tDon't\t_\t_\t_\t_\t_\t_\t_\t_
1\tDo\tdo\tAUX\tVB\t_\t3\taux\t_\t_
2\tn't\tnot\tPART\tRB\t_\t3\tadvmod\t_\t_
2.1\tyou\t_\t_\t_\t_\t_\t_\t_\t_
3\tgo\tgo\tVERB\tVB\t_\t0\troot\t_\t_

# sent_id = 2
1\t#\t#\tSYM\tSYM\t_\t0\troot\t_\t_
"""


def rows(path: Path, text: str, **options: str) -> list[tuple[list[str], list[str]]]:
    """Return the words and tags of every sentence of a file."""
    path.write_text(text)
    columns = read(str(path), TAGGING, **options).columns
    return [(words, tags) for words, tags in zip(columns["words"], columns["tags"], strict=True)]


def test_words_are_the_first_column_and_tags_the_last(tmp_path: Path) -> None:
    """Files as of CoNLL 2003 are read by sentence, without the lines between documents."""
    expected = [(["EU", "rejects"], ["B-ORG", "O"]), (["Peter"], ["B-PER"])]
    assert rows(tmp_path / "a.conll", CONLL_2003) == expected
    assert (
        rows(tmp_path / "b.conll", CONLL_2003.replace(" ", "\t").replace("\n", "\r\n")) == expected
    )


def test_another_column_is_named_by_its_number(tmp_path: Path) -> None:
    """The second column of CoNLL 2003 is the part of speech."""
    (first, _) = rows(tmp_path / "a.conll", CONLL_2003, label_column="2")
    assert first == (["EU", "rejects"], ["NNP", "VBZ"])
    with pytest.raises(DataError, match="no column '5'; its columns are 1, 2, 3, 4, words, tags"):
        rows(tmp_path / "a.conll", CONLL_2003, label_column="5")


def test_columns_of_universal_dependencies_have_names(tmp_path: Path) -> None:
    """Words are forms, tags are parts of speech, and parts of words and comments are left out."""
    path = tmp_path / "a.conllu"
    assert rows(path, CONLLU) == [
        (["Do", "n't", "go"], ["AUX", "PART", "VERB"]),
        (["#"], ["SYM"]),
    ]
    assert rows(path, CONLLU, label_column="deprel")[1] == (["#"], ["root"])


def test_a_hash_is_a_word_if_the_line_is_like_the_others(tmp_path: Path) -> None:
    """Comments are left out, and a sign or hashtag with a known tag is a word."""
    text = "# a comment\n#news O\n# O\nAda B-PER\n# Ada\n"
    assert rows(tmp_path / "a.bio", text) == [(["#news", "#", "Ada"], ["O", "O", "B-PER"])]


def test_columns_have_the_names_that_the_user_gives(tmp_path: Path) -> None:
    """Named columns can be chosen by name."""
    (tmp_path / "a.conll").write_text("B-PER Ada\nO lives\n")
    found = read(str(tmp_path / "a.conll"), TAGGING, style=Style(columns="tags,words"))
    assert found.columns == {"words": (["Ada", "lives"],), "tags": (["B-PER", "O"],)}


def test_words_alone_are_read_to_predict(tmp_path: Path) -> None:
    """A file of one column has words and no tags."""
    (tmp_path / "a.conll").write_text("Ada\nlives\n\nhere\n")
    assert read_texts(str(tmp_path / "a.conll"), TAGGING) == [(["Ada", "lives"],), (["here"],)]
    with pytest.raises(DataError, match="no column 'tags'"):
        read(str(tmp_path / "a.conll"), TAGGING)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("Ada B-PER\nlives\n", "line 2 of .* has 1 columns and the first line 2: it is 'lives'"),
        ("Ada B-PER\nNew York O\n", "line 2 of .* has 3 columns"),
        ("-DOCSTART- O\n\n", "has no rows"),
        ("Ada\tB-PER\nlives\t\n", "one of the tags is blank"),
        (" \n", "is empty"),
    ],
)
def test_lines_that_are_not_like_the_others_are_named(tmp_path: Path, text: str, says: str) -> None:
    """A word without a tag, or a tag too many, is named by its line."""
    with pytest.raises(DataError, match=says):
        rows(tmp_path / "a.conll", text)
