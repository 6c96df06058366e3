"""The pages in a real browser: what only a browser can show to be so."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from taskbank.backbone.backbone import Backbone
from taskbank.bank.bank import Bank
from taskbank.bank.open import create_bank
from taskbank.pages.export import export_pages
from taskbank.serve.http.one_time_link import OneTimeLink
from taskbank.serve.http.options import serve_options
from taskbank.serve.http.service import Service
from tests.helpers.backbones import make_backbone
from tests.helpers.chromium import emulate
from tests.helpers.demo_bank import fill_demo
from tests.helpers.live_server import LiveServer
from tests.helpers.models import put_moved

PATHS = (
    "/",
    "/?filter=score+%3E%3D+and",
    "/tasks/ticket-topic",
    "/tasks/ticket-topic@3",
    "/tasks/review-stars@2",
    "/compare?a=ticket-topic@3&b=ticket-topic@4",
    "/compare?a=review-aspects@1&b=review-aspects@2&settings=all",
    "/try",
    "/try?task=same-question",
    "/tasks/nothing",
    "/verifications",
    "/verifications/7",
    "/history",
    "/history?task=ticket-topic",
)
LIGHT = """
    const canvas = document.createElement("canvas").getContext("2d", {willReadFrequently: true});
    const rgba = color => {
      canvas.clearRect(0, 0, 1, 1);
      canvas.fillStyle = color;
      canvas.fillRect(0, 0, 1, 1);
      return [...canvas.getImageData(0, 0, 1, 1).data];
    };
    const luminance = ([r, g, b]) => {
      const linear = v => (v /= 255) <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
      return 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
    };
    const behind = element => {
      const layers = [];
      for (let e = element; e; e = e.parentElement)
        layers.unshift(rgba(getComputedStyle(e).backgroundColor));
      return layers.reduce((under, [r, g, b, a]) =>
        [r, g, b].map((v, i) => v * a / 255 + under[i] * (1 - a / 255)), [255, 255, 255]);
    };
    const poor = [];
    for (const element of document.querySelectorAll("body *")) {
      const own = [...element.childNodes].some(n => n.nodeType === 3 && n.textContent.trim());
      if (!own || element.closest("svg, .skip, .hidden") || !element.checkVisibility()) continue;
      const front = luminance(rgba(getComputedStyle(element).color));
      const back = luminance(behind(element));
      const contrast = (Math.max(front, back) + 0.05) / (Math.min(front, back) + 0.05);
      if (contrast < 4.5) poor.push([element.className, element.textContent.slice(0, 30)]);
    }
    return poor;
"""


@pytest.fixture(scope="module")
def bank_url(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The URL of a small bank."""
    folder = tmp_path_factory.mktemp("browser")
    from taskbank.backbone.load import load_backbone

    place = make_backbone(folder / "tiny")
    with create_bank(f"sqlite:///{folder}/bank.db") as bank:
        fill_demo(bank, load_backbone(str(place)).identity)
    return f"sqlite:///{folder}/bank.db"


@pytest.fixture(scope="module")
def url(bank_url: str) -> Iterator[str]:
    """The URL of a server of it."""
    with (
        Bank(bank_url) as bank,
        LiveServer(Service(bank, serve_options(access_log=False))) as server,
    ):
        yield f"http://127.0.0.1:{server.port}"


def look(browser: Any, width: int = 1280, scheme: str = "light", scripts: bool = True) -> None:
    """Set the window's width, the colour scheme, and whether scripts run."""
    emulate(browser, width, 900, scheme)
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": not scripts})


def requested(browser: Any) -> list[str]:
    """Return the addresses that the browser has asked for since the last call."""
    messages = (json.loads(entry["message"])["message"] for entry in browser.get_log("performance"))
    sent = (one for one in messages if one["method"] == "Network.requestWillBeSent")
    return [one["params"]["request"]["url"] for one in sent]


def tasks(browser: Any) -> list[str]:
    """Return the tasks that the table shows."""
    found = browser.find_elements("css selector", ".tasks tbody th a:first-child")
    return [one.text for one in found]


def wait(browser: Any, condition: Callable[[], bool]) -> None:
    """Wait until a condition holds, whatever is put in place of what it looks at."""
    from selenium.common.exceptions import NoSuchElementException, StaleElementReferenceException
    from selenium.webdriver.support.wait import WebDriverWait

    changing = [StaleElementReferenceException, NoSuchElementException]
    WebDriverWait(browser, 20, ignored_exceptions=changing).until(lambda _: condition())


def test_nothing_is_asked_of_other_hosts_and_the_console_is_silent(browser: Any, url: str) -> None:
    """Pages load from this server only, and the policy and the scripts raise nothing."""
    look(browser)
    requested(browser)
    for path in PATHS:
        browser.get(url + path)
        serious = [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]
        assert [entry for entry in serious if "404 (Not Found)" not in entry["message"]] == []
    addresses = requested(browser)
    assert len(addresses) > len(PATHS)
    assert [one for one in addresses if not one.startswith(url)] == []


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_fit_and_can_be_read(browser: Any, url: str, width: int, scheme: str) -> None:
    """No page is wider than its window, and every text has a contrast of 4.5 to what is behind."""
    look(browser, width, scheme)
    for path in PATHS:
        browser.get(url + path)
        overflow = "const e = document.documentElement; return e.scrollWidth - e.clientWidth"
        assert browser.execute_script(overflow) <= 0, path
        assert browser.execute_script(LIGHT) == [], path


@pytest.mark.parametrize("width", [390, 1280])
def test_links_below_each_other_can_be_hit(browser: Any, url: str, width: int) -> None:
    """Links in a stack or a legend are 24 pixels high, as WCAG 2.2 asks at level AA (2.5.8)."""
    look(browser, width)
    for path in ("/tasks/ticket-topic", "/history"):
        browser.get(url + path)
        found = browser.find_elements("css selector", "a.below, .legend a")
        assert found
        assert min(one.rect["height"] for one in found) >= 24


@pytest.mark.parametrize("scripts", [True, False])
def test_the_filter_works_with_and_without_scripts(browser: Any, url: str, scripts: bool) -> None:
    """What is typed narrows the table and stands in the address, and a mistake is shown beside."""
    look(browser, scripts=scripts)
    browser.get(url)
    assert len(tasks(browser)) > 2
    browser.find_element("id", "filter").send_keys('tag.team = "shop"\n')
    wait(browser, lambda: tasks(browser) == ["review-sentiment", "review-stars"])
    wait(browser, lambda: "filter=tag.team" in browser.current_url)
    browser.get(browser.current_url)
    assert tasks(browser) == ["review-sentiment", "review-stars"]
    box = browser.find_element("id", "filter")
    box.clear()
    box.send_keys("colour = 1\n")
    wait(browser, lambda: "colour" in browser.find_element("css selector", "#problem pre").text)
    assert browser.find_element("id", "filter").get_attribute("value") == "colour = 1"
    look(browser)


def test_the_filter_is_applied_in_place(browser: Any, url: str) -> None:
    """With scripts, the page is not loaded anew: what was put into it stays."""
    look(browser)
    browser.get(url)
    browser.execute_script("document.body.dataset.mark = 'here'")
    browser.find_element("id", "filter").send_keys("score >= 0.99\n")
    wait(browser, lambda: len(tasks(browser)) == 1)
    assert browser.execute_script("return document.body.dataset.mark") == "here"
    browser.back()
    wait(browser, lambda: len(tasks(browser)) > 1)


@pytest.mark.parametrize("scripts", [True, False])
def test_a_filter_keeps_the_order(browser: Any, url: str, scripts: bool) -> None:
    """After a click on a heading, what is filtered is in that order."""
    look(browser, scripts=scripts)
    browser.get(url)
    browser.find_element("link text", "score").click()
    wait(browser, lambda: tasks(browser)[0] == "ticket-language")
    browser.find_element("id", "filter").send_keys('tag.team = "support"\n')
    expected = ["ticket-language", "ticket-urgent", "ticket-topic"]
    wait(browser, lambda: tasks(browser) == expected)
    wait(browser, lambda: "sort=-score" in browser.current_url)
    look(browser)


def completions(browser: Any) -> list[str]:
    """Return what the filter box offers."""
    found = browser.find_elements("css selector", "#filter-words:not([hidden]) [role=option]")
    return [one.text.partition(" ")[0] for one in found]


def test_the_filter_box_completes_conditions(browser: Any, url: str) -> None:
    """Fields, operators and values are offered in turn; the keyboard chooses, as ARIA has it."""
    from selenium.webdriver import Keys

    look(browser)
    browser.get_log("browser")
    browser.get(url)
    box = browser.find_element("id", "filter")
    assert box.get_attribute("role") == "combobox"
    box.send_keys("tag.")
    wait(browser, lambda: completions(browser) == ["tag.team", "tag.tier"])
    assert box.get_attribute("aria-expanded") == "true"
    assert box.get_attribute("aria-activedescendant") is None
    box.send_keys(Keys.ARROW_DOWN)
    active = box.get_attribute("aria-activedescendant")
    chosen = browser.find_element("id", active)
    assert (chosen.text.partition(" ")[0], chosen.get_attribute("aria-selected")) == (
        "tag.team",
        "true",
    )
    box.send_keys(Keys.ENTER)
    wait(browser, lambda: completions(browser)[:2] == ["=", "!="])
    box.send_keys(Keys.ARROW_DOWN, Keys.ENTER)
    wait(browser, lambda: '"shop"' in completions(browser))
    box.send_keys('"sh')
    wait(browser, lambda: completions(browser) == ['"shop"'])
    box.send_keys(Keys.ARROW_UP, Keys.ENTER)
    assert box.get_attribute("value") == 'tag.team = "shop" '
    wait(browser, lambda: completions(browser) == ["and", "or"])
    box.send_keys(Keys.ESCAPE)
    assert completions(browser) == []
    assert box.get_attribute("value") == 'tag.team = "shop" '
    assert box.get_attribute("aria-expanded") == "false"
    box.send_keys(Keys.ENTER)
    wait(browser, lambda: tasks(browser) == ["review-sentiment", "review-stars"])
    box = browser.find_element("id", "filter")
    box.clear()
    box.send_keys("constructor = ")
    assert [one for one in browser.get_log("browser") if one["level"] == "SEVERE"] == []


def test_without_scripts_the_filter_box_is_plain(browser: Any, url: str) -> None:
    """What cannot be offered is not announced either."""
    look(browser, scripts=False)
    browser.get(url)
    assert browser.find_element("id", "filter").get_attribute("role") is None
    assert browser.find_elements("id", "filter-words") == []
    look(browser)


@pytest.fixture(scope="module")
def answering(tmp_path_factory: pytest.TempPathFactory, backbone: Backbone) -> Iterator[str]:
    """The URL of a server whose tasks answer."""
    place = tmp_path_factory.mktemp("answering")
    with create_bank(f"sqlite:///{place}/bank.db") as bank:
        put_moved(bank, backbone, "mood")
        put_moved(bank, backbone, "film")
    with (
        Bank(f"sqlite:///{place}/bank.db") as bank,
        LiveServer(Service(bank, serve_options(access_log=False))) as server,
    ):
        yield f"http://127.0.0.1:{server.port}"


@pytest.mark.parametrize("scripts", [True, False])
def test_a_text_is_tried_with_and_without_scripts(
    browser: Any, answering: str, scripts: bool
) -> None:
    """One task answers with marks; another pattern answers with several; no address has a text."""
    look(browser, scripts=scripts)
    requested(browser)
    browser.get(f"{answering}/try?task=mood")
    browser.find_element("id", "input1").send_keys("the film was <b>good</b>")
    browser.find_element("id", "ask").click()
    wait(browser, lambda: browser.find_element("id", "answer").is_displayed())
    assert len(browser.find_elements("css selector", "#why ~ .drawn mark")) == 6
    assert browser.find_element("id", "input1").get_attribute("value").endswith("<b>good</b>")
    task = browser.find_element("id", "task")
    task.clear()
    task.send_keys("*")
    browser.find_element("id", "ask").click()
    wait(browser, lambda: browser.find_element("id", "answers").is_displayed())
    assert browser.find_element("id", "input2").get_attribute("value") == ""
    browser.find_element("id", "task").send_keys("nothing")
    browser.find_element("id", "ask").click()
    wait(browser, lambda: "nothing" in browser.find_element("css selector", ".problem").text)
    if scripts:
        said = browser.find_element("id", "said").get_attribute("textContent")
        assert "nothing" in said
    assert not [one for one in requested(browser) if "film" in one]
    look(browser)


def displayed(browser: Any, identifier: str) -> bool:
    """Return whether an element can be seen."""
    return bool(browser.find_element("id", identifier).is_displayed())


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_answers_fit_and_can_be_read(browser: Any, answering: str, width: int, scheme: str) -> None:
    """Marked texts have a contrast of 4.5 too, and a long word does not widen the page."""
    for task in ("mood", "*"):
        look(browser, width, scheme)
        browser.get(f"{answering}/try")
        browser.find_element("id", "task").clear()
        browser.find_element("id", "task").send_keys(task)
        browser.find_element("id", "input1").send_keys(f"the film was good {'w' * 200}")
        browser.find_element("id", "ask").click()
        shown = "answers" if task == "*" else "answer"
        wait(browser, partial(displayed, browser, shown))
        overflow = "const e = document.documentElement; return e.scrollWidth - e.clientWidth"
        assert browser.execute_script(overflow) <= 0
        assert browser.execute_script(LIGHT) == []


def test_an_opened_bank_is_shown_by_its_link(
    browser: Any, url: str, tmp_path: Path, backbone: Backbone
) -> None:
    """The link leads on to the page by itself, and does not work again."""
    link = OneTimeLink()
    with create_bank("bank.db") as bank:
        put_moved(bank, backbone, "mood")
        with LiveServer(Service(bank, serve_options(access_log=False), link)) as server:
            look(browser)
            address = f"http://127.0.0.1:{server.port}/open?token={link.token}&next=/tasks/mood"
            (tmp_path / "open.html").write_text(
                f'<meta http-equiv="refresh" content="0; url={address}">'
            )
            browser.get((tmp_path / "open.html").as_uri())
            wait(browser, lambda: browser.find_element("tag name", "h1").text == "mood")
            assert browser.current_url.endswith("/tasks/mood")
            browser.delete_all_cookies()
            browser.get(address)
            assert "closed" in browser.find_element("tag name", "h1").text


def test_the_keyboard_reaches_everything_visibly(browser: Any, url: str) -> None:
    """The first stop skips to the content, and each stop has an outline."""
    from selenium.webdriver import ActionChains, Keys

    look(browser)
    browser.get(f"{url}/tasks/ticket-topic")
    seen = []
    for _ in range(18):
        ActionChains(browser).send_keys(Keys.TAB).perform()
        focused = browser.switch_to.active_element
        outline = "return getComputedStyle(arguments[0]).outlineStyle"
        style = browser.execute_script(outline, focused)
        seen.append(focused.text)
        assert style != "none", focused.get_attribute("outerHTML")[:80]
    assert seen[0] == "Skip to content"
    assert "@4" in seen
    browser.get(f"{url}/tasks/ticket-topic")
    ActionChains(browser).send_keys(Keys.TAB, Keys.ENTER, Keys.TAB).perform()
    assert browser.switch_to.active_element.text == "Tasks"


def test_a_cell_of_the_matrix_opens_its_examples(browser: Any, url: str, tmp_path: Path) -> None:
    """A click on a number shows as many examples, with that label and that answer."""
    look(browser)
    browser.get(f"{url}/tasks/ticket-topic@3")
    cell = browser.find_element("css selector", ".matrix td.wrong a")
    count = int(cell.text)
    browser.execute_script("arguments[0].click()", cell)
    assert len(browser.find_elements("css selector", ".examples tbody tr")) == count
    assert browser.current_url.endswith("#examples")


def test_scores_over_time_become_a_chart_that_can_be_pointed_at(browser: Any, url: str) -> None:
    """Without scripts there is a picture with a legend; with them the legend has the values at
    the pointer."""
    from selenium.webdriver import ActionChains

    look(browser, scripts=False)
    browser.get(f"{url}/history")
    assert browser.find_elements("css selector", ".over-time svg.chart polyline")
    look(browser)
    browser.get(f"{url}/history")
    over = browser.find_element("css selector", ".over-time .u-over")
    ActionChains(browser).move_to_element(over).perform()
    wait(browser, lambda: browser.find_element("css selector", ".legend .at").text.startswith("0."))


def test_an_export_needs_no_server(browser: Any, bank_url: str, tmp_path: Path) -> None:
    """Every file of an export opens from the disk: the console is silent, nothing but files is
    asked for, links lead to files, and tables can be searched."""
    with Bank(bank_url) as bank:
        export_pages(bank, tmp_path / "pages")
    look(browser)
    browser.get_log("browser")  # what other pages left there
    requested(browser)
    first = (tmp_path / "pages" / "index.html").as_uri()
    for name in ("index", "verifications", "verifications/7", "history", "tasks/ticket-topic",
                 "tasks/ticket-topic@3"):  # fmt: skip
        browser.get((tmp_path / "pages" / f"{name}.html").as_uri())
        assert [one for one in browser.get_log("browser") if one["level"] == "SEVERE"] == [], name
    assert [one for one in requested(browser) if not one.startswith("file:")] == []
    browser.get(first)
    browser.find_element("css selector", ".search input").send_keys("spam")
    assert [one for one in tasks(browser) if one] == ["spam"]
    browser.find_element("link text", "spam").click()
    assert browser.find_element("css selector", "h1").text == "spam"
    browser.find_element("link text", "@1").click()
    assert browser.current_url.endswith("tasks/spam@1.html")


@pytest.mark.parametrize("scripts", [True, False])
def test_versions_are_compared_from_the_page_of_their_task(
    browser: Any, url: str, scripts: bool
) -> None:
    """The baseline is chosen beforehand, a tab shows as many examples as it counts, and the search
    narrows them and stands in the address."""
    look(browser, scripts=scripts)
    browser.get(f"{url}/tasks/ticket-topic")
    browser.find_element("css selector", ".choose button").click()
    wait(browser, lambda: "a=ticket-topic%403&b=ticket-topic%404" in browser.current_url)
    tab = browser.find_element("css selector", ".tabs .fixed")
    count = int(tab.find_element("css selector", "b").text)
    tab.click()
    rows = ".pairs tbody tr"
    wait(browser, lambda: "bucket=fixed" in browser.current_url)
    wait(browser, lambda: len(browser.find_elements("css selector", rows)) == count)
    browser.find_element("id", "text").send_keys("invoice\n")
    wait(browser, lambda: "text=invoice" in browser.current_url)
    wait(browser, lambda: len(browser.find_elements("css selector", rows)) < count)
    shown = browser.find_elements("css selector", ".pairs .text")
    assert shown
    assert all("invoice" in one.text.lower() for one in shown)
    look(browser)
