"""Writes the same entities in every tagging scheme and form, and compares the scores.

Random entities, and the tags of a real file if one is given, are written in each scheme and form,
with predictions that miss some of them. Every F1 must be that of the entities themselves, and that
of seqeval's strict mode where it has the scheme; a tag that is spoiled in one row must be refused
with its row.

usage: python -m scripts.verification.attacks.tagging_schemes [--rows N] [--corpora N] [--data FILE]
"""

from __future__ import annotations

import random
import sys
import warnings
from pathlib import Path

import numpy as np
from seqeval import scheme as seqeval
from seqeval.metrics import f1_score

from scripts.shared.arguments import script_parser
from scripts.verification.attacks.outcomes import Outcomes
from taskbank.data.sources import read_examples
from taskbank.errors import DataError
from taskbank.kinds.schemes import FORMS, NO_TYPE, SCHEMES, Entity, Scheme, read_entities
from taskbank.kinds.tagging import TAGGING

STRICT = {
    "IOB1": seqeval.IOB1,
    "IOB2": seqeval.IOB2,
    "BIOES": seqeval.IOBES,
    "BILOU": seqeval.BILOU,
    "IOE2": seqeval.IOE2,
}
STRICT_FORMS = {"MARK-TYPE": False, "TYPE-MARK": True}  # the forms that seqeval reads: is it suffix
Sentence = tuple[int, list[Entity], list[Entity]]  # words, entities, predicted entities


def main() -> int:
    """Run the attack; return 1 if a promise broke."""
    parser = script_parser(__doc__)
    parser.add_argument("--rows", type=int, default=300, help="sentences of a random corpus")
    parser.add_argument("--corpora", type=int, default=10, help="number of random corpora")
    parser.add_argument("--data", type=Path, help="a real file with words and IOB2 tags")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    chance = random.Random(arguments.seed)
    outcomes = Outcomes()
    corpora = [random_corpus(chance, arguments.rows) for _ in range(arguments.corpora)]
    if arguments.data is not None:
        corpora.append(real_corpus(chance, str(arguments.data)))
    for number, corpus in enumerate(corpora, start=1):
        for name in SCHEMES:
            for form in FORMS:
                if "TYPE" in form or name not in ("IOE1", "IOE2"):
                    attack(outcomes, chance, corpus, Scheme(name, form), f"corpus {number}")
    return outcomes.finish()


def random_corpus(chance: random.Random, rows: int) -> list[Sentence]:
    """Return sentences of random entities, many of them adjacent, and imperfect predictions."""
    corpus = []
    for _ in range(rows):
        words, place, entities = chance.randint(1, 15), 0, []
        while place < words:
            size = min(chance.randint(1, 4), words - place)
            if chance.random() < 0.5:
                entities.append((chance.choice(("PER", "LOC", "a-b_c")), place, place + size - 1))
            place += size
        corpus.append((words, entities, spoiled(chance, entities)))
    return corpus


def real_corpus(chance: random.Random, source: str) -> list[Sentence]:
    """Return the entities of a real file, and imperfect predictions of them."""
    examples = read_examples(source, TAGGING.inputs, TAGGING.label)
    read = [(len(tags), read_entities(tags)) for tags in examples.columns["tags"]]
    return [(words, entities, spoiled(chance, entities)) for words, entities in read]


def spoiled(chance: random.Random, entities: list[Entity]) -> list[Entity]:
    """Return some of the entities: a third is lost, cut short or of another type."""
    found = []
    for name, first, last in entities:
        draw = chance.random()
        if draw < 0.1:
            found.append((name, first, max(first, last - 1)))
        elif draw < 0.2:
            found.append((chance.choice(entities)[0], first, last))
        elif draw > 0.33:
            found.append((name, first, last))
    return found


def attack(
    outcomes: Outcomes, chance: random.Random, corpus: list[Sentence], scheme: Scheme, place: str
) -> None:
    """Score a corpus in one scheme, then spoil one tag of it."""
    attempt = f"{place} as {scheme.name} {scheme.form}"
    if "TYPE" not in scheme.form:
        corpus = [(words, untyped(entities), untyped(found)) for words, entities, found in corpus]
    wanted = [scheme.write(entities, words) for words, entities, _ in corpus]
    found = [scheme.write(entities, words) for words, _, entities in corpus]
    columns = {"words": [["x"] * len(tags) for tags in wanted], "tags": wanted}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a random corpus may look irregular in its scheme
        definition = TAGGING.define(columns, attempt, {})
    labels = {*definition.labels, *(tag for tags in found for tag in tags)}
    definition = type(definition)(tuple(sorted(labels)), definition.settings)
    positions = {label: place for place, label in enumerate(definition.labels)}
    flat = [positions[tag] for tags in found for tag in tags]
    predictions = np.eye(len(positions), dtype=np.float32)[flat]
    scores = TAGGING.scores(predictions, columns, definition)
    expected = entity_f1(corpus)
    right = abs(scores["f1"] - expected) < 1e-12
    outcomes.add("F1 of the entities" if right else "another F1", attempt, broken=not right)
    if scheme.name in STRICT and scheme.form in STRICT_FORMS:
        strict = f1_score(
            wanted,
            found,
            mode="strict",
            scheme=STRICT[scheme.name],
            suffix=STRICT_FORMS[scheme.form],
        )
        right = abs(scores["f1"] - strict) < 1e-12
        outcomes.add("strict F1 of seqeval" if right else "another F1", attempt, broken=not right)
    row = chance.randrange(len(wanted))
    spoil = chance.choice(("0", "PER", "X-PER", "B PER", "B-", "_I", "b.PER"))
    tags = [spoil if number == 0 else tag for number, tag in enumerate(wanted[row])]
    spoiled_columns = columns | {"tags": [*wanted[:row], tags, *wanted[row + 1 :]]}
    try:
        TAGGING.define(spoiled_columns, attempt, {})
    except DataError as error:
        named = f"row {row + 1:,} " in str(error) and repr(spoil) in str(error)
        outcomes.add(
            "refused" if named else "refused elsewhere", f"{attempt}: {error}", broken=not named
        )
    else:
        outcomes.add("stray tag accepted", f"{attempt}: {spoil!r}", broken=True)


def untyped(entities: list[Entity]) -> list[Entity]:
    """Return entities without types."""
    return [(NO_TYPE, first, last) for _, first, last in entities]


def entity_f1(corpus: list[Sentence]) -> float:
    """Return the F1 of the predicted entities, counted without any tags."""
    hits = sum(len(set(entities) & set(found)) for _, entities, found in corpus)
    return 2 * hits / sum(len(entities) + len(found) for _, entities, found in corpus)


if __name__ == "__main__":
    sys.exit(main())
