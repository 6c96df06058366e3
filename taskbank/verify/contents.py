"""Does what is stored of one adapter fit together? Knows nothing of torch or of databases.

The weights, the splits and the reference predictions are read by digest from wherever they
are, a bank or an exported folder, and checked against what the adapter's row says of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from math import prod
from typing import TYPE_CHECKING, Any

from safetensors import SafetensorError, deserialize

from taskbank.data.examples import Examples
from taskbank.data.fields import first_invalid_row, preview
from taskbank.errors import GoneError, TaskbankError
from taskbank.kinds.definition import Definition
from taskbank.runtime.lru import LruCache

if TYPE_CHECKING:
    from taskbank.kinds.kind import Kind

Row = Mapping[str, Any]
ReadBlob = Callable[[str], bytes]
SeenSplits = LruCache[Examples]  # by digest; many adapters share one
RECENT = 1 << 14  # examples that are kept


def no_splits() -> SeenSplits:
    """Return where the splits that were read last are kept, with none yet."""
    return LruCache(RECENT, len)


def bytes_damage(
    read: ReadBlob, row: Row, predictions: Sequence[Row], kind: Kind, seen: SeenSplits
) -> Iterator[tuple[str, str]]:
    """Give whatever of an adapter's stored bytes does not fit, as a check's name and a message.

    The check is `weights`, `split`, `predictions` or, where only what the weights are checked
    by is not there any more, `gone`.

    Args:
        read: gives the checked bytes of a digest.
        row: the adapter's `digest`, `parameters`, `labels` and `settings`.
        predictions: a row a split: `split`, `split_digest`, `digest` and `rows`.
        kind: of the task.
        seen: the splits that were read last; it is added to.
    """
    definition = Definition(tuple(row["labels"]), row["settings"])
    for message in _weights_damage(read, row, kind, definition):
        yield "weights", message
    for prediction in predictions:
        try:
            examples, damages = _split_damage(read, prediction, kind, definition, seen)
            for message in damages:
                yield "split", message
            if examples is not None and not damages:
                shape = kind.shape(examples.columns, definition)
                for message in _predictions_damage(read, prediction, shape):
                    yield "predictions", message
        except GoneError as error:
            yield "gone", f"what split {prediction['split']!r} is checked by is gone: {error}"


def _tensors(read: ReadBlob, digest: str) -> dict[str, tuple[str, tuple[int, ...]]]:
    tensors = deserialize(read(digest))  # type: ignore[no-untyped-call]
    return {name: (entry["dtype"], tuple(entry["shape"])) for name, entry in tensors}


def _weights_damage(read: ReadBlob, row: Row, kind: Kind, definition: Definition) -> Iterator[str]:
    try:
        tensors = _tensors(read, row["digest"])
    except (TaskbankError, SafetensorError) as error:
        yield f"the weights cannot be read: {error}"
        return
    numbers = 0
    for name, (dtype, shape) in tensors.items():
        numbers += prod(shape)
        if dtype != "F32":
            yield f"tensor {name!r} is of type {dtype}, not F32"
    if numbers != row["parameters"]:
        yield f"the weights hold {numbers:,} numbers, recorded were {row['parameters']:,}"
    outputs = kind.outputs(definition)
    head = tensors.get("head.weight", ("", ()))[1]
    if head[:1] != (outputs,):
        yield f"the head has shape {head}, the task has {outputs} outputs"


def _split_damage(
    read: ReadBlob, prediction: Row, kind: Kind, definition: Definition, seen: SeenSplits
) -> tuple[Examples | None, list[str]]:
    name, digest = prediction["split"], prediction["split_digest"]
    found: list[str] = []
    try:
        examples = seen.get(digest, lambda: Examples.from_bytes(read(digest), name))
    except GoneError:
        raise
    except TaskbankError as error:
        return None, [f"split {name!r} cannot be read: {error}"]
    if len(examples) != prediction["rows"]:
        found.append(
            f"split {name!r} has {len(examples):,} examples, recorded were {prediction['rows']:,}"
        )
    columns = examples.columns
    wanted = [[*fields, kind.label] for fields in kind.inputs]
    fields = next((one for one in wanted if {f.name for f in one} == columns.keys()), None)
    if fields is None:
        usual = sorted(field.name for field in wanted[0])
        return examples, [*found, f"split {name!r} has the columns {sorted(columns)}, not {usual}"]
    for field in fields:
        row = first_invalid_row(field, columns[field.name])
        if row is not None:
            value = preview(columns[field.name][row - 1])
            found.append(f"row {row} of split {name!r} has {value} in column {field.name!r}")
    if not found:
        try:
            kind.check(columns, definition, f"split {name!r}")
        except TaskbankError as error:
            found.append(str(error))
    return examples, found


def _predictions_damage(read: ReadBlob, prediction: Row, shape: tuple[int, int]) -> Iterator[str]:
    name = prediction["split"]
    try:
        tensors = _tensors(read, prediction["digest"])
    except GoneError:
        raise
    except (TaskbankError, SafetensorError) as error:
        yield f"the reference predictions of split {name!r} cannot be read: {error}"
        return
    wanted = {"logits": ("F32", shape)}
    if tensors != wanted:
        yield f"the reference predictions of split {name!r} are {tensors}, not {wanted}"
