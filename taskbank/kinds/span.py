"""The kind `span`: a question and a context that holds the answer.

Data and scores are those of SQuAD (Rajpurkar et al. 2016; 2018 for questions without an answer). A
long context is read in overlapping windows. The head scores every token as the first and as the
last token of the answer; the first token of a window stands for no answer (Devlin et al. 2019,
sections 4.2 and 4.3).
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from taskbank.data.fields import Field, is_number, preview
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
    calibration_of_shares,
    has_temperature,
    is_temperature,
    temperature_of,
    with_temperature,
)
from taskbank.kinds.changes import Changes, output_scale
from taskbank.kinds.definition import Definition, check_requested, check_settings
from taskbank.kinds.kind import Columns
from taskbank.kinds.logits import shifted_log_mean, softmax
from taskbank.kinds.metrics import Measurement
from taskbank.kinds.resampling import standard_error_of_mean
from taskbank.kinds.squad import normalised_words, words_f1
from taskbank.kinds.text import parse_texts

if TYPE_CHECKING:
    import torch

    from taskbank.data.encoded import Encoded
    from taskbank.data.tokenization import Window

# The first three are the values of BERT's own code.
MAX_QUESTION = 64  # maximum number of tokens of a question
OVERLAP = 128  # number of tokens that neighbouring windows share
MAX_ANSWER = 30  # maximum number of tokens of an answer
CANDIDATES = 20  # number of candidates for first and last tokens per window
STORED_ANSWERS = 10  # number of answers that the bank stores per example
MAX_POSITION = 2**24  # last character position that float32 represents exactly
Place = tuple[int, int]  # the first character of an answer, and the character after its last
Scored = tuple[Place, Mapping[Place, float]]


class Span:
    """The position in a context of the answer to a question.

    Predictions have 1 + 3 x `STORED_ANSWERS` columns: the score of no answer, then for each of the
    best answers its first character, the character after its last, and its score. Columns of
    missing answers are -1, -1, 0.
    """

    name = "span"
    summary = "a question and a context, the answer in the context"
    inputs = ((Field("question", "text", "--text"), Field("context", "text", "--text-pair")),)
    label = Field("answers", "answers", "--label")
    per_token = True
    metric = "f1"
    proportions = ("exact_match",)
    training = {"max_length": 384}  # noqa: RUF012 - never written to

    def define(self, columns: Columns, origin: str, requested: Mapping[str, Json]) -> Definition:
        """Return a definition that records whether questions may have no answer.

        Raises:
            DataError: if an answer is not at its given position, or no question has an answer.
            InputError: if a setting other than `abstain` is requested, or that is no rule.
        """
        check_requested(self.name, requested, ("abstain",))
        abstain = requested_abstention(requested)
        _check_positions(columns, origin)
        answered = [bool(answers["text"]) for answers in columns["answers"]]
        if not any(answered):
            raise DataError(f"no question of {origin} has an answer: there is nothing to learn")
        settings = {"unanswerable": not all(answered), "null_threshold": 0.0, **abstain}
        return Definition((), settings)

    def check(self, columns: Columns, definition: Definition, origin: str) -> None:
        """Raise unless every answer is at its given position, and no required answer is missing.

        Raises:
            DataError: naming the row, or a setting.
        """
        fits = {
            "unanswerable": lambda value: isinstance(value, bool),
            "null_threshold": is_number,
            "temperature": is_temperature,
            "abstain": is_abstention,
        }
        check_settings(self.name, definition, fits)
        _check_positions(columns, origin)
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
        """Return the number of outputs per token: scores as first and last token."""
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
        """Tokenise every example in as many windows as it needs; see `Objective.encode`."""
        from taskbank.data.tokenization import encode_windows, truncate

        questions = truncate(
            tokenizer, columns["question"], self.question_room(tokenizer, max_length)
        )
        truncated = [
            row
            for row, (question, kept) in enumerate(zip(columns["question"], questions, strict=True))
            if len(kept) < len(question)
        ]
        overlap = self.overlap(tokenizer, max_length)
        encoded, windows = encode_windows(
            tokenizer, columns["context"], max_length, overlap, questions
        )
        allowed = np.concatenate([window.inside for window in windows])
        allowed[encoded.offsets[:-1]] = True  # the first token stands for no answer
        targets = {}
        if labelled:
            ends = _targets(columns["answers"], windows)
            targets = {"first": ends[:, 0], "last": ends[:, 1]}
        return replace(
            encoded,
            input_targets=targets,
            token_targets={"allowed": allowed},
            truncated=np.array(truncated, dtype=np.int64),
        )

    def overlap(self, tokenizer: Any, max_length: int) -> int:
        """Return the number of tokens that neighbouring windows share."""
        context = _room(tokenizer, max_length) - self.question_room(tokenizer, max_length)
        return min(OVERLAP, context // 2)

    def question_room(self, tokenizer: Any, max_length: int) -> int:
        """Return the number of tokens that are read of a question, at most."""
        return min(MAX_QUESTION, _room(tokenizer, max_length) // 2)

    def loss(
        self,
        outputs: torch.Tensor,
        supervision: Mapping[str, torch.Tensor],
        weights: torch.Tensor | None,
    ) -> torch.Tensor:
        """Return the mean cross-entropy of first and last tokens; outputs: [batch, tokens, 2]."""
        import torch

        allowed = supervision["allowed"].unsqueeze(-1)
        first, last = outputs.float().masked_fill(~allowed, -1e4).unbind(dim=-1)
        losses = (
            torch.nn.functional.cross_entropy(logits, supervision[name])
            for logits, name in ((first, "first"), (last, "last"))
        )
        return sum(losses, torch.zeros((), device=outputs.device)) / 2

    def combine(self, outputs: Sequence[np.ndarray], encoded: Encoded) -> np.ndarray:
        """Return the logits of the mean probabilities of first and last tokens.

        The windows of an example share one softmax, as their answers compete with each other.
        """
        allowed = encoded.token_targets["allowed"][:, None]
        examples = np.array([window.example for window in encoded.alignment])
        tokens = np.repeat(examples, encoded.lengths)
        starts = np.flatnonzero(np.diff(tokens, prepend=-1))

        def total(logits: np.ndarray) -> np.ndarray:
            kept = np.where(allowed, logits, -np.inf)
            return np.asarray(np.logaddexp.reduceat(kept, starts, axis=0)[tokens])

        return shifted_log_mean(outputs, total)

    def balance(self, columns: Columns, definition: Definition) -> None:
        """Return None: there are no classes."""

    def right(self, outputs: np.ndarray, encoded: Encoded, definition: Definition) -> np.ndarray:
        """Return the allowed tokens of the windows whose own first and last token score best."""
        allowed = encoded.token_targets["allowed"]
        scores = np.where(allowed[:, None], outputs, -np.inf)
        targets = np.stack([encoded.input_targets[name] for name in ("first", "last")], axis=1)
        windows = np.array(
            [
                (scores[start:end].argmax(axis=0) == own).all()
                for start, end, own in zip(
                    encoded.offsets[:-1], encoded.offsets[1:], targets, strict=True
                )
            ]
        )
        return np.asarray(np.repeat(windows, encoded.lengths) & allowed)

    def predictions(self, outputs: np.ndarray, encoded: Encoded) -> np.ndarray:
        """Return the best answers of each example over its windows; outputs: [tokens, 2]."""
        windows: Sequence[Window] = encoded.alignment
        count = windows[-1].example + 1
        nulls = np.full(count, np.inf, dtype=np.float64)
        spans: list[dict[tuple[int, int], float]] = [{} for _ in range(count)]
        for number, window in enumerate(windows):
            start, end = encoded.offsets[number], encoded.offsets[number + 1]
            window_outputs = outputs[start:end].astype(np.float64)
            null = window_outputs[0].sum()
            # NaN and infinity must stay visible; the minimum could hide them.
            nulls[window.example] = (
                min(nulls[window.example], null) if np.isfinite(window_outputs).all() else np.nan
            )
            scores = spans[window.example]
            for place, score in _best_spans(window_outputs, window):
                scores[place] = max(score, scores.get(place, -np.inf))
        predictions = np.zeros((count, 1 + 3 * STORED_ANSWERS), dtype=np.float32)
        predictions[:, 1::3] = predictions[:, 2::3] = -1
        predictions[:, 0] = nulls
        for row, scores in enumerate(spans):
            best = sorted(scores.items(), key=lambda item: (-item[1], item[0]))[:STORED_ANSWERS]
            for column, ((start, end), score) in enumerate(best):
                predictions[row, 1 + 3 * column : 4 + 3 * column] = (start, end, score)
        return predictions

    def shape(self, columns: Columns, definition: Definition) -> tuple[int, int]:
        """Return the shape of predictions: [examples, 1 + 3 x `STORED_ANSWERS`]."""
        return len(columns["answers"]), 1 + 3 * STORED_ANSWERS

    def examples_of(self, columns: Columns) -> np.ndarray:
        """Return the position of each example: each has one row of predictions."""
        return np.arange(len(columns["answers"]))

    def tune(self, predictions: np.ndarray, columns: Columns, definition: Definition) -> Definition:
        """Return the definition with the no-answer threshold that gives the best F1.

        No answer is predicted if its score exceeds the best answer's by more than the threshold.
        The temperature then makes the probability of an answer match the share of exact matches.
        """
        if definition.settings["unanswerable"]:
            definition = _with_best_threshold(predictions, columns, definition)
        right = _marks(predictions, columns, definition)[:, 0] == 1
        found, rows = _scored_answers(predictions, definition), np.arange(len(right))

        def loss(temperature: float) -> float:
            shares = _probabilities(found, temperature)
            return float(calibration_of_shares(shares, right, rows).losses.mean())

        tuned = with_temperature(definition, loss, len(right))
        abstention = abstention_of(tuned)
        if abstention is None:
            return tuned
        confidence = _confidence(predictions, tuned)
        return with_abstention(tuned, abstention.fitted(confidence, right, confidence.answers))

    def scores(
        self, predictions: np.ndarray, columns: Columns, definition: Definition
    ) -> dict[str, float]:
        """Return F1 over words and exact match, from 0 to 1, with each example's best answer.

        With a temperature, also log loss, Brier score and calibration error of the probability that
        an answer is an exact match; with abstention, coverage and precision.
        """
        marks = _marks(predictions, columns, definition)
        exact, f1 = marks.mean(axis=0)
        found = {"f1": float(f1), "exact_match": float(exact)}
        if has_temperature(definition):
            found |= _calibration(predictions, marks, definition).scores()
        return found | {
            name: one.value for name, one in _withheld(predictions, marks, definition).items()
        }

    def metrics(
        self, predictions: np.ndarray, columns: Columns, definition: Definition
    ) -> dict[str, Measurement]:
        """Return F1 and exact match with the standard errors of their means."""
        marks = _marks(predictions, columns, definition)
        found = {
            name: Measurement(float(values.mean()), standard_error_of_mean(values), len(values))
            for name, values in (("f1", marks[:, 1]), ("exact_match", marks[:, 0]))
        }
        if has_temperature(definition):
            found |= _calibration(predictions, marks, definition).metrics()
        return found | _withheld(predictions, marks, definition)

    def by_class(self, predictions: np.ndarray, columns: Columns, definition: Definition) -> None:
        """Return None: answers are no classes."""

    def constant_baseline(self, columns: Columns, definition: Definition) -> np.ndarray:
        """Return no answer for every example."""
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
        """Compare answers: an example changes if its answer differs, appears or disappears.

        It also changes if its answer is withheld only before or only after.
        """
        before, after = (
            _answer_positions(reference, definition),
            _answer_positions(predictions, definition),
        )
        broken = ~np.isfinite(predictions).all(axis=1)
        margin = np.full(len(reference), np.inf)
        moved = np.abs(predictions[:, 0].astype(np.float64) - reference[:, 0])
        pairs = zip(
            _answer_scores(reference, definition),
            _answer_scores(predictions, definition),
            strict=True,
        )
        for row, (reference_scores, scores) in enumerate(pairs):
            preferred, place = tuple(before[row]), tuple(after[row])
            if preferred in reference_scores and place in reference_scores:
                margin[row] = reference_scores[preferred] - reference_scores[place]
            for shared in reference_scores.keys() & scores.keys():
                moved[row] = max(moved[row], abs(reference_scores[shared] - scores[shared]))
        moved = np.where(broken, np.inf, moved)
        margin = np.where(broken, np.inf, margin)
        largest = output_scale(reference[:, [0, *range(3, 1 + 3 * STORED_ANSWERS, 3)]])
        changed = (before != after).any(axis=1) | broken
        changes = Changes(changed, margin, moved, largest)
        confidence = partial(_confidence, definition=definition)
        return with_withheld_changes(changes, definition, confidence, reference, predictions)

    def margins(
        self, predictions: np.ndarray, columns: Columns, definition: Definition
    ) -> np.ndarray:
        """Return the margin of the best answer over the second best, among those stored."""
        margins = []
        for scores in _answer_scores(predictions, definition):
            best, second = [*sorted(scores.values(), reverse=True), -np.inf, -np.inf][:2]
            margins.append(np.inf if second == -np.inf else best - second)
        confidence = partial(_confidence, definition=definition)
        return with_threshold_margins(np.array(margins), definition, confidence, predictions)

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
        """Return each answer with its position in the context; no answer is the empty text.

        The score is the answer's softmax probability among the stored answers, 0 without any.
        """
        answers: list[dict[str, Json]] = []
        rows = zip(
            _answer_positions(predictions, definition).tolist(),
            _confidence(predictions, definition).answers.tolist(),
            columns["context"],
            strict=True,
        )
        for (start, end), confidence, context in rows:
            answered = start >= 0
            raw = context[start:end] if answered else ""
            text = raw.strip()  # some tokens include the space before a word
            text_start = start + len(raw) - len(raw.lstrip())
            answers.append(
                {
                    "label": text,
                    "score": confidence,
                    "answer": text,
                    "start": text_start if answered else None,
                    "end": text_start + len(text) if answered else None,
                }
            )
        return answers


def _room(tokenizer: Any, max_length: int) -> int:
    """Return the number of tokens of a question and a context in one window."""
    return max(max_length - int(tokenizer.num_special_tokens_to_add(pair=True)), 2)


def _check_positions(columns: Columns, origin: str) -> None:
    rows = zip(columns["context"], columns["answers"], strict=True)
    for row, (context, answers) in enumerate(rows, start=1):
        for text, start in zip(answers["text"], answers["answer_start"], strict=True):
            if not text.strip():
                raise DataError(
                    f"row {row} of {origin} has the blank answer {preview(text)}: leave it out; a "
                    "question without an answer has empty lists"
                )
            if start < 0 or context[start : start + len(text)] != text:
                actual = context[max(start, 0) : max(start, 0) + max(len(text), 1)]
                raise DataError(
                    f"row {row} of {origin} has the answer {preview(text)}, which is not at "
                    f"character {start} of its context: {preview(actual)} is; correct "
                    "answer_start, or leave the row out"
                )


def _targets(answers: Sequence[Mapping[str, Json]], windows: Sequence[Window]) -> np.ndarray:
    """Return the answer's first and last token in each window, int64 [windows, 2].

    They are 0, 0 in a window without the whole of its example's first answer.
    """
    targets = np.zeros((len(windows), 2), dtype=np.int64)
    places = np.full((len(windows), 2), -1)  # the first and last characters of those tokens
    for number, window in enumerate(windows):
        answer = answers[window.example]
        if answer["text"]:
            start = answer["answer_start"][0]
            end = start + len(answer["text"][0])
            tokens = np.flatnonzero(window.inside & (window.ends > start) & (window.starts < end))
            if len(tokens):
                targets[number] = tokens[0], tokens[-1]
                places[number] = window.starts[tokens[0]], window.ends[tokens[-1]]
    # In a window that cuts the answer, its first or last token is not that of the whole answer.
    examples = np.array([window.example for window in windows])
    whole = np.stack([np.full(len(answers), np.iinfo(np.int64).max), np.full(len(answers), -1)])
    present = places[:, 0] >= 0
    np.minimum.at(whole[0], examples[present], places[present, 0])
    np.maximum.at(whole[1], examples[present], places[present, 1])
    return np.where((places == whole[:, examples].T).all(axis=1)[:, None], targets, 0)


def _best_spans(outputs: np.ndarray, window: Window) -> list[tuple[tuple[int, int], float]]:
    """Return the best answers of a window with their scores; outputs: [tokens, 2]."""
    inside = np.flatnonzero(window.inside)
    first = inside[np.argsort(-outputs[inside, 0], kind="stable")[:CANDIDATES]]
    last = inside[np.argsort(-outputs[inside, 1], kind="stable")[:CANDIDATES]]
    scores = outputs[first, 0][:, None] + outputs[last, 1]
    valid = (last >= first[:, None]) & (last < first[:, None] + MAX_ANSWER)
    candidates = np.flatnonzero(valid)
    best = candidates[np.argsort(-scores.ravel()[candidates], kind="stable")[:STORED_ANSWERS]]
    rows, columns = np.divmod(best, max(len(last), 1))
    starts, ends = window.starts[first[rows]], window.ends[last[columns]]
    places = zip(starts.tolist(), ends.tolist(), strict=True)
    return list(zip(places, scores.ravel()[best].tolist(), strict=True))


def _with_best_threshold(
    predictions: np.ndarray, columns: Columns, definition: Definition
) -> Definition:
    with_answer, without_answer = (
        _marks(predictions, columns, _with_threshold(definition, threshold))[:, 1]
        for threshold in (np.inf, -np.inf)
    )
    leads = _no_answer_leads(predictions)
    order = np.argsort(leads, kind="stable")
    sorted_leads = leads[order]
    gains = np.concatenate([[0], np.cumsum((with_answer - without_answer)[order])])
    # No threshold separates equal leads.
    gains[1:-1][sorted_leads[1:] == sorted_leads[:-1]] = -np.inf
    place = int(gains.argmax())  # number of answered questions, those with the smallest lead
    if place == 0:
        threshold = sorted_leads[0] - 1
    elif place == len(sorted_leads):
        threshold = sorted_leads[-1] + 1
    else:
        threshold = (sorted_leads[place - 1] + sorted_leads[place]) / 2
    return _with_threshold(definition, float(threshold))


def _with_threshold(definition: Definition, threshold: float) -> Definition:
    return replace(definition, settings={**definition.settings, "null_threshold": threshold})


def _no_answer_leads(predictions: np.ndarray) -> np.ndarray:
    """Return the lead of no answer over the best answer; the largest float32 without one."""
    lead = predictions[:, 0].astype(np.float64) - predictions[:, 3]
    return np.where(predictions[:, 1] < 0, np.finfo(np.float32).max, lead)


def _stored_positions(predictions: np.ndarray) -> np.ndarray:
    """Return the start and end of each stored answer, of shape [examples, answers, 2]."""
    stored = predictions[:, 1:].reshape(len(predictions), STORED_ANSWERS, 3)[..., :2]
    places: np.ndarray = np.clip(np.nan_to_num(stored, nan=-1), -1, MAX_POSITION).astype(np.int64)
    return places


def _answer_positions(predictions: np.ndarray, definition: Definition) -> np.ndarray:
    """Return the start and end of each example's answer; -1, -1 for no answer."""
    places = _stored_positions(predictions)[:, 0]
    if definition.settings["unanswerable"]:
        unanswered = _no_answer_leads(predictions) > definition.settings["null_threshold"]
        places = np.where(unanswered[:, None], -1, places)
    return places


def _answer_scores(
    predictions: np.ndarray, definition: Definition
) -> list[dict[tuple[int, int], float]]:
    """Return the scores of the stored answers by position; no answer is -1, -1, above threshold."""
    scores = predictions[:, 3::3].tolist()
    answers = [
        {(start, end): score for (start, end), score in zip(*entry, strict=True) if start >= 0}
        for entry in zip(_stored_positions(predictions).tolist(), scores, strict=True)
    ]
    if definition.settings["unanswerable"]:
        nulls = predictions[:, 0].astype(np.float64) - definition.settings["null_threshold"]
        for example_scores, null in zip(answers, nulls.tolist(), strict=True):
            example_scores[-1, -1] = null
    return answers


def _scored_answers(predictions: np.ndarray, definition: Definition) -> list[Scored]:
    """Return the position of each example's answer, with the scores of all its stored answers."""
    places = _answer_positions(predictions, definition).tolist()
    scores = _answer_scores(predictions, definition)
    return [((start, end), one) for (start, end), one in zip(places, scores, strict=True)]


def _probabilities(found: Sequence[Scored], temperature: float) -> np.ndarray:
    """Return each answer's softmax probability among the stored answers; 0 without any."""
    shares = np.zeros(len(found))
    for row, (place, scores) in enumerate(found):
        if place in scores:
            every = softmax(np.array(list(scores.values())), temperature)
            shares[row] = every[list(scores).index(place)]
    return shares


def _confidence(predictions: np.ndarray, definition: Definition) -> Confidence:
    temperature = temperature_of(definition)
    answers = _probabilities(_scored_answers(predictions, definition), temperature)
    return Confidence(answers, np.zeros(len(answers)), temperature)


def _calibration(predictions: np.ndarray, marks: np.ndarray, definition: Definition) -> Calibration:
    """Return the calibration of the probability that an answer is an exact match."""
    confidence = _confidence(predictions, definition)
    return calibration_of_shares(confidence.answers, marks[:, 0] == 1, np.arange(len(marks)))


def _withheld(
    predictions: np.ndarray, marks: np.ndarray, definition: Definition
) -> dict[str, Measurement]:
    confidence = partial(_confidence, definition=definition)
    return metrics_of_abstention(definition, confidence, predictions, lambda: marks[:, 0] == 1)


def _marks(predictions: np.ndarray, columns: Columns, definition: Definition) -> np.ndarray:
    """Return exact match and F1 of each example, of shape [examples, 2]."""
    marks = []
    rows = zip(
        _answer_positions(predictions, definition),
        columns["context"],
        columns["answers"],
        strict=True,
    )
    for (start, end), context, answers in rows:
        predicted = normalised_words(context[start:end] if start >= 0 else "")
        # As in SQuAD's own scoring, answers of only articles and punctuation are ignored.
        correct = [words for words in map(normalised_words, answers["text"]) if words] or [[]]
        marks.append(
            (
                max(float(predicted == words) for words in correct),
                max(words_f1(predicted, words) for words in correct),
            )
        )
    return np.array(marks)


SPAN = Span()
