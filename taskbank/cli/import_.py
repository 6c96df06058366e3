"""`taskbank import`: add an adapter from a folder to the bank."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import click

from taskbank.cli.head import current_head, say_head
from taskbank.cli.output import print_json
from taskbank.cli.settings import Settings, data_options, pairs
from taskbank.cli.spec_options import STYLE_FIELDS, reading_options
from taskbank.plugins import TABLES
from taskbank.runtime.startup import collection_paused

# In this command, --format is that of the adapter; the files of data tell theirs.
DATA_STYLE = tuple(name for name in STYLE_FIELDS if name != "format")


@click.command("import")
@click.argument("source", metavar="FOLDER|hf:OWNER/REPO[@REVISION]|models:/NAME/VERSION")
@click.option(
    "--format",
    metavar="NAME",
    help=f"Format of the files: {', '.join(TABLES['importers'])}.  [default: told by the files]",
)
@click.option("--name", help="Name of the task.  [default: the name in the folder]")
@click.option("--new-version", is_flag=True, help="Add a version to an existing task.")
@click.option(
    "--backbone",
    metavar="SPEC",
    help="Your copy of the backbone, if the bank does not know it, if it was moved, or if the "
    "folder has another name for it.",
)
@click.option(
    "--signer",
    type=click.Path(path_type=Path),
    help="Public SSH key whose owner must have signed the export.",
)
@click.option(
    "--test",
    metavar="DATA",
    help="Labelled data to score an adapter of another library on, in any form that --train takes; "
    "it is verified on it from then on.",
)
@click.option("--kind", help="Kind of its task, if the files do not tell.")
@click.option("--metric", help="Metric that gives its score.  [default: by kind]")
@click.option(
    "--positive",
    help="Class whose F1 is computed when there are two.  [default: that of the files, else the "
    "last]",
)
@click.option(
    "--max-length",
    type=int,
    help="Maximum number of tokens per input.  [default: that of the files, else the backbone's]",
)
@partial(
    reading_options,
    style=DATA_STYLE,
    label_names="Names of its classes in the order of the head's outputs, if the files do not tell",
)
@click.option("--description", help="Free text that describes the task.")
@click.option("--device", help="Where it is scored: cpu or cuda.  [default: a GPU if there is one]")
@click.option("--tag", "tags", multiple=True, metavar="K=V", help="Key and value; repeatable.")
@data_options
@click.pass_obj
def import_(settings: Settings, /, source: str, tags: tuple[str, ...], **options: Any) -> None:
    """Add an adapter to the bank, after checking every byte of it.

    The folder is one that taskbank export wrote, or a checkpoint of peft or AdapterHub, which is
    scored on labelled data.
    """
    with collection_paused():
        from taskbank.bank.open import open_bank
        from taskbank.data.style import Style
        from taskbank.pipeline.import_adapter import import_adapter

    style = Style(**{name: options.pop(name) for name in DATA_STYLE})
    with open_bank(settings.bank) as bank:
        record = import_adapter(bank, source, style=style, tags=pairs(tags, "--tag"), **options)
    if settings.json:
        print_json(record.summary() | {"head": current_head(settings)})
    else:
        settings.say(f"imported {record.ref}; taskbank verify-all --task {record.ref} verifies it")
        say_head(settings)
