"""Makes pictures of every page: light and dark, wide and narrow.

usage: python -m scripts.screenshots --output FOLDER [--page NAME]...

The pages are those of a server with a small bank on a tiny encoder. Chromium and its driver must
be installed.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import chdir, contextmanager
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

import click
import numpy as np
import torch
from safetensors.numpy import load, save
from selenium.webdriver import Chrome
from selenium.webdriver.support.wait import WebDriverWait

from taskbank.backbone.load import load_backbone
from taskbank.bank.bank import Bank
from taskbank.bank.open import create_bank
from taskbank.serve.http.keys import add_key
from taskbank.serve.http.options import serve_options
from taskbank.serve.http.service import Service
from taskbank.verify.verify import verify_all
from tests.helpers.adapters import as_new
from tests.helpers.backbones import make_backbone
from tests.helpers.chromium import emulate, headless_chromium
from tests.helpers.demo_bank import fill_demo
from tests.helpers.every_kind import add_every_kind
from tests.helpers.live_server import LiveServer

WIDTHS = (1280, 390)
SCHEMES = ("light", "dark")
LOWEST, TALLEST = 720, 6000  # pixels
PAGES = {
    "bank": "/",
    "filtered": "/?filter=score+%3E%3D+0.9+and+tag.team+%3D+%22support%22&sort=-score",
    "filter-problem": "/?filter=score+%3E%3D+and",
    "task": "/tasks/ticket-topic",
    "version": "/tasks/ticket-topic@3",
    "version-cell": "/tasks/ticket-topic@3?label=billing&predicted=returns",
    "version-number": "/tasks/review-stars@2",
    "version-labels": "/tasks/review-aspects@2",
    "verifications": "/verifications",
    "verification": "/verifications/7",
    "verification-status": "/verifications/7?status=changed",
    "history": "/history",
    "history-task": "/history?task=ticket-topic",
    "compare": "/compare?a=ticket-topic%403&b=ticket-topic%404",
    "compare-fixed": "/compare?a=ticket-topic%401&b=ticket-topic%403&bucket=fixed&settings=all",
    "compare-numbers": "/compare?a=review-stars%401&b=review-stars%402",
    "compare-labels": "/compare?a=review-aspects%401&b=review-aspects%402",
    "compare-apart": "/compare?a=ticket-urgent%402&b=spam%401",
    "compare-choose": "/compare",
    "not-found": "/tasks/nothing",
}
SENTENCE = "the film was bitter and cold today but a great book"
# Pages of a bank with a trained task of every kind, and one that is not as it was recorded.
TRAINED = {
    "verification-flips": "/verifications/7",
    "compare-verifications": "/compare?a=leaning@1&b=leaning@1&b_verification=7",
    "compare-span": "/compare?a=span@1&b=span@1&bucket=unchanged",
    "compare-entities": "/compare?a=tagging@1&b=tagging@1&bucket=unchanged",
    "version-entities": "/tasks/tagging@1",
}
# What is tried there: the task and the texts.
TRIED = {
    "try": ("single", ()),
    "try-single": ("single", (SENTENCE,)),
    "try-pair": ("pair", ("it was great", "awful day")),
    "try-number": ("regression", (SENTENCE,)),
    "try-labels": ("multilabel", (SENTENCE,)),
    "try-span": ("span", ("was it", "the day was dark and lovely the meal")),
    "try-entities": ("tagging", ("and dark a film was sad meal day fine fine",)),
    "try-many": ("*", (SENTENCE, "it was fine")),
    "try-problem": ("nothing", (SENTENCE,)),
}
Act = Callable[[Chrome], None]


def complete(browser: Chrome) -> None:
    """Type a part of a condition, and choose the second completion."""
    box = browser.find_element("id", "filter")
    box.send_keys("tag.team = ")
    WebDriverWait(browser, 20).until(lambda _: box.get_attribute("aria-expanded") == "true")
    box.send_keys("\ue015", "\ue015")


def trial(task: str, texts: tuple[str, ...]) -> Act:
    """Return what fills in the form of the page Try, and sends it."""

    def act(browser: Chrome) -> None:
        if not texts:
            return
        box = browser.find_element("id", "task")
        box.clear()
        box.send_keys(task)
        for number, text in enumerate(texts, 1):
            browser.find_element("id", f"input{number}").send_keys(text)
        browser.find_element("id", "ask").click()
        shown = "#answer, #answers, .problem"
        WebDriverWait(browser, 20).until(lambda _: browser.find_elements("css selector", shown))

    return act


def take(
    browser: Chrome, url: str, width: int, scheme: str, path: Path, act: Act | None = None
) -> None:
    """Write a picture of a whole page, after something was done on it."""
    browser.execute_cdp_cmd("Emulation.setScrollbarsHidden", {"hidden": True})
    emulate(browser, width, LOWEST, scheme)
    browser.get(url)
    if act is not None:
        act(browser)
    height = browser.execute_script("return document.documentElement.scrollHeight")
    emulate(browser, width, min(int(height), TALLEST), scheme)
    browser.save_screenshot(str(path))


@dataclass(frozen=True)
class Shot:
    """A picture to take: its name, the path of the page, and what is done there before."""

    name: str
    path: str
    act: Act | None = None


def demo_shots() -> list[Shot]:
    """Return the pictures of the bank that is made without training."""
    shots = [Shot(name, path) for name, path in PAGES.items()]
    return [*shots, Shot("filter-words", "/", complete)]


def trained_shots() -> list[Shot]:
    """Return the pictures of the bank whose tasks answer."""
    shots = [Shot(name, path) for name, path in TRAINED.items()]
    for name, (task, texts) in TRIED.items():
        path = "/try" if task in ("*", "nothing") else f"/try?task={task}"
        shots.append(Shot(name, path, trial(task, texts)))
    return shots


@contextmanager
def demo_server() -> Iterator[LiveServer]:
    """Serve a bank with something of everything, made without training, from this folder."""
    make_backbone(Path("encoder"))
    with create_bank("bank.db") as bank:
        fill_demo(bank, load_backbone("encoder").identity)
        service = Service(bank, serve_options(access_log=False, canary=0.05))
        with LiveServer(service) as server:
            service.metrics.count_rows("ticket-topic", 3, 5120, 0.01)
            service.metrics.count_rows("ticket-topic", 4, 271, 0.01)
            yield server


@contextmanager
def trained_server() -> Iterator[LiveServer]:
    """Serve a bank whose tasks answer; its verification finds one that answers otherwise."""
    encoder = make_backbone(Path("pooled"))
    (encoder / "1_Pooling").mkdir()  # with which the tiny encoder learns quickly
    (encoder / "1_Pooling" / "config.json").write_text('{"pooling_mode": "mean"}')
    add_every_kind("sqlite:///trained.db", encoder.resolve(), Path())
    with Bank("sqlite:///trained.db") as bank:
        new = as_new(bank, bank["pair"])
        weights = load(new.weights)
        weights["head.bias"] += np.array([1, -1], dtype=np.float32)
        bank.put(replace(new, task="leaning", weights=save(weights)))
        threads = torch.get_num_threads()
        torch.set_num_threads(threads + 1)  # something of the environment changes, too
        verify_all(bank)
        torch.set_num_threads(threads)
        with LiveServer(Service(bank, serve_options(access_log=False))) as server:
            yield server


@contextmanager
def closed_server() -> Iterator[LiveServer]:
    """Serve a bank that asks for a key."""
    keys = Path("keys")
    add_key(keys, "lead", "read")
    make_backbone(Path("closed"))
    with create_bank("closed.db") as bank:
        fill_demo(bank, load_backbone("closed").identity)
        with LiveServer(Service(bank, serve_options(access_log=False), keys)) as server:
            yield server


BANKS = (
    (demo_server, demo_shots),
    (closed_server, lambda: [Shot("sign-in", "/sign-in")]),
    (trained_server, trained_shots),
)


@click.command()
@click.option(
    "--output", type=click.Path(path_type=Path), required=True, help="Folder of pictures."
)
@click.option("--page", "pages", multiple=True, help="Only this page; repeatable.")
def main(output: Path, pages: tuple[str, ...]) -> None:
    """Make pictures of every page: light and dark, wide and narrow."""
    output.mkdir(parents=True, exist_ok=True)
    output = output.resolve()
    # Pages show the encoder's folder as it was named.
    with tempfile.TemporaryDirectory() as folder, chdir(folder), headless_chromium() as browser:
        for serve, shots in BANKS:
            wanted = [shot for shot in shots() if not pages or shot.name in pages]
            if not wanted:
                continue
            with serve() as server:
                for shot, width, scheme in product(wanted, WIDTHS, SCHEMES):
                    place = output / f"{shot.name}-{width}-{scheme}.png"
                    url = f"http://127.0.0.1:{server.port}{shot.path}"
                    take(browser, url, width, scheme, place, shot.act)
                    click.echo(place)


if __name__ == "__main__":
    main()
