"""Answers that a version withholds: where it is not sure enough, by a rule chosen on validation.

A version answers an input if its confidence, the `score` of the answer, reaches a threshold. The
rules that choose the threshold are:

- `precision`: as many answers as possible, of which this share is right.
- `coverage`: this share of the inputs is answered.
- `alpha`: split conformal prediction (Angelopoulos and Bates 2021, "A Gentle Introduction to
  Conformal Prediction", section 1). The labels whose probability reaches the threshold are a set
  that has the right label for at least 1 - alpha of all inputs, over draws of validation data and
  input; an input is answered if the set has exactly one label.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from taskbank.data.fields import is_number, preview
from taskbank.digests import Json
from taskbank.errors import InputError
from taskbank.kinds.calibration import TINY
from taskbank.kinds.changes import Changes
from taskbank.kinds.definition import Definition
from taskbank.kinds.metrics import Measurement
from taskbank.kinds.resampling import standard_error_of_share

RULES = ("precision", "coverage")  # of every kind with probabilities
CLASS_RULES = (*RULES, "alpha")
# The precision of unseen data is hardly lower than asked by more than this: it is excluded with
# this confidence by the interval of C. J. Clopper and E. S. Pearson, "The use of confidence or
# fiducial limits illustrated in the case of the binomial" (1934).
SLACK, CONFIDENCE = 0.02, 0.9
LEAST = 0.001  # levels nearer to 0 or 1 need more rows than a task has
CANDIDATES = 5  # labels that a withheld answer lists, at most; all of a conformal set


@dataclass(frozen=True)
class Confidence:
    """How sure a version is of each answer.

    Attributes:
        answers: the confidence of each answer, its `score`, of shape [inputs].
        seconds: the highest probability of another label, of the same shape; 0 for a kind without
            classes.
        unit: the change of outputs, as a margin between two of them, that changes the log odds of
            a confidence by no more than 1.
    """

    answers: np.ndarray
    seconds: np.ndarray
    unit: float


@dataclass(frozen=True)
class Abstention:
    """When a version answers.

    Attributes:
        rule: `precision`, `coverage` or `alpha`.
        level: the share that the rule is about, between 0 and 1.
        threshold: the smallest confidence of an answer; None if no threshold keeps to the rule, so
            that every answer is withheld.
    """

    rule: str
    level: float
    threshold: float | None = None

    @property
    def text(self) -> str:
        """The rule and its level, as `--abstain` takes them."""
        return f"{self.rule}={self.level:g}"

    def answered(self, confidence: Confidence) -> np.ndarray:
        """Return which inputs are answered, of shape [inputs]."""
        if self.threshold is None:
            return np.zeros(len(confidence.answers), dtype=bool)
        reached: np.ndarray = confidence.answers >= self.threshold
        if self.rule == "alpha":
            return reached & (confidence.seconds < self.threshold)
        return reached

    def margins(self, confidence: Confidence) -> np.ndarray:
        """Return how far each confidence is from the threshold, as a margin between two outputs."""
        if self.threshold is None:
            return np.full(len(confidence.answers), np.inf)
        place = _log_odds(np.array(self.threshold))
        distances = np.abs(_log_odds(confidence.answers) - place)
        if self.rule == "alpha":
            distances = np.minimum(distances, np.abs(_log_odds(confidence.seconds) - place))
        return np.asarray(distances * confidence.unit)

    def changes(self, changes: Changes, before: Confidence, after: Confidence) -> Changes:
        """Return changes that include answers which are given only before or only after."""
        crossed = self.answered(before) != self.answered(after)
        own = np.where(changes.changed, changes.margin, 0)
        margin = np.maximum(own, np.where(crossed, self.margins(before), 0))
        return replace(changes, changed=changes.changed | crossed, margin=margin)

    def metrics(self, confidence: Confidence, right: np.ndarray) -> dict[str, Measurement]:
        """Return the share of answered inputs, and the share of right answers among them.

        Args:
            confidence: the confidence of each answer.
            right: whether each answer is entirely right, boolean of shape [inputs].
        """
        answered = self.answered(confidence)
        count, given = len(answered), int(answered.sum())
        coverage = given / count
        precision = float(right[answered].mean()) if given else 0.0
        return {
            "coverage": Measurement(coverage, standard_error_of_share(coverage, count), count),
            "precision": Measurement(
                precision, standard_error_of_share(precision, max(given, 1)), count
            ),
        }

    def least_rows(self) -> int:
        """Return the smallest number of validation rows of which a threshold can be chosen."""
        rows = 1
        if self.rule == "alpha":
            while _conformal_rank(rows, self.level) > rows:
                rows += 1
        if self.rule == "precision":
            while not _is_precise(np.array([rows]), np.array([rows]), self.level)[0]:
                rows += 1
        return rows

    def fitted(self, confidence: Confidence, right: np.ndarray, truth: np.ndarray) -> Abstention:
        """Return the rule with the threshold that validation examples give.

        Args:
            confidence: the confidence of each answer.
            right: whether each answer is entirely right, boolean of shape [inputs].
            truth: the probability of each right label, of shape [inputs]; unused without classes.
        """
        if self.rule == "alpha":
            ordered = np.sort(truth)[::-1]
            rank = _conformal_rank(len(ordered), self.level)
            return replace(self, threshold=_below(ordered, rank) if rank <= len(ordered) else None)
        order = np.argsort(-confidence.answers, kind="stable")
        ordered, numbers = confidence.answers[order], np.arange(1, len(order) + 1)
        if self.rule == "coverage":
            rank = min(math.ceil(self.level * (len(ordered) + 1)), len(ordered))
            return replace(self, threshold=_below(ordered, rank))
        hits = np.cumsum(right[order])
        # No threshold separates equal confidences.
        separable = np.append(ordered[1:] != ordered[:-1], True)
        ranks = numbers[_is_precise(hits, numbers, self.level) & separable]
        return replace(self, threshold=_below(ordered, int(ranks[-1])) if len(ranks) else None)


def abstention_of(definition: Definition) -> Abstention | None:
    """Return when a version answers; None if it always does."""
    value = definition.settings.get("abstain")
    return None if value is None else Abstention(**value)


def with_abstention(definition: Definition, abstention: Abstention) -> Definition:
    """Return the definition with a rule and its threshold."""
    return replace(definition, settings={**definition.settings, "abstain": asdict(abstention)})


# What a kind adds for versions that abstain. Confidences are computed only for those.


def with_withheld_changes(
    changes: Changes,
    definition: Definition,
    confidence: Callable[[np.ndarray], Confidence],
    reference: np.ndarray,
    predictions: np.ndarray,
) -> Changes:
    """Return changes that include answers which are given only before or only after.

    Args:
        changes: how the answers differ, whether they are given or not.
        definition: the task's definition.
        confidence: returns the confidence of predictions.
        reference: the reference predictions.
        predictions: the predictions that are compared with them.
    """
    abstention = abstention_of(definition)
    if abstention is None:
        return changes
    return abstention.changes(changes, confidence(reference), confidence(predictions))


def with_threshold_margins(
    margins: np.ndarray,
    definition: Definition,
    confidence: Callable[[np.ndarray], Confidence],
    predictions: np.ndarray,
) -> np.ndarray:
    """Return the margins of answers, or those of their confidence to the threshold if smaller.

    Args:
        margins: the margin of each answer, of shape [inputs].
        definition: the task's definition.
        confidence: returns the confidence of predictions.
        predictions: the predictions.
    """
    abstention = abstention_of(definition)
    if abstention is None:
        return margins
    return np.asarray(np.minimum(margins, abstention.margins(confidence(predictions))))


def metrics_of_abstention(
    definition: Definition,
    confidence: Callable[[np.ndarray], Confidence],
    predictions: np.ndarray,
    right: Callable[[], np.ndarray],
) -> dict[str, Measurement]:
    """Return coverage and precision; nothing for a version that always answers.

    Args:
        definition: the task's definition.
        confidence: returns the confidence of predictions.
        predictions: the predictions.
        right: returns whether each answer is entirely right, boolean of shape [inputs].
    """
    abstention = abstention_of(definition)
    return {} if abstention is None else abstention.metrics(confidence(predictions), right())


def requested_abstention(
    requested: Mapping[str, Json], rules: Sequence[str] = RULES
) -> dict[str, Json]:
    """Return the setting `abstain` of a new task, without a threshold yet; empty if not requested.

    Args:
        requested: settings that the user chose; `abstain` is a rule and a level, `precision=0.95`.
        rules: the rules that the task's kind knows.

    Raises:
        InputError: if the rule is unknown, or its level is not between 0 and 1.
    """
    if "abstain" not in requested:
        return {}
    text = requested["abstain"]
    rule, _, number = text.partition("=") if isinstance(text, str) else ("", "", "")
    try:
        level = float(number)
    except ValueError:
        level = math.nan
    if rule not in rules or not LEAST <= level <= 1 - LEAST:
        known = " or ".join(f"{one}=LEVEL" for one in rules)
        raise InputError(
            f"abstain is {preview(text)}: write {known}, with a LEVEL from {LEAST} to {1 - LEAST}"
        )
    return {"abstain": asdict(Abstention(rule, level))}


def is_abstention(value: Json, rules: Sequence[str] = RULES) -> bool:
    """Return whether a setting, which may come from an export, is a rule; None is, too."""
    if value is None:
        return True
    if not isinstance(value, dict) or value.keys() != {"rule", "level", "threshold"}:
        return False
    level, threshold = value["level"], value["threshold"]
    return (
        value["rule"] in rules
        and is_number(level)
        and LEAST <= level <= 1 - LEAST
        and (threshold is None or (is_number(threshold) and 0 <= threshold <= 1))
    )


def check_rows(definition: Definition, rows: int, origin: str) -> None:
    """Raise if validation is too small to choose a threshold.

    Raises:
        InputError: naming the number of rows that are needed.
    """
    abstention = abstention_of(definition)
    if abstention is not None and rows < abstention.least_rows():
        raise InputError(
            f"{origin} has {rows:,} rows for validation: the threshold of --abstain "
            f"{abstention.text} needs at least {abstention.least_rows():,}, even if every answer "
            "is right; add rows, or leave the option out"
        )


def withhold(answer: Mapping[str, Any], definition: Definition) -> dict[str, Any]:
    """Return an answer as a version gives it: if it is withheld, with candidates for a label.

    Args:
        answer: an answer of the version's kind.
        definition: the version's definition.
    """
    abstention = abstention_of(definition)
    if abstention is None:
        return dict(answer)
    one_of_many = "probabilities" in answer and "labels" not in answer
    probabilities = answer["probabilities"] if one_of_many else {answer["label"]: answer["score"]}
    ordered = sorted(probabilities.items(), key=lambda pair: -pair[1])
    second = ordered[1][1] if one_of_many else 0.0
    confidence = Confidence(np.array([answer["score"]]), np.array([second]), 1.0)
    if abstention.answered(confidence)[0]:
        return dict(answer)
    shown = ordered[:CANDIDATES]
    if abstention.rule == "alpha" and abstention.threshold is not None:
        inside = [pair for pair in ordered if pair[1] >= abstention.threshold]
        shown = inside or ordered[:1]
    candidates = [{"label": label, "probability": share} for label, share in shown]
    return {**answer, "label": None, "candidates": candidates}


def _is_precise(hits: np.ndarray, numbers: np.ndarray, level: float) -> np.ndarray:
    """Return whether so many right answers show that precision reaches a level.

    One more wrong answer is counted, as the most favourable number of answers was chosen; and a
    precision below the level by more than `SLACK` is excluded.
    """
    from scipy.special import betainc

    enough = numbers - hits + 1 <= (1 - level) * (numbers + 1) * (1 + 1e-12)
    lowest = max(level - SLACK, 0.0)
    as_good = betainc(np.maximum(hits, 1), numbers - hits + 1, lowest)
    return np.asarray(enough & (hits > 0) & (as_good <= 1 - CONFIDENCE))


def _conformal_rank(rows: int, alpha: float) -> int:
    """Return the rank of the score that is the threshold, from 1; beyond `rows` if too few."""
    return math.ceil((rows + 1) * (1 - alpha) - 1e-9)


def _below(ordered: np.ndarray, rank: int) -> float:
    """Return a threshold that the first values of a descending order reach, and no others.

    It is far from both neighbours, so that rounding moves no validation example across it.
    """
    smaller = ordered[ordered < ordered[rank - 1]]
    return float((ordered[rank - 1] + (smaller[0] if len(smaller) else 0.0)) / 2)


def _log_odds(shares: np.ndarray) -> np.ndarray:
    inside = np.clip(shares, TINY, 1 - TINY)
    return np.asarray(np.log(inside) - np.log1p(-inside))
