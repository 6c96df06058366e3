"""The pages over HTTP: headers, errors, files, and signing in."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from starlette.testclient import TestClient

from taskbank.bank.bank import Bank
from taskbank.bank.catalog.tables import Base
from taskbank.pages.links import static_digest
from taskbank.serve.http.keys import add_key, remove_key
from taskbank.serve.http.pages import COOKIE
from tests.helpers.serving import client_of

OWN = {"sec-fetch-site": "same-origin"}
CSP = "default-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'"
LOOKED_AT = (
    "/",
    "/?filter=score>0",
    "/?filter=x(",
    "/?sort=-score",
    "/tasks/mood",
    "/tasks/mood?baseline=2",
    "/tasks/mood@1?order=unsure",
    "/compare?a=mood@1&b=mood@2&text=a&bucket=wrong",
    "/tasks/x",
    "/verifications",
    "/verifications/1",
    "/verifications/1?status=ok",
    "/verifications/99",
    "/history",
    "/history?task=mood",
    "/history?after=x",
    "/try",
    "/filter-words",
)
FIRST_LOAD = 150_000  # bytes, compressed


@pytest.fixture(scope="module")
def client(served: Bank) -> Iterator[TestClient]:
    """A client of a server without keys."""
    with client_of(served, access_log=False) as made:
        yield made


def paths_of(text: str) -> list[str]:
    """Return the paths that a page links to, without those within itself."""
    return [path.replace("&amp;", "&") for path in re.findall(r'(?:href|src)="(/[^"#]*)', text)]


def test_all_that_is_linked_is_there(client: TestClient) -> None:
    """Every link and every file of every page that is found from the first one is answered."""
    seen, waiting = set(), ["/"]
    while waiting:
        path = waiting.pop()
        if path in seen:
            continue
        seen.add(path)
        response = client.get(path)
        assert response.status_code == 200, path
        if response.headers["content-type"].startswith("text/html"):
            waiting += paths_of(response.text)
        assert len(seen) < 500
    assert {"/", "/tasks/mood", "/tasks/mood@1", "/tasks/mood@2"} <= seen


def test_pages_allow_nothing_from_elsewhere(client: TestClient) -> None:
    """Pages and errors carry the policy and forbid frames, guesses of types and storing."""
    for path in ("/", "/tasks/mood", "/tasks/mood@1", "/tasks/nothing", "/?sort=x"):
        headers = client.get(path).headers
        assert headers["content-security-policy"] == CSP
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert headers["referrer-policy"] == "same-origin"
        assert headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    ("path", "status", "words"),
    [
        ("/tasks/nothing", 404, "no task"),
        ("/tasks/mood@9", 404, "no version 9"),
        ("/tasks/mood?baseline=x", 422, "whole number"),
        ("/tasks/mood?baseline=99", 404, "no version 99"),
        ("/?sort=colour", 422, "sorted by"),
        ("/?after=1e9", 422, "whole number"),
        ("/tasks/mood@1?start=-1", 422, "whole number"),
        ("/tasks/%00", 422, "NUL"),
        ("/verifications/99", 404, "no verification 99"),
        ("/verifications/x", 422, "whole number"),
        ("/verifications?after=x", 422, "whole number"),
        ("/history?task=nothing", 404, "no task"),
        ("/history?task=%00", 422, "NUL"),
        ("/history?after=1-2", 422, "follow the links"),
        ("/history?start=-1", 422, "whole number"),
        ("/static/0000/pages.css", 404, "file"),
    ],
)
def test_errors_say_what_to_do(client: TestClient, path: str, status: int, words: str) -> None:
    """A page that there is not says why, and leads back."""
    response = client.get(path)
    assert response.status_code == status
    assert words in response.text
    if not path.startswith("/static"):
        assert response.headers["content-type"].startswith("text/html")
        assert "All tasks" in response.text


def test_a_browser_gets_a_page_for_an_unknown_path(client: TestClient) -> None:
    """Where a client of the API gets a problem in JSON, a browser gets a page."""
    assert client.get("/nothing").headers["content-type"] == "application/problem+json"
    response = client.get("/nothing", headers={"accept": "text/html,*/*;q=0.8"})
    assert response.status_code == 404
    assert "no page /nothing" in response.text


def test_the_filter_box_is_told_fields_and_values(client: TestClient) -> None:
    """It gets what it offers as JSON, which nothing keeps."""
    response = client.get("/filter-words")
    words = response.json()
    assert words["fields"]["score"] == "number"
    assert "mood" in words["values"]["task"]
    assert response.headers["cache-control"] == "no-store"
    assert 'data-words="/filter-words"' in client.get("/").text


def test_files_are_kept_forever_and_compressed(client: TestClient) -> None:
    """A file has its digest in its path, is immutable, and is sent as small as the client takes."""
    name = "vendor/htmx.min.js"
    path = f"/static/{static_digest(name)}/{name}"
    packed = client.get(path)
    plain = client.get(path, headers={"accept-encoding": "identity"})
    assert packed.content == plain.content
    assert packed.headers["content-encoding"] == "gzip"
    assert int(packed.headers["content-length"]) < int(plain.headers["content-length"]) / 2
    assert "immutable" in packed.headers["cache-control"]
    assert packed.headers["content-type"].startswith("text/javascript")
    assert client.get(f"/static/{static_digest('icon.svg')}/{name}").status_code == 404
    assert client.get(f"/static/x/../{name}").status_code == 404


def test_the_first_load_is_small(client: TestClient) -> None:
    """Any page with everything that it loads takes at most 150 kB compressed."""
    for path in ("/", "/tasks/mood", "/tasks/mood@1", "/verifications", "/history"):
        page = client.get(path)
        loaded = set(re.findall(r'(?:src="|<link [^>]*href=")(/static/[^"]*)', page.text))
        responses = [page, *(client.get(one) for one in loaded)]
        assert len(responses) >= 3
        assert sum(int(one.headers["content-length"]) for one in responses) <= FIRST_LOAD


def rows_of(bank: Bank) -> dict[str, list[Any]]:
    """Return every row of every table."""
    with bank._engine.connect() as connection:
        return {
            table.name: [
                tuple(row) for row in connection.execute(select(table).order_by(*table.primary_key))
            ]
            for table in Base.metadata.sorted_tables
        }


def test_looking_changes_nothing(moods: Bank) -> None:
    """After every page was shown, with right and wrong parameters, every row is as before."""
    before = rows_of(moods)
    with client_of(moods, access_log=False) as client:
        for path in LOOKED_AT:
            client.get(path)
    assert rows_of(moods) == before


def test_a_canary_is_shown_while_it_answers(moods: Bank) -> None:
    """The page of a task says what its versions answered, and the canary's share."""
    moods.alias("mood@2", "canary")
    with client_of(moods, access_log=False, canary=0.25) as client:
        client.post("/v1/tasks/mood@1/predict", json={"inputs": ["a", "b", "c"]})
        text = client.get("/tasks/mood").text
        assert "<b>3</b><span>inputs answered by @1</span>" in text
        assert "25.0%" in text


# Signing in


@pytest.fixture
def locked(served: Bank, tmp_path: Path) -> Iterator[tuple[TestClient, str]]:
    """A client of a server with keys, which follows no redirections, and a key."""
    secret = add_key(tmp_path / "keys", "web", "read")
    with client_of(served, tmp_path / "keys", access_log=True) as made:
        made.follow_redirects = False
        yield made, secret


def token_of(text: str) -> str:
    """Return the token of the form on a page."""
    found = re.search(r'name="token" value="([^"]+)"', text)
    assert found
    return found[1]


def signed_in(client: TestClient, secret: str, following: str = "/") -> Any:
    """Sign in by the form; return the answer to it."""
    token = token_of(client.get("/sign-in").text)
    form = {"token": token, "key": secret, "next": following}
    return client.post("/sign-in", data=form, headers=OWN)


def test_a_key_becomes_a_session(locked: tuple[TestClient, str], caplog: Any) -> None:
    """Without a session a page leads to the form and from there back; signing out ends it."""
    client, secret = locked
    caplog.set_level("INFO")
    first = client.get("/tasks/mood?baseline=1")
    assert first.status_code == 303
    assert first.headers["location"] == "/sign-in?next=%2Ftasks%2Fmood%3Fbaseline%3D1"
    response = signed_in(client, secret, "/tasks/mood?baseline=1")
    assert (response.status_code, response.headers["location"]) == (303, "/tasks/mood?baseline=1")
    cookie = response.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    page = client.get("/tasks/mood@1")
    assert page.status_code == 200
    assert "web" in page.text
    assert secret not in page.text
    assert secret not in caplog.text
    assert not any(secret in json.dumps(dict(one.headers)) for one in (first, response, page))
    old = client.cookies[COOKIE]
    ended = client.post("/sign-out", data={"token": token_of(page.text)}, headers=OWN)
    assert ended.status_code == 303
    client.cookies.set(COOKIE, old)
    assert client.get("/").status_code == 303


def test_a_session_opens_pages_and_nothing_else(locked: tuple[TestClient, str]) -> None:
    """The API needs the key itself, which opens pages too."""
    client, secret = locked
    signed_in(client, secret)
    assert client.get("/").status_code == 200
    assert client.get("/v1/tasks").status_code == 401
    client.cookies.clear()
    assert client.get("/", headers={"authorization": f"Bearer {secret}"}).status_code == 200


def test_a_browser_on_an_unknown_path_is_asked_to_sign_in(locked: tuple[TestClient, str]) -> None:
    """A person gets the form, and behind it the page of what there is not; a client gets JSON."""
    client, secret = locked
    person = {"accept": "text/html,*/*;q=0.8"}
    response = client.get("/nothing/here?x=1", headers=person)
    assert response.status_code == 303
    assert response.headers["location"] == "/sign-in?next=%2Fnothing%2Fhere%3Fx%3D1"
    assert client.get("/nothing/here").status_code == 401
    assert client.get("/v1/tasks", headers=person).status_code == 401
    assert client.post("/nothing", headers=person).status_code == 401
    signed_in(client, secret)
    response = client.get("/nothing/here", headers=person)
    assert response.status_code == 404
    assert "There is no page /nothing/here" in response.text
    assert client.get("/v1/tasks", headers=person).status_code == 401


def test_a_session_ends_with_its_key(
    served: Bank, tmp_path: Path, locked: tuple[TestClient, str]
) -> None:
    """When the key is removed from the file, pages are closed to its sessions."""
    client, secret = locked
    signed_in(client, secret)
    add_key(tmp_path / "keys", "other", "read")
    remove_key(tmp_path / "keys", "web")
    client.app.service.keys.refresh()  # type: ignore[attr-defined]
    assert client.get("/").status_code == 303


def test_a_wrong_key_is_refused_in_place(locked: tuple[TestClient, str]) -> None:
    """The form comes back, without what was typed, and no session begins."""
    client, _ = locked
    response = signed_in(client, "tb_guessed")
    assert response.status_code == 403
    assert "no such key" in response.text
    assert "tb_guessed" not in response.text
    assert COOKIE not in client.cookies


@pytest.mark.parametrize(
    ("headers", "changed"),
    [
        ({"sec-fetch-site": "cross-site"}, {}),
        ({"origin": "http://evil.example"}, {}),
        ({}, {}),
        (OWN, {"token": "x.y"}),
        (OWN, {"token": ""}),
    ],
)
def test_forms_of_other_sites_are_refused(
    locked: tuple[TestClient, str], headers: dict[str, str], changed: dict[str, str]
) -> None:
    """A right key in a form that this server did not send begins no session."""
    client, secret = locked
    form = {"token": token_of(client.get("/sign-in").text), "key": secret, "next": "/"} | changed
    assert client.post("/sign-in", data=form, headers=headers).status_code == 403
    assert COOKIE not in client.cookies


@pytest.mark.parametrize(
    "following", ["https://evil.example", "//evil.example", "/\\evil.example", "x", "/\r\nx: y", ""]
)
def test_signing_in_leads_to_this_server_only(
    locked: tuple[TestClient, str], following: str
) -> None:
    """An address of elsewhere becomes the first page."""
    client, secret = locked
    assert signed_in(client, secret, following).headers["location"] == "/"


def test_an_endless_form_is_refused(locked: tuple[TestClient, str]) -> None:
    """A form is small."""
    client, _ = locked
    assert client.post("/sign-in", data={"key": "x" * 100_000}, headers=OWN).status_code == 413


def test_what_is_updated_in_place_leads_to_the_form(locked: tuple[TestClient, str]) -> None:
    """When a session has ended, an update in place loads the form as a whole page."""
    client, _ = locked
    response = client.get("/", headers={"hx-request": "true"})
    assert response.status_code == 401
    assert response.headers["hx-redirect"].startswith("/sign-in")


def test_without_keys_there_is_nothing_to_sign_in_to(client: TestClient) -> None:
    """The form leads to the first page."""
    response = client.get("/sign-in", follow_redirects=False)
    assert (response.status_code, response.headers["location"]) == (303, "/")
