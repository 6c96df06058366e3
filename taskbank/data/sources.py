"""Reads labelled text from files, saved data sets and the hub, and checks every row.

    FILE.csv             header, quotes as usual; every value is text as written
    FILE.tsv             header, no quotes: a tab ends a value, a line end a row
    FILE.jsonl, .json    one JSON object a line
    FILE.parquet
    FILE.arrow, .feather an Arrow file or stream
    FOLDER[:SPLIT]       as `datasets` saved it
    hf:NAME[/CONFIG][:SPLIT]  from the hub; NAME may be OWNER/NAME; the split is `train`
                         unless it is said. Of two parts, NAME/CONFIG is tried where the
                         hub has no OWNER/NAME.

Knows nothing of torch. What is wrong is said with the file, the row (from 1, without the
header) and the value, before anything expensive starts.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from pyarrow import csv, feather, ipc, parquet

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
    table = _read(source)
    columns = _texts(source, table, text, text_pair, kind_columns)
    name = _column_name(source, table, LABEL, label)
    labels = _checked(source, name, "label", _labels(source, name, table[name]))
    return Examples(columns | {LABEL: labels}, source)


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
    if source.endswith(".txt"):
        lines = _bytes_of(Path(source)).removesuffix(b"\n").split(b"\n")
        table = pa.table({kind_columns[0]: [_decoded(source, line) for line in lines]})
    else:
        table = _read(source)
    columns = _texts(source, table, text, text_pair, kind_columns)
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
    labels = np.array(examples.columns[LABEL])
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


def _texts(
    source: str, table: pa.Table, text: str | None, text_pair: str | None, names: Sequence[str]
) -> dict[str, tuple[str, ...]]:
    if text_pair is not None and len(names) < 2:
        raise DataError(
            f"--text-pair {text_pair!r} names second texts, which this kind does not have: "
            "use --kind pair"
        )
    columns = {}
    for name, given in zip(names, (text, text_pair), strict=False):
        found = _column_name(source, table, name, given)
        columns[name] = _checked(source, found, "text", _strings(source, found, table[found]))
    return columns


def _column_name(source: str, table: pa.Table, name: str, given: str | None) -> str:
    wanted = given if given is not None else name
    there = table.column_names.count(wanted)
    if there == 1:
        return wanted
    problem = "more than one column" if there else "no column"
    raise DataError(
        f"{source} has {problem} {wanted!r}; its columns are {', '.join(table.column_names)}. "
        f"Name the right one with {OPTIONS[name]} COL"
    )


def _strings(source: str, name: str, column: pa.ChunkedArray) -> list[str | None]:
    kind = column.type
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if not (_is_text(kind) or pa.types.is_null(kind)):
        raise DataError(f"column {name!r} of {source} holds {kind}, not text: name another column")
    return list(column.to_pylist())


def _labels(source: str, name: str, column: pa.ChunkedArray) -> list[str | None]:
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
    if pa.types.is_boolean(kind):
        return [None if value is None else str(value).lower() for value in values]
    return [None if value is None else str(value) for value in values]


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
                f"row {row} of {source} has a NUL character in column {name!r}: {value[:40]!r}"
            )
    return tuple(found)


def _encodable(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _some(rows: Sequence[int]) -> str:
    shown = ", ".join(f"{row:,}" for row in rows[:5])
    return shown + (", …" if len(rows) > 5 else "")


# Sources


def _read(source: str) -> pa.Table:
    if source.startswith(HUB):
        return _read_hub(source)
    path = Path(source)
    if path.is_dir():
        return _read_folder(source, path, None)
    folder, colon, split = source.rpartition(":")
    if colon and not path.exists() and Path(folder).is_dir():
        return _read_folder(source, Path(folder), split)
    if path.suffix.lower() not in READERS:
        if not path.exists():
            raise DataError(f"{source} is not there: give a file, a folder or hf:NAME")
        raise DataError(
            f"{source} has the ending {path.suffix!r}: taskbank reads {', '.join(READERS)}, "
            "a folder that datasets saved, and hf:NAME"
        )
    data = _bytes_of(path)
    if not data.strip():
        raise DataError(f"{source} is empty")
    try:
        table = READERS[path.suffix.lower()](source, data)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        reason = str(error).strip().splitlines()[0]
        raise DataError(f"{source} cannot be read as {path.suffix}: {reason}") from None
    twice = [name for name, count in Counter(table.column_names).items() if count > 1]
    if twice:
        raise DataError(f"{source} has more than one column {twice[0]!r}: rename one")
    if table.num_rows == 0:
        raise DataError(f"{source} has no rows")
    return table


def _bytes_of(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from None


def _decoded(source: str, data: bytes) -> str:
    try:
        return data.removeprefix(b"\xef\xbb\xbf").decode().removesuffix("\r")
    except UnicodeDecodeError as error:
        raise DataError(
            f"{source} is not UTF-8 ({error}): convert it, for example with iconv -t UTF-8"
        ) from None


def _read_csv(source: str, data: bytes) -> pa.Table:
    return _read_separated(source, data, csv.ParseOptions(newlines_in_values=True))


def _read_tsv(source: str, data: bytes) -> pa.Table:
    return _read_separated(source, data, csv.ParseOptions(delimiter="\t", quote_char=False))


def _read_separated(source: str, data: bytes, options: csv.ParseOptions) -> pa.Table:
    _decoded(source, data)
    # One block: pyarrow guesses types and finds row ends a block at a time.
    reading = csv.ReadOptions(block_size=max(len(data) + 1, 1024), use_threads=False)
    header = csv.read_csv(
        pa.BufferReader(data),
        read_options=reading,
        parse_options=options,
        convert_options=csv.ConvertOptions(strings_can_be_null=False),
    ).column_names
    return csv.read_csv(
        pa.BufferReader(data),
        read_options=reading,
        parse_options=options,
        convert_options=csv.ConvertOptions(
            column_types=dict.fromkeys(header, pa.string()), strings_can_be_null=False
        ),
    )


def _read_jsonl(source: str, data: bytes) -> pa.Table:
    rows = []
    for number, line in enumerate(_decoded(source, data).split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise DataError(
                f"line {number} of {source} is not JSON ({error}): write one object a line"
            ) from None
        if not isinstance(row, dict):
            raise DataError(f"line {number} of {source} is {line[:40]!r}: write one object a line")
        rows.append(row)
    names = dict.fromkeys(name for row in rows for name in row)
    return pa.table({name: _json_column(source, name, rows) for name in names})


def _json_column(source: str, name: str, rows: Sequence[dict[str, Any]]) -> pa.Array:
    values = [row.get(name) for row in rows]
    for number, value in enumerate(values, start=1):
        if isinstance(value, str) and not _encodable(value):
            raise DataError(
                f"row {number} of {source} has half a surrogate pair in {name!r}: {value[:40]!r}"
            )
    types = sorted({type(value).__name__ for value in values} - {"NoneType"})
    if len(types) > 1:
        raise DataError(
            f"{name!r} of {source} is now {types[0]}, now {types[1]}: write one type in every row"
        )
    try:
        return pa.array(values)
    except (pa.ArrowException, OverflowError) as error:
        raise DataError(f"{name!r} of {source} cannot be read: {_first_line(error)}") from None


def _read_parquet(_source: str, data: bytes) -> pa.Table:
    return parquet.read_table(pa.BufferReader(data))


def _read_arrow(_source: str, data: bytes) -> pa.Table:
    buffer = pa.BufferReader(data)
    if data.startswith(b"FEA1"):
        return feather.read_table(buffer)
    if data.startswith(b"ARROW1"):
        return ipc.open_file(buffer).read_all()
    return ipc.open_stream(buffer).read_all()


READERS: dict[str, Callable[[str, bytes], pa.Table]] = {
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
            f"{folder} is no folder that datasets saved with save_to_disk: {_first_line(error)}"
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
        try:
            found = datasets.load_dataset(path, config, split=split or "train")
        except Exception as error:  # datasets raises many kinds: no network, no such name, …
            problems.append(f"{path}{f' with {config}' if config else ''}: {_first_line(error)}")
        else:
            return _table(source, found)
    raise DataError(
        f"{source} cannot be loaded from the hub ({'; '.join(problems)}): check the name, the "
        "split and the network, or give a file"
    )


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def _table(source: str, data: Any) -> pa.Table:
    import datasets

    table = data.with_format("arrow")[:] if len(data) else data.data.table
    for name, feature in data.features.items():
        if isinstance(feature, datasets.ClassLabel):
            numbers = table[name].to_pylist()
            unlabelled = [row for row, value in enumerate(numbers, start=1) if value == -1]
            if unlabelled:
                raise DataError(
                    f"{source} is not labelled: {len(unlabelled):,} rows have -1 in column "
                    f"{name!r}, row {_some(unlabelled)}; choose another split"
                )
            names = [None if number is None else feature.int2str(number) for number in numbers]
            table = table.set_column(table.column_names.index(name), name, pa.array(names))
    return table
