"""The kind `pair`: two texts, one class."""

from taskbank.kinds.classification import Classification
from taskbank.kinds.text import TWO_TEXTS

PAIR = Classification(name="pair", inputs=(TWO_TEXTS,), summary="two texts, a class")
