"""The kinds of task: their columns, head, loss and metrics."""
