"""The model card of an export: what the record tells, as a README.md that the Hub understands.

Names, labels, descriptions and tags were written by users: they are escaped, so that they stay text
in YAML and in Markdown. Rows of data are never part of a card, nor are the folders of files.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from taskbank import plugins
from taskbank.bank.bank import Bank
from taskbank.bank.records import AdapterRecord, describe_parents, origin_of, parents_of
from taskbank.counts import counted, size
from taskbank.data.hub import HUB
from taskbank.data.repeat_remarks import in_train_remark
from taskbank.digests import Json, canonical_json
from taskbank.kinds.withheld import describe_abstention
from taskbank.runtime.visible_text import visible
from taskbank.specs import BackboneIdentity

if TYPE_CHECKING:
    from huggingface_hub import ModelCardData

    from taskbank.kinds.kind import Kind
    from taskbank.methods.method import Method

# What the Hub calls the tasks of each kind; a kind of a plugin has none.
PIPELINES = {
    "single": "text-classification",
    "pair": "text-classification",
    "multilabel": "text-classification",
    "regression": "text-classification",
    "tagging": "token-classification",
    "span": "question-answering",
}
SHOWN_LABELS = 100
LONGEST = 1000  # characters of a value; the settings of many labels are long
MARKS = re.compile(r"[\\`*_\[\]#~$!@:]")
# What starts a list, a rule or a heading at the start of a line; and a link in some renderers.
START, LINK = re.compile(r"^(\d*)([-+.)=])(?=[-=\s]|$)"), re.compile(r"(?i)(?<=www)\.")
ENTITIES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", "|": "&#124;"})
HUB_ID = re.compile(r"(\w[\w.-]*/)?\w[\w.-]*", re.ASCII)
FOLDERS = re.compile(rf"(?<!\S)(?!{HUB})\S*[/\\]")


def model_card(bank: Bank, record: AdapterRecord, *, library: str, usage: str) -> str:
    """Return the text of the README.md of an exported adapter.

    Args:
        bank: the bank that stores the adapter.
        record: the adapter.
        library: the library that loads the export, as the Hub calls it, such as `transformers`.
        usage: Python code that loads the export from its folder and runs it.
    """
    identity = bank.backbone(record.backbone).identity
    kind: Kind = plugins.load("kinds", record.kind)
    method: Method = plugins.load("methods", record.method)
    summary = (
        f"Kind `{record.kind}` ({kind.summary}), method `{record.method}` ({method.summary}), on "
        f"the encoder {_encoder(identity)}. Exported from the bank's version "
        f"{escaped(record.ref)}, which was added {record.created_at[:10]}."
    )
    parts = [
        f"---\n{_metadata(record, identity, library).to_yaml(line_break=chr(10))}\n---",
        f"# {escaped(record.task)}",
        *_quoted(record.description),
        summary,
        f"## Use\n\n{_code(usage)}",
        *_labels(record),
        f"## Scores\n\n{_scores(record)}",
        f"## Data\n\n{_data(record)}",
        f"## Training\n\n{_training(record, identity)}",
        f"## Environment of the training\n\n{_values(record.environment)}",
        f"## Digests\n\n{_digests(record, identity)}",
    ]
    return "\n\n".join(parts) + "\n"


def escaped(text: str) -> str:
    """Return a text of one line that Markdown shows as it is.

    Args:
        text: any text; control characters are shown as escapes.
    """
    line = " ".join(visible(text, lines=False).split())
    line = MARKS.sub(r"\\\g<0>", line).translate(ENTITIES)
    return LINK.sub(r"\\.", START.sub(r"\1\\\2", line))


def _metadata(record: AdapterRecord, identity: BackboneIdentity, library: str) -> ModelCardData:
    from huggingface_hub import EvalResult, ModelCardData

    pipeline = PIPELINES.get(record.kind, record.kind)
    results = [
        EvalResult(
            task_type=pipeline,
            dataset_type=record.task,
            dataset_name=record.task,
            dataset_split=one.split,
            metric_type=one.name,
            metric_value=one.value,
        )
        for one in record.metrics
    ]
    return ModelCardData(
        base_model=_hub_id(identity.spec.partition("@")[0]),
        library_name=library,
        pipeline_tag=PIPELINES.get(record.kind),
        tags=["taskbank", record.kind, record.method],
        datasets=_hub_datasets(record) or None,
        metrics=list(dict.fromkeys(one.name for one in record.metrics)),
        model_name=record.task,
        eval_results=results,
    )


def _hub_id(name: str) -> str | None:
    """Return a name if the Hub could have it; None for a folder or a package."""
    return name if HUB_ID.fullmatch(name) else None


def _hub_datasets(record: AdapterRecord) -> list[str]:
    origins = [_train(record).get("origin", ""), *(split.origin for split in record.splits)]
    names = (
        "/".join(re.split("[: ]", origin.removeprefix(HUB))[0].split("/")[:2])
        for origin in origins
        if origin.startswith(HUB)
    )
    return [name for name in dict.fromkeys(names) if _hub_id(name)]


def _encoder(identity: BackboneIdentity) -> str:
    place = Path(identity.spec)
    name = escaped(place.name if place.is_absolute() else identity.spec)
    return f"{name} ({identity.model_type}, {counted(identity.parameters, 'parameter')})"


def _without_folders(text: str) -> str:
    """Return a text without the folders of the files that it names."""
    return FOLDERS.sub("", text)


def _quoted(text: str) -> list[str]:
    lines = [f"> {escaped(line)}".rstrip() for line in text.splitlines()]
    return ["\n".join(lines)] if text.strip() else []


def _code(text: str) -> str:
    """Return Python code as a block that no run of backticks in it can end."""
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}python\n{text.strip()}\n{fence}"


def _table(heading: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = [heading, ["---"] * len(heading), *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)


def _values(values: Mapping[str, Json]) -> str:
    return _table(("name", "value"), [(escaped(k), _shown(v)) for k, v in values.items()])


def _shown(value: Json) -> str:
    text = value if isinstance(value, str) else canonical_json(value)
    return escaped(text if len(text) <= LONGEST else f"{text[:LONGEST]} …")


def _labels(record: AdapterRecord) -> list[str]:
    if not record.labels:
        return []
    shown = ", ".join(escaped(label) for label in record.labels[:SHOWN_LABELS])
    more = len(record.labels) - SHOWN_LABELS
    return [f"## Labels\n\n{shown}{f', and {more:,} more' if more > 0 else ''}"]


def _scores(record: AdapterRecord) -> str:
    rows = [
        (
            one.split,
            f"**{escaped(one.name)}**" if one.name == record.metric else escaped(one.name),
            f"{one.value:.4f} ± {one.standard_error:.4f}",
            f"{one.count:,}",
        )
        for one in record.metrics
    ]
    table = _table(("split", "metric", "value ± standard error", "examples"), rows)
    remarks = [f"The version was chosen and is verified by {escaped(record.metric)}."]
    abstains = describe_abstention(record.settings)
    if abstains is not None:
        remarks.append(f"It abstains {escaped(abstains)}.")
    return f"{table}\n\n{' '.join(remarks)}"


def _train(record: AdapterRecord) -> dict[str, Json]:
    """Return origin, rows and digest of the training data; empty if they were not recorded."""
    found = record.course.get("train", {})
    return dict(found) if isinstance(found, dict) else {}


def _data(record: AdapterRecord) -> str:
    rows = []
    train = _train(record)
    if train and all(split.name != "train" for split in record.splits):
        origin = _without_folders(str(train["origin"]))
        rows.append(("train", f"{train['rows']:,}", escaped(origin), f"`{train['digest']}`"))
    for split in record.splits:
        remark = in_train_remark(split.name, split.rows, record.course)
        origin = _without_folders(split.origin) + (f"; {remark}" if remark else "")
        rows.append((escaped(split.name), f"{split.rows:,}", escaped(origin), f"`{split.digest}`"))
    return _table(("split", "rows", "origin", "digest"), rows)


def _training(record: AdapterRecord, identity: BackboneIdentity) -> str:
    share = record.parameters / identity.parameters
    values: dict[str, Json] = {"method": record.method}
    values |= {f"option {name}": value for name, value in record.options.items()}
    values |= dict(record.training)
    values |= {
        f"setting {name}": value for name, value in record.settings.items() if name != "abstain"
    }
    values["trained parameters"] = f"{record.parameters:,} ({share:.2%} of the encoder's)"
    values["stored size"] = size(record.bytes)
    if "seconds" in record.course:
        values["seconds"] = record.course["seconds"]
    parents = parents_of(record.course)
    if parents:
        values[origin_of(record.course)] = describe_parents(parents)
    values |= {f"tag {name}": value for name, value in record.tags.items()}
    return _values(values)


def _digests(record: AdapterRecord, identity: BackboneIdentity) -> str:
    digests = {
        "trained weights": record.digest,
        "backbone": record.backbone,
        "backbone's weights": identity.weights,
        "backbone's configuration": identity.config,
        "backbone's tokenizer": identity.tokenizer,
    }
    return _table(("of", "digest"), [(name, f"`{value}`") for name, value in digests.items()])
