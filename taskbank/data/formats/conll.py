"""CoNLL and other column files: one word per line with its tags, a blank line after each sentence.

The columns are `1`, `2`, … in order. `words` is also the first one and `tags` the last one; in a
.conllu file, which has ten named columns, `words` is `form` and `tags` is `upos`. Lines of
`-DOCSTART-` and comments are left out. A line that begins with `#` is a comment unless it has as
many columns as the others and begins with a longer word, such as a hashtag, or has a known tag.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa

from taskbank.data.fields import preview
from taskbank.data.files import File
from taskbank.data.table import Table
from taskbank.errors import DataError

DOCUMENT = "-DOCSTART-"
CONLLU = ("id", "form", "lemma", "upos", "xpos", "feats", "head", "deprel", "deps", "misc")
PART_OF_WORD = re.compile(r"\d+[-.]\d+")  # a range of words, or a word that is not written
LINE_END = re.compile(r"\r\n|\n")


@dataclass(frozen=True)
class Line:
    """A line of a column file.

    Attributes:
        number: the line's number.
        values: the columns; empty for a blank line.
    """

    number: int
    values: tuple[str, ...]

    @property
    def begins_with_hash(self) -> bool:
        """Whether the line begins with `#`, as comments do."""
        return self.values[0].startswith("#")


def read_conll(file: File) -> Table:
    """Return the table of a column file, one row per sentence.

    Raises:
        DataError: if a line has fewer or more columns than the others.
    """
    text = file.text()
    delimiter = file.style.separator or ("\t" if "\t" in text else None)
    lines = [
        Line(number, _split(line, delimiter))
        for number, line in enumerate(LINE_END.split(text), start=1)
        if not line.startswith(DOCUMENT)
    ]
    written = [line for line in lines if line.values and not line.begins_with_hash]
    if not written:
        raise DataError(f"{file.shown} has no rows")
    width = len(written[0].values)
    is_conllu = file.suffix == ".conllu" or (
        width == len(CONLLU) and all(_is_conllu(line) for line in written[:100])
    )
    tags = {line.values[-1] for line in lines if line.values and line.values[0] != "#"}
    sentences: list[list[Line]] = [[]]
    for line in lines:
        if not line.values:
            sentences.append([])
        elif line.begins_with_hash and not (
            len(line.values) == width and (line.values[0] != "#" or line.values[-1] in tags)
        ):
            continue
        elif len(line.values) != width:
            raise DataError(
                f"line {line.number:,} of {file.shown} has {len(line.values)} columns and the "
                f"first line {width}: it is {preview(' '.join(line.values))}"
            )
        elif not (is_conllu and PART_OF_WORD.fullmatch(line.values[0])):
            sentences[-1].append(line)
    return _table(file, [sentence for sentence in sentences if sentence], width, is_conllu)


def _split(line: str, delimiter: str | None) -> tuple[str, ...]:
    if not line.strip():
        return ()
    return tuple(value.strip() for value in line.split(delimiter))


def _is_conllu(line: Line) -> bool:
    return PART_OF_WORD.fullmatch(line.values[0]) is not None or line.values[0].isdecimal()


def _table(file: File, sentences: Sequence[Sequence[Line]], width: int, is_conllu: bool) -> Table:
    places = {str(number): number - 1 for number in range(1, width + 1)}
    if file.style.names is not None:
        places |= {name: place for place, name in enumerate(file.style.names[:width])}
    if is_conllu and width == len(CONLLU):
        places |= {name: place for place, name in enumerate(CONLLU)}
    places.setdefault("words", places.get("form", 0))
    if width > 1:
        places.setdefault("tags", places.get("upos", width - 1))

    def read(name: str) -> pa.ChunkedArray:
        values = [[line.values[places[name]] for line in sentence] for sentence in sentences]
        return pa.chunked_array([pa.array(values, pa.list_(pa.string()))])

    return Table(file.shown, tuple(places), len(sentences), read)
