"""`taskbank show` computes the scores of the classes from what is stored."""

from __future__ import annotations

import re

import pytest

from taskbank.bank.bank import Bank
from tests.helpers.adapters import new_adapter
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


def test_the_versions_that_a_training_started_from_are_shown(
    terminal: Terminal, mood: Bank
) -> None:
    """`show` names each with its digest and its weight, `history` in the event of the addition,
    and --json has them in the course."""
    parents = [
        {"ref": "mood@1", "digest": mood["mood"].digest, "weight": 0.75},
        {"ref": "gone@2", "digest": "sha256:" + "1" * 64, "weight": 0.25},
    ]
    mood.put(new_adapter("child", course={"parents": parents}))
    shown = terminal("show", "child")
    assert re.search(rf"started from mood@1 +{mood['mood'].digest}, weight 0.75", shown)
    assert "started from gone@2" in shown
    assert terminal.json("show", "child")["course"]["parents"] == parents
    for command in (["history"], ["history", "child"]):
        assert "started from mood@1 (0.75), gone@2 (0.25)" in terminal(*command)


@pytest.mark.process
def test_show_never_imports_torch(mood: Bank) -> None:
    """The classes need neither torch nor scikit-learn, so the command stays quick."""
    done = process("--bank", mood.url, "show", "mood", "--json", PYTHONPROFILEIMPORTTIME="1")
    assert done.returncode == 0
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert not {"torch", "sklearn", "scipy.stats", "transformers"} & imported
