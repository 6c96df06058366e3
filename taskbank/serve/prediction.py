"""What a task predicts for one input."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from taskbank.digests import Json


@dataclass(frozen=True)
class Prediction:
    """What a task predicts for one input.

    Attributes:
        text: the input, or the first of its two texts; a list of words where words were given.
        text_pair: the second text; none where an input is one text.
        label: the answer as text: a class, a number, an answer, or a list of labels or entities.
        score: how certain the answer is, or the number itself.
        details: what else the task's kind says: `probabilities` by label for classes, `value` for
            a number, `labels` for several, `answer`, `start` and `end` for a span, `entities` with
            their places, `words` and `tags` for words.
    """

    text: str | Sequence[str]
    text_pair: str | None
    label: str
    score: float
    details: Mapping[str, Json] = field(default_factory=dict)

    @classmethod
    def of(cls, texts: Sequence[Json], answer: Mapping[str, Json]) -> Prediction:
        """Return the prediction for an input.

        Args:
            texts: of the input.
            answer: as the kind gives it: `label`, `score` and details.
        """
        details = {key: value for key, value in answer.items() if key not in ("label", "score")}
        pair = texts[1] if len(texts) > 1 else None
        return cls(texts[0], pair, answer["label"], answer["score"], details)

    def to_json(self) -> dict[str, Json]:
        """Return what `taskbank predict --json` prints of an input."""
        pair = {} if self.text_pair is None else {"text_pair": self.text_pair}
        own = {"label": self.label, "score": self.score}
        return {"text": self.text} | pair | own | dict(self.details)
