"""Tensors from clients, honest and hostile, and back."""

from __future__ import annotations

import json
import struct
from typing import Any

import numpy as np
import pytest
from tritonclient.utils import deserialize_bytes_tensor, serialize_byte_tensor

from taskbank.serve.http.open_inference_tensors import (
    Tensor,
    read_texts,
    split_body,
    write_response,
)
from taskbank.serve.http.problems import Problem


def described(size: Any = None, **changes: Any) -> dict[str, Any]:
    """Return the JSON of an input, with binary data of some size or without."""
    parameters = {} if size is None else {"parameters": {"binary_data_size": size}}
    return {"name": "text", "datatype": "BYTES", "shape": [2]} | parameters | changes


def packed(*texts: str) -> bytes:
    """Return texts as Triton's client packs them."""
    encoded = np.array([text.encode() for text in texts], dtype=object)
    data: bytes = serialize_byte_tensor(encoded).item()
    return data


def test_binary_data_are_read_as_they_are_packed() -> None:
    """Several inputs follow each other, and empty texts and any characters are kept."""
    one, other = packed("good", ""), packed("schön ☀", "bad")
    inputs = [described(len(one)), described(len(other), name="more", shape=[2, 1])]
    found = read_texts(inputs, memoryview(one + other), ("text", "more"), 2)
    assert found == {"text": ["good", ""], "more": ["schön ☀", "bad"]}


def test_json_is_read_flat_or_nested() -> None:
    """As the protocol allows both."""
    for data in (["a", "b"], [["a"], ["b"]]):
        found = read_texts([described(shape=[2, 1], data=data)], memoryview(b""), ("text",), 2)
        assert found == {"text": ["a", "b"]}


GOOD = packed("good", "bad")


@pytest.mark.parametrize(
    ("inputs", "binary", "said"),
    [
        (None, b"", "inputs must be a list"),
        ([], b"", "inputs must be a list"),
        ([1], b"", "input 1 is not an object with a name"),
        ([{"name": 1}], b"", "input 1 is not an object with a name"),
        ([described(data=["a", "b"])] * 2, b"", "input 'text' is given twice"),
        ([described(datatype="FP32")], b"", "datatype 'FP32': it must be BYTES"),
        ([described(shape=None)], b"", "the shape None"),
        ([described(shape=[])], b"", r"the shape \[\]"),
        ([described(shape=[0])], b"", r"the shape \[0\]"),
        ([described(shape=[-1])], b"", r"the shape \[-1\]"),
        ([described(shape=[True])], b"", r"the shape \[True\]"),
        ([described(shape=[2, 2])], b"", r"the shape \[2, 2\]"),
        ([described(shape=[2, 1, 1])], b"", r"the shape \[2, 1, 1\]"),
        ([described(name="other", data=["a", "b"])], b"", "none of the task's: it has text"),
        ([described(parameters=[1])], b"", r"has the parameters \[1\]: they must be"),
        ([described()], b"", "has neither data"),
        ([described(data="ab")], b"", "has neither data"),
        ([described(data=["a", 1])], b"", "has 1 as text 2"),
        ([described(data=[["a", "b"], "c"])], b"", r"has \['a', 'b'\] as text 1"),
        ([described(data=["a"])], b"", "has 1 texts and the shape of 2"),
        ([described(-1)], GOOD, "has binary_data_size -1, and 15 bytes are left"),
        ([described(16)], GOOD, "has binary_data_size 16, and 15 bytes are left"),
        ([described(10**30)], GOOD, "has binary_data_size 10000"),
        ([described(15.0)], GOOD, "has binary_data_size 15.0"),
        ([described(True)], GOOD, "has binary_data_size True"),
        ([described(len(GOOD), data=["a", "b"])], GOOD, "has both data and"),
        ([described(0)], GOOD, "has 0 texts and the shape of 2"),
        ([described(len(GOOD))], GOOD + b"more", "4 bytes follow the data"),
        ([described(data=["a", "b"])], b"more", "4 bytes follow the data"),
        ([described(len(GOOD), shape=[1])], GOOD, "has more texts than its shape says, 1"),
        ([described(len(GOOD), shape=[3])], GOOD, "has 2 texts and the shape of 3"),
        ([described(10)], GOOD[:10], "ends within the length of text 2"),
        ([described(14)], GOOD[:14], "has text 2 of 3 bytes, and 2 are left"),
        ([described(4)], struct.pack("<I", 2**32 - 1), "text 1 of 4,294,967,295 bytes, and 0"),
        ([described(6)], b"\2\0\0\0\xff\xff", "has text 1 that is not UTF-8"),
    ],
)
def test_what_does_not_add_up_is_named(inputs: Any, binary: bytes, said: str) -> None:
    """Every length and shape is compared with what there is before anything is read."""
    with pytest.raises(Problem, match=said) as refused:
        read_texts(inputs, memoryview(binary), ("text",), 3)
    assert refused.value.status == 422


def test_missing_inputs_and_too_many_texts_are_refused() -> None:
    """Before the texts are read, for which the shape is enough."""
    with pytest.raises(Problem, match="input 'more' is missing"):
        read_texts([described(data=["a", "b"])], memoryview(b""), ("text", "more"), 2)
    for rows in (3, 10**30):
        with pytest.raises(Problem, match="texts: at most 2 are allowed, --max-rows") as refused:
            read_texts([described(shape=[rows])], memoryview(b""), ("text",), 2)
        assert (refused.value.status, refused.value.kind) == (413, "row-limit")


def test_the_header_divides_the_body() -> None:
    """Without it, all of the body is JSON."""
    head = json.dumps({"id": "one"}).encode()
    assert split_body(bytearray(head), None) == ({"id": "one"}, memoryview(b""))
    found, binary = split_body(bytearray(head + b"data"), str(len(head)))
    assert (found, bytes(binary)) == ({"id": "one"}, b"data")


@pytest.mark.parametrize(
    "header", ["", "-1", "+1", "1.0", "0x2", " 2", "2 ", "٣", "1e1", "3", "9" * 10, "9" * 4000]
)
def test_a_header_that_is_no_length_of_json_is_refused(header: str) -> None:
    """It must be written in digits, and no more than there is."""
    with pytest.raises(Problem, match="it must be the length of the JSON, at most 2") as refused:
        split_body(bytearray(b"{}"), header)
    assert refused.value.status == 400


@pytest.mark.parametrize("header", ["0", "1"])
def test_a_header_within_the_json_leaves_no_json(header: str) -> None:
    """What is cut is no longer JSON."""
    with pytest.raises(Problem, match="not JSON"):
        split_body(bytearray(b"{}"), header)


def test_outputs_are_written_as_they_are_wanted() -> None:
    """As JSON, as binary data that Triton's client reads, or some of each."""
    texts = Tensor("label", "BYTES", ["good", "schön"])
    shares = Tensor("probabilities", "FP32", np.array([[0.25, 0.75], [1.0, 0.0]]))
    places = Tensor("start", "INT64", np.array([3, -1]))
    body, length = write_response({"model_name": "it"}, [(texts, False), (shares, False)])
    assert length is None
    assert json.loads(body) == {
        "model_name": "it",
        "outputs": [
            {"name": "label", "datatype": "BYTES", "shape": [2], "data": ["good", "schön"]},
            {
                "name": "probabilities",
                "datatype": "FP32",
                "shape": [2, 2],
                "data": [0.25, 0.75, 1.0, 0.0],
            },
        ],
    }
    body, length = write_response({}, [(shares, True), (texts, True), (places, False)])
    one, other, last = json.loads(body[:length])["outputs"]
    sizes = [entry["parameters"]["binary_data_size"] for entry in (one, other)]
    assert last["data"] == [3, -1]
    rest = body[length:]
    assert np.frombuffer(rest[: sizes[0]], "<f4").tolist() == [0.25, 0.75, 1.0, 0.0]
    assert [text.decode() for text in deserialize_bytes_tensor(rest[sizes[0] :])] == [
        "good",
        "schön",
    ]
    assert sum(sizes) == len(rest)
