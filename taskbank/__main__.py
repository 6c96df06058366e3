"""Lets `python -m taskbank` be the command."""

from taskbank.cli.main import main

main()
