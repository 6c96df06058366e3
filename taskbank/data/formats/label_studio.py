"""Exports of Label Studio in its own JSON: tasks with annotations.

The fields of a task's data become columns, and so does each control, by its name. If one control
chooses labels of texts, its choices are also the columns `label` and `labels`. Marked spans of a
text give the columns `words` and `tags`. Its CSV and JSON-MIN are flat, and read as any other file.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from taskbank.data.fields import preview
from taskbank.data.formats.records import Record
from taskbank.data.formats.spans import Span, words_and_tags
from taskbank.errors import DataError

ANNOTATIONS = ("annotations", "completions")
VALUES = ("choices", "rating", "number", "taxonomy", "text")
Results = list[dict[str, Any]]


def is_label_studio(records: Sequence[Record]) -> bool:
    """Return whether every record is a task of Label Studio."""
    return all(
        isinstance(record.get("data"), dict)
        and any(isinstance(record.get(key), list) for key in ANNOTATIONS)
        for record in records
    )


def records_of_label_studio(source: str, tasks: Sequence[Record]) -> list[Record]:
    """Return the data of every task with what was annotated.

    Raises:
        DataError: naming the task whose annotations differ or do not fit its text.
    """
    results = [_results(f"row {row} of {source}", task) for row, task in enumerate(tasks, start=1)]
    chosen = {_name(found) for part in results for found in part if found.get("type") == "choices"}
    has_spans = any(found.get("type") == "labels" for part in results for found in part)
    records: list[Record] = []
    for row, (task, part) in enumerate(zip(tasks, results, strict=True), start=1):
        record = dict(task["data"])
        for found in part:
            value = found.get("value")
            for key in VALUES:
                if isinstance(value, dict) and key in value:
                    record[_name(found)] = value[key]
                    if key == "choices" and len(chosen) == 1:
                        record.setdefault("label", value[key])
                        record.setdefault("labels", value[key])
        if has_spans:
            record |= _words(f"row {row} of {source}", task["data"], part)
        records.append(record)
    return records


def _results(place: str, task: Record) -> Results:
    """Return the results of a task's annotations, which must agree."""
    found = [item for key in ANNOTATIONS for item in task.get(key) or () if isinstance(item, dict)]
    done = [item for item in found if not item.get("was_cancelled")]
    chosen = [item for item in done if item.get("ground_truth")] or done
    parts = [
        [part for part in item.get("result") or () if isinstance(part, dict)] for item in chosen
    ]
    if any(_facts(part) != _facts(parts[0]) for part in parts[1:]):
        raise DataError(
            f"{place} has {len(parts)} annotations that differ: mark one of them as ground truth "
            "in Label Studio, or leave the task out"
        )
    return parts[0] if parts else []


def _facts(results: Results) -> list[tuple[str, str]]:
    return sorted((_name(part), repr(part.get("value"))) for part in results)


def _name(result: dict[str, Any]) -> str:
    return str(result.get("from_name", "label"))


def _words(place: str, data: Record, results: Results) -> dict[str, list[str]]:
    """Return the words and tags of the text on which spans are marked, if there is one."""
    marked = [part for part in results if part.get("type") == "labels"]
    texts = [value for value in data.values() if isinstance(value, str)]
    text = data.get("text", texts[0] if len(texts) == 1 else None)
    if not isinstance(text, str):
        return {}
    spans = [_span(place, text, part.get("value")) for part in marked]
    words, tags = words_and_tags(place, text, spans)
    return {"words": words, "tags": tags}


def _span(place: str, text: str, value: Any) -> Span:
    found = value if isinstance(value, dict) else {}
    start, end, labels = found.get("start"), found.get("end"), found.get("labels")
    if type(start) is not int or type(end) is not int or not isinstance(labels, list) or not labels:
        raise DataError(f"{place} has a span without start, end or label: {preview(value)}")
    said = found.get("text", text[start:end])
    if said != text[start:end]:  # positions of browsers count some characters twice
        start, end = (_from_utf16(text, position) for position in (start, end))
    if said != text[start:end]:
        raise DataError(
            f"{place} marks {preview(said)}, but its text has {preview(text[start:end])} there: "
            "export the task again"
        )
    return Span(start, end, str(labels[0]))


def _from_utf16(text: str, position: int) -> int:
    encoded = text.encode("utf-16-le", errors="surrogatepass")
    return len(encoded[: 2 * max(position, 0)].decode("utf-16-le", errors="ignore"))
