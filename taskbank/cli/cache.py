"""`taskbank cache`: show and clear the disk cache."""

from __future__ import annotations

import click

from taskbank.cli.output import print_json
from taskbank.cli.settings import Settings, data_options
from taskbank.cli.text_table import print_table
from taskbank.counts import size


@click.group()
def cache() -> None:
    """Show or clear the disk cache: tokens, hidden states below adapters, checkpoints."""


@cache.command()
@data_options
@click.pass_obj
def info(settings: Settings) -> None:
    """Print the size of each part of the cache, and the cache folder."""
    from taskbank.runtime.disk_cache import cache_folder, contents, size_limit

    sizes = contents()
    if settings.json:
        parts = {part.part: {"files": part.files, "bytes": part.bytes} for part in sizes}
        print_json({"folder": str(cache_folder()), "limit": size_limit(), "parts": parts})
        return
    print_table(
        ("part", ">files", ">size"),
        [(part.part, str(part.files), size(part.bytes)) for part in sizes],
    )
    settings.say(f"folder {cache_folder()}; tokens and states are limited to {size(size_limit())}")


@cache.command()
@click.argument("parts", metavar="[PART …]", nargs=-1)
@data_options
@click.pass_obj
def clear(settings: Settings, parts: tuple[str, ...]) -> None:
    """Remove the given PARTs of the cache; by default tokens and states.

    Once checkpoints are cleared, an interrupted training starts over.
    """
    from taskbank.errors import InputError
    from taskbank.runtime.disk_cache import BOUNDED, PARTS
    from taskbank.runtime.disk_cache import clear as clear_parts

    for name in parts:
        if name not in PARTS:
            raise InputError(f"the cache has no part {name!r}: name {', '.join(PARTS)}")
    removed = clear_parts(parts or BOUNDED)
    if settings.json:
        print_json({part.part: {"files": part.files, "bytes": part.bytes} for part in removed})
        return
    for part in removed:
        settings.say(f"removed {part.files} files of {part.part}, {size(part.bytes)}")
