"""`taskbank show` computes the scores of the classes from what is stored."""

from __future__ import annotations

import pytest

from taskbank.bank.bank import Bank
from tests.helpers.tampering import rewrite
from tests.helpers.terminal import Terminal, process


def test_the_classes_are_those_of_the_scored_split(terminal: Terminal, mood: Bank) -> None:
    """The report by class follows from the reference predictions, and agrees with the score."""
    shown = terminal.json("show", "mood")
    cells = shown["classes"]["confusion"]
    right = sum(cell["count"] for cell in cells if cell["label"] == cell["predicted"])
    assert right / 32 == pytest.approx(shown["score"])
    assert [score["label"] for score in shown["classes"]["classes"]] == ["bad", "good"]
    assert sum(score["support"] for score in shown["classes"]["classes"]) == 32
    assert "true \\ predicted" in terminal("show", "mood")


def test_a_split_that_cannot_be_read_costs_only_the_classes(terminal: Terminal, mood: Bank) -> None:
    """Everything else is still shown, and the error stream says what is missing."""
    digest = mood["mood"].splits[-1].digest
    rewrite(mood, "DELETE FROM blobs WHERE digest = ?", digest)
    shown = terminal.json("show", "mood")
    assert shown["classes"] is None
    assert shown["labels"] == ["bad", "good"]
    assert digest in terminal.err


@pytest.mark.process
def test_show_never_imports_torch(mood: Bank) -> None:
    """The classes need neither torch nor scikit-learn, so the command stays quick."""
    done = process("--bank", mood.url, "show", "mood", "--json", PYTHONPROFILEIMPORTTIME="1")
    assert done.returncode == 0
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert not {"torch", "sklearn", "scipy.stats", "transformers"} & imported
