"""Reads data files that are damaged or odd: each is read rightly, or refused with its name.

Every attempt writes a valid file in one of the formats and changes it: bytes are flipped, inserted,
removed or repeated; the file is cut off; its encoding, line ends, quotes or header are changed; its
values become huge or nested. Then it is read as the commands read it.

Changes that should change nothing must give the same rows. After any other change, the file is
refused by an error that names it, or has rows that are valid. A changed byte may change the rows
that it is in, so all rows before and after it must be as they were.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import json
import random
import resource
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from io import BytesIO, StringIO
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import feather, ipc, parquet

from scripts.shared.arguments import script_parser
from scripts.verification.attacks.outcomes import Outcomes
from taskbank import plugins
from taskbank.data.examples import Examples
from taskbank.data.fields import first_invalid_row
from taskbank.data.sources import read_examples
from taskbank.data.style import Style
from taskbank.errors import InputError
from taskbank.kinds.kind import Kind

SLOW = 10.0  # seconds for a file of a few kilobytes on a busy machine
HUNGRY = 1 << 20  # kilobytes by which reading one file may raise the most memory held
WORDS = ["good", "bad", "café", "日本", "it's", "a,b", "x;y", "007", "NA", "🙂", "the", "day", "-"]
Rows = list[dict[str, Any]]


def make_rows(kind: str, chance: random.Random) -> Rows:
    """Return some valid rows of a kind."""

    def text() -> str:
        words = chance.choices(WORDS, k=chance.randint(1, 9))
        return "x " + " ".join(words) + chance.choice(["", "", ' "so"', "\n", "."]) + "y"

    rows: Rows = []
    for number in range(chance.randint(2, 30)):
        if kind == "single":
            rows.append({"text": text(), "label": chance.choice("ab")})
        elif kind == "pair":
            rows.append({"text_a": text(), "text_b": text(), "label": chance.choice("yn")})
        elif kind == "regression":
            rows.append({"text": text(), "label": float(chance.randint(-5, 5))})
        elif kind == "multilabel":
            rows.append({"text": text(), "labels": chance.sample(["p", "q", "r"], number % 3)})
        elif kind == "tagging":
            words = [f"w{word}" for word in chance.choices(["a", "b", "é"], k=chance.randint(1, 6))]
            rows.append({"words": words, "tags": [chance.choice(["O", "B-x"]) for _ in words]})
        else:
            context = text()
            answers = {"text": [context[2:4]], "answer_start": [2]}
            rows.append({"question": text(), "context": context, "answers": answers})
    return rows


def separated(rows: Rows, delimiter: str, quoting: int = csv.QUOTE_MINIMAL) -> bytes:
    """Return rows as a file of separated values."""
    file = StringIO(newline="")
    writer = csv.writer(file, delimiter=delimiter, quoting=quoting)  # type: ignore[arg-type]
    writer.writerow(rows[0])
    for row in rows:
        writer.writerow(
            value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
            for value in row.values()
        )
    return file.getvalue().encode()


def arrow(rows: Rows, new: Callable[..., Any]) -> bytes:
    """Return rows as an Arrow file or stream."""
    table, sink = pa.Table.from_pylist(rows), BytesIO()
    with new(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue()


def parquet_bytes(rows: Rows) -> bytes:
    """Return rows as Parquet."""
    sink = BytesIO()
    parquet.write_table(pa.Table.from_pylist(rows), sink)
    return sink.getvalue()


def feather_bytes(rows: Rows) -> bytes:
    """Return rows as Feather."""
    sink = BytesIO()
    feather.write_feather(pa.Table.from_pylist(rows), sink)
    return sink.getvalue()


def json_lines(rows: Rows) -> bytes:
    """Return rows as JSON lines."""
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()


def conll(rows: Rows) -> bytes:
    """Return rows of words and tags as a column file."""
    sentences = (
        "".join(f"{word}\t{tag}\n" for word, tag in zip(row["words"], row["tags"], strict=True))
        for row in rows
    )
    return "\n".join(sentences).encode()


def squad(rows: Rows) -> bytes:
    """Return questions as SQuAD has them."""
    articles = [
        {
            "title": "t",
            "paragraphs": [
                {
                    "context": row["context"],
                    "qas": [
                        {
                            "id": "1",
                            "question": row["question"],
                            "answers": [
                                {"text": text, "answer_start": start}
                                for text, start in zip(*row["answers"].values(), strict=True)
                            ],
                        }
                    ],
                }
            ],
        }
        for row in rows
    ]
    return json.dumps({"version": "1", "data": articles}, ensure_ascii=False).encode()


FORMATS: Mapping[str, Callable[[Rows], bytes]] = {
    "a.csv": lambda rows: separated(rows, ","),
    "b.csv": lambda rows: separated(rows, ";"),
    "a.tsv": lambda rows: separated(rows, "\t"),
    "b.tsv": lambda rows: separated(rows, "\t", csv.QUOTE_ALL),
    "a.jsonl": json_lines,
    "a.json": lambda rows: json.dumps(rows, indent=1).encode(),
    "a.parquet": parquet_bytes,
    "a.arrow": lambda rows: arrow(rows, ipc.new_file),
    "b.arrow": lambda rows: arrow(rows, ipc.new_stream),
    "a.feather": feather_bytes,
    "a.csv.gz": lambda rows: gzip.compress(separated(rows, ",")),
    "a.jsonl.gz": lambda rows: gzip.compress(json_lines(rows)),
    "a.conll": conll,
    "squad.json": squad,
}
ONLY: Mapping[str, str] = {"a.conll": "tagging", "squad.json": "span"}
BINARY = (".parquet", ".arrow", ".feather", ".gz")


@dataclass(frozen=True)
class Change:
    """A change of a file.

    Attributes:
        apply: returns the changed bytes.
        harmless: whether the rows must be the same afterwards.
        text_only: whether it applies to files of text only.
    """

    apply: Callable[[bytes, random.Random], bytes]
    harmless: bool = False
    text_only: bool = False


def flip(data: bytes, chance: random.Random) -> bytes:
    """Change one byte."""
    place = chance.randrange(len(data))
    return data[:place] + bytes([data[place] ^ chance.randint(1, 255)]) + data[place + 1 :]


def insert(data: bytes, chance: random.Random) -> bytes:
    """Insert signs that formats treat in their own way."""
    signs = [b"\x00", b'"', b"\n", b",", b"\t", b"\r", b"\xff", b"\\", b"{", b"]", b"\xef\xbb\xbf"]
    place = chance.randrange(len(data) + 1)
    return data[:place] + chance.choice(signs) * chance.choice([1, 1, 2, 50]) + data[place:]


def splice(data: bytes, chance: random.Random) -> bytes:
    """Move, repeat or remove a part."""
    start, end = sorted(chance.choices(range(len(data) + 1), k=2))
    other = chance.randrange(len(data) + 1)
    return data[:other] + data[start:end] * chance.randint(0, 2) + data[other:][end - start :]


def swap_lines(data: bytes, chance: random.Random) -> bytes:
    """Repeat, remove or move lines, the header among them."""
    first, *rest = data.split(b"\n")
    return b"\n".join(chance.choice([[*rest[::-1], first], rest, [first, first, *rest]]))


def huge(data: bytes, chance: random.Random) -> bytes:
    """Insert a very long value."""
    place = chance.randrange(len(data) + 1)
    return data[:place] + chance.choice([b"x", b'""', b"[", b'{"a":', b"9"]) * 50_000 + data[place:]


CHANGES: Mapping[str, Change] = {
    "nothing": Change(lambda data, _: data, harmless=True),
    "flip": Change(flip),
    "flip a few": Change(lambda data, chance: flip(flip(flip(data, chance), chance), chance)),
    "insert": Change(insert),
    "splice": Change(splice),
    "cut": Change(lambda data, chance: data[: chance.randrange(len(data))]),
    "swap lines": Change(swap_lines, text_only=True),
    "huge": Change(huge),
    "rubbish": Change(lambda data, chance: chance.randbytes(len(data))),
    "mark": Change(lambda data, _: b"\xef\xbb\xbf" + data, harmless=True, text_only=True),
    "utf-16": Change(lambda data, _: data.decode().encode("utf-16"), True, text_only=True),
    "cp1252": Change(lambda data, _: data.decode().encode("cp1252", "replace"), text_only=True),
    "blank end": Change(lambda data, _: data + b"\n\n", harmless=True, text_only=True),
    "labels": Change(
        lambda data, chance: data.replace(b"a", chance.choice([b"1", b"1.5", b"nan", b"True"])),
        text_only=True,
    ),
}


def unchanged_rows(before: Rows, after: Rows) -> int:
    """Return the number of rows at the beginning and at the end that are as they were."""
    shorter = min(len(before), len(after))
    start = next((n for n in range(shorter) if before[n] != after[n]), shorter)
    rest = shorter - start
    end = next((n for n in range(rest) if before[-1 - n] != after[-1 - n]), rest)
    return start + end


def read_file(path: Path, kind: Kind) -> Examples:
    """Read a file as the commands do."""
    style = Style(delimiter="\t") if path.suffix == ".conll" else Style()
    return read_examples(str(path), kind.inputs, kind.label, style=style)


def judge(path: Path, kind: Kind, rows: Rows, name: str, change: Change) -> tuple[str, bool]:
    """Read a file and return what happened, and whether that breaks a promise."""
    start, memory = time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    try:
        found = list(read_file(path, kind).rows())
        outcome = "read"
    except InputError as error:
        found, outcome = [], "refused"
        if path.name not in str(error):
            return f"refused without its name: {error}", True
    except Exception as error:  # anything else is what the attack looks for
        return f"{type(error).__name__}: {error}"[:300], True
    if time.perf_counter() - start > SLOW:
        return "slow", True
    if resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory > HUNGRY:
        return "hungry", True
    if change.harmless and outcome == "refused":
        # A .tsv file may have quotes that nothing decides.
        return ("refused as ambiguous", False) if path.suffix == ".tsv" else ("refused", True)
    if change.harmless and found != rows:
        return "read wrongly", True
    if outcome == "read":
        fields = {field.name: field for fields in (*kind.inputs, (kind.label,)) for field in fields}
        for column in found[0]:
            if first_invalid_row(fields[column], [row[column] for row in found]) is not None:
                return "read an invalid row", True
        if name == "flip" and len(rows) - unchanged_rows(rows, found) > len(rows) // 2 + 2:
            if path.name.endswith(BINARY):  # these have no checksums of their values
                return "read with changed values", False
            return "lost rows silently", True
    return outcome, False


def main() -> int:
    """Attack as many files as the arguments say."""
    parser: argparse.ArgumentParser = script_parser(__doc__)
    parser.add_argument("--number", type=int, default=14_000, help="number of files")
    parser.add_argument("--seed", type=int, default=0, help="seed of the files")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    outcomes, kinds = Outcomes(), plugins.names("kinds")
    with tempfile.TemporaryDirectory() as folder:
        for number in range(arguments.number):
            chance = random.Random(f"{arguments.seed}/{number}")
            file = chance.choice(list(FORMATS))
            kind_name = ONLY.get(file, chance.choice(kinds))
            name = chance.choice(list(CHANGES))
            change = CHANGES[name]
            if change.text_only and file.endswith(BINARY):
                name, change = "flip", CHANGES["flip"]
            rows = make_rows(kind_name, chance)
            path = Path(folder) / file
            path.write_bytes(change.apply(FORMATS[file](rows), chance))
            kind: Kind = plugins.load("kinds", kind_name)
            outcome, broken = judge(path, kind, rows, name, change)
            attempt = f"seed {arguments.seed}/{number}: {name} of {file}, kind {kind_name}"
            outcomes.add(outcome, attempt, broken=broken)
    return outcomes.finish()


if __name__ == "__main__":
    sys.exit(main())
