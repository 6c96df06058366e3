"""The kind `single`: one text, one class."""

from taskbank.kinds.classification import Classification

SINGLE = Classification(name="single", columns=("text",))
