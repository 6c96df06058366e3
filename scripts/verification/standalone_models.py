"""Exports tasks of every method and kind, runs the exports without taskbank, and compares.

    python scripts/verification/standalone_models.py --output FOLDER
        [--backbone SPEC] [--architectures NAMES] [--every] [--python PATH]

Makes small tasks on tiny encoders of every architecture, or on one encoder, and exports each to
`transformers`, `sentence-transformers` and `onnx`. A process that does not import taskbank runs
the model on the tokens of the stored split, and the code of the model card on its inputs. Prints
how far outputs are from the recorded predictions, how far probabilities are from those that
taskbank tells, and how many answers differ. Models of ONNX are also run on three lengths, alone
and 32 at once.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from scripts.shared.arguments import script_parser
from scripts.shared.tables import markdown
from taskbank import plugins
from taskbank.backbone.backbone import Backbone
from taskbank.backbone.load import load_backbone
from taskbank.bank.bank import Bank
from taskbank.bank.open import create_bank
from taskbank.bank.records import AdapterRecord
from taskbank.data.encoded import Encoded
from taskbank.data.examples import Examples
from taskbank.errors import InputError
from taskbank.interchange.export import export_adapter
from taskbank.interchange.merged import own_outputs
from taskbank.interchange.usage import reads_two_texts
from taskbank.kinds.kind import Kind
from taskbank.model.load import encode_for, load_model
from taskbank.serve.predictor import Predictor
from tests.helpers.backbones import MODEL_TYPES, make_backbone
from tests.helpers.exports import LENGTH, put_task
from tests.helpers.rows import ROWS

WORKER = Path(__file__).parent / "workers" / "run_exports.py"
FORMATS = ("transformers", "sentence-transformers", "onnx")
BOUNDS = {"transformers": 1e-5, "sentence-transformers": 1e-5, "onnx": 1e-4}
ABSTAIN = {"single": "coverage=0.7", "multilabel": "coverage=0.7", "pair": "alpha=0.3"}
ABSTAIN |= {"tagging": "coverage=0.7", "span": "coverage=0.7"}
LENGTHS, SIZES = (3, LENGTH, 60), (1, 32)


@dataclass
class Figures:
    """What was measured of the exports to one format on one encoder."""

    exported: int = 0
    refused: int = 0
    outputs: float = 0.0
    answers: float = 0.0
    flips: int = 0
    seconds: list[float] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)


def main() -> None:
    """Make tasks, export, run and compare them, and print the table."""
    parser = script_parser(__doc__)
    parser.add_argument("--output", required=True, type=Path, metavar="FOLDER", help="results")
    parser.add_argument("--backbone", metavar="SPEC", help="encoder, in place of tiny ones")
    parser.add_argument("--architectures", default="", help="names of tiny ones (default: all)")
    parser.add_argument(
        "--every", action="store_true", help="every method and kind to ONNX on every encoder"
    )
    parser.add_argument(
        "--python", type=Path, default=Path(sys.executable), help="of the environment to run in"
    )
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    figures: dict[tuple[str, str], Figures] = defaultdict(Figures)
    failed = False
    for name, spec in encoders(arguments).items():
        folder = arguments.output / name
        to_onnx = chosen_for_onnx("bert" if arguments.every else name)
        for format, own in measure(spec, folder, to_onnx, arguments.python).items():
            figures[name, format] = own
            failed |= own.flips > 0 or max(own.outputs, own.answers) > BOUNDS[format]
            print(row(name, format, own), flush=True)
    print(markdown([HEADING, *(row(*key, own) for key, own in figures.items())]))
    raise SystemExit(failed)


HEADING = ["encoder", "format", "exported", "refused", "outputs differ by", "probabilities by"]
HEADING += ["other answers", "seconds", "size"]


def row(name: str, format: str, own: Figures) -> list[str]:
    """Return a line of the table."""
    counts = [str(own.exported), str(own.refused)]
    if not own.exported:
        return [name, format, *counts, "", "", "", "", ""]
    seconds, size = float(np.median(own.seconds)), float(np.median(own.sizes)) / 1e6
    measured = [f"{own.outputs:.1g}", f"{own.answers:.1g}", str(own.flips)]
    return [name, format, *counts, *measured, f"{seconds:.1f}", f"{size:.2f} MB"]


def encoders(arguments: Any) -> dict[str, str]:
    """Return the encoders by name: the given one, or tiny ones."""
    if arguments.backbone:
        return {"encoder": arguments.backbone}
    chosen = arguments.architectures.split(",") if arguments.architectures else None
    made: dict[str, str] = {}
    for name in [*MODEL_TYPES, "bert-mean", "bert-first", "roberta-mean", "xlm-roberta"]:
        if chosen is None or name in chosen:
            made[name] = str(tiny_encoder(arguments.output / name / "encoder", name))
    return made


def tiny_encoder(folder: Path, name: str) -> Path:
    """Make a tiny encoder, with a pooling in its name if it is not the usual one."""
    base, _, pooling = name.rpartition("-") if name.endswith(("mean", "first")) else (name, "", "")
    model_type = {"xlm-roberta": "roberta"}.get(base, base)
    config: dict[str, Any] = {"local_attention": 8} if base == "modernbert" else {}
    place = make_backbone(folder, model_type, **config)
    if base == "xlm-roberta":  # the same tensors under another name
        file = place / "config.json"
        values = json.loads(file.read_text()) | {"model_type": base}
        file.write_text(json.dumps(values | {"architectures": ["XLMRobertaModel"]}))
    if pooling:
        (place / "1_Pooling").mkdir()
        mode = {"first": "cls"}.get(pooling, pooling)
        (place / "1_Pooling" / "config.json").write_text(json.dumps({"pooling_mode": mode}))
    return place


def chosen_for_onnx(name: str) -> set[tuple[str, str]]:
    """Return the kinds and methods that are exported to ONNX, as each takes seconds.

    They are all for the first tiny encoder; all methods and all kinds for a given encoder; and what
    differs between graphs for the others: adapters or merged weights, one vector or every token.
    """
    every = {(kind, method) for kind in ROWS for method in plugins.names("methods")}
    if name == "bert":
        return every
    if name == "encoder":
        return {one for one in every if one[0] == "single" or one[1] in ("houlsby", "lora")}
    single = {("single", method) for method in ("houlsby", "parallel", "lora")}
    return single | {("tagging", "houlsby"), ("span", "lora")}


def measure(
    spec: str, folder: Path, to_onnx: set[tuple[str, str]], python: Path
) -> dict[str, Figures]:
    """Return the figures of one encoder by format."""
    figures = {format: Figures() for format in FORMATS}
    folder.mkdir(parents=True, exist_ok=True)
    backbone = load_backbone(spec)
    noise = 0.1 if backbone.identity.hidden_size < 100 else 0.01
    with create_bank(f"sqlite:///{folder}/bank.db") as bank:
        jobs = []
        for kind in ROWS:
            for method in plugins.names("methods"):
                abstain = ABSTAIN.get(kind)
                record = put_task(bank, backbone, kind, method, abstain=abstain, noise=noise)
                for format in FORMATS if (kind, method) in to_onnx else FORMATS[:2]:
                    job = export(bank, record, backbone, format, folder, figures[format])
                    jobs += [] if job is None else [job]
        for job, answers in zip(jobs, run(jobs, folder, python), strict=True):
            compare(bank, backbone, job, answers, figures[job["format"]])
    return figures


def export(
    bank: Bank,
    record: AdapterRecord,
    backbone: Backbone,
    format: str,
    folder: Path,
    own: Figures,
) -> dict[str, Any] | None:
    """Export a task, and return the job that runs it; None if the format cannot hold it."""
    target = folder / f"{record.task}.{format}"
    start = time.perf_counter()
    try:
        export_adapter(bank, record.ref, target, format=format)
    except InputError as error:
        if "cannot be exported" not in str(error):  # the format could hold it
            raise
        own.refused += 1
        return None
    own.seconds.append(time.perf_counter() - start)
    own.exported += 1
    own.sizes.append(sum(one.stat().st_size for one in target.rglob("*") if one.is_file()))
    encoded = encode_for(record, backbone, bank.examples(record, "test").columns)
    tokens: dict[str, Any] = {"offsets": encoded.offsets, **encoded.flat}
    np.savez(target / "tokens.npz", **tokens)
    if format == "onnx" and record.ensemble == 1:
        model = load_model(bank, record, backbone)
        own.outputs = max(own.outputs, of_lengths(model, backbone, target))
    return {
        "folder": str(target.absolute()),
        "format": format,
        "kind": record.kind,
        "task": record.task,
        "inputs": inputs_of(bank, record),
        "pairs": record.kind == "span" or reads_two_texts(record),
        # An ensemble reads the windows of a question together, as the code of its card does.
        "alone": record.kind != "span" or record.ensemble == 1,
        "tokens": str(target.absolute() / "tokens.npz"),
    }


def inputs_of(bank: Bank, record: AdapterRecord) -> list[Any]:
    """Return the inputs of the stored split."""
    columns = bank.examples(record, "test").columns
    kind: Kind = plugins.load("kinds", record.kind)
    names = [one.name for one in kind.inputs[0]]
    rows = list(zip(*(columns[name] for name in names), strict=True))
    return [one[0] if len(names) == 1 else list(one) for one in rows]


@torch.inference_mode()
def of_lengths(model: Any, backbone: Backbone, target: Path) -> float:
    """Return how far a model of ONNX is from the task's own for three lengths and two sizes."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(target / "model.onnx"))
    names = [one.name for one in session.get_inputs()]
    chance = np.random.default_rng(0)
    worst = 0.0
    for size in SIZES:
        for length in LENGTHS:
            ids = chance.integers(5, len(backbone.tokenizer), (size, length))
            lengths = np.append(length, chance.integers(1, length + 1, size - 1))
            mask = (np.arange(length) < lengths[:, None]).astype(np.int64)
            given = {"input_ids": ids, "attention_mask": mask, "token_type_ids": ids % 2 * mask}
            given = {name: given[name] for name in names}
            found = session.run(None, given)[0]
            tensors = {name: torch.from_numpy(values) for name, values in given.items()}
            expected = model(**tensors).numpy()
            if model.per_token:
                found = found * mask[..., None]
            worst = max(worst, float(np.abs(found - expected).max()))
    return worst


def run(jobs: list[dict[str, Any]], folder: Path, python: Path) -> list[list[Any]]:
    """Return the answers of exports, which a process without taskbank runs."""
    asked, answered = folder.absolute() / "jobs.json", folder.absolute() / "answers.json"
    asked.write_text(json.dumps(jobs), encoding="utf-8")
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    command = [str(python), str(WORKER), str(asked), str(answered)]
    subprocess.run(command, check=True, env=environment | {"HF_HUB_OFFLINE": "1"})
    found: list[list[Any]] = json.loads(answered.read_text(encoding="utf-8"))
    return found


def compare(
    bank: Bank, backbone: Backbone, job: dict[str, Any], answers: list[Any], own: Figures
) -> None:
    """Compare outputs with the recorded predictions, and answers with those of taskbank."""
    record = bank[job["task"]]
    kind: Kind = plugins.load("kinds", record.kind)
    examples, reference = bank.examples(record, "test"), bank.reference(record, "test")
    if job["alone"]:
        outputs = np.load(Path(job["folder"]) / "outputs.npy")
        if job["format"] != "onnx":
            outputs = own_outputs(record, lambda found: found)(outputs)
        encoded: Encoded = encode_for(record, backbone, examples.columns)
        predictions = kind.predictions(outputs, encoded)
        changes = kind.changes(reference, predictions, examples.columns, record.definition)
        own.outputs = max(own.outputs, float(changes.moved.max()))
        own.flips += int(changes.changed.sum())
    expected = Predictor(bank, backbone=backbone).predict(record.ref, job["inputs"])
    fits = [one_window(record, backbone, examples.select([n], "")) for n in range(len(examples))]
    for one, found, whole in zip(expected, answers, fits, strict=True):
        if job["format"] == "onnx" or whole:  # the code for transformers reads one window
            apart = distance(job, one.to_json(), found)
            own.flips += apart is None
            own.answers = max(own.answers, apart or 0.0)


def one_window(record: AdapterRecord, backbone: Backbone, example: Examples) -> bool:
    """Return whether an example is read at once."""
    return len(encode_for(record, backbone, example.columns)) == 1


def distance(job: dict[str, Any], expected: dict[str, Any], found: Any) -> float | None:
    """Return how far the probabilities of an answer are apart; None if it is another answer."""
    kind, onnx = job["kind"], job["format"] == "onnx"
    if onnx and (found is None or expected["label"] is None):
        return 0.0 if found is expected["label"] else None
    if kind == "regression":
        value = found[0]["score"] if isinstance(found, list) else found
        return abs(float(value) - float(expected["value"]))
    if kind == "span":
        text, score = found if onnx else (found, expected["score"])
        return abs(float(score) - float(expected["score"])) if text == expected["answer"] else None
    if kind == "tagging":
        tags, shares = [one[1] for one in found], [one[2] for one in found]
        return abs(min(shares) - expected["score"]) if tags == expected["tags"] else None
    listed = isinstance(found, list)
    told = dict(((one["label"], one["score"]) for one in found) if listed else found)
    probabilities = dict(expected["probabilities"])
    if kind == "multilabel" and onnx:
        probabilities = {label: probabilities[label] for label in expected["labels"]}
    if told.keys() != probabilities.keys():
        return None
    apart = [abs(told[label] - probabilities[label]) for label in told]
    return max(apart, default=0.0)


if __name__ == "__main__":
    main()
