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
from taskbank.errors import TaskbankError

if TYPE_CHECKING:
    from taskbank.kinds.kind import Kind

Row = Mapping[str, Any]
ReadBlob = Callable[[str], bytes]
SeenSplits = dict[str, tuple[int, set[str], set[str]]]  # digest -> rows, columns, labels


def bytes_damage(
    read: ReadBlob, row: Row, predictions: Sequence[Row], kind: Kind, seen: SeenSplits
) -> Iterator[tuple[str, str]]:
    """Give whatever of an adapter's stored bytes does not fit, as a check's name and a message.

    Args:
        read: gives the checked bytes of a digest.
        row: the adapter's `digest`, `parameters` and `labels`.
        predictions: a row a split: `split`, `split_digest`, `digest` and `rows`.
        kind: of the task.
        seen: the splits that were read before; many adapters share one.
    """
    for message in _weights_damage(read, row, kind):
        yield "weights", message
    for prediction in predictions:
        for message in _split_damage(read, row, prediction, kind, seen):
            yield "split", message
        for message in _predictions_damage(read, row, prediction, kind):
            yield "predictions", message


def _tensors(read: ReadBlob, digest: str) -> dict[str, tuple[str, tuple[int, ...]]]:
    tensors = deserialize(read(digest))  # type: ignore[no-untyped-call]
    return {name: (entry["dtype"], tuple(entry["shape"])) for name, entry in tensors}


def _weights_damage(read: ReadBlob, row: Row, kind: Kind) -> Iterator[str]:
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
    outputs = kind.outputs(len(row["labels"]))
    head = tensors.get("head.weight", ("", ()))[1]
    if head[:1] != (outputs,):
        yield f"the head has shape {head}, the task has {outputs} outputs"


def _split_damage(
    read: ReadBlob,
    row: Row,
    prediction: Row,
    kind: Kind,
    seen: SeenSplits,
) -> Iterator[str]:
    name, digest = prediction["split"], prediction["split_digest"]
    if digest not in seen:
        try:
            examples = Examples.from_bytes(read(digest), name)
        except TaskbankError as error:
            yield f"split {name!r} cannot be read: {error}"
            return
        columns = examples.columns
        seen[digest] = (len(examples), set(columns), set(columns.get("label", ())))
    rows, columns_found, labels = seen[digest]
    if rows != prediction["rows"]:
        yield f"split {name!r} has {rows:,} examples, recorded were {prediction['rows']:,}"
    wanted = {*kind.columns, "label"}
    if columns_found != wanted:
        yield f"split {name!r} has the columns {sorted(columns_found)}, not {sorted(wanted)}"
    unknown = sorted(labels - set(row["labels"]))
    if unknown:
        yield f"split {name!r} has the label {unknown[0]!r}, which the task does not know"


def _predictions_damage(read: ReadBlob, row: Row, prediction: Row, kind: Kind) -> Iterator[str]:
    name = prediction["split"]
    try:
        tensors = _tensors(read, prediction["digest"])
    except (TaskbankError, SafetensorError) as error:
        yield f"the reference predictions of split {name!r} cannot be read: {error}"
        return
    wanted = {"logits": ("F32", (prediction["rows"], kind.outputs(len(row["labels"]))))}
    if tensors != wanted:
        yield f"the reference predictions of split {name!r} are {tensors}, not {wanted}"
