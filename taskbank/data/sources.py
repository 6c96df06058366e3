"""Reads labelled text from files, saved data sets and the hub, and checks every row.

    FILE.csv             header, quotes as usual; every value is text as written
    FILE.tsv             header, no quotes: a tab ends a value, a line end a row;
                         neither has a row in a blank line, unless it has one column only
    FILE.jsonl, .json    one JSON object a line
    FILE.parquet
    FILE.arrow, .feather an Arrow file or stream
    FOLDER[:SPLIT]       as `datasets` saved it
    hf:NAME[/CONFIG][:SPLIT]  from the hub; NAME may be OWNER/NAME; the split is `train`
                         unless it is said. Of two parts, NAME/CONFIG is tried where the
                         hub has no OWNER/NAME.

Labels may be text, whole numbers, truth values (`true` and `false`), or what `datasets` calls
a ClassLabel, which is read by name wherever its names were saved with it.

Knows nothing of torch. What is wrong is said with the file, the row (from 1, without the
header) and the value, before anything expensive starts.
"""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from importlib.util import find_spec
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from pyarrow import feather, ipc, parquet

from taskbank.data.examples import Examples
from taskbank.errors import DataError

HUB = "hf:"
LABEL = "label"
OPTIONS = {
    "text": "--text",
    "text_a": "--text",
    "text_b": "--text-pair",
    LABEL: "--label",
}
SHOWN = 40  # characters of a value, and
MANY = 20  # columns, that an error shows


def read_examples(
    source: str,
    *,
    text: str | None = None,
    text_pair: str | None = None,
    label: str | None = None,
    kind_columns: Sequence[str] = ("text",),
) -> Examples:
    """Return the labelled examples of a source, every row checked.

    Args:
        source: a file, a folder or a hub name, as the module describes.
        text: the column of texts, where it has another name than the kind's.
        text_pair: the column of second texts, likewise.
        label: the column of labels, likewise.
        kind_columns: the kind's names of its texts: `text`, or `text_a` and `text_b`.

    Raises:
        DataError: if the source cannot be read or a row is not usable.
    """
    names = _names(text, text_pair, kind_columns)
    wanted = LABEL if label is None else label
    table = _read(source, {*names.values(), wanted})
    columns = _texts(source, table, names)
    labels = _labels(source, wanted, table, _column(source, table, LABEL, wanted))
    labelled = columns | {LABEL: _checked(source, wanted, "label", labels)}
    # A file's name may hold bytes that are no UTF-8; what is recorded of it may not.
    return Examples(labelled, source.encode(errors="backslashreplace").decode())


def read_texts(
    source: str,
    *,
    text: str | None = None,
    text_pair: str | None = None,
    kind_columns: Sequence[str] = ("text",),
) -> list[tuple[str, ...]]:
    """Return the unlabelled texts of a source, a tuple a row.

    Args:
        source: as for `read_examples`, or a `.txt` file with a text a line.
        text: the column of texts, where it has another name than the kind's.
        text_pair: the column of second texts, likewise.
        kind_columns: the kind's names of its texts: `text`, or `text_a` and `text_b`.

    Raises:
        DataError: if the source cannot be read or a row is not usable.
    """
    names = _names(text, text_pair, kind_columns)
    if Path(source).suffix.lower() == ".txt":
        columns = _lines(source, names)
    else:
        columns = _texts(source, _read(source, names.values()), names)
    return list(zip(*columns.values(), strict=True))


def hold_out(examples: Examples, share: float, seed: int) -> tuple[Examples, Examples]:
    """Split examples into a larger part for training and a smaller one for validation.

    Every class keeps its share of both, as nearly as whole numbers allow; a class with a
    single example stays in training.

    Args:
        examples: with a `label` column.
        share: of each class that is held out, from 0 to 1.
        seed: of the choice; the order within both parts is that of the examples.

    Raises:
        DataError: if there are too few examples to hold any out.
    """
    # Positions in the sorted classes: an array of texts would be as wide as the longest label.
    place = {name: i for i, name in enumerate(sorted(set(examples.columns[LABEL])))}
    labels = np.array([place[label] for label in examples.columns[LABEL]])
    generator = np.random.default_rng(np.random.SeedSequence([seed, 0]))
    wanted = max(1, round(share * len(labels)))
    # Largest remainders: whole numbers that add up, and at least one of each class stays.
    classes, counts = np.unique(labels, return_counts=True)
    exact = counts * share
    taken = np.minimum(np.floor(exact).astype(int), counts - 1)
    spare = counts - 1 - taken
    order = generator.permutation(len(classes))
    by_remainder = order[np.argsort(-(exact - taken)[order], kind="stable")]
    for index in by_remainder:
        if taken.sum() < wanted and spare[index] > 0:
            taken[index] += 1
    held = [
        generator.choice(np.flatnonzero(labels == name), size=count, replace=False)
        for name, count in zip(classes, taken, strict=True)
    ]
    chosen = np.zeros(len(labels), dtype=bool)
    chosen[np.concatenate(held)] = True
    if not chosen.any():
        raise DataError(
            f"{examples.origin} has {len(labels)} rows, too few to hold some out for validation: "
            "give them with --validation"
        )
    origin = f"{examples.origin} ({share:.0%} held out, seed {seed})"
    rest = f"{examples.origin} (without the {share:.0%} held out, seed {seed})"
    return (
        examples.select(np.flatnonzero(~chosen).tolist(), rest),
        examples.select(np.flatnonzero(chosen).tolist(), origin),
    )


# Columns


def _names(text: str | None, text_pair: str | None, kind_columns: Sequence[str]) -> dict[str, str]:
    """Return what the columns of texts are called in the source, by canonical name."""
    if text_pair is not None and len(kind_columns) < 2:
        raise DataError(
            f"--text-pair {text_pair!r} names second texts, which this kind does not have: "
            "use --kind pair"
        )
    return {
        name: name if given is None else given
        for name, given in zip(kind_columns, (text, text_pair), strict=False)
    }


def _texts(source: str, table: pa.Table, names: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    columns = {}
    for name, wanted in names.items():
        column = _column(source, table, name, wanted)
        columns[name] = _checked(source, wanted, "text", _strings(source, wanted, column))
    return columns


def _lines(source: str, names: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    if len(names) > 1:
        raise DataError(
            f"{source} has one text a line, and this kind takes {len(names)}: give a .tsv, .csv "
            f"or .jsonl file with the columns {', '.join(names)}"
        )
    ((name, wanted),) = names.items()
    if wanted != name:
        raise DataError(f"{source} has lines and no columns: leave out --text {wanted!r}")
    text = _decoded(source, _bytes_of(Path(source)))
    if not text.strip():
        raise DataError(f"{source} is empty")
    lines = [line.removesuffix("\r") for line in text.removesuffix("\n").split("\n")]
    return {name: _checked(source, name, "text", lines)}


def _column(source: str, table: pa.Table, name: str, wanted: str) -> pa.ChunkedArray:
    there = table.column_names.count(wanted)
    if there != 1:
        problem = "more than one column" if there else "no column"
        known = ", ".join(
            column if column.isprintable() and len(column) <= SHOWN else _shown(column)
            for column in table.column_names[:MANY]
        )
        raise DataError(
            f"{source} has {problem} {wanted!r}; its columns are {known}"
            f"{', …' if table.num_columns > MANY else ''}. "
            f"Name the right one with {OPTIONS[name]} COL"
        )
    column = table[wanted]
    try:
        column.validate(full=True)  # reading checks neither UTF-8 nor where values begin and end
    except pa.ArrowException as error:
        raise DataError(f"column {wanted!r} of {source} is damaged: {_reason(error)}") from None
    return column


def _strings(source: str, name: str, column: pa.ChunkedArray) -> list[str | None]:
    kind = column.type
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if not (_is_text(kind) or pa.types.is_null(kind)):
        raise DataError(f"column {name!r} of {source} holds {kind}, not text: name another column")
    return list(column.to_pylist())


def _labels(source: str, name: str, table: pa.Table, column: pa.ChunkedArray) -> list[str | None]:
    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    if pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        raise DataError(
            f"label column {name!r} of {source} holds fractions ({kind}), not classes: name "
            "another column with --label COL, or write the classes as names or whole numbers"
        )
    if not (
        _is_text(kind)
        or pa.types.is_integer(kind)
        or pa.types.is_boolean(kind)
        or pa.types.is_null(kind)
    ):
        raise DataError(
            f"label column {name!r} of {source} holds {kind}, not one class a row: "
            "name another column with --label COL"
        )
    values = column.to_pylist()
    classes = _class_names(table, name)
    if classes is not None and pa.types.is_integer(kind):
        return _named_classes(source, name, values, classes)
    if pa.types.is_boolean(kind):
        return [None if value is None else str(value).lower() for value in values]
    return [None if value is None else str(value) for value in values]


def _class_names(table: pa.Table, name: str) -> list[str] | None:
    # `datasets` writes what its columns are into the table's metadata, whatever the file format.
    stored = (table.schema.metadata or {}).get(b"huggingface", b"null")
    try:
        names = json.loads(stored)["info"]["features"][name]["names"]
    except (ValueError, RecursionError, LookupError, TypeError):
        return None
    if not isinstance(names, list) or not all(isinstance(one, str) for one in names):
        return None
    return names


def _named_classes(
    source: str, name: str, numbers: Sequence[int | None], classes: Sequence[str]
) -> list[str | None]:
    unlabelled = [row for row, number in enumerate(numbers, start=1) if number == -1]
    if unlabelled:
        raise DataError(
            f"{source} is not labelled: {len(unlabelled):,} rows have -1 in column {name!r}, "
            f"row {_some(unlabelled)}; choose another split"
        )
    for row, number in enumerate(numbers, start=1):
        if number is not None and not 0 <= number < len(classes):
            raise DataError(
                f"row {row} of {source} has class {number} in column {name!r}, which names only "
                f"{len(classes)} classes, from 0: save the data set again"
            )
    return [None if number is None else classes[number] for number in numbers]


def _is_text(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
    )


def _checked(source: str, name: str, what: str, values: Sequence[str | None]) -> tuple[str, ...]:
    if not values:
        raise DataError(f"{source} has no rows")
    empty = [row for row, value in enumerate(values, start=1) if not (value or "").strip()]
    if empty:
        raise DataError(
            f"{len(empty):,} rows of {source} have no {what} in column {name!r}: row "
            f"{_some(empty)}; fill them in or leave them out"
        )
    found = [value for value in values if value is not None]
    for row, value in enumerate(found, start=1):
        if "\x00" in value:
            raise DataError(
                f"row {row} of {source} has a NUL character in column {name!r}: {_shown(value)}"
            )
    return tuple(found)


def _encodable(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _shown(value: str) -> str:
    return repr(value[:SHOWN]) + ("…" if len(value) > SHOWN else "")


def _some(rows: Sequence[int]) -> str:
    shown = ", ".join(f"{row:,}" for row in rows[:5])
    return shown + (", …" if len(rows) > 5 else "")


# Sources


def _read(source: str, wanted: Collection[str]) -> pa.Table:
    """Return the table of a source, in which at least the wanted columns can be used."""
    if source.startswith(HUB):
        return _read_hub(source)
    path = Path(source)
    if _is(path.is_dir):
        return _read_folder(source, path, None)
    folder, colon, split = source.rpartition(":")
    if colon and not _is(path.exists) and _is(Path(folder).is_dir):
        return _read_folder(source, Path(folder), split)
    if path.suffix.lower() not in READERS and _is(path.exists):
        raise DataError(
            f"{source} has the ending {path.suffix!r}: taskbank reads {', '.join(READERS)}, "
            "a folder that datasets saved, and hf:NAME"
        )
    data = _bytes_of(path)
    if not data.strip():
        raise DataError(f"{source} is empty")
    try:
        table = READERS[path.suffix.lower()](source, data, wanted)
        names = Counter(table.column_names)  # which may be no UTF-8
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise DataError(f"{source} cannot be read as {path.suffix}: {_reason(error)}") from None
    twice = [name for name, count in names.items() if count > 1]
    if twice:
        raise DataError(f"{source} has more than one column {_shown(twice[0])}: rename one")
    if table.num_rows == 0:
        raise DataError(f"{source} has no rows")
    return table


def _is(question: Callable[[], bool]) -> bool:
    try:
        return question()
    except OSError:  # too long for a name, or in a folder that may not be entered
        return False


def _bytes_of(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise DataError(f"{path} is not there: give a file, a folder or hf:NAME") from None
    except OSError as error:
        raise DataError(f"{_shown(str(path))} cannot be read: {error.strerror}") from None
    except ValueError as error:  # a NUL in the name
        raise DataError(f"{_shown(str(path))} cannot be read: {error}") from None


def _decoded(source: str, data: bytes) -> str:
    try:
        return data.removeprefix(b"\xef\xbb\xbf").decode()
    except UnicodeDecodeError as error:
        raise DataError(
            f"{source} is not UTF-8 ({error}): convert it, for example with iconv -t UTF-8"
        ) from None


def _read_csv(source: str, data: bytes, _wanted: Collection[str]) -> pa.Table:
    return _read_separated(source, _decoded(source, data), delimiter=",", quoting=csv.QUOTE_MINIMAL)


def _read_tsv(source: str, data: bytes, _wanted: Collection[str]) -> pa.Table:
    return _read_separated(source, _decoded(source, data), delimiter="\t", quoting=csv.QUOTE_NONE)


def _read_separated(source: str, text: str, **style: Any) -> pa.Table:
    rows = _separated(source, text, style)
    header = next((row for row in rows if row), None)
    if header is None:
        raise DataError(f"{source} is empty")
    # A blank line is a row without a text where a row is one text, and no row elsewhere.
    values = [row or [""] for row in rows[rows.index(header) + 1 :] if row or len(header) == 1]
    for number, row in enumerate(values, start=1):
        if len(row) != len(header):
            raise DataError(
                f"row {number} of {source} cannot be read: it has {len(row)} values and the "
                f"header {len(header)}, and begins with {_shown(row[0])}; put quotes around a "
                "value that has a separator or a line end in it"
            )
    columns = zip(*values, strict=True) if values else [()] * len(header)
    return pa.Table.from_arrays([pa.array(one, pa.string()) for one in columns], names=header)


def _separated(source: str, text: str, style: Mapping[str, Any]) -> list[list[str]]:
    # Python's reader and not pyarrow's, which takes a quote that is never closed for one long
    # value, and so loses the rows after it without a word.
    reader = csv.reader(StringIO(text, newline=""), strict=True, **style)
    rows, begins = [], 1
    usual = csv.field_size_limit(len(text) + 1)
    try:
        for row in reader:
            rows.append(row)
            begins = reader.line_num + 1
    except csv.Error as error:
        reason = "a quote is never closed" if "end of data" in str(error) else str(error)
        raise DataError(
            f"{source} cannot be read: {reason}, in the row that begins on line {begins}; write "
            'a quote inside a value twice, as in "say ""no"""'
        ) from None
    finally:
        csv.field_size_limit(usual)
    return rows


def _read_jsonl(source: str, data: bytes, wanted: Collection[str]) -> pa.Table:
    rows = []
    for number, line in enumerate(_decoded(source, data).split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line, object_pairs_hook=_object)
        except (ValueError, RecursionError) as error:
            raise DataError(
                f"line {number} of {source} is not JSON ({error}): write one object a line"
            ) from None
        if not isinstance(row, dict):
            raise DataError(f"line {number} of {source} is {_shown(line)}: write one object a line")
        rows.append(row)
    # A column that nobody asked for may hold anything: it is there by name, for errors.
    names = dict.fromkeys(name for row in rows for name in row if _encodable(name))
    others = pa.nulls(len(rows))
    return pa.table(
        {name: _json_column(source, name, rows) if name in wanted else others for name in names}
    )


def _object(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        twice = next(name for name, n in Counter(name for name, _ in pairs).items() if n > 1)
        raise ValueError(f"it has {twice!r} twice")
    return found


def _json_column(source: str, name: str, rows: Sequence[dict[str, Any]]) -> pa.Array:
    values = [row.get(name) for row in rows]
    for number, value in enumerate(values, start=1):
        if isinstance(value, str) and not _encodable(value):
            raise DataError(
                f"row {number} of {source} has half a surrogate pair in {name!r}: {_shown(value)}"
            )
    types = sorted({type(value).__name__ for value in values} - {"NoneType"})
    if len(types) > 1:
        raise DataError(
            f"{name!r} of {source} is now {types[0]}, now {types[1]}: write one type in every row"
        )
    try:
        return pa.array(values)
    except (pa.ArrowException, OverflowError) as error:
        raise DataError(f"{name!r} of {source} cannot be read: {_reason(error)}") from None


def _read_parquet(_source: str, data: bytes, _wanted: Collection[str]) -> pa.Table:
    return parquet.read_table(pa.BufferReader(data))


def _read_arrow(_source: str, data: bytes, _wanted: Collection[str]) -> pa.Table:
    buffer = pa.BufferReader(data)
    if data.startswith(b"FEA1"):
        return feather.read_table(buffer)
    if data.startswith(b"ARROW1"):
        return ipc.open_file(buffer).read_all()
    return ipc.open_stream(buffer).read_all()


READERS: dict[str, Callable[[str, bytes, Collection[str]], pa.Table]] = {
    ".csv": _read_csv,
    ".tsv": _read_tsv,
    ".jsonl": _read_jsonl,
    ".json": _read_jsonl,
    ".parquet": _read_parquet,
    ".arrow": _read_arrow,
    ".feather": _read_arrow,
}


def _read_folder(source: str, folder: Path, split: str | None) -> pa.Table:
    import datasets

    try:
        found = datasets.load_from_disk(str(folder))
    except Exception as error:  # datasets raises many kinds for one reason
        raise DataError(
            f"{folder} is no folder that datasets saved with save_to_disk: {_reason(error)}"
        ) from None
    if isinstance(found, datasets.DatasetDict):
        return _table(source, _chosen(source, found, split))
    if split is not None:
        raise DataError(f"{folder} holds one data set without splits: leave out ':{split}'")
    return _table(source, found)


def _chosen(source: str, splits: Any, split: str | None) -> Any:
    name = split or "train"
    if name not in splits:
        raise DataError(
            f"{source} has no split {name!r}: add one of {', '.join(splits)} after a colon"
        )
    return splits[name]


def _read_hub(source: str) -> pa.Table:
    import datasets

    name, _, split = source.removeprefix(HUB).partition(":")
    parts = name.split("/")
    if not 1 <= len(parts) <= 3 or not all(parts):
        raise DataError(f"{source!r} is no hub data set: write hf:NAME[/CONFIG][:SPLIT]")
    readings: list[tuple[str, str | None]]
    if len(parts) == 3:
        readings = [("/".join(parts[:2]), parts[2])]
    else:
        readings = [(name, None), *([(parts[0], parts[1])] if len(parts) == 2 else [])]
    problems = []
    for path, config in readings:
        _check_only_on_hub(source, path)
        try:
            found = datasets.load_dataset(path, config, split=split or "train")
        except Exception as error:  # datasets raises many kinds: no network, no such name, …
            problems.append(f"{path}{f' with {config}' if config else ''}: {_reason(error)}")
        else:
            return _table(source, found)
    raise DataError(
        f"{source} cannot be loaded from the hub ({'; '.join(problems)}): check the name, the "
        "split and the network, or give a file"
    )


def _check_only_on_hub(source: str, path: str) -> None:
    # `datasets` would rather read a folder of that name than the hub, and takes names such as
    # `csv` to mean: whatever files are here.
    if _is(Path(path).exists):
        raise DataError(
            f"{source} names a data set on the hub, and {path} is also here: leave out {HUB!r} "
            "to read it, or run from another folder"
        )
    if path.isidentifier() and find_spec(f"datasets.packaged_modules.{path}"):
        raise DataError(
            f"{source} names a file format and not a data set on the hub: give the file itself"
        )


def _reason(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def _table(source: str, data: Any) -> pa.Table:
    try:
        table = data.with_format("arrow")[:] if len(data) else data.data.table
    except Exception as error:  # datasets raises many kinds for files that are cut or rewritten
        raise DataError(f"{source} cannot be read: {_reason(error)}") from None
    return table.replace_schema_metadata(data.features.arrow_schema.metadata)
