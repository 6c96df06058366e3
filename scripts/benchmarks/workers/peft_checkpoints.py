"""Loads adapters that taskbank exported with peft alone, and makes adapters for it to import.

For each case, the answer has the outputs of the loaded adapter for some texts, and those of a made
one, whose every tensor is moved from its start.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from peft import IA3Config, LNTuningConfig, LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import (
    AutoModel,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
)

from scripts.benchmarks.workers.outputs import Outputs, move, outputs_of, pooled
from scripts.benchmarks.workers.worker import Job, Run, answer_with_torch

CLASSES = {
    "SEQ_CLS": AutoModelForSequenceClassification,
    "TOKEN_CLS": AutoModelForTokenClassification,
}
FORWARD = r".*layer\.\d+\.output\.dense"


def load(job: Job) -> Outputs:
    """Load a folder as its README says, and compute the outputs."""
    folder = Path(job["exported"])
    task_type = json.loads((folder / "adapter_config.json").read_text())["task_type"]
    if task_type == "FEATURE_EXTRACTION":
        model = PeftModel.from_pretrained(AutoModel.from_pretrained(job["base"]), folder).eval()
        return outputs_of(job, _with_head(model, job, load_file(folder / "head.safetensors")))
    base = CLASSES[task_type].from_pretrained(job["base"], num_labels=job["outputs"])
    model = PeftModel.from_pretrained(base, folder).eval()
    return outputs_of(job, lambda **inputs: model(**inputs).logits)


def make(job: Job) -> Outputs:
    """Make and save an adapter."""
    torch.manual_seed(0)
    task_type = job["task_type"]
    configs: dict[str, Any] = {
        "lora": lambda: LoraConfig(task_type=task_type, r=4, lora_alpha=8),
        "ia3": lambda: IA3Config(
            task_type=task_type,
            target_modules=rf".*attention\.self\.(key|value)|{FORWARD}",
            feedforward_modules=FORWARD,
        ),
        "layernorm": lambda: LNTuningConfig(task_type=task_type, target_modules=["LayerNorm"]),
    }
    config, folder = configs[job["method"]](), Path(job["made"])
    if task_type == "FEATURE_EXTRACTION":
        model = get_peft_model(AutoModel.from_pretrained(job["base"]), config).eval()
        move(model)
        model.save_pretrained(folder)
        width = model.config.hidden_size
        head = {
            "weight": torch.randn(job["outputs"], width) / 9,
            "bias": torch.randn(job["outputs"]),
        }
        save_file(head, folder / "head.safetensors")
        return outputs_of(job, _with_head(model, job, head))
    base = CLASSES[task_type].from_pretrained(job["base"], num_labels=job["outputs"])
    model = get_peft_model(base, config).eval()
    move(model)
    model.save_pretrained(folder)
    return outputs_of(job, lambda **inputs: model(**inputs).logits)


def load_and_make(job: Job) -> Run:
    """Load and make an adapter for each of the job's cases."""
    return {case["name"]: {"load": load(case), "make": make(case)} for case in job["cases"]}


def _with_head(model: Any, job: Job, head: dict[str, torch.Tensor]) -> Any:
    def compute(**inputs: torch.Tensor) -> torch.Tensor:
        vectors = pooled(model(**inputs), inputs["attention_mask"], job["pooling"])
        return vectors @ head["weight"].T + head["bias"]

    return compute


if __name__ == "__main__":
    answer_with_torch(load_and_make)
