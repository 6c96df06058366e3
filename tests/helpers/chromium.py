"""A headless Chromium, for tests and pictures of the pages."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from selenium.webdriver import Chrome


def installed() -> tuple[str, str] | None:
    """Return the paths of Chromium and its driver; None if one of them is not installed."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    driver = shutil.which("chromedriver")
    return None if chromium is None or driver is None else (chromium, driver)


@contextmanager
def headless_chromium() -> Iterator[Chrome]:
    """Start a headless Chromium that logs what it asks for, and end it.

    Raises:
        FileNotFoundError: if Chromium or its driver is not installed.
    """
    from selenium.webdriver import Chrome, ChromeOptions, ChromeService

    places = installed()
    if places is None:
        raise FileNotFoundError("chromium and chromedriver are needed: install both")
    options = ChromeOptions()
    options.binary_location, driver = places
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    browser = Chrome(options=options, service=ChromeService(driver))
    try:
        yield browser
    finally:
        browser.quit()


def emulate(browser: Chrome, width: int, height: int, scheme: str) -> None:
    """Set the size of the window in pixels, and the colour scheme: `light` or `dark`."""
    size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    feature = {"name": "prefers-color-scheme", "value": scheme}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
