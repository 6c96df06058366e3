"""The kind `pair`: two texts, one class, such as whether one follows from the other."""

from taskbank.kinds.classification import Classification

PAIR = Classification(name="pair", columns=("text_a", "text_b"))
