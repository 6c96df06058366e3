"""The outputs of a model of another library for the texts of a job, as taskbank stores them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from transformers import AutoTokenizer

from scripts.benchmarks.workers.worker import Job

Compute = Callable[..., torch.Tensor]  # from the tokenizer's tensors to the outputs of one text
Outputs = list[list[float]]  # of each text, or of each word


def outputs_of(job: Job, compute: Compute) -> Outputs:
    """Return the outputs for a job's texts, one row for each text or each word.

    Args:
        job: `base`, `texts`, each a text or a list of words, and `max_length`.
        compute: the model.
    """
    tokenizer = AutoTokenizer.from_pretrained(job["base"])
    rows: Outputs = []
    for text in job["texts"]:
        words = isinstance(text, list)
        inputs = tokenizer(
            [text],
            is_split_into_words=words,
            truncation=True,
            max_length=job["max_length"],
            return_tensors="pt",
        )
        with torch.no_grad():
            outputs = compute(**inputs)[0]
        if words:
            of_tokens = inputs.word_ids(0)
            outputs = outputs[[of_tokens.index(number) for number in range(len(text))]]
        rows += outputs.reshape(-1, outputs.shape[-1]).tolist()
    return rows


def pooled(output: Any, mask: torch.Tensor, pooling: str) -> torch.Tensor:
    """Return one vector for each text, as taskbank pools it."""
    states: torch.Tensor = output.last_hidden_state
    if pooling == "first":
        return states[:, 0]
    weights = mask[..., None]
    return (states * weights).sum(1) / weights.sum(1)


def move(model: torch.nn.Module) -> None:
    """Move every trained tensor away from its start, so that it counts."""
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(0.05 * torch.randn_like(parameter))
