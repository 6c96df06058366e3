"""Sessions, and tokens and origins of forms."""

from __future__ import annotations

import pytest
from starlette.datastructures import Headers

from taskbank.serve.http import sessions
from taskbank.serve.http.keys import Key
from taskbank.serve.http.problems import Problem
from taskbank.serve.http.sessions import Sessions, check_same_origin

KEY = Key("web", "read", "0" * 64, "2026-11-30")
OWN = Headers({"sec-fetch-site": "same-origin"})


def test_a_session_ends_by_time_by_hand_and_by_number(monkeypatch: pytest.MonkeyPatch) -> None:
    """A cookie stands for its key until it is ended, too old, or pushed out by many others."""
    now = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    monkeypatch.setattr(sessions, "MOST", 3)
    kept = Sessions()
    cookie = kept.begin(KEY)
    assert kept.find(cookie) == KEY
    assert kept.find(cookie + "x") is None
    assert kept.find("\udcff") is None
    now[0] = sessions.SECONDS + 1
    assert kept.find(cookie) is None
    cookies = [kept.begin(KEY) for _ in range(4)]
    assert [kept.find(one) is not None for one in cookies] == [False, True, True, True]
    kept.end(cookies[3])
    assert kept.find(cookies[3]) is None


def test_a_form_needs_its_token_and_its_cookie() -> None:
    """A token is valid with the cookie that it was made for only, and is never twice the same."""
    kept = Sessions()
    token = kept.token("one")
    kept.check_form(OWN, "one", token)
    assert kept.token("one") != token
    for cookie, given in (("two", token), ("one", token[:-1]), ("one", ""), ("", kept.token(""))):
        with pytest.raises(Problem) as error:
            kept.check_form(OWN, cookie, given)
        assert (error.value.status, error.value.kind) == (403, "form")
    with pytest.raises(Problem):
        Sessions().check_form(OWN, "one", token)


@pytest.mark.parametrize(
    ("headers", "same"),
    [
        ({"sec-fetch-site": "same-origin"}, True),
        ({"sec-fetch-site": "same-site"}, False),
        ({"sec-fetch-site": "cross-site", "origin": "http://a:1", "host": "a:1"}, False),
        ({"sec-fetch-site": "none"}, False),
        ({"origin": "http://a:1", "host": "A:1"}, True),
        ({"origin": "http://a:2", "host": "a:1"}, False),
        ({"origin": "null", "host": "a:1"}, False),
        ({"host": "a:1"}, False),
        ({"origin": "", "host": ""}, False),
    ],
)
def test_only_forms_of_this_server_are_taken(headers: dict[str, str], same: bool) -> None:
    """What the browser says of the sender decides; one that says nothing is refused."""
    if same:
        check_same_origin(Headers(headers))
        return
    with pytest.raises(Problem) as error:
        check_same_origin(Headers(headers))
    assert (error.value.status, error.value.kind) == (403, "origin")
