"""Rows as `reproduce.py` makes them, for the tests of its tables and figures."""

from __future__ import annotations

from typing import Any

from scripts.paper import published_scores

Row = dict[str, Any]


def score_row(task: str, method: str, value: float = 0.8, **changes: Any) -> Row:
    """Return a row of the table of scores."""
    share = {"full": 1.001, "top-k": 0.5}.get(method, 0.02)
    row = {
        "task": task,
        "method": method,
        "metric": published_scores.GLUE_METRICS.get(task, "accuracy"),
        "split": "test",
        "seeds": 3,
        "mean": value,
        "standard_error": 0.01 if method == "full" else 0.004,
        "parameters": int(1000 * share),
        "share": share,
        "learning_rate": 3e-4,
        "options": {"size": 64} if "houlsby" in method else {},
        "collapsed": 0,
        "scores": [value - 0.01, value, value + 0.01],
    }
    return row | changes
