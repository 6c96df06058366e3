"""Argument parsers that several scripts start from."""

from __future__ import annotations

import argparse
from pathlib import Path


def script_parser(docstring: str | None) -> argparse.ArgumentParser:
    """Return an empty parser for a script.

    Args:
        docstring: the script's docstring; `--help` shows its first line.
    """
    return argparse.ArgumentParser(description=(docstring or "").splitlines()[0])


def suite_parser(docstring: str | None) -> argparse.ArgumentParser:
    """Return a parser for a script that trains the tasks of a suite file.

    Args:
        docstring: the script's docstring; `--help` shows its first line.
    """
    parser = script_parser(docstring)
    parser.add_argument("suite", type=Path, help="suite file (TOML), see scripts/suites")
    parser.add_argument("--backbone", required=True, metavar="SPEC", help="encoder to train on")
    parser.add_argument("--output", required=True, type=Path, metavar="FOLDER", help="results")
    parser.add_argument(
        "--data",
        type=Path,
        metavar="FOLDER",
        help="base of the suite's relative paths (default: the suite file's folder)",
    )
    return parser
