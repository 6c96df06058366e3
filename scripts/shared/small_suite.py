"""Suites of small made-up tasks, which any encoder learns in seconds."""

from __future__ import annotations

from pathlib import Path

from tests.helpers.rows import sentences, write_jsonl

TEST_ROWS = 40


def write_suite(folder: Path, tasks: int, *, rows: int, epochs: int) -> Path:
    """Write a suite of tasks with different data, and return the path of its file.

    Args:
        folder: where to; the data lie beside the file.
        tasks: number of tasks.
        rows: training examples of each task.
        epochs: epochs of each training.
    """
    lines = ["[defaults]", f"epochs = {epochs}", "options = {size = 4}"]
    for number in range(tasks):
        name = f"task-{number:03}"
        write_jsonl(folder / f"{name}.jsonl", sentences(rows, seed=number))
        write_jsonl(folder / f"{name}-test.jsonl", sentences(TEST_ROWS, seed=tasks + number))
        lines += ["[[task]]", f'name = "{name}"', f'train = "{name}.jsonl"']
        lines += [f'test = "{name}-test.jsonl"']
    suite = folder / "suite.toml"
    suite.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return suite
