"""The pages of a bank as files."""

from __future__ import annotations

import json
import re
from pathlib import Path
from urllib.parse import unquote

import pytest

from taskbank.bank.bank import Bank
from taskbank.bank.open import create_bank
from taskbank.errors import ConflictError, DamagedError, InputError
from taskbank.pages import export
from taskbank.pages.export import LIST, export_pages
from tests.helpers.adapters import new_adapter
from tests.helpers.tampering import rewrite


def links_of(page: Path) -> list[Path]:
    """Return the files that a page names."""
    found = re.findall(r'(?:href|src)="([^"#]+)', page.read_text())
    return [(page.parent / unquote(link)).resolve() for link in found]


def test_all_that_is_linked_is_there(demo: Bank, tmp_path: Path) -> None:
    """Every link of every page leads to a file, every page is linked from the first one, and no
    page has a form."""
    made = export_pages(demo, tmp_path / "pages")
    root = tmp_path / "pages"
    seen, waiting = set(), [root / "index.html"]
    while waiting:
        page = waiting.pop()
        if page in seen:
            continue
        seen.add(page)
        assert page.is_file(), page
        if page.suffix == ".html":
            assert "<form" not in page.read_text()
            waiting += links_of(page)
    pages = set(root.rglob("*.html"))
    assert pages <= seen
    assert len(pages) == made.pages
    assert (
        made.files
        == len(list(root.rglob("*.*")))
        == len(json.loads((root / LIST).read_text())["files"]) + 1
    )


def test_long_tables_are_several_files(
    demo: Bank, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a table has more rows than a file shows, the next file is linked, to the last row."""
    monkeypatch.setattr(export, "ROWS", 3)
    export_pages(demo, tmp_path / "pages")
    page, tasks = tmp_path / "pages" / "index.html", []
    while True:
        text = page.read_text()
        tasks += re.findall(r'href="tasks/([\w-]+)\.html"', text)
        following = re.search(r'rel="next" href="([^"]+)"', text)
        if following is None:
            break
        page = page.parent / following[1]
    assert tasks == list(demo.tasks())


def test_a_filter_leaves_nothing_of_other_tasks(demo: Bank, tmp_path: Path) -> None:
    """With a query only the pages of its tasks are written, and no page names another task."""
    export_pages(demo, tmp_path / "pages", query='task = "spam"')
    pages = list((tmp_path / "pages").rglob("*.html"))
    assert {page.name for page in pages} == {
        "index.html",
        "spam.html",
        "spam@1.html",
        "spam@2.html",
    }
    assert not [page for page in pages if "ticket-topic" in page.read_text()]
    with pytest.raises(InputError):
        export_pages(demo, tmp_path / "other", query="score >=")
    assert not (tmp_path / "other").exists()


def test_only_an_earlier_export_is_replaced(own: Bank, tmp_path: Path) -> None:
    """An export replaces an earlier one; a folder with any other file is left alone, or moved."""
    place = tmp_path / "pages"
    own.put(new_adapter("first"))
    place.mkdir()
    export_pages(own, place)
    own.put(new_adapter("second"))
    export_pages(own, place)
    assert (place / "tasks" / "second.html").exists()
    (place / "notes.txt").write_text("mine")
    with pytest.raises(ConflictError, match=r"notes\.txt"):
        export_pages(own, place)
    made = export_pages(own, place, replace=True)
    assert made.moved == str(tmp_path / "pages.old")
    assert (tmp_path / "pages.old" / "notes.txt").read_text() == "mine"
    assert not (place / "notes.txt").exists()
    (place / "notes.txt").write_text("mine, too")
    with pytest.raises(ConflictError, match=r"pages\.old"):
        export_pages(own, place, replace=True)


def test_an_interrupted_export_leaves_what_was_there(
    own: Bank, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If a page cannot be made, the earlier export stays whole, and nothing else is left."""
    own.put(new_adapter("first"))
    export_pages(own, tmp_path / "pages")
    before = (tmp_path / "pages" / "index.html").read_bytes()

    def interrupt(*_given: object, **_named: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(export, "version_page", interrupt)
    with pytest.raises(KeyboardInterrupt):
        export_pages(own, tmp_path / "pages")
    assert (tmp_path / "pages" / "index.html").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir() if "pages" in path.name] == ["pages"]


def test_a_name_that_leads_elsewhere_is_refused(own: Bank, tmp_path: Path) -> None:
    """A task that was renamed to a path behind the bank's back writes no file."""
    own.put(new_adapter("first"))
    rewrite(own, "UPDATE tasks SET name = '../../outside'")
    with pytest.raises(DamagedError):
        export_pages(own, tmp_path / "pages")
    assert not (tmp_path / "pages").exists()
    assert not (tmp_path / "outside.html").exists()


@pytest.mark.parametrize("place", ["nowhere/pages", "file"])
def test_a_place_for_no_folder_is_refused(own: Bank, tmp_path: Path, place: str) -> None:
    """A folder in a folder that is not there, and a file, are errors that name the place."""
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=place.split("/")[0]):
        export_pages(own, tmp_path / place)


def test_files_do_not_say_where_the_bank_is(tmp_path: Path) -> None:
    """The first page names the file of the bank, and not the folder that it is in."""
    place = tmp_path / "secret-place" / "bank.db"
    place.parent.mkdir()
    with create_bank(place) as bank:
        bank.put(new_adapter())
        export_pages(bank, tmp_path / "pages")
    texts = [page.read_text() for page in (tmp_path / "pages").rglob("*.html")]
    assert "bank.db" in (tmp_path / "pages" / "index.html").read_text()
    assert not [text for text in texts if "secret-place" in text]
