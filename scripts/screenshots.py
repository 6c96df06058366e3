"""Makes pictures of every page: light and dark, wide and narrow.

usage: python -m scripts.screenshots --output FOLDER [--page NAME]...

The pages are those of a server with a small bank on a tiny encoder. Chromium and its driver must
be installed.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from contextlib import chdir
from pathlib import Path

import click
from selenium.webdriver import Chrome, ChromeOptions, ChromeService
from selenium.webdriver.support.wait import WebDriverWait

from taskbank.backbone.load import load_backbone
from taskbank.bank.bank import Bank
from taskbank.bank.open import create_bank
from taskbank.serve.http.options import serve_options
from taskbank.serve.http.service import Service
from tests.helpers.backbones import make_backbone
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
    "filter-words": "/",
}
SENTENCE = "the film was bitter and cold today but a great book"
# What is tried on a bank with a trained task of every kind: the task and the texts.
TRIED = {
    "try": ("single", ()),
    "try-single": ("single", (SENTENCE,)),
    "try-pair": ("pair", ("it was great", "awful day")),
    "try-number": ("regression", (SENTENCE,)),
    "try-labels": ("multilabel", (SENTENCE,)),
    "try-span": ("span", ("was it", "the day was dark and lovely the meal")),
    "try-entities": ("tagging", ("the film was sad today a great happy book",)),
    "try-many": ("*", (SENTENCE, "it was fine")),
    "try-problem": ("nothing", (SENTENCE,)),
}
Act = Callable[[Chrome], None]


def open_browser() -> Chrome:
    """Start a headless Chromium."""
    options = ChromeOptions()
    options.binary_location = shutil.which("chromium") or ""
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    options.add_argument("--hide-scrollbars")
    return Chrome(options=options, service=ChromeService(shutil.which("chromedriver")))


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
    feature = {"name": "prefers-color-scheme", "value": scheme}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
    size = {"width": width, "height": LOWEST, "deviceScaleFactor": 1, "mobile": width < 600}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    browser.get(url)
    if act is not None:
        act(browser)
    height = browser.execute_script("return document.documentElement.scrollHeight")
    size["height"] = min(int(height), TALLEST)
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    browser.save_screenshot(str(path))


@click.command()
@click.option(
    "--output", type=click.Path(path_type=Path), required=True, help="Folder of pictures."
)
@click.option("--page", "pages", multiple=True, help="Only this page; repeatable.")
def main(output: Path, pages: tuple[str, ...]) -> None:
    """Make pictures of every page: light and dark, wide and narrow."""
    output.mkdir(parents=True, exist_ok=True)
    output = output.resolve()
    # Pages show the bank's file and the encoder's folder as they were named.
    with tempfile.TemporaryDirectory() as folder, chdir(folder):
        make_backbone(Path("encoder"))
        with create_bank("bank.db") as bank:
            fill_demo(bank, load_backbone("encoder").identity)
            service = Service(bank, serve_options(access_log=False, canary=0.05))
            with LiveServer(service) as server:
                service.metrics.count_rows("ticket-topic", 3, 5120, 0.01)
                service.metrics.count_rows("ticket-topic", 4, 271, 0.01)
                browser = open_browser()
                try:
                    for name, path in PAGES.items():
                        for width in WIDTHS if not pages or name in pages else ():
                            for scheme in SCHEMES:
                                place = output / f"{name}-{width}-{scheme}.png"
                                url = f"http://127.0.0.1:{server.port}{path}"
                                act = complete if name == "filter-words" else None
                                take(browser, url, width, scheme, place, act)
                                click.echo(place)
                finally:
                    browser.quit()
        if not pages or any(name in TRIED for name in pages):
            _try(output, pages)


def _try(output: Path, pages: tuple[str, ...]) -> None:
    """Make pictures of the page Try on a bank whose tasks answer."""
    encoder = make_backbone(Path("pooled"))
    (encoder / "1_Pooling").mkdir()  # with which the tiny encoder learns quickly
    (encoder / "1_Pooling" / "config.json").write_text('{"pooling_mode": "mean"}')
    add_every_kind("sqlite:///trained.db", encoder.resolve(), Path())
    with (
        Bank("sqlite:///trained.db") as bank,
        LiveServer(Service(bank, serve_options(access_log=False))) as server,
    ):
        browser = open_browser()
        try:
            for name, (task, texts) in TRIED.items():
                path = "/try" if task in ("*", "nothing") else f"/try?task={task}"
                for width in WIDTHS if not pages or name in pages else ():
                    for scheme in SCHEMES:
                        place = output / f"{name}-{width}-{scheme}.png"
                        url = f"http://127.0.0.1:{server.port}{path}"
                        take(browser, url, width, scheme, place, trial(task, texts))
                        click.echo(place)
        finally:
            browser.quit()


if __name__ == "__main__":
    main()
