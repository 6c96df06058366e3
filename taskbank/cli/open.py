"""`taskbank open`: the pages of a bank in the browser of whoever runs it, and of nobody else."""

from __future__ import annotations

import tempfile
import webbrowser
from html import escape
from pathlib import Path
from urllib.parse import quote

import click

from taskbank.cli import signals
from taskbank.cli.output import echo, print_json
from taskbank.cli.settings import Settings, complete_task, data_options
from taskbank.runtime.startup import collection_paused

HOST = "127.0.0.1"


@click.command("open")
@click.argument("task", required=False, shell_complete=complete_task)
@click.option("--no-browser", is_flag=True, help="Only print the link.")
@click.option("--backbone", metavar="SPEC", help="New source of the backbone, if it moved.")
@click.option("--device", help="cpu or cuda.  [default: a GPU if there is one]")
@data_options
@click.pass_obj
def open_(
    settings: Settings,
    /,
    task: str | None,
    no_browser: bool,
    backbone: str | None,
    device: str | None,
) -> int:
    """Open the pages of the bank, or of one TASK or VERSION of it, in a browser.

    A server starts on a free port of this machine, with a link that works once: it opens the pages
    to one browser, and everybody else is refused. Ctrl-C ends it.
    """
    from taskbank.serve import check_extra

    check_extra()
    with signals.ended_by_termination():
        _open(settings, task, not no_browser, backbone, device)
    return 0


def _open(
    settings: Settings, ref: str | None, browse: bool, backbone: str | None, device: str | None
) -> None:
    from taskbank.bank.open import open_bank

    with open_bank(settings.bank) as bank, tempfile.TemporaryDirectory() as folder:
        if ref is not None:  # before anything slow is imported
            bank.resolve(ref)
        settings.say("loading the encoder")
        with collection_paused():
            from taskbank.serve.http.hosts import hosts_of
            from taskbank.serve.http.log_lines import log_to_stderr
            from taskbank.serve.http.one_time_link import OneTimeLink
            from taskbank.serve.http.options import serve_options
            from taskbank.serve.http.run import open_socket, run
            from taskbank.serve.http.service import Service

        log_to_stderr()
        options = serve_options(
            backbone=backbone, device=device, allowed_hosts=hosts_of(HOST, ()), access_log=False
        )
        link = OneTimeLink()
        service = Service(bank, options, link)
        with open_socket(HOST, 0) as listening:
            page = "/" if ref is None else f"/tasks/{quote(ref, safe='@')}"
            port = listening.getsockname()[1]
            url = f"http://{HOST}:{port}/open?token={link.token}&next={quote(page, safe='')}"

            def say() -> None:
                if settings.json:
                    print_json({"url": url})
                else:
                    echo(url)
                settings.say("this link works once; Ctrl-C ends the server")
                if browse:
                    _browse(url, Path(folder))

            run(service, listening, 0, say)


def _browse(url: str, folder: Path) -> None:
    """Show a link in a browser, by a file that only this user can read.

    Everybody on a machine can see the arguments of a browser's process, and so would see the link.
    """
    place = folder / "open.html"
    to = escape(url)
    place.write_text(
        f'<!doctype html><meta charset="utf-8"><title>taskbank</title>'
        f'<meta http-equiv="refresh" content="0; url={to}"><a href="{to}">Open the bank</a>\n'
    )
    if not webbrowser.open(place.as_uri()):
        echo("no browser was found: open the link yourself", err=True)
