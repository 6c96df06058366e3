"""Trainings of a small task, whole or interrupted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from taskbank.bank.bank import Bank
from taskbank.pipeline.add_task import add_task
from taskbank.pipeline.train_and_store import Added
from taskbank.specs import MethodSpec, TrainingSpec
from taskbank.training.search import Setting

BASE = Setting(
    MethodSpec("houlsby", {"size": 8, "init_std": 0.01, "activation": "gelu", "layers": "all"}),
    TrainingSpec(),
)


GRID = {"learning_rate": (0.0001, 0.02), "size": (4, 8)}


def add(bank: Bank, data: str, folder: Path, **given: Any) -> Added:
    """Add the task `mood`, quickly, with what a test wants to be otherwise."""
    training = {"epochs": 3, "learning_rate": 0.02, "batch_size": 16} | given.pop("training", {})
    options = {"size": 4} | given.pop("options", {})
    return add_task(
        bank, "mood", data, backbone=str(folder), training=training, options=options, **given
    )


class Interrupt(Exception):
    """Stands for a killed process."""


def interrupt_after(monkeypatch: pytest.MonkeyPatch, epochs: int) -> None:
    """Let the process die after so many epochs in all, right after their states were kept."""
    from taskbank.training.checkpoint import Checkpoint

    real, count = Checkpoint.save, [0]

    def save(checkpoint: Checkpoint, state: Any) -> None:
        real(checkpoint, state)
        count[0] += 1
        if count[0] == epochs:
            raise Interrupt

    monkeypatch.setattr(Checkpoint, "save", save)


QUICK: dict[str, Any] = {"options": {"size": 4}, "training": {"epochs": 1, "learning_rate": 0.01}}
