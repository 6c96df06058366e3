"""Checks an adapter's weights, splits and reference predictions, without torch or databases.

They are read by digest, from a bank or from an exported folder, and checked against the adapter's
row.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from math import prod
from typing import TYPE_CHECKING, Any

from safetensors import SafetensorError, deserialize

from taskbank.data.examples import Examples
from taskbank.data.fields import first_invalid_row, preview
from taskbank.data.row_digests import RowDigests, digests_of
from taskbank.errors import GoneError, ResourceError, TaskbankError
from taskbank.kinds.definition import Definition
from taskbank.runtime.lru import LruCache
from taskbank.specs import member_prefixes

if TYPE_CHECKING:
    from taskbank.kinds.kind import Kind

Row = Mapping[str, Any]
ReadBlob = Callable[[str], bytes]
SplitCache = LruCache[Examples]  # by digest, as many adapters share one split
CACHED_EXAMPLES = 1 << 14


def split_cache() -> SplitCache:
    """Return an empty cache of recently read splits."""
    return LruCache(CACHED_EXAMPLES, len)


def bytes_damage(
    read: ReadBlob, row: Row, predictions: Sequence[Row], kind: Kind, cache: SplitCache
) -> Iterator[tuple[str, str]]:
    """Yield the damage to an adapter's stored bytes, as pairs of a check's name and a message.

    The check is `weights`, `split`, `predictions`, `rows` for those of the training, or `gone` if
    the weights are present but the evidence to check them is missing.

    Args:
        read: returns the checked bytes of a digest.
        row: the adapter's `digest`, `parameters`, `training`, `labels`, `settings`, `row_digests`
            and `kept_rows`.
        predictions: one row per split, with `split`, `split_digest`, `digest` and `rows`.
        kind: the task's kind.
        cache: recently read splits; splits read here are added to it.
    """
    definition = Definition(tuple(row["labels"]), row["settings"])
    for message in _weights_damage(read, row, kind, definition):
        yield "weights", message
    for prediction in predictions:
        try:
            examples, damages = _split_damage(read, prediction, kind, definition, cache)
            for message in damages:
                yield "split", message
            if examples is not None and not damages:
                shape = kind.shape(examples.columns, definition)
                for message in _predictions_damage(read, prediction, shape):
                    yield "predictions", message
        except GoneError as error:
            yield "gone", f"the evidence of split {prediction['split']!r} is missing: {error}"
    for message in _rows_damage(read, row, kind):
        yield "rows", message


def _tensors(read: ReadBlob, digest: str) -> dict[str, tuple[str, tuple[int, ...]]]:
    tensors = deserialize(read(digest))  # type: ignore[no-untyped-call]
    return {name: (entry["dtype"], tuple(entry["shape"])) for name, entry in tensors}


def _weights_damage(read: ReadBlob, row: Row, kind: Kind, definition: Definition) -> Iterator[str]:
    try:
        tensors = _tensors(read, row["digest"])
    except ResourceError:
        raise
    except (TaskbankError, SafetensorError) as error:
        yield f"the weights cannot be read: {error}"
        return
    values = 0
    for name, (dtype, shape) in tensors.items():
        values += prod(shape)
        if dtype != "F32":
            yield f"tensor {name!r} is of type {dtype}, not F32"
    if values != row["parameters"]:
        yield f"the weights have {values:,} values, the recorded number is {row['parameters']:,}"
    outputs = kind.outputs(definition)
    for prefix in member_prefixes(row["training"].get("ensemble", 1)):
        head = tensors.get(f"{prefix}head.weight", ("", ()))[1]
        if head[:1] != (outputs,):
            yield f"{prefix}head.weight has shape {head}, but the task has {outputs} outputs"


def _split_damage(
    read: ReadBlob, prediction: Row, kind: Kind, definition: Definition, cache: SplitCache
) -> tuple[Examples | None, list[str]]:
    name, digest = prediction["split"], prediction["split_digest"]
    messages: list[str] = []
    try:
        examples = cache.get(digest, lambda: Examples.from_bytes(read(digest), name))
    except (GoneError, ResourceError):
        raise
    except TaskbankError as error:
        return None, [f"split {name!r} cannot be read: {error}"]
    if len(examples) != prediction["rows"]:
        messages.append(
            f"split {name!r} has {len(examples):,} examples, the recorded number is "
            f"{prediction['rows']:,}"
        )
    columns = examples.columns
    layouts = [[*fields, kind.label] for fields in kind.inputs]
    fields = next((one for one in layouts if {f.name for f in one} == columns.keys()), None)
    if fields is None:
        expected = sorted(field.name for field in layouts[0])
        return examples, [
            *messages,
            f"split {name!r} has the columns {sorted(columns)}, not {expected}",
        ]
    for field in fields:
        row = first_invalid_row(field, columns[field.name])
        if row is not None:
            value = preview(columns[field.name][row - 1])
            messages.append(
                f"row {row} of split {name!r} has the invalid value {value} in column "
                f"{field.name!r}"
            )
    if not messages:
        try:
            kind.check(columns, definition, f"split {name!r}")
        except TaskbankError as error:
            messages.append(str(error))
    return examples, messages


def _rows_damage(read: ReadBlob, row: Row, kind: Kind) -> Iterator[str]:
    """Yield the damage to the digests of the training rows, and to the rows if they are kept."""
    try:
        recorded = row["row_digests"] and RowDigests.from_bytes(read(row["row_digests"]))
        kept = row["kept_rows"] and Examples.from_bytes(read(row["kept_rows"]), "the kept rows")
    except ResourceError:
        raise
    except TaskbankError as error:
        yield f"the training rows cannot be read: {error}"
        return
    if kept and RowDigests.of(digests_of(kept, kind.label.name)) != recorded:
        yield "the kept training rows are not those of the recorded digests"


def _predictions_damage(read: ReadBlob, prediction: Row, shape: tuple[int, int]) -> Iterator[str]:
    name = prediction["split"]
    try:
        tensors = _tensors(read, prediction["digest"])
    except (GoneError, ResourceError):
        raise
    except (TaskbankError, SafetensorError) as error:
        yield f"the reference predictions of split {name!r} cannot be read: {error}"
        return
    expected = {"logits": ("F32", shape)}
    if tensors != expected:
        yield f"the reference predictions of split {name!r} are {tensors}, not {expected}"
