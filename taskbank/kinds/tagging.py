"""The kind `tagging`: a label for every word, such as names in a text.

The words of a text are joined by single spaces, and a word is read at its first sub-word, as in
Devlin et al. 2019, section 5.3. Tags of a known scheme, such as B-PER, I-PER and O, are scored as
entities by `seqeval`; other tags, such as parts of speech, word by word.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from taskbank.checks import check_text
from taskbank.data.fields import Field, preview
from taskbank.data.words import find_words
from taskbank.digests import Json
from taskbank.errors import DataError
from taskbank.kinds.abstention import (
    Confidence,
    abstention_of,
    is_abstention,
    metrics_of_abstention,
    requested_abstention,
    with_abstention,
    with_threshold_margins,
    with_withheld_changes,
)
from taskbank.kinds.calibration import (
    Calibration,
    calibration_of_classes,
    has_temperature,
    is_temperature,
    temperature_of,
    with_temperature,
)
from taskbank.kinds.changes import Changes, largest_changes, output_scale
from taskbank.kinds.class_report import ClassReport, report_entities
from taskbank.kinds.definition import Definition, check_requested, check_settings
from taskbank.kinds.entities import (
    entities_of,
    scoring_checks,
    scoring_settings,
    seqeval_metrics,
    seqeval_names,
)
from taskbank.kinds.kind import Columns
from taskbank.kinds.labels import WHOLE, check_distinct, listed_labels, rarest
from taskbank.kinds.logits import class_changes, cross_entropies, log_mean_softmax, margins, softmax
from taskbank.kinds.metrics import Measurement
from taskbank.kinds.resampling import bootstrap_error, standard_error_of_mean
from taskbank.kinds.schemes import Scheme, find_form, find_scheme, irregular_rows, split
from taskbank.kinds.text import is_nonblank_text
from taskbank.kinds.words import Words, first_tokens, word_places

if TYPE_CHECKING:
    import torch

    from taskbank.data.encoded import Encoded

OVERLAP = 4  # neighbouring windows share 1 / OVERLAP of their tokens


class Tagging:
    """A label for every word.

    Predictions have one row per word, in the order of the examples, and one column per label.
    """

    name = "tagging"
    summary = "the words of a text, a tag for each"
    inputs = ((Field("words", "words", "--text"),),)
    label = Field("tags", "tags", "--label")
    per_token = True
    metric = "f1"
    proportions: tuple[str, ...] = ()
    training: Mapping[str, Json] = {}

    def define(self, columns: Columns, origin: str, requested: Mapping[str, Json]) -> Definition:
        """Return the sorted tags of the training data, their scheme, and what is scored.

        Warns if tags are in an order that the scheme does not allow.

        Raises:
            DataError: if a row does not have one tag per word, all tags are the same, the tags are
                numbers without names, or a few are not of the scheme of the others.
            InputError: if a setting other than `abstain` is requested, or that is no rule.
            MissingExtraError: if seqeval is not installed.
        """
        check_requested(self.name, requested, ("abstain",))
        abstain = requested_abstention(requested)
        seqeval_metrics()
        _check_lengths(columns, origin)
        labels = {tag for tags in columns["tags"] for tag in tags}
        if len(labels) < 2:
            raise DataError(
                f"every tag of {origin} is {preview(min(labels))}: there is nothing to predict"
            )
        if all(WHOLE.fullmatch(label) for label in labels):
            raise DataError(
                f"the tags of {origin} are numbers without names, such as "
                f"{preview(columns['tags'][0])}: name them in order, from 0, with --label-names "
                "O,B-PER,I-PER,… or a file of names"
            )
        check_distinct(labels, origin)
        scheme = find_scheme(columns["tags"], origin)
        if scheme is not None:
            _warn_of_irregular_rows(scheme, columns["tags"], origin)
        return Definition(tuple(sorted(labels)), scoring_settings(scheme) | abstain)

    def check(self, columns: Columns, definition: Definition, origin: str) -> None:
        """Raise unless every row has one tag per word, and every tag is one of the task's.

        Raises:
            DataError: naming the row and the tag, or a setting.
        """
        checks = scoring_checks(definition)
        checks |= {"temperature": is_temperature, "abstain": is_abstention}
        check_settings(self.name, definition, checks)
        _check_lengths(columns, origin)
        known = set(definition.labels)
        for row, tags in enumerate(columns["tags"], start=1):
            for tag in tags:
                if tag not in known:
                    raise DataError(
                        f"row {row} of {origin} has the tag {preview(tag)}, which train does not "
                        f"have: it has {listed_labels(definition.labels)}; correct the tag, leave "
                        "the row out, or add examples of it to train"
                    )

    def strata(self, columns: Columns) -> Sequence[Hashable]:
        """Return the rarest type of entity in each example; empty without entities."""
        counts = Counter(tag for tags in columns["tags"] for tag in tags)
        form = find_form(counts)
        types = {tag: tag for tag in counts if tag != "O"}
        if form is not None:
            parts = {tag: split(tag, form) or ("", tag) for tag in counts}
            types = {tag: name for tag, (mark, name) in parts.items() if mark != "O"}
        return rarest([[types[tag] for tag in tags if tag in types] for tags in columns["tags"]])

    def outputs(self, definition: Definition) -> int:
        """Return the number of outputs per token: one per label."""
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
        """Tokenise every example in as many windows as it needs; see `Objective.encode`."""
        from taskbank.data.tokenization import encode_windows

        texts = [" ".join(words) for words in columns["words"]]
        overlap = self.overlap(tokenizer, max_length)
        encoded, windows = encode_windows(tokenizer, texts, max_length, overlap)
        tokens = first_tokens(columns["words"], texts, windows, encoded.offsets)
        targets = {}
        if labelled:
            # 0 marks tokens at which no word is read, and so also padding.
            classes = np.zeros(encoded.offsets[-1], dtype=np.int64)
            positions = _positions(columns, definition)
            classes[tokens[tokens >= 0]] = 1 + positions[tokens >= 0]
            targets = {"targets": classes}
        return replace(
            encoded, token_targets=targets, alignment=Words(tokens, self.outside(definition))
        )

    def outside(self, definition: Definition) -> int:
        """Return the position of the label for words outside of entities; if none, the first."""
        names = seqeval_names(definition)
        return next((i for i, label in enumerate(definition.labels) if names[label] == "O"), 0)

    def overlap(self, tokenizer: Any, max_length: int) -> int:
        """Return the number of tokens that neighbouring windows share."""
        room = max_length - tokenizer.num_special_tokens_to_add(pair=False)
        return int(max(room, 0)) // OVERLAP

    def loss(
        self,
        outputs: torch.Tensor,
        supervision: Mapping[str, torch.Tensor],
        weights: torch.Tensor | None,
    ) -> torch.Tensor:
        """Return the mean cross-entropy over a batch's words; outputs: [batch, tokens, labels]."""
        import torch

        targets = supervision["targets"].flatten() - 1
        total = torch.nn.functional.cross_entropy(
            outputs.float().flatten(0, 1), targets, weights, ignore_index=-1, reduction="sum"
        )
        words = targets >= 0
        count = words.sum() if weights is None else (weights[targets.clamp(min=0)] * words).sum()
        return total / count.clamp(min=1)  # a window may have no words of its own

    def combine(self, outputs: Sequence[np.ndarray], encoded: Encoded) -> np.ndarray:
        """Return the logits of each token's mean probabilities."""
        return log_mean_softmax(outputs)

    def balance(self, columns: Columns, definition: Definition) -> np.ndarray:
        """Return one weight per label, inverse to its share: 1 for a label of mean size."""
        positions = _positions(columns, definition)
        counts = np.bincount(positions, minlength=len(definition.labels))
        return np.asarray(len(positions) / (len(counts) * np.maximum(counts, 1)), dtype=np.float32)

    def right(self, outputs: np.ndarray, encoded: Encoded, definition: Definition) -> np.ndarray:
        """Return the tokens at which a word is read whose own tag has the largest logit."""
        return np.asarray(outputs.argmax(axis=1) == encoded.token_targets["targets"] - 1)

    def predictions(self, outputs: np.ndarray, encoded: Encoded) -> np.ndarray:
        """Return the outputs of each word's first sub-word."""
        words: Words = encoded.alignment
        predictions: np.ndarray = outputs[words.tokens]
        missing = words.tokens < 0
        predictions[missing] = np.eye(outputs.shape[1], dtype=np.float32)[words.outside]
        return predictions

    def shape(self, columns: Columns, definition: Definition) -> tuple[int, int]:
        """Return the shape of predictions: [words, labels]."""
        return sum(len(words) for words in columns["words"]), len(definition.labels)

    def tune(self, predictions: np.ndarray, columns: Columns, definition: Definition) -> Definition:
        """Return the definition with the temperature of its words' tags, and its threshold."""
        targets = _positions(columns, definition)
        tuned = with_temperature(
            definition,
            lambda temperature: float(cross_entropies(predictions, targets, temperature).mean()),
            len(columns["words"]),  # the words of one sentence are alike, so they count as one
        )
        abstention = abstention_of(tuned)
        if abstention is None:
            return tuned
        confidence = _confidence(predictions, columns, tuned)
        right = self.correctness(predictions, columns, tuned) == 1
        return with_abstention(tuned, abstention.fitted(confidence, right, confidence.answers))

    def examples_of(self, columns: Columns) -> np.ndarray:
        """Return the position of each word's example."""
        return np.repeat(
            np.arange(len(columns["words"])), [len(words) for words in columns["words"]]
        )

    def scores(
        self, predictions: np.ndarray, columns: Columns, definition: Definition
    ) -> dict[str, float]:
        """Return F1 over entities and accuracy over words.

        With a temperature, also log loss, Brier score and calibration error over words; with
        abstention, coverage and precision of sentences.
        """
        correct = [list(tags) for tags in columns["tags"]]
        predicted = _tags(predictions, columns, definition)
        matches = [
            tag == other
            for one, two in zip(correct, predicted, strict=True)
            for tag, other in zip(one, two, strict=True)
        ]
        names = seqeval_names(definition)
        f1 = seqeval_metrics().f1_score(
            *([[names[tag] for tag in tags] for tags in side] for side in (correct, predicted)),
            zero_division=0,
        )
        found = {"f1": float(f1), "accuracy": float(np.mean(matches))}
        if has_temperature(definition):
            found |= self._calibration(predictions, columns, definition).scores()
        withheld = self._withheld(predictions, columns, definition)
        return found | {name: one.value for name, one in withheld.items()}

    def metrics(
        self, predictions: np.ndarray, columns: Columns, definition: Definition
    ) -> dict[str, Measurement]:
        """Return F1 with a bootstrapped standard error, and accuracy with that of its mean."""
        correct = [list(tags) for tags in columns["tags"]]
        predicted = _tags(predictions, columns, definition)
        names = seqeval_names(definition)
        counts = np.array(
            [
                (len(one & other), len(one) + len(other))
                for one, other in (
                    (set(entities_of(a, names)), set(entities_of(b, names)))
                    for a, b in zip(correct, predicted, strict=True)
                )
            ]
        )

        def f1(rows: np.ndarray) -> float:
            both, either = counts[rows].sum(axis=0)
            return float(2 * both / max(either, 1))

        shares = np.array(
            [
                np.mean([x == y for x, y in zip(a, b, strict=True)])
                for a, b in zip(correct, predicted, strict=True)
            ]
        )
        errors = {
            "f1": bootstrap_error(len(counts), f1),
            "accuracy": standard_error_of_mean(shares),
        }
        scores = self.scores(predictions, columns, definition)
        found = {
            name: Measurement(scores[name], error, len(correct)) for name, error in errors.items()
        }
        if has_temperature(definition):
            found |= self._calibration(predictions, columns, definition).metrics()
        return found | self._withheld(predictions, columns, definition)

    def _calibration(
        self, predictions: np.ndarray, columns: Columns, definition: Definition
    ) -> Calibration:
        """Return the calibration of the probabilities of the words' tags."""
        return calibration_of_classes(
            predictions,
            _positions(columns, definition),
            temperature_of(definition),
            self.examples_of(columns),
        )

    def _withheld(
        self, predictions: np.ndarray, columns: Columns, definition: Definition
    ) -> dict[str, Measurement]:
        return metrics_of_abstention(
            definition,
            partial(_confidence, columns=columns, definition=definition),
            predictions,
            lambda: self.correctness(predictions, columns, definition) == 1,
        )

    def by_class(
        self, predictions: np.ndarray, columns: Columns, definition: Definition
    ) -> ClassReport:
        """Return the scores of every type of entity, and which types are confused."""
        names = seqeval_names(definition)
        correct, predicted = (
            [set(entities_of(tags, names)) for tags in sentences]
            for sentences in (map(list, columns["tags"]), _tags(predictions, columns, definition))
        )
        types = {name for entities in (*correct, *predicted) for name, _, _ in entities}
        return report_entities(sorted(types), predicted, correct)

    def constant_baseline(self, columns: Columns, definition: Definition) -> np.ndarray:
        """Return the most common tag for every word."""
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
        """Compare logits: an example changes if any of its words has a different tag.

        It also changes if its answer is withheld only before or only after.
        """
        changed, margin = class_changes(reference, predictions)
        starts = _starts(columns)
        changes = Changes(
            np.logical_or.reduceat(changed, starts),
            np.maximum.reduceat(margin, starts),
            np.maximum.reduceat(largest_changes(reference, predictions), starts),
            output_scale(reference),
        )
        confidence = partial(_confidence, columns=columns, definition=definition)
        return with_withheld_changes(changes, definition, confidence, reference, predictions)

    def margins(
        self, predictions: np.ndarray, columns: Columns, definition: Definition
    ) -> np.ndarray:
        """Return the smallest margin of a tag over the second best among an example's words.

        With abstention, the margin of the confidence to its threshold counts, too.
        """
        found = np.minimum.reduceat(margins(predictions), _starts(columns))
        confidence = partial(_confidence, columns=columns, definition=definition)
        return with_threshold_margins(found, definition, confidence, predictions)

    def correctness(
        self, predictions: np.ndarray, columns: Columns, definition: Definition
    ) -> np.ndarray:
        """Return the share of an example's words with the correct tag."""
        pairs = zip(columns["tags"], _tags(predictions, columns, definition), strict=True)
        return np.array(
            [np.mean([a == b for a, b in zip(one, two, strict=True)]) for one, two in pairs]
        )

    def parse(self, rows: Sequence[tuple[Json, ...]], definition: Definition) -> Columns:
        """Return the texts to predict and their words.

        Args:
            rows: per input, a text, which is split into words and signs, or a list of words.
            definition: the task's definition.

        Raises:
            DataError: naming an input that has no words.
        """
        columns: dict[str, list[Json]] = {"text": [], "words": []}
        for number, row in enumerate(rows, start=1):
            value = row[0] if len(row) == 1 else row
            words: list[Json] = []
            if isinstance(value, str):
                words = [value[start:end] for start, end in find_words(value)]
            elif len(row) == 1 and isinstance(value, list | tuple):
                words = list(value)
            if not words or not all(is_nonblank_text(word) for word in words):
                raise DataError(
                    f"input {number} is {preview(value)}: a task of kind 'tagging' takes a text "
                    "with words in it, or a list of words"
                )
            text = value if isinstance(value, str) else " ".join(words)
            columns["text"].append(check_text(text, f"input {number},"))
            columns["words"].append(words)
        return columns

    def answers(
        self, predictions: np.ndarray, columns: Columns, definition: Definition
    ) -> list[dict[str, Json]]:
        """Return each example's entities with their positions in its text, and all tags.

        The score is the lowest probability of its words' tags.
        """
        answers: list[dict[str, Json]] = []
        confidences, row = _word_confidences(predictions, definition), 0
        texts = columns.get("text", [None] * len(columns["words"]))
        tagged, names = _tags(predictions, columns, definition), seqeval_names(definition)
        for words, text, tags in zip(columns["words"], texts, tagged, strict=True):
            probabilities = confidences[row : row + len(words)]
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
                    "score": float(probabilities[first : last + 1].min()),
                }
                for name, first, last in entities_of(tags, names)
            ]
            answers.append(
                {
                    "label": ", ".join(
                        f"{entity['text']} ({entity['type']})"
                        if entity["type"]
                        else str(entity["text"])
                        for entity in entities
                    ),
                    "score": float(probabilities.min()),
                    "entities": entities,
                    "words": list(words),
                    "tags": tags,
                }
            )
        return answers


def _word_confidences(predictions: np.ndarray, definition: Definition) -> np.ndarray:
    """Return the probability of each word's tag, of shape [words]."""
    confidences: np.ndarray = softmax(predictions, temperature_of(definition)).max(axis=1)
    return confidences


def _confidence(predictions: np.ndarray, columns: Columns, definition: Definition) -> Confidence:
    """Return the lowest probability of a tag in each example."""
    words = _word_confidences(predictions, definition)
    lowest = np.minimum.reduceat(words, _starts(columns))
    return Confidence(lowest, np.zeros(len(lowest)), temperature_of(definition))


def _starts(columns: Columns) -> np.ndarray:
    """Return the row of predictions at which each example's words start."""
    return np.cumsum([0, *(len(words) for words in columns["words"][:-1])])


def _check_lengths(columns: Columns, origin: str) -> None:
    rows = zip(columns["words"], columns["tags"], strict=True)
    for row, (words, tags) in enumerate(rows, start=1):
        if len(words) != len(tags):
            raise DataError(
                f"row {row} of {origin} has {len(words)} words and {len(tags)} tags: "
                f"{preview(words)} and {preview(tags)}; write one tag per word"
            )


def _warn_of_irregular_rows(
    scheme: Scheme, sentences: Sequence[Sequence[str]], origin: str
) -> None:
    rows = irregular_rows(scheme, sentences)
    if rows:
        warnings.warn(
            f"{len(rows):,} of {len(sentences):,} rows of {origin} have tags in an order that the "
            f"scheme {scheme.name} does not allow, first row {rows[0]:,}, "
            f"{preview(list(sentences[rows[0] - 1]))}: an entity is read to begin wherever the "
            "type changes",
            stacklevel=2,
        )


def _positions(columns: Columns, definition: Definition) -> np.ndarray:
    positions = {label: position for position, label in enumerate(definition.labels)}
    return np.array([positions[tag] for tags in columns["tags"] for tag in tags], dtype=np.int64)


def _tags(predictions: np.ndarray, columns: Columns, definition: Definition) -> list[list[str]]:
    flat = [definition.labels[position] for position in predictions.argmax(axis=1)]
    ends = np.cumsum([len(words) for words in columns["words"]])
    return [flat[end - len(words) : end] for words, end in zip(columns["words"], ends, strict=True)]


TAGGING = Tagging()
