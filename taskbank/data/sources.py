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

Knows nothing of torch. What is wrong is said with the file and the place in it, before
anything expensive starts.
"""

from __future__ import annotations

import csv
import json
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
from importlib.util import find_spec
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from pyarrow import feather, ipc, parquet

from taskbank.data.columns import Field, read_column, shown
from taskbank.data.examples import Examples
from taskbank.errors import DataError
from taskbank.specs import Json

HUB = "hf:"

Inputs = Sequence[Field]  # the columns that make one input


def read_examples(
    source: str,
    inputs: Sequence[Inputs],
    label: Field,
    *,
    text: str | None = None,
    text_pair: str | None = None,
    label_column: str | None = None,
) -> Examples:
    """Return the labelled examples of a source, every row checked.

    Args:
        source: a file, a folder or a hub name, as the module describes.
        inputs: what an input may be made of, such as one text, or two.
        label: what is to be predicted.
        text: the first column of the input, where it has another name than its field.
        text_pair: the second, likewise.
        label_column: the column of the label, likewise.

    Raises:
        DataError: if the source cannot be read or a row is not usable.
    """
    given = (text, text_pair)
    table = _read(source, {*_names(inputs, given).values(), label_column or label.name})
    chosen = _choose(inputs, given, table.column_names)
    columns = {
        field.name: read_column(source, table, field, name)
        for field, name in zip(chosen, _columns(chosen, given), strict=True)
    }
    columns[label.name] = read_column(source, table, label, label_column or label.name)
    # A file's name may hold bytes that are no UTF-8; what is recorded of it may not.
    return Examples(columns, source.encode(errors="backslashreplace").decode())


def read_inputs(
    source: str,
    inputs: Inputs,
    *,
    text: str | None = None,
    text_pair: str | None = None,
) -> list[tuple[Json, ...]]:
    """Return the unlabelled inputs of a source, a tuple a row.

    Args:
        source: as for `read_examples`, or a `.txt` file with a text a line.
        inputs: the columns that make an input.
        text: the first, where it has another name than its field.
        text_pair: the second, likewise.

    Raises:
        DataError: if the source cannot be read or a row is not usable.
    """
    names = _columns(_choose([inputs], (text, text_pair), ()), (text, text_pair))
    if Path(source).suffix.lower() == ".txt":
        return [(line,) for line in _lines(source, inputs, text)]
    table = _read(source, names)
    columns = [
        read_column(source, table, field, name) for field, name in zip(inputs, names, strict=True)
    ]
    return list(zip(*columns, strict=True))


def sample(examples: Examples, strata: Sequence[Hashable], rows: int, seed: int) -> Examples:
    """Return so many examples, every stratum with its share of them; all where there are no more.

    Args:
        examples: the labelled examples.
        strata: what each belongs to, one value an example.
        rows: how many are wanted.
        seed: of the choice.

    Raises:
        DataError: if there are too few examples to leave any out.
    """
    if rows >= len(examples):
        return examples
    kept, _ = hold_out(examples, strata, 1 - rows / len(examples), seed)
    return kept


def hold_out(
    examples: Examples, strata: Sequence[Hashable], share: float, seed: int
) -> tuple[Examples, Examples]:
    """Split examples into a larger part for training and a smaller one for validation.

    Every stratum (class) keeps its share of both, as nearly as whole numbers allow; one with a
    single example stays in training.

    Args:
        examples: the labelled examples.
        strata: what each belongs to, one value an example.
        share: of each stratum that is held out, from 0 to 1.
        seed: of the choice; the order within both parts is that of the examples.

    Raises:
        DataError: if there are too few examples to hold any out.
    """
    # Positions in the sorted strata: an array of texts would be as wide as the longest one.
    place = {name: i for i, name in enumerate(sorted(set(strata), key=str))}
    labels = np.array([place[name] for name in strata])
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


def _names(inputs: Sequence[Inputs], given: Sequence[str | None]) -> dict[str, str]:
    """Return what every field that may be wanted is called in the source."""
    return {
        field.name: column
        for fields in inputs
        for field, column in zip(fields, _columns(fields, given), strict=True)
    }


def _columns(fields: Inputs, given: Sequence[str | None]) -> list[str]:
    return [
        field.name if column is None else column
        for field, column in zip(fields, given, strict=False)
    ]


def _choose(inputs: Sequence[Inputs], given: Sequence[str | None], there: Sequence[str]) -> Inputs:
    """Return what the input is made of: as many fields as the options or the columns say."""
    text, text_pair = given
    widest = max(inputs, key=len)
    if text_pair is not None:
        if len(widest) < 2:
            raise DataError(
                f"--text-pair {text_pair!r} names second texts, which this kind does not have: "
                "use --kind pair"
            )
        return widest
    for fields in inputs:
        if text is None and all(field.name in there for field in fields):
            return fields
    return inputs[0]


def _lines(source: str, inputs: Inputs, wanted: str | None) -> Sequence[Json]:
    if len(inputs) > 1:
        raise DataError(
            f"{source} has one text a line, and this kind takes {len(inputs)}: give a .tsv, .csv "
            f"or .jsonl file with the columns {', '.join(field.name for field in inputs)}"
        )
    if wanted is not None:
        raise DataError(f"{source} has lines and no columns: leave out --text {wanted!r}")
    text = _decoded(source, _bytes_of(Path(source)))
    if not text.strip():
        raise DataError(f"{source} is empty")
    lines = [line.removesuffix("\r") for line in text.removesuffix("\n").split("\n")]
    field = Field("text", "text", "--text")
    return read_column(source, pa.table({"text": pa.array(lines, pa.string())}), field, "text")


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
    except (pa.ArrowException, OSError, UnicodeDecodeError, RecursionError) as error:
        raise DataError(f"{source} cannot be read as {path.suffix}: {_reason(error)}") from None
    twice = [name for name, count in names.items() if count > 1]
    if twice:
        raise DataError(f"{source} has more than one column {shown(twice[0])}: rename one")
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
        raise DataError(f"{shown(str(path))} cannot be read: {error.strerror}") from None
    except ValueError as error:  # a NUL in the name
        raise DataError(f"{shown(str(path))} cannot be read: {error}") from None


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
                f"header {len(header)}, and begins with {shown(row[0])}; put quotes around a "
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
            raise DataError(f"line {number} of {source} is {shown(line)}: write one object a line")
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
    first: tuple[int, Any] | None = None
    for number, value in enumerate(values, start=1):
        if value is None:
            continue
        if not _encodable(value):
            raise DataError(
                f"row {number} of {source} has half a surrogate pair in {name!r}: {shown(value)}"
            )
        first = first or (number, value)
        if _json_type(value) != _json_type(first[1]):
            raise DataError(
                f"{name!r} of {source} is {shown(first[1])} in row {first[0]} and {shown(value)} "
                f"in row {number}: write one type in every row"
            )
    try:
        return pa.array(values)
    except (pa.ArrowException, OverflowError) as error:
        row = _first_unusable(values)
        raise DataError(
            f"row {row} of {source} has {shown(values[row - 1])} in {name!r}, which cannot be read "
            f"together with the rows before it: {_reason(error)}"
        ) from None


def _encodable(value: Any) -> bool:
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True


def _json_type(value: Any) -> str:
    return "number" if type(value) in (int, float) else type(value).__name__


def _first_unusable(values: Sequence[Any]) -> int:
    """Return the row (from 1) up to which values do not make one Arrow column."""

    def unusable(count: int) -> bool:
        try:
            pa.array(values[:count])
        except (pa.ArrowException, OverflowError):
            return True
        return False

    return bisect_left(range(1, len(values) + 1), True, key=unusable) + 1


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
