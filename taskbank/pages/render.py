"""Makes the HTML of a page: one environment for all templates.

Whatever a page shows of a bank is hostile until it is escaped. Markup is escaped by `autoescape`;
characters that control or reorder text become visible; a name that a template misspells raises.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import ClassVar, Protocol

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup

from taskbank.counts import counted, size
from taskbank.pages.links import Links
from taskbank.runtime.visible_text import visible
from taskbank.version import __version__


class Page(Protocol):
    """What a page shows, as plain data."""

    template: ClassVar[str]

    @property
    def title(self) -> str:
        """The page's title."""


@dataclass(frozen=True)
class Frame:
    """What is around every page.

    Attributes:
        client: name of the key that the visitor has signed in with; None where no key is needed.
        token: what a form must send back, so that no other site can send it.
        url: the server's URL, for examples of requests.
        written: when the page was written to a file, ISO 8601 in UTC; empty for a server's page.
        api: whether clients can send the server requests.
    """

    client: str | None = None
    token: str = ""
    url: str = "http://127.0.0.1:8080"
    written: str = ""
    api: bool = True


def render(page: Page, links: Links, frame: Frame = Frame()) -> str:
    """Return the HTML of a page.

    Args:
        page: what it shows.
        links: makes its links.
        frame: what is around it.
    """
    template = environment().get_template(page.template)
    return template.render(page=page, links=links, frame=frame)


@cache
def environment() -> Environment:
    """Return the environment of all templates."""
    made = Environment(
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_shown,
        loader=FunctionLoader(_source),
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {
        "counted": counted,
        "fixed": lambda value: f"{value:.4f}",
        "number": lambda value: f"{value:,}",
        "percent": lambda value: f"{value:.1%}",
        "signed": _signed,
        "size": size,
        "moment": lambda value: value[:16].replace("T", " "),
    }
    made.globals["version"] = __version__
    return made


def _source(name: str) -> str:
    return resources.files("taskbank.pages").joinpath("templates", name).read_text("utf-8")


def _shown(value: object) -> object:
    if value is None:
        return ""
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _signed(value: float) -> str:
    # A true minus sign is as wide as the plus.
    return f"{value:+.4f}".replace("-", "\N{MINUS SIGN}")
