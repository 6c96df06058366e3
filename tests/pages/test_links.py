"""Links to a server and between files, and the files that pages need."""

from __future__ import annotations

import hashlib
from base64 import b64decode
from importlib import resources
from pathlib import Path

import pytest

from taskbank.pages.links import (
    FileLinks,
    LoneLinks,
    ServerLinks,
    file_of,
    static_bytes,
    static_digest,
)

VENDOR = Path(str(resources.files("taskbank.pages"))) / "static" / "vendor"


def test_parameters_of_a_link_are_text() -> None:
    """Whatever a parameter holds becomes one value of it; empty ones are left out."""
    links = ServerLinks("/bank/")
    assert links.page() == "/bank/"
    assert links.page("tasks", "mood@3", label="a&b=#<", start=None, order="") == (
        "/bank/tasks/mood@3?label=a%26b%3D%23%3C"
    )
    assert links.page("a/b", "?c") == "/bank/a%2Fb/%3Fc"


def test_files_refer_to_each_other() -> None:
    """From a page in a folder, links go up and down again, and have no parameters."""
    links = FileLinks(("tasks", "mood@3"))
    assert links.page("tasks", "mood", baseline=2) == "../tasks/mood.html"
    assert links.page() == "../index.html"
    assert links.static("pages.css") == "../static/pages.css"
    assert links.page("verifications", after=7, status=None) == "../verifications-after-7.html"
    assert not FileLinks(made={("tasks", "a")}).has("tasks", "b")
    assert FileLinks(made={("tasks", "a")}).has("tasks", "a")
    assert FileLinks().page("tasks", "mood@3") == file_of(("tasks", "mood@3"))


def test_a_lone_page_has_what_it_needs_within_it() -> None:
    """The address of a file is all of its bytes, and there is no other page."""
    links = LoneLinks()
    kind, _, data = links.static("pages.css").partition(";base64,")
    assert (kind, b64decode(data)) == ("data:text/css", static_bytes("pages.css"))
    assert not links.has("tasks", "mood")
    assert links.page("tasks", "mood") == "#content"


def test_the_link_to_a_file_has_its_digest() -> None:
    """A changed file has another link, so that it may be kept forever."""
    found = hashlib.sha256(static_bytes("pages.css")).hexdigest()
    assert ServerLinks().static("pages.css") == f"/static/{found[:16]}/pages.css"
    assert static_digest("pages.css") == found[:16]


@pytest.mark.parametrize(
    "name", ["../bank.py", "vendor/../../render.py", "", ".", "vendor", "x.css"]
)
def test_only_files_of_the_folder_are_found(name: str) -> None:
    """A name that leads elsewhere, to a folder or to nothing is not found."""
    with pytest.raises(FileNotFoundError):
        static_bytes(name)


def test_files_of_others_are_unchanged() -> None:
    """Each vendored file has the digest that stands beside it, and its licence lies with it."""
    lines = (VENDOR / "digests").read_text().splitlines()
    expected = {name: digest for digest, name in (line.split() for line in lines)}
    found = {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in VENDOR.iterdir()
        if path.name not in ("digests", "README.md")
    }
    assert found == expected
    licences = {name.split(".")[0] for name in found if name.endswith("LICENSE")}
    assert {name.split(".")[0] for name in found} == licences
