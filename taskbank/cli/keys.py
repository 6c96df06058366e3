"""`taskbank keys`: the keys that clients of a server need."""

from __future__ import annotations

from pathlib import Path

import click

from taskbank.cli.output import echo, print_json
from taskbank.cli.settings import Settings, data_options
from taskbank.cli.text_table import print_table

file_option = click.option(
    "--keys",
    "path",
    type=click.Path(path_type=Path),
    required=True,
    metavar="FILE",
    help="File of the keys' hashes.",
)


@click.group()
@data_options
def keys() -> None:
    """Make, list and remove the keys that clients of taskbank serve need.

    The file holds hashes only. A key is printed once, when it is made.
    """


@keys.command()
@click.argument("name")
@click.option(
    "--scope",
    type=click.Choice(["read", "admin"]),
    default="read",
    show_default=True,
    help="read: predict and look; admin: move aliases too.",
)
@file_option
@data_options
@click.pass_obj
def add(settings: Settings, name: str, scope: str, path: Path) -> None:
    """Make a key for the client NAME and print it."""
    from taskbank.serve.http.keys import add_key

    secret = add_key(path, name, "admin" if scope == "admin" else "read")
    if settings.json:
        print_json({"name": name, "scope": scope, "key": secret})
    else:
        echo(secret)


@keys.command("list")
@file_option
@data_options
@click.pass_obj
def list_(settings: Settings, path: Path) -> None:
    """List the keys, without the keys themselves."""
    from taskbank.serve.http.keys import read_keys

    found = read_keys(path)
    if settings.json:
        print_json([{"name": k.name, "scope": k.scope, "created_at": k.created_at} for k in found])
    else:
        print_table(("name", "scope", "made"), [(k.name, k.scope, k.created_at) for k in found])


@keys.command()
@click.argument("name")
@file_option
@data_options
@click.pass_obj
def remove(settings: Settings, name: str, path: Path) -> None:
    """Remove the key of the client NAME; running servers refuse it a second later."""
    from taskbank.serve.http.keys import remove_key

    remove_key(path, name)
    settings.say(f"removed the key {name}")
