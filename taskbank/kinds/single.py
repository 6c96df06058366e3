"""The kind `single`: one text, one class."""

from taskbank.kinds.classification import Classification
from taskbank.kinds.text import ONE_TEXT

SINGLE = Classification(name="single", inputs=(ONE_TEXT,), summary="one text, a class")
