"""The history of a bank: its events, and the scores of its tasks over time."""
