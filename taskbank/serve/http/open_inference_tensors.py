"""The tensors of the Open Inference Protocol, as JSON and as binary data after the JSON.

Binary data are little-endian and without gaps; a text is its length in 4 bytes, then its UTF-8.
Every length and every shape comes from a client: nothing is read or allocated on its word.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np

from taskbank.data.fields import preview
from taskbank.digests import Json
from taskbank.serve.http.bodies import as_json
from taskbank.serve.http.json_text import json_bytes
from taskbank.serve.http.problems import Problem, limit

HEADER = "inference-header-content-length"
LENGTH = re.compile(r"[0-9]{1,10}")
SIZE = 4  # bytes that tell the length of a text
NUMBERS: dict[str, np.dtype[Any]] = {
    "FP32": np.dtype("<f4"),
    "FP64": np.dtype("<f8"),
    "INT64": np.dtype("<i8"),
}


@dataclass(frozen=True)
class Tensor:
    """An output.

    Attributes:
        name: the output's name.
        datatype: `BYTES` for texts, or one of `NUMBERS`.
        values: a list of texts, or an array of numbers.
    """

    name: str
    datatype: str
    values: Sequence[str] | np.ndarray


def split_body(body: bytearray, header: str | None) -> tuple[Any, memoryview]:
    """Return the JSON of a request, and the binary data after it.

    Args:
        body: the request's body.
        header: the request's header that gives the length of its JSON; None means all of the body.

    Raises:
        Problem: if the header is no such length, or the JSON is not JSON.
    """
    if header is None:
        return as_json(body), memoryview(b"")
    if not LENGTH.fullmatch(header) or int(header) > len(body):
        raise Problem(
            400,
            "header",
            f"{HEADER} is {header[:20]!r}: it must be the length of the JSON, at most "
            f"{len(body):,} bytes, which is all of the body",
        )
    length = int(header)
    return as_json(body[:length]), memoryview(body)[length:]


def read_texts(
    inputs: Any, binary: memoryview, names: Sequence[str], max_rows: int
) -> dict[str, list[str]]:
    """Return the texts of a request's inputs, by the inputs' names.

    Args:
        inputs: the JSON of the inputs, whose shapes must be [n] or [n, 1].
        binary: the binary data of the inputs that have them, in the order of the inputs.
        names: the names of the inputs that there must be.
        max_rows: maximum number of texts of an input.

    Raises:
        Problem: naming an input that is missing, unknown or no tensor of texts, or if binary data
            are left over.
    """
    if not isinstance(inputs, list) or not inputs:
        raise Problem(422, "body", "inputs must be a list of tensors")
    texts: dict[str, list[str]] = {}
    at = 0
    for number, tensor in enumerate(inputs, 1):
        if not isinstance(tensor, dict) or not isinstance(tensor.get("name"), str):
            raise Problem(422, "body", f"input {number} is not an object with a name")
        what = f"input {preview(tensor['name'])}"
        if tensor["name"] in texts or tensor["name"] not in names:
            _refuse(what, f"is given twice, or is none of the task's: it has {', '.join(names)}")
        if tensor.get("datatype") != "BYTES":
            _refuse(what, f"has the datatype {preview(tensor.get('datatype'))}: it must be BYTES")
        rows = _rows(tensor.get("shape"), max_rows, what)
        parameters = tensor.get("parameters", {})
        if not isinstance(parameters, dict):
            _refuse(what, f"has the parameters {preview(parameters)}: they must be an object")
        size = parameters.get("binary_data_size")
        if size is None:
            texts[tensor["name"]] = _json_texts(tensor.get("data"), rows, what)
            continue
        if "data" in tensor:
            _refuse(what, "has both data and binary_data_size")
        left = len(binary) - at
        if type(size) is not int or not 0 <= size <= left:
            _refuse(what, f"has binary_data_size {preview(size)}, and {left:,} bytes are left")
        texts[tensor["name"]] = _binary_texts(binary[at : at + size], rows, what)
        at += size
    if at != len(binary):
        raise Problem(
            422,
            "body",
            f"{len(binary) - at:,} bytes follow the data of the inputs: the sizes of all of them "
            f"must add up to what is after the JSON, {len(binary):,} bytes",
        )
    for name in names:
        if name not in texts:
            raise Problem(422, "body", f"input {name!r} is missing")
    return texts


def write_response(
    head: dict[str, Json], tensors: Sequence[tuple[Tensor, bool]]
) -> tuple[bytes, int | None]:
    """Return the body of a response, and the length of its JSON if anything follows it.

    Args:
        head: the JSON of the response without its outputs.
        tensors: the outputs, each with whether it is sent as binary data.
    """
    outputs: list[dict[str, Json]] = []
    binary = bytearray()
    for tensor, is_binary in tensors:
        output: dict[str, Json] = {
            "name": tensor.name,
            "datatype": tensor.datatype,
            "shape": _shape(tensor.values),
        }
        if is_binary:
            data = _to_binary(tensor)
            output["parameters"] = {"binary_data_size": len(data)}
            binary += data
        elif isinstance(tensor.values, np.ndarray):
            output["data"] = tensor.values.astype(NUMBERS[tensor.datatype]).ravel().tolist()
        else:
            output["data"] = list(tensor.values)
        outputs.append(output)
    json = json_bytes(head | {"outputs": outputs})
    if any(is_binary for _, is_binary in tensors):
        return json + binary, len(json)
    return json, None


def _rows(shape: Any, max_rows: int, what: str) -> int:
    is_list = isinstance(shape, list) and all(type(size) is int for size in shape)
    if not is_list or len(shape) not in (1, 2) or shape[0] < 1 or shape[1:] not in ([], [1]):
        _refuse(what, f"has the shape {preview(shape)}: it must be [n] or [n, 1]")
    rows: int = shape[0]
    if rows > max_rows:
        raise limit(
            413,
            "row",
            f"{what} has {preview(rows)} texts: at most {max_rows:,} are allowed, --max-rows; send "
            "fewer at once",
        )
    return rows


def _json_texts(data: Any, rows: int, what: str) -> list[str]:
    if not isinstance(data, list):
        _refuse(what, "has neither data, a list of texts, nor binary_data_size")
    if len(data) != rows:
        _refuse(what, f"has {len(data):,} texts and the shape of {rows:,}")
    # JSON may be nested as the shape is, or flat.
    texts = [one[0] if isinstance(one, list) and len(one) == 1 else one for one in data]
    for number, text in enumerate(texts, 1):
        if not isinstance(text, str):
            _refuse(what, f"has {preview(text)} as text {number}")
    return texts


def _binary_texts(data: memoryview, rows: int, what: str) -> list[str]:
    texts: list[str] = []
    at = 0
    while at < len(data):
        number = len(texts) + 1
        if number > rows:
            _refuse(what, f"has more texts than its shape says, {rows:,}")
        if len(data) - at < SIZE:
            _refuse(what, f"ends within the length of text {number}")
        (length,) = struct.unpack_from("<I", data, at)
        at += SIZE
        if length > len(data) - at:
            left = len(data) - at
            _refuse(what, f"has text {number} of {length:,} bytes, and {left:,} are left")
        try:
            texts.append(str(data[at : at + length], "utf-8"))
        except UnicodeDecodeError:
            _refuse(what, f"has text {number} that is not UTF-8")
        at += length
    if len(texts) != rows:
        _refuse(what, f"has {len(texts):,} texts and the shape of {rows:,}")
    return texts


def _shape(values: Sequence[str] | np.ndarray) -> list[Json]:
    return list(values.shape) if isinstance(values, np.ndarray) else [len(values)]


def _to_binary(tensor: Tensor) -> bytes:
    if isinstance(tensor.values, np.ndarray):
        numbers: bytes = tensor.values.astype(NUMBERS[tensor.datatype]).tobytes()
        return numbers
    encoded = (text.encode() for text in tensor.values)
    return b"".join(struct.pack("<I", len(text)) + text for text in encoded)


def _refuse(what: str, problem: str) -> NoReturn:
    raise Problem(422, "body", f"{what} {problem}")
