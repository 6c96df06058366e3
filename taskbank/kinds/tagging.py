"""The kind `tagging`: a label for every word, such as names in a text.

The words of a text are joined by single spaces, and a word is read at its first sub-word, as in
Devlin et al. 2019, section 5.3. Tags are in the BIO form (B-name, I-name, O) or one of its
relatives, and scored as entities by `seqeval`; tags of another form, such as parts of speech,
count as entities of one word.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from taskbank.checks import check_text
from taskbank.data.fields import Field, shown
from taskbank.digests import Json
from taskbank.errors import DataError
from taskbank.kinds.changes import Changes, moved_by, scale_of
from taskbank.kinds.definition import Definition, check_requested, check_settings
from taskbank.kinds.entities import ENTITY, entities_of, seqeval_metrics, seqeval_tags
from taskbank.kinds.kind import Columns
from taskbank.kinds.labels import MANY, check_alike, rarest
from taskbank.kinds.logits import lead, other_class, softmax
from taskbank.kinds.metrics import Measurement
from taskbank.kinds.resampling import bootstrap, of_mean
from taskbank.kinds.text import is_written
from taskbank.kinds.words import Words, find_words, first_tokens, word_places

if TYPE_CHECKING:
    import torch

    from taskbank.data.encoded import Encoded

OVERLAP = 4  # neighbouring windows share one token in so many


class Tagging:
    """A label for every word.

    Predictions have a row a word, those of an example one after the other, and a column a label.
    """

    name = "tagging"
    summary = "the words of a text, a tag for each"
    inputs = ((Field("words", "words", "--text"),),)
    label = Field("tags", "tags", "--label")
    per_token = True
    metric = "f1"
    training: Mapping[str, Json] = {}

    def define(self, columns: Columns, origin: str, requested: Mapping[str, Json]) -> Definition:
        """Return the labels that occur, sorted.

        Raises:
            DataError: if a row has not one tag a word, or all tags are the same.
            InputError: if a setting is asked for.
            MissingExtraError: if seqeval is not installed.
        """
        check_requested(self.name, requested)
        seqeval_metrics()
        _check_lengths(columns, origin)
        labels = {tag for tags in columns["tags"] for tag in tags}
        if len(labels) < 2:
            raise DataError(
                f"every tag of {origin} is {shown(min(labels))}: there is nothing to predict"
            )
        check_alike(labels, origin)
        return Definition(tuple(sorted(labels)))

    def check(self, columns: Columns, definition: Definition, origin: str) -> None:
        """Raise unless every row has one tag a word, all of them the task's.

        Raises:
            DataError: naming the row and the tag, or a setting: there are none.
        """
        check_settings(self.name, definition, {})
        _check_lengths(columns, origin)
        known = set(definition.labels)
        for row, tags in enumerate(columns["tags"], start=1):
            for tag in tags:
                if tag not in known:
                    some = ", ".join(shown(one) for one in definition.labels[:MANY])
                    raise DataError(
                        f"row {row} of {origin} has the tag {shown(tag)}, which train does not "
                        f"have: it has {some}{', …' if len(known) > MANY else ''}; correct the "
                        "tag, leave the row out, or add examples of it to train"
                    )

    def strata(self, columns: Columns) -> Sequence[Hashable]:
        """Return the rarest type of entity in each example; nothing where there is none."""
        types = [
            [tag[2:] if ENTITY.fullmatch(tag) else tag for tag in tags if tag != "O"]
            for tags in columns["tags"]
        ]
        return rarest(types)

    def outputs(self, definition: Definition) -> int:
        """Return how many numbers the head gives a token: one a label."""
        return len(definition.labels)

    def encode(
        self,
        tokenizer: Any,
        columns: Columns,
        definition: Definition,
        max_length: int,
        *,
        labelled: bool,
    ) -> Encoded:
        """Tokenise every example in as many windows as it takes; see `Kind.encode`."""
        from taskbank.data.tokenization import encode_windows

        room = max_length - tokenizer.num_special_tokens_to_add(pair=False)
        texts = [" ".join(words) for words in columns["words"]]
        encoded, windows = encode_windows(tokenizer, texts, max_length, max(room, 0) // OVERLAP)
        tokens = first_tokens(columns["words"], texts, windows, encoded.offsets)
        told = {}
        if labelled:
            # 0 is for tokens that no word is read at, so that padding is one of them.
            targets = np.zeros(encoded.offsets[-1], dtype=np.int64)
            wanted = _positions(columns, definition)
            targets[tokens[tokens >= 0]] = 1 + wanted[tokens >= 0]
            told = {"targets": targets}
        return replace(encoded, tokens=told, places=Words(tokens, _outside(definition)))

    def loss(
        self,
        outputs: torch.Tensor,
        supervision: Mapping[str, torch.Tensor],
        weights: torch.Tensor | None,
    ) -> torch.Tensor:
        """Return the mean cross-entropy over the batch's words, outputs [batch, tokens, labels]."""
        import torch

        targets = supervision["targets"].flatten() - 1
        total = torch.nn.functional.cross_entropy(
            outputs.float().flatten(0, 1), targets, weights, ignore_index=-1, reduction="sum"
        )
        words = targets >= 0
        count = words.sum() if weights is None else (weights[targets.clamp(min=0)] * words).sum()
        return total / count.clamp(min=1)  # a window may be all overlap

    def balance(self, columns: Columns, definition: Definition) -> np.ndarray:
        """Return a weight a label, inversely to its share: 1 for a label of the mean size."""
        wanted = _positions(columns, definition)
        counts = np.bincount(wanted, minlength=len(definition.labels))
        return np.asarray(len(wanted) / (len(counts) * np.maximum(counts, 1)), dtype=np.float32)

    def predictions(self, outputs: np.ndarray, encoded: Encoded) -> np.ndarray:
        """Return the outputs of each word's first sub-word."""
        places: Words = encoded.places
        found: np.ndarray = outputs[places.tokens]
        unread = places.tokens < 0
        found[unread] = np.eye(outputs.shape[1], dtype=np.float32)[places.outside]
        return found

    def shape(self, columns: Columns, definition: Definition) -> tuple[int, int]:
        """Return the shape of predictions: words, labels."""
        return sum(len(words) for words in columns["words"]), len(definition.labels)

    def tune(self, predictions: np.ndarray, columns: Columns, definition: Definition) -> Definition:
        """Return the definition unchanged: nothing is chosen on validation."""
        return definition

    def examples_of(self, columns: Columns) -> np.ndarray:
        """Return the position of the example that each word is of."""
        return np.repeat(
            np.arange(len(columns["words"])), [len(words) for words in columns["words"]]
        )

    def scores(
        self, predictions: np.ndarray, columns: Columns, definition: Definition
    ) -> dict[str, float]:
        """Return F1 over entities, and the accuracy over words."""
        wanted = [list(tags) for tags in columns["tags"]]
        found = _tags(predictions, columns, definition)
        right = [
            tag == other
            for one, two in zip(wanted, found, strict=True)
            for tag, other in zip(one, two, strict=True)
        ]
        f1 = seqeval_metrics().f1_score(
            seqeval_tags(wanted, definition), seqeval_tags(found, definition), zero_division=0
        )
        return {"f1": float(f1), "accuracy": float(np.mean(right))}

    def metrics(
        self, predictions: np.ndarray, columns: Columns, definition: Definition
    ) -> dict[str, Measurement]:
        """Return both with a standard error: a bootstrap's over examples, and the mean's."""
        wanted = [list(tags) for tags in columns["tags"]]
        found = _tags(predictions, columns, definition)
        counts = np.array(
            [
                (len(one & other), len(one) + len(other))
                for one, other in (
                    (entities_of(a, definition), entities_of(b, definition))
                    for a, b in zip(wanted, found, strict=True)
                )
            ]
        )

        def f1(rows: np.ndarray) -> float:
            both, either = counts[rows].sum(axis=0)
            return float(2 * both / max(either, 1))

        shares = np.array(
            [
                np.mean([x == y for x, y in zip(a, b, strict=True)])
                for a, b in zip(wanted, found, strict=True)
            ]
        )
        errors = {"f1": bootstrap(len(counts), f1), "accuracy": of_mean(shares)}
        return {
            name: Measurement(value, errors[name], len(wanted))
            for name, value in self.scores(predictions, columns, definition).items()
        }

    def constant_baseline(self, columns: Columns, definition: Definition) -> np.ndarray:
        """Return the commonest tag, for every word."""
        counts = np.bincount(_positions(columns, definition), minlength=len(definition.labels))
        predictions = np.zeros(self.shape(columns, definition), dtype=np.float32)
        predictions[:, counts.argmax()] = 1
        return predictions

    def changes(
        self,
        reference: np.ndarray,
        predictions: np.ndarray,
        columns: Columns,
        definition: Definition,
    ) -> Changes:
        """Compare logits: a change is an example with a word that has another tag."""
        changed, margin = other_class(reference, predictions)
        starts = _starts(columns)
        return Changes(
            np.logical_or.reduceat(changed, starts),
            np.maximum.reduceat(margin, starts),
            np.maximum.reduceat(moved_by(reference, predictions), starts),
            scale_of(reference),
        )

    def margins(
        self, predictions: np.ndarray, columns: Columns, definition: Definition
    ) -> np.ndarray:
        """Return the smallest lead of a tag over the next, among an example's words."""
        return np.minimum.reduceat(lead(predictions), _starts(columns))

    def correctness(
        self, predictions: np.ndarray, columns: Columns, definition: Definition
    ) -> np.ndarray:
        """Return the share of an example's words that have the right tag."""
        found = zip(columns["tags"], _tags(predictions, columns, definition), strict=True)
        return np.array(
            [np.mean([a == b for a, b in zip(one, two, strict=True)]) for one, two in found]
        )

    def parse(self, rows: Sequence[tuple[Json, ...]], definition: Definition) -> Columns:
        """Return the words of texts that are to be predicted, and the texts.

        Args:
            rows: a text each, which is split into words and signs, or a list of words.
            definition: of the task.

        Raises:
            DataError: naming an input that has no words.
        """
        columns: dict[str, list[Json]] = {"text": [], "words": []}
        for number, row in enumerate(rows, start=1):
            given = row[0] if len(row) == 1 else row
            words: list[Json] = []
            if isinstance(given, str):
                words = [given[start:end] for start, end in find_words(given)]
            elif len(row) == 1 and isinstance(given, list | tuple):
                words = list(given)
            if not words or not all(is_written(word) for word in words):
                raise DataError(
                    f"input {number} is {shown(given)}: a task of kind 'tagging' takes a text "
                    "with words in it, or a list of words"
                )
            text = given if isinstance(given, str) else " ".join(words)
            columns["text"].append(check_text(text, f"input {number},"))
            columns["words"].append(words)
        return columns

    def answers(
        self, predictions: np.ndarray, columns: Columns, definition: Definition
    ) -> list[dict[str, Json]]:
        """Return the entities of each example with their places in its text, and every tag.

        The score is the least sure word's.
        """
        found: list[dict[str, Json]] = []
        sure, row = softmax(predictions).max(axis=1), 0
        texts = columns.get("text", [None] * len(columns["words"]))
        tagged = _tags(predictions, columns, definition)
        for words, text, tags in zip(columns["words"], texts, tagged, strict=True):
            shares = sure[row : row + len(words)]
            row += len(words)
            joined = " ".join(words)
            text = joined if text is None else text
            places = word_places(words) if text == joined else find_words(text)
            entities = [
                {
                    "text": text[places[first][0] : places[last][1]],
                    "type": name,
                    "start": places[first][0],
                    "end": places[last][1],
                    "score": float(shares[first : last + 1].min()),
                }
                for name, first, last in sorted(entities_of(tags, definition), key=lambda e: e[1:])
            ]
            found.append(
                {
                    "label": ", ".join(f"{one['text']} ({one['type']})" for one in entities),
                    "score": float(shares.min()),
                    "entities": entities,
                    "words": list(words),
                    "tags": tags,
                }
            )
        return found


def _starts(columns: Columns) -> np.ndarray:
    """Return the row of predictions that each example's words start at."""
    return np.cumsum([0, *(len(words) for words in columns["words"][:-1])])


def _check_lengths(columns: Columns, origin: str) -> None:
    rows = zip(columns["words"], columns["tags"], strict=True)
    for row, (words, tags) in enumerate(rows, start=1):
        if len(words) != len(tags):
            raise DataError(
                f"row {row} of {origin} has {len(words)} words and {len(tags)} tags: "
                f"{shown(words)} and {shown(tags)}; write one tag a word"
            )


def _outside(definition: Definition) -> int:
    return definition.labels.index("O") if "O" in definition.labels else 0


def _positions(columns: Columns, definition: Definition) -> np.ndarray:
    positions = {label: position for position, label in enumerate(definition.labels)}
    return np.array([positions[tag] for tags in columns["tags"] for tag in tags], dtype=np.int64)


def _tags(predictions: np.ndarray, columns: Columns, definition: Definition) -> list[list[str]]:
    flat = [definition.labels[position] for position in predictions.argmax(axis=1)]
    ends = np.cumsum([len(words) for words in columns["words"]])
    return [flat[end - len(own) : end] for own, end in zip(columns["words"], ends, strict=True)]


TAGGING = Tagging()
