"""Runs the command line with `python -m taskbank`."""

from taskbank.cli.main import main

main()
