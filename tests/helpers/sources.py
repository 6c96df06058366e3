"""Writes labelled rows in every format, and reads them."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
from pyarrow import feather, ipc, parquet

from taskbank.data.examples import Examples
from taskbank.data.sources import read_examples, read_inputs
from taskbank.digests import Json
from taskbank.kinds.kind import Kind
from taskbank.kinds.single import SINGLE

# Texts and labels that a careless reader takes for something else.
ODD_ROWS = [
    {"text": "007 is a name", "label": "film"},
    {"text": "NA", "label": "data"},
    {"text": 'she said "no",\nand left', "label": "book"},
    {"text": "ünïcödé ✓", "label": "null"},
]


def write(path: Path, rows: list[dict[str, Any]]) -> str:
    """Write rows in the format of a path's ending and return the path as text."""
    table = pa.Table.from_pylist(rows)
    if path.suffix in (".csv", ".tsv"):
        with path.open("w", newline="", encoding="utf-8") as file:
            plain: dict[str, Any] = {
                "delimiter": "\t",
                "quoting": csv.QUOTE_NONE,
                "quotechar": None,
            }
            writer = csv.DictWriter(file, list(rows[0]), **(plain if path.suffix == ".tsv" else {}))
            writer.writeheader()
            writer.writerows(rows)
    elif path.suffix in (".jsonl", ".json"):
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    elif path.suffix == ".parquet":
        parquet.write_table(table, path)
    elif path.suffix == ".feather":
        feather.write_feather(table, path)
    elif path.suffix == ".arrow":
        with ipc.new_stream(path, table.schema) as stream:
            stream.write_table(table)
    else:
        datasets.Dataset.from_list(rows).save_to_disk(path)
    return str(path)


def read(source: Any, kind: Kind = SINGLE, **options: Any) -> Examples:
    """Read the labelled examples of a kind, as training data."""
    return read_examples(source, kind.inputs, kind.label, **{"role": "train", **options})


def read_texts(source: Any, kind: Kind = SINGLE, **options: Any) -> list[tuple[Json, ...]]:
    """Read the inputs of a kind."""
    return read_inputs(source, kind.inputs[0], **options)
