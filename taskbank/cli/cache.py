"""`taskbank cache`: what is kept to be quicker the next time."""

from __future__ import annotations

import click

from taskbank.cli.output import print_json, size
from taskbank.cli.settings import Settings, data_options
from taskbank.cli.tables import print_table


@click.group()
def cache() -> None:
    """What is kept to be quicker the next time: tokens, states below adapters, checkpoints."""


@cache.command()
@data_options
@click.pass_obj
def info(settings: Settings) -> None:
    """Print how much each part of the cache holds, and where."""
    from taskbank.runtime.disk_cache import cache_folder, contents, size_limit

    found = contents()
    if settings.json:
        parts = {one.part: {"files": one.files, "bytes": one.bytes} for one in found}
        print_json({"folder": str(cache_folder()), "limit": size_limit(), "parts": parts})
        return
    print_table(
        ("part", ">files", ">size"), [(one.part, str(one.files), size(one.bytes)) for one in found]
    )
    settings.say(f"in {cache_folder()}; tokens and states take up to {size(size_limit())}")


@cache.command()
@click.argument("parts", metavar="[PART …]", nargs=-1)
@data_options
@click.pass_obj
def clear(settings: Settings, parts: tuple[str, ...]) -> None:
    """Remove tokens and states, or the PARTs that are named.

    A training that was interrupted starts over once checkpoints are cleared.
    """
    from taskbank.errors import InputError
    from taskbank.runtime.disk_cache import BOUNDED, PARTS
    from taskbank.runtime.disk_cache import clear as clear_parts

    for part in parts:
        if part not in PARTS:
            raise InputError(f"the cache has no part {part!r}: name {', '.join(PARTS)}")
    removed = clear_parts(parts or BOUNDED)
    if settings.json:
        print_json({one.part: {"files": one.files, "bytes": one.bytes} for one in removed})
        return
    for one in removed:
        settings.say(f"removed {one.files} files of {one.part}, {size(one.bytes)}")
