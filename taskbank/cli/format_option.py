"""The option of the commands that export: in which format."""

from __future__ import annotations

import click

from taskbank.plugins import TABLES

# The names of plugins are not listed, as looking for plugins would slow down every command.
format_option = click.option(
    "--format",
    metavar="NAME",
    default="taskbank",
    show_default=True,
    help=f"Format of the files: {', '.join(TABLES['exporters'])}. Only the format taskbank has the "
    "evidence that verifies the adapter; the others run without taskbank.",
)
