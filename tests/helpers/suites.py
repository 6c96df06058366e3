"""A suite of three tasks."""

from __future__ import annotations

SUITE = """
[defaults]
epochs = 1
learning_rate = 0.02
options = {size = 4}
tags.team = "search"

[[task]]
name = "one"
train = "one.jsonl"
test = "two.jsonl"

[[task]]
name = "two"
train = "two.jsonl"
size = 8
metric = "f1_macro"
tags.owner = "me"

[[task]]   # only measured
name = "three"
train = "two.jsonl"
method = "full"
options = {layers = "all"}
"""
