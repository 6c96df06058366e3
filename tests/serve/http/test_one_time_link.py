"""A server that one link opens: to one browser, once, and its pages only."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from starlette.testclient import TestClient

from taskbank.bank.bank import Bank
from taskbank.serve.http.one_time_link import OneTimeLink
from taskbank.serve.http.options import serve_options
from taskbank.serve.http.service import Service
from tests.helpers.serving import client_of, serving


@pytest.fixture
def link() -> OneTimeLink:
    """A link that was not used yet."""
    return OneTimeLink()


@pytest.fixture
def client(served: Bank, link: OneTimeLink) -> Iterator[TestClient]:
    """A client of a server that the link opens, which follows no redirections."""
    with serving(Service(served, serve_options(access_log=True), link)) as made:
        made.follow_redirects = False
        yield made


def test_a_token_is_exchanged_once(link: OneTimeLink) -> None:
    """A wrong token uses nothing up, the right one works, and then none does."""
    assert link.exchange("") is None
    assert link.exchange(link.token[:-1]) is None
    assert link.exchange("\udcff") is None
    key = link.exchange(link.token)
    assert key is not None
    assert link.has(key)
    assert link.exchange(link.token) is None
    assert not OneTimeLink().has(key)


def test_the_link_opens_the_pages_of_one_browser(
    client: TestClient, link: OneTimeLink, caplog: pytest.LogCaptureFixture
) -> None:
    """Before it, and without its cookie, every page is refused; the link is dead afterwards."""
    caplog.set_level("DEBUG", "taskbank")
    for path in ("/", "/tasks/mood", "/try"):
        assert client.get(path).status_code == 303
    assert "taskbank open" in client.get("/sign-in").text
    assert "<form" not in client.get("/sign-in").text
    address = f"/open?token={link.token}&next=%2Ftasks%2Fmood"
    assert client.head(address).status_code == 403
    response = client.get(address)
    assert response.status_code == 200
    assert response.headers["refresh"] == "0; url=/tasks/mood"
    cookie = response.headers["set-cookie"]
    assert cookie.startswith("taskbank-80=")
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert link.token not in response.text
    assert client.get("/tasks/mood").status_code == 200
    assert client.get(address).status_code == 403
    client.cookies.clear()
    assert client.get("/tasks/mood").status_code == 303
    assert client.get(address).status_code == 403
    assert link.token not in caplog.text


def test_the_api_is_closed(client: TestClient, link: OneTimeLink) -> None:
    """Neither the session nor the token opens it."""
    client.get(f"/open?token={link.token}")
    assert "curl" not in client.get("/tasks/mood@1").text
    for headers in ({}, {"authorization": f"Bearer {link.token}"}):
        assert client.get("/v1/tasks", headers=headers).status_code == 401
        body = {"inputs": ["a"]}
        assert client.post("/v1/tasks/mood/predict", json=body, headers=headers).status_code == 401
        assert client.get("/metrics", headers=headers).status_code == 401


@pytest.mark.parametrize("following", ["https://evil.example", "//evil.example", "/\r\nx: y", ""])
def test_the_link_leads_to_this_server_only(
    client: TestClient, link: OneTimeLink, following: str
) -> None:
    """An address of elsewhere becomes the first page."""
    response = client.get("/open", params={"token": link.token, "next": following})
    assert response.headers["refresh"] == "0; url=/"


def test_letters_of_any_script_are_in_the_address(client: TestClient, link: OneTimeLink) -> None:
    """What no header can hold is written in percent escapes."""
    response = client.get("/open", params={"token": link.token, "next": "/日"})
    assert response.headers["refresh"] == "0; url=/%E6%97%A5"


def test_other_servers_have_no_link(served: Bank) -> None:
    """There is no such page where no link opens anything."""
    with client_of(served, access_log=False) as client:
        assert client.get("/open?token=x").status_code == 404
