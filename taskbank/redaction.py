"""Hides secrets in URLs, and in texts that may quote URLs, such as the errors of drivers.

A secret is hidden by its place: a password before an `@`, and a value whose name says what it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

HIDDEN = "***"
_NAMES = (
    "pass(?:word|wd|phrase)?|pwd|secret|token|credentials?|signature|api_?key|access_?key(?:_?id)?|"
    "account_?key|private_?key"
)
_VALUE = r"""(?:'[^']*'|"[^"]*"|[^\s'"]*)"""
# A secret may hold an unescaped `@`, `/`, `?` or `&`: hide up to the last `@`, or the whole rest.
_PLACES = (
    re.compile(r"""(:/+[^\s:@'"]*:)[^\s'"]*(@)"""),  # scheme://user:SECRET@host
    re.compile(r"""(:/+[^\s:/@'"]*:)(?!\d+(?:[/\s]|$))[^@'"\n]*(@)"""),  # with a space in it
    re.compile(r"""(https?://)[^\s/:@'"]+(@)"""),  # https://TOKEN@host
    # password=SECRET; begun within a name, a search would take time by the square of its length
    re.compile(rf"((?<![\w.-])[\w.-]*(?:{_NAMES})\s?=\s?){_VALUE}()", re.IGNORECASE),
    re.compile(rf"([?&;](?:key|sig|auth|sas|code)=){_VALUE}()", re.IGNORECASE),  # ?key=SECRET
    re.compile(rf"""(['"][\w.-]*(?:{_NAMES}|\bkey)['"]:\s*){_VALUE}()""", re.IGNORECASE),  # JSON
)


def redacted(text: str, secrets: Iterable[str] = ()) -> str:
    """Return a text with the secrets in it replaced by `***`.

    Args:
        text: a URL, or a text that may contain URLs or settings.
        secrets: known secrets, hidden wherever they are.
    """
    for secret in sorted(filter(None, secrets), key=len, reverse=True):
        text = text.replace(secret, HIDDEN)
    for place in _PLACES:
        text = place.sub(rf"\g<1>{HIDDEN}\g<2>", text)
    return text
