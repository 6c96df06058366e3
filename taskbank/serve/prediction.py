"""The prediction of a task for one input."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from taskbank.digests import Json


@dataclass(frozen=True)
class Prediction:
    """The prediction of a task for one input.

    Attributes:
        text: the input's text, or the first of its two texts; a list if the input is a list of
            words.
        text_pair: the input's second text; None if the input is one text.
        label: the predicted class, number, answer, labels or entities, as text. None if the
            version withholds the answer, as it is not sure enough of it: see `candidates` in
            `details`, whose other values are those of the withheld answer.
        score: confidence in the label; for a regression, the predicted number.
        details: further values that depend on the task's kind: `probabilities` by label for
            classes, `value` for a number, `labels` for several labels, `answer`, `start` and `end`
            for a span, `entities` with their positions, `words` and `tags` for words; of a withheld
            answer also `candidates`, each with `label` and `probability`, the most likely first.
        truncated: whether some of the input's tokens were left out, as it is longer than the task's
            `max_length`.
    """

    text: str | Sequence[str]
    text_pair: str | None
    label: str | None
    score: float
    details: Mapping[str, Json] = field(default_factory=dict)
    truncated: bool = False

    @property
    def best_label(self) -> str:
        """The label; of a withheld answer, its most likely candidate."""
        label: str = self.details["candidates"][0]["label"] if self.label is None else self.label
        return label

    @classmethod
    def of(
        cls, texts: Sequence[Json], answer: Mapping[str, Json], *, truncated: bool = False
    ) -> Prediction:
        """Return the prediction for an input.

        Args:
            texts: the input's texts.
            answer: the kind's answer: `label`, `score` and details.
            truncated: whether some of the input's tokens were left out.
        """
        details = {key: value for key, value in answer.items() if key not in ("label", "score")}
        pair = texts[1] if len(texts) > 1 else None
        return cls(texts[0], pair, answer["label"], answer["score"], details, truncated)

    def to_json(self) -> dict[str, Json]:
        """Return the prediction as `taskbank predict --json` prints it."""
        pair = {} if self.text_pair is None else {"text_pair": self.text_pair}
        answer = {"label": self.label, "score": self.score, "truncated": self.truncated}
        return {"text": self.text} | pair | answer | dict(self.details)
