"""The kind `span`: a question and a context, and where in the context the answer stands.

As SQuAD stores and scores it (Rajpurkar et al. 2016; 2018 for questions without an answer). A
long context is read in overlapping windows; the head gives every token a score for being the
first and one for being the last of the answer, and the first token of a window stands for no
answer (Devlin et al. 2019, section 4.2 and 4.3).
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from taskbank.data.fields import Field, is_number, shown
from taskbank.digests import Json
from taskbank.errors import DataError
from taskbank.kinds.changes import Changes, scale_of
from taskbank.kinds.definition import Definition, check_requested, check_settings
from taskbank.kinds.kind import Columns
from taskbank.kinds.logits import softmax
from taskbank.kinds.metrics import Measurement
from taskbank.kinds.resampling import of_mean
from taskbank.kinds.squad import normalised_words, words_f1
from taskbank.kinds.text import parse_texts

if TYPE_CHECKING:
    import torch

    from taskbank.data.encoded import Encoded
    from taskbank.data.tokenization import Window

QUESTION = 64  # tokens that a question is cut to,


OVERLAP = 128  # tokens that neighbouring windows share, and
LONGEST = 30  # tokens of the longest answer: as BERT's own code has them
BEST = 20  # first and last tokens of a window that are looked at
KEPT = 10  # answers that the bank keeps of each example
FARTHEST = 2**24  # characters: up to there float32 has every place


class Span:
    """Where in a context the answer to a question stands.

    Predictions have 1 + 3 x `KEPT` columns: the score of no answer, then for each of the best
    answers its first character, the character after its last, and its score; -1, -1, 0 where
    there are fewer.
    """

    name = "span"
    summary = "a question and a context, the answer in the context"
    inputs = ((Field("question", "text", "--text"), Field("context", "text", "--text-pair")),)
    label = Field("answers", "answers", "--label")
    per_token = True
    metric = "f1"
    training = {"max_length": 384}  # noqa: RUF012 - never written to

    def define(self, columns: Columns, origin: str, requested: Mapping[str, Json]) -> Definition:
        """Return whether questions may have no answer.

        Raises:
            DataError: if an answer is not where it is said to be, or no question has one.
            InputError: if a setting is asked for.
        """
        check_requested(self.name, requested)
        _check_places(columns, origin)
        answered = [bool(answers["text"]) for answers in columns["answers"]]
        if not any(answered):
            raise DataError(f"no question of {origin} has an answer: there is nothing to learn")
        settings = {"unanswerable": not all(answered), "null_threshold": 0.0}
        return Definition((), settings)

    def check(self, columns: Columns, definition: Definition, origin: str) -> None:
        """Raise unless every answer is where it is said to be, and there where one must be.

        Raises:
            DataError: naming the row, or a setting.
        """
        fits = {"unanswerable": lambda one: isinstance(one, bool), "null_threshold": is_number}
        check_settings(self.name, definition, fits)
        _check_places(columns, origin)
        for row, answers in enumerate(columns["answers"], start=1):
            if not answers["text"] and not definition.settings["unanswerable"]:
                raise DataError(
                    f"row {row} of {origin} has no answer, and every question of train has one: "
                    "leave the row out, or add such questions to train"
                )

    def strata(self, columns: Columns) -> Sequence[Hashable]:
        """Return whether each question has an answer."""
        return [bool(answers["text"]) for answers in columns["answers"]]

    def outputs(self, definition: Definition) -> int:
        """Return how many numbers the head gives a token: first and last."""
        return 2

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
        from taskbank.data.tokenization import cut, encode_windows

        room = max(max_length - tokenizer.num_special_tokens_to_add(pair=True), 2)
        tokens = min(QUESTION, room // 2)
        questions = cut(tokenizer, columns["question"], tokens)
        overlap = min(OVERLAP, (room - tokens) // 2)
        encoded, windows = encode_windows(
            tokenizer, columns["context"], max_length, overlap, questions
        )
        allowed = np.concatenate([window.inside for window in windows])
        allowed[encoded.offsets[:-1]] = True  # the first token stands for no answer
        rows = {}
        if labelled:
            targets = _targets(columns["answers"], windows)
            rows = {"first": targets[:, 0], "last": targets[:, 1]}
        return replace(encoded, rows=rows, tokens={"allowed": allowed})

    def loss(
        self,
        outputs: torch.Tensor,
        supervision: Mapping[str, torch.Tensor],
        weights: torch.Tensor | None,
    ) -> torch.Tensor:
        """Return the mean cross-entropy of first and last tokens, outputs [batch, tokens, 2]."""
        import torch

        allowed = supervision["allowed"].unsqueeze(-1)
        first, last = outputs.float().masked_fill(~allowed, -1e4).unbind(dim=-1)
        losses = (
            torch.nn.functional.cross_entropy(logits, supervision[name])
            for logits, name in ((first, "first"), (last, "last"))
        )
        return sum(losses, torch.zeros((), device=outputs.device)) / 2

    def balance(self, columns: Columns, definition: Definition) -> None:
        """Return none: there are no classes."""

    def predictions(self, outputs: np.ndarray, encoded: Encoded) -> np.ndarray:
        """Return the best answers of each example over its windows, outputs [tokens, 2]."""
        windows: Sequence[Window] = encoded.places
        count = windows[-1].example + 1
        nulls = np.full(count, np.inf, dtype=np.float64)
        spans: list[dict[tuple[int, int], float]] = [{} for _ in range(count)]
        for number, window in enumerate(windows):
            own = outputs[encoded.offsets[number] : encoded.offsets[number + 1]].astype(np.float64)
            null = own[0].sum()
            # A number that is none must show, and not be passed over by the smaller one.
            nulls[window.example] = (
                min(nulls[window.example], null) if np.isfinite(own).all() else np.nan
            )
            found = spans[window.example]
            for place, score in _best_spans(own, window):
                found[place] = max(score, found.get(place, -np.inf))
        predictions = np.zeros((count, 1 + 3 * KEPT), dtype=np.float32)
        predictions[:, 1::3] = predictions[:, 2::3] = -1
        predictions[:, 0] = nulls
        for row, found in enumerate(spans):
            best = sorted(found.items(), key=lambda item: (-item[1], item[0]))[:KEPT]
            for column, ((start, end), score) in enumerate(best):
                predictions[row, 1 + 3 * column : 4 + 3 * column] = (start, end, score)
        return predictions

    def shape(self, columns: Columns, definition: Definition) -> tuple[int, int]:
        """Return the shape of predictions: examples, 1 + 3 x `KEPT`."""
        return len(columns["answers"]), 1 + 3 * KEPT

    def examples_of(self, columns: Columns) -> np.ndarray:
        """Return the position of each example, which has one row of predictions."""
        return np.arange(len(columns["answers"]))

    def tune(self, predictions: np.ndarray, columns: Columns, definition: Definition) -> Definition:
        """Return the definition with the threshold for no answer that gives the best F1.

        No answer is predicted where its score is above the best answer's by more than that.
        """
        if not definition.settings["unanswerable"]:
            return definition
        with_answer, without = (
            _marks(predictions, columns, _with_threshold(definition, threshold))[:, 1]
            for threshold in (np.inf, -np.inf)
        )
        lead = _lead(predictions)
        order = np.argsort(lead, kind="stable")
        ordered = lead[order]
        gains = np.concatenate([[0], np.cumsum((with_answer - without)[order])])
        gains[1:-1][ordered[1:] == ordered[:-1]] = -np.inf  # no threshold parts equal ones
        place = int(gains.argmax())  # so many are answered: those with the smallest lead
        if place == 0:
            threshold = ordered[0] - 1
        elif place == len(ordered):
            threshold = ordered[-1] + 1
        else:
            threshold = (ordered[place - 1] + ordered[place]) / 2
        return _with_threshold(definition, float(threshold))

    def scores(
        self, predictions: np.ndarray, columns: Columns, definition: Definition
    ) -> dict[str, float]:
        """Return F1 over words and exact match, the best over an example's answers, from 0 to 1."""
        exact, f1 = _marks(predictions, columns, definition).mean(axis=0)
        return {"f1": float(f1), "exact_match": float(exact)}

    def metrics(
        self, predictions: np.ndarray, columns: Columns, definition: Definition
    ) -> dict[str, Measurement]:
        """Return both with the standard error of their mean."""
        marks = _marks(predictions, columns, definition)
        return {
            name: Measurement(float(own.mean()), of_mean(own), len(own))
            for name, own in (("f1", marks[:, 1]), ("exact_match", marks[:, 0]))
        }

    def constant_baseline(self, columns: Columns, definition: Definition) -> np.ndarray:
        """Return no answer, for every example."""
        predictions = np.zeros(self.shape(columns, definition), dtype=np.float32)
        predictions[:, 1::3] = predictions[:, 2::3] = -1
        return predictions

    def changes(
        self,
        reference: np.ndarray,
        predictions: np.ndarray,
        columns: Columns,
        definition: Definition,
    ) -> Changes:
        """Compare answers: a change is another one, or none any more."""
        before, after = _chosen(reference, definition), _chosen(predictions, definition)
        broken = ~np.isfinite(predictions).all(axis=1)
        margin = np.full(len(reference), np.inf)
        moved = np.abs(predictions[:, 0].astype(np.float64) - reference[:, 0])
        scored = zip(_scored(reference, definition), _scored(predictions, definition), strict=True)
        for row, (one, other) in enumerate(scored):
            preferred, place = tuple(before[row]), tuple(after[row])
            if preferred in one and place in one:
                margin[row] = one[preferred] - one[place]
            for both in one.keys() & other.keys():
                moved[row] = max(moved[row], abs(one[both] - other[both]))
        moved = np.where(broken, np.inf, moved)
        margin = np.where(broken, np.inf, margin)
        largest = scale_of(reference[:, [0, *range(3, 1 + 3 * KEPT, 3)]])
        changed = (before != after).any(axis=1) | broken
        return Changes(changed, margin, moved, largest)

    def margins(
        self, predictions: np.ndarray, columns: Columns, definition: Definition
    ) -> np.ndarray:
        """Return the lead of the best answer over the next, of those that were considered."""
        found = []
        for scored in _scored(predictions, definition):
            best, second = [*sorted(scored.values(), reverse=True), -np.inf, -np.inf][:2]
            found.append(np.inf if second == -np.inf else best - second)
        return np.array(found)

    def correctness(
        self, predictions: np.ndarray, columns: Columns, definition: Definition
    ) -> np.ndarray:
        """Return each answer's F1 over words."""
        return _marks(predictions, columns, definition)[:, 1]

    def parse(self, rows: Sequence[tuple[Json, ...]], definition: Definition) -> Columns:
        """Return the columns of questions and contexts; see `parse_texts`."""
        return parse_texts(self.name, [field.name for field in self.inputs[0]], rows)

    def answers(
        self, predictions: np.ndarray, columns: Columns, definition: Definition
    ) -> list[dict[str, Json]]:
        """Return each answer with its place in the context; it is empty where there is none.

        The score is its share among the answers that were considered, 0 where there were none.
        """
        found: list[dict[str, Json]] = []
        rows = zip(
            _chosen(predictions, definition).tolist(),
            _scored(predictions, definition),
            columns["context"],
            strict=True,
        )
        for (start, end), scored, context in rows:
            there = start >= 0
            given = context[start:end] if there else ""
            text = given.strip()  # some tokens have the space before a word
            begin = start + len(given) - len(given.lstrip())
            found.append(
                {
                    "label": text,
                    "score": _share(scored, (start, end)),
                    "answer": text,
                    "start": begin if there else None,
                    "end": begin + len(text) if there else None,
                }
            )
        return found


def _check_places(columns: Columns, origin: str) -> None:
    rows = zip(columns["context"], columns["answers"], strict=True)
    for row, (context, answers) in enumerate(rows, start=1):
        for text, start in zip(answers["text"], answers["answer_start"], strict=True):
            if not text.strip():
                raise DataError(
                    f"row {row} of {origin} has the blank answer {shown(text)}: leave it out; a "
                    "question without an answer has empty lists"
                )
            if start < 0 or context[start : start + len(text)] != text:
                there = context[max(start, 0) : max(start, 0) + max(len(text), 1)]
                raise DataError(
                    f"row {row} of {origin} has the answer {shown(text)}, which is not at "
                    f"character {start} of its context: {shown(there)} is; correct answer_start, "
                    "or leave the row out"
                )


def _targets(answers: Sequence[Mapping[str, Json]], windows: Sequence[Window]) -> np.ndarray:
    """Return the first and the last token of the answer in each window, int64 [windows, 2].

    They are 0, 0 where a window does not have all of an example's first answer.
    """
    targets = np.zeros((len(windows), 2), dtype=np.int64)
    places = np.full((len(windows), 2), -1)  # the first and last characters of those tokens
    for number, window in enumerate(windows):
        own = answers[window.example]
        if own["text"]:
            start = own["answer_start"][0]
            end = start + len(own["text"][0])
            tokens = np.flatnonzero(window.inside & (window.ends > start) & (window.starts < end))
            if len(tokens):
                targets[number] = tokens[0], tokens[-1]
                places[number] = window.starts[tokens[0]], window.ends[tokens[-1]]
    # A window that cuts the answer has other tokens at its ends than the windows around it.
    examples = np.array([window.example for window in windows])
    whole = np.stack([np.full(len(answers), np.iinfo(np.int64).max), np.full(len(answers), -1)])
    there = places[:, 0] >= 0
    np.minimum.at(whole[0], examples[there], places[there, 0])
    np.maximum.at(whole[1], examples[there], places[there, 1])
    return np.where((places == whole[:, examples].T).all(axis=1)[:, None], targets, 0)


def _best_spans(outputs: np.ndarray, window: Window) -> list[tuple[tuple[int, int], float]]:
    """Return the best answers of a window with their scores, outputs [tokens, 2]."""
    inside = np.flatnonzero(window.inside)
    first = inside[np.argsort(-outputs[inside, 0], kind="stable")[:BEST]]
    last = inside[np.argsort(-outputs[inside, 1], kind="stable")[:BEST]]
    scores = outputs[first, 0][:, None] + outputs[last, 1]
    fits = (last >= first[:, None]) & (last < first[:, None] + LONGEST)
    candidates = np.flatnonzero(fits)
    best = candidates[np.argsort(-scores.ravel()[candidates], kind="stable")[:KEPT]]
    rows, columns = np.divmod(best, max(len(last), 1))
    starts, ends = window.starts[first[rows]], window.ends[last[columns]]
    places = zip(starts.tolist(), ends.tolist(), strict=True)
    return list(zip(places, scores.ravel()[best].tolist(), strict=True))


def _with_threshold(definition: Definition, threshold: float) -> Definition:
    return replace(definition, settings={**definition.settings, "null_threshold": threshold})


def _lead(predictions: np.ndarray) -> np.ndarray:
    """Return by how much no answer scores above the best one, infinite where there is none."""
    lead = predictions[:, 0].astype(np.float64) - predictions[:, 3]
    return np.where(predictions[:, 1] < 0, np.finfo(np.float32).max, lead)


def _places(predictions: np.ndarray) -> np.ndarray:
    """Return the first character of each kept answer and the one after, [examples, kept, 2]."""
    kept = predictions[:, 1:].reshape(len(predictions), KEPT, 3)[..., :2]
    places: np.ndarray = np.clip(np.nan_to_num(kept, nan=-1), -1, FARTHEST).astype(np.int64)
    return places


def _chosen(predictions: np.ndarray, definition: Definition) -> np.ndarray:
    """Return the first character of each answer and the one after it; -1, -1 for no answer."""
    places = _places(predictions)[:, 0]
    if definition.settings["unanswerable"]:
        silent = _lead(predictions) > definition.settings["null_threshold"]
        places = np.where(silent[:, None], -1, places)
    return places


def _scored(predictions: np.ndarray, definition: Definition) -> list[dict[tuple[int, int], float]]:
    """Return the score of each place that was considered, of no answer above its threshold."""
    scores = predictions[:, 3::3].tolist()
    found = [
        {(start, end): score for (start, end), score in zip(*one, strict=True) if start >= 0}
        for one in zip(_places(predictions).tolist(), scores, strict=True)
    ]
    if definition.settings["unanswerable"]:
        nulls = predictions[:, 0].astype(np.float64) - definition.settings["null_threshold"]
        for own, null in zip(found, nulls.tolist(), strict=True):
            own[-1, -1] = null
    return found


def _share(scored: Mapping[tuple[int, int], float], place: tuple[int, int]) -> float:
    if place not in scored:
        return 0.0
    shares = softmax(np.array(list(scored.values())))
    return float(shares[list(scored).index(place)])


def _marks(predictions: np.ndarray, columns: Columns, definition: Definition) -> np.ndarray:
    """Return exact match and F1 of each example, of shape [examples, 2]."""
    marks = []
    rows = zip(
        _chosen(predictions, definition), columns["context"], columns["answers"], strict=True
    )
    for (start, end), context, answers in rows:
        found = normalised_words(context[start:end] if start >= 0 else "")
        # As in SQuAD's own scoring, an answer of nothing but articles and signs does not count.
        wanted = [words for words in map(normalised_words, answers["text"]) if words] or [[]]
        marks.append(
            (
                max(float(found == words) for words in wanted),
                max(words_f1(found, words) for words in wanted),
            )
        )
    return np.array(marks)


SPAN = Span()
