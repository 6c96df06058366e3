"""Runs exports of tasks without taskbank, as `standalone_models.py` asks.

    python run_exports.py JOBS ANSWERS

JOBS is a JSON list of objects with the `folder` and `format` of an export, the `inputs` for the
code of its model card, whether these are `pairs`, a file of `tokens` to run the model on, and
whether it can be run on each input `alone`. ANSWERS becomes a list of what the code answered. The
outputs of the model for each input alone become `outputs.npy` in the folder.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

Model = Callable[[dict[str, Any]], Any]


def main() -> None:
    """Run every export."""
    jobs = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    answers = [run(job) for job in jobs]
    if "taskbank" in sys.modules:
        raise SystemExit("an export has imported taskbank")
    Path(sys.argv[2]).write_text(json.dumps(answers, default=float), encoding="utf-8")


def run(job: dict[str, Any]) -> list[Any]:
    """Return what the card's code answers, and write the outputs of the model."""
    folder = Path(job["folder"])
    inputs = [tuple(one) for one in job["inputs"]] if job["pairs"] else job["inputs"]
    if job["alone"]:
        sentences = job["format"] == "sentence-transformers"
        outputs = sentence_outputs(folder, inputs) if sentences else token_outputs(folder, job)
        np.save(folder / "outputs.npy", outputs)
    if job["pairs"] and job["format"] == "transformers" and job["kind"] != "span":
        inputs = [{"text": one, "text_pair": two} for one, two in inputs]
    card = (folder / "README.md").read_text(encoding="utf-8")
    code = card.split("```python\n")[1].split("\n```")[0]
    code, count = re.subn(r"^inputs = .*$", "inputs = GIVEN", code, flags=re.MULTILINE)
    if count != 1:
        raise SystemExit(f"the code in {folder} has no single list of inputs")
    names: dict[str, Any] = {"GIVEN": inputs}
    os.chdir(folder)
    with contextlib.redirect_stdout(io.StringIO()):
        exec(compile(code, "README.md", "exec"), names)  # noqa: S102 - our own code
    return list(names["answers"])


def sentence_outputs(folder: Path, inputs: list[Any]) -> Any:
    """Return the vectors of inputs."""
    from sentence_transformers import SentenceTransformer

    return SentenceTransformer(str(folder), device="cpu").encode(inputs)


def token_outputs(folder: Path, job: dict[str, Any]) -> Any:
    """Return the outputs for the tokens of the job, one input after the other."""
    model = onnx_model(folder) if job["format"] == "onnx" else transformers_model(folder, job)
    tokens = dict(np.load(job["tokens"]))
    offsets = tokens.pop("offsets")
    found = []
    for start, end in pairwise(offsets):
        inputs = {name: values[None, start:end].astype(np.int64) for name, values in tokens.items()}
        inputs["attention_mask"] = np.ones_like(inputs["input_ids"])
        found.append(model(inputs)[0])
    return np.concatenate(found) if found[0].ndim == 2 else np.stack(found)


def onnx_model(folder: Path) -> Model:
    """Return a model of ONNX as a function of its inputs."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(folder / "model.onnx"))
    names = [one.name for one in session.get_inputs()]
    return lambda inputs: session.run(None, {name: inputs[name] for name in names})[0]


def transformers_model(folder: Path, job: dict[str, Any]) -> Model:
    """Return a model of transformers as a function of its inputs."""
    import torch
    import transformers

    auto = {"tagging": "TokenClassification", "span": "QuestionAnswering"}.get(job["kind"])
    name = f"AutoModelFor{auto or 'SequenceClassification'}"
    model, loading = getattr(transformers, name).from_pretrained(folder, output_loading_info=True)
    if any(loading.values()):
        raise SystemExit(f"the weights in {folder} do not fit: {loading}")
    model.eval()

    @torch.inference_mode()
    def outputs(inputs: dict[str, Any]) -> Any:
        found = model(**{name: torch.from_numpy(values) for name, values in inputs.items()})
        if job["kind"] == "span":
            return np.stack([found.start_logits.numpy(), found.end_logits.numpy()], axis=-1)
        return found.logits.numpy()

    return outputs


if __name__ == "__main__":
    main()
