"""What the filter box offers."""

from __future__ import annotations

from dataclasses import replace

import pytest

from taskbank.bank.bank import Bank
from taskbank.pages import filter_words as module
from taskbank.pages.filter_words import LONGEST, filter_words
from tests.helpers.versions import version


def test_every_field_can_be_queried(demo: Bank) -> None:
    """What is offered is right: each field, with its type, makes a condition that is accepted."""
    fields = filter_words(demo)["fields"]
    assert {"task", "score", "metric.accuracy", "tag.team", "training.epochs", "options.size"} <= (
        fields.keys()
    )
    for name, kind in fields.items():
        demo.check_query(f"{name} >= 1" if kind == "number" else f'{name} = "x"')


def test_values_are_those_of_the_bank(demo: Bank) -> None:
    """Tags have their values in order; kinds and methods are all that are installed."""
    values = filter_words(demo)["values"]
    assert values["tag.team"] == ["mail", "search", "shop", "support"]
    assert "ticket-topic" in values["task"]
    assert "tagging" in values["kind"]
    assert "lora" in values["method"]
    assert "score" not in values


def test_what_cannot_be_typed_is_not_offered(own: Bank) -> None:
    """Values with control characters and long ones are left out."""
    tags = {"team": "a\u202eb", "long": "x" * (LONGEST + 1), "plain": "<b>'\"\\"}
    own.put(replace(version(1), tags=tags))
    found = filter_words(own)
    assert "tag.team" not in found["values"]
    assert "tag.long" not in found["values"]
    assert found["values"]["tag.plain"] == ["<b>'\"\\"]


def test_the_answer_is_bounded(demo: Bank, monkeypatch: pytest.MonkeyPatch) -> None:
    """However much a bank has, so many values and fields are offered."""
    monkeypatch.setattr(module, "VALUES", 2)
    monkeypatch.setattr(module, "FIELDS", 15)
    found = filter_words(demo)
    assert len(found["fields"]) == 15
    assert len(found["values"]["task"]) == 2


def test_an_empty_bank_has_fields(own: Bank) -> None:
    """The columns can be offered before there is a task."""
    assert filter_words(own)["fields"]["created_at"] == "text"
