"""The model card: readable by the Hub's own library, complete, and no place for injected text."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import ModelCard
from markdown_it import MarkdownIt
from markdown_it.token import Token

from taskbank.bank.bank import Bank
from taskbank.bank.records import AdapterRecord
from taskbank.interchange.model_card import escaped, model_card

HOSTILE = (
    "---\nlicense: mit\n---\n# Heading\n- item\n1. item\n> quote\n    code\n***\n===\n```\nfence\n"
    "<script>alert(1)</script> <b>bold</b> [link](https://bad.example) ![i](x.png) `code` **bold** "
    "https://bad.example www.bad.example <https://bad.example> me@bad.example &lt; a | b \\| c $x$ "
    "~~gone~~ \u202e \x1b[31m"
)


def card_of(bank: Bank, record: AdapterRecord) -> str:
    """Return the card of an adapter, with a use that ends a code block."""
    return model_card(bank, record, library="transformers", usage="print('```')")


def test_the_hubs_library_reads_what_the_record_has(mood: Bank) -> None:
    """The front matter has library, task, tags and every metric with its value and split."""
    record = mood["mood"]
    card: Any = ModelCard(card_of(mood, record))
    assert card.data.library_name == "transformers"
    assert card.data.pipeline_tag == "text-classification"
    assert card.data.tags == ["taskbank", "single", "houlsby"]
    assert card.data.base_model is None  # the backbone is a folder of this machine
    found = [
        (one.dataset_split, one.metric_type, one.metric_value) for one in card.data.eval_results
    ]
    assert found == [(one.split, one.name, one.value) for one in record.metrics]
    for one in record.metrics:
        assert f"{one.value:.4f} ± {one.standard_error:.4f} | {one.count} |" in card.text


def test_a_card_has_the_digests_and_no_row_and_no_folder(mood: Bank) -> None:
    """Weights, backbone and splits are told by digests; texts and places stay in the bank."""
    record = mood["mood"]
    card = card_of(mood, record)
    identity = mood.backbone(record.backbone).identity
    digests = (record.digest, record.backbone, *(split.digest for split in record.splits))
    assert all(digest in card for digest in digests)
    assert "| 32 | test.jsonl |" in card
    assert record.splits[0].origin.startswith("/")
    assert identity.spec.startswith("/")
    assert identity.spec not in card
    assert str(Path(record.splits[0].origin).parent) not in card
    assert not any(text in card for text in mood.examples(record, "test").columns["text"])


def test_an_imported_adapter_has_a_card_without_a_training(mood: Bank) -> None:
    """What an import does not bring is left out."""
    card = card_of(mood, replace(mood["mood"], course={}, request=None, row_digests=None))
    assert "| train |" not in card
    assert "| seconds |" not in card


def test_what_the_hub_has_is_named_by_its_id(mood: Bank) -> None:
    """Data sets and the encoder are links to the Hub if they are from there."""
    record = mood["mood"]
    split = replace(record.splits[0], origin="hf:nyu-mll/glue/sst2:test (10 of 20 rows, seed 0)")
    card: Any = ModelCard(card_of(mood, replace(record, splits=(split,))))
    assert card.data.datasets == ["nyu-mll/glue"]


@pytest.mark.parametrize("text", [HOSTILE, *HOSTILE.splitlines()])
def test_texts_of_users_stay_text(mood: Bank, text: str) -> None:
    """Whatever users wrote adds neither a key of YAML, nor a heading, list, link, code or HTML."""
    record = mood["mood"]
    plain = replace(
        record, description="word", labels=("a", "b"), tags={"team": "word"}, settings={"x": "w"}
    )
    hostile = replace(
        record, description=text, labels=(text, "b"), tags={"team": text}, settings={"x": text}
    )
    cards: list[Any] = [ModelCard(card_of(mood, one)) for one in (plain, hostile)]
    assert cards[0].data.to_dict() == cards[1].data.to_dict()
    assert _structure(cards[0].text) == _structure(cards[1].text)


def test_the_front_matter_quotes_what_yaml_would_read_as_something_else(mood: Bank) -> None:
    """A name such as `no` or `1e3` stays a text."""
    for name in ("no", "1e3", "null", "2026-12-01"):
        card: Any = ModelCard(card_of(mood, replace(mood["mood"], task=name)))
        assert card.data.model_name == name
        assert card.data.eval_results[0].dataset_name == name


def test_a_text_is_shown_as_it_is() -> None:
    """Escaping changes what is written and not what is shown."""
    text = "a_b *c* [d](e) <f> & | `g` 1.5 x-y \\ #h"
    assert _shown(escaped(text)) == text
    assert escaped("train.csv (10% held out, seed 0)") == "train.csv (10% held out, seed 0)"


def _parser() -> MarkdownIt:
    return MarkdownIt("commonmark").enable(["table", "strikethrough"])


def _structure(markdown: str) -> list[str]:
    """Return the types of everything but texts and their lines."""
    return [one.type for one in _flat(_parser().parse(markdown)) if one.type not in TEXT]


TEXT = ("text", "softbreak", "text_special")


def _flat(tokens: list[Token]) -> list[Token]:
    return [part for one in tokens for part in (one, *_flat(one.children or []))]


def _shown(markdown: str) -> str:
    tokens = _flat(_parser().parseInline(markdown))
    return "".join(one.content for one in tokens if one.type in TEXT)
