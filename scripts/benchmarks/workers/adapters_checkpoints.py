"""Loads adapters that taskbank exported with the library adapters alone, and makes some for it.

The answer is that of `peft_checkpoints.py`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import adapters
import torch
from adapters import AutoAdapterModel, BnConfig, DoubleSeqBnConfig, LoRAConfig, ParBnConfig
from safetensors.torch import load_file, save_file
from transformers import AutoModel

from scripts.benchmarks.workers.outputs import Outputs, move, outputs_of, pooled
from scripts.benchmarks.workers.worker import Job, Run, answer_with_torch

NAME = "made"
# The place of `pfeiffer`: after the feed-forward sublayer, before the residual is added.
PFEIFFER = {
    "mh_adapter": False,
    "output_adapter": True,
    "original_ln_before": False,
    "original_ln_after": True,
    "residual_before_ln": True,
    "adapter_residual_before_ln": False,
    "ln_before": False,
    "ln_after": False,
}


def load(job: Job) -> Outputs:
    """Load a folder as its README says, and compute the outputs."""
    folder = Path(job["exported"])
    if not (folder / "head.safetensors").exists():
        model = AutoAdapterModel.from_pretrained(job["base"])
        model.load_adapter(str(folder), use_safetensors=True, set_active=True)
        model.eval()
        return outputs_of(job, lambda **inputs: model(**inputs).logits)
    model = AutoModel.from_pretrained(job["base"])
    adapters.init(model)
    model.load_adapter(str(folder), use_safetensors=True, set_active=True)
    return outputs_of(job, _with_head(model.eval(), job, load_file(folder / "head.safetensors")))


def make(job: Job) -> Outputs:
    """Make and save an adapter."""
    torch.manual_seed(0)
    configs: dict[str, Any] = {
        "houlsby": lambda: DoubleSeqBnConfig(reduction_factor=8, non_linearity="gelu_new"),
        "pfeiffer": lambda: BnConfig(**PFEIFFER, reduction_factor=8, non_linearity="relu"),
        "parallel": lambda: ParBnConfig(reduction_factor=8, scaling=4.0),
        "lora": lambda: LoRAConfig(r=4, alpha=8, attn_matrices=["q", "v"]),
    }
    config, folder = configs[job["method"]](), Path(job["made"])
    folder.mkdir(parents=True)
    labels = dict(enumerate(job["labels"]))
    if job["task_type"] == "FEATURE_EXTRACTION":
        model = AutoModel.from_pretrained(job["base"])
        adapters.init(model)
        model.add_adapter(NAME, config=config)
        model.train_adapter(NAME)  # freezes the encoder
        move(model.eval())
        model.save_adapter(str(folder), NAME, use_safetensors=True)
        width, outputs = model.config.hidden_size, job["outputs"]
        head = {"weight": torch.randn(outputs, width) / 9, "bias": torch.randn(outputs)}
        save_file(head, folder / "head.safetensors")
        return outputs_of(job, _with_head(model, job, head))
    model = AutoAdapterModel.from_pretrained(job["base"])
    model.add_adapter(NAME, config=config)
    if job["task_type"] == "TOKEN_CLS":
        model.add_tagging_head(NAME, num_labels=job["outputs"], layers=1, id2label=labels)
    else:
        model.add_classification_head(
            NAME, num_labels=job["outputs"], layers=1, use_pooler=True, id2label=labels
        )
    model.active_head = NAME
    model.train_adapter(NAME)  # freezes the encoder
    move(model.eval())
    model.save_adapter(str(folder), NAME, use_safetensors=True)
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
