"""Which host names a server answers for."""

from __future__ import annotations

import pytest

from taskbank.bank.bank import Bank
from taskbank.errors import InputError
from taskbank.serve.http.hosts import check_host, hosts_of
from tests.helpers.serving import client_of, wrong

LOCAL = hosts_of("127.0.0.1", ())


@pytest.mark.parametrize(
    "header",
    [
        "localhost",
        "LocalHost:8080",
        "127.0.0.1",
        "127.0.0.1:80",
        "127.8.9.1",
        "[::1]:8080",
        "[::1]",
    ],
)
def test_names_of_this_machine_are_allowed(header: str) -> None:
    """A server on the loopback answers for its names and addresses, with any port."""
    assert check_host(header, LOCAL) is None


@pytest.mark.parametrize(
    "header",
    [
        None, "", "evil.example", "evil.example:8080", "127.0.0.1.evil.example", "localhost.evil",
        "10.0.0.1", "127.0.0.1@evil.example", "evil.example:80:80", "2130706433",
    ],
)  # fmt: skip
def test_other_names_are_refused(header: str | None) -> None:
    """A name that a page elsewhere chose is refused, with a message that names the option."""
    problem = check_host(header, LOCAL)
    assert problem.status == 421
    assert "--allowed-host" in problem.detail


def test_more_names_can_be_allowed() -> None:
    """Names of proxies are compared without case and port, on top of the bound one."""
    allowed = hosts_of("10.0.0.5", ("Bank.example.org",))
    for header in ("bank.example.org", "BANK.EXAMPLE.ORG.:443", "10.0.0.5:80", "localhost"):
        assert check_host(header, allowed) is None
    assert check_host("example.org", allowed).status == 421


def test_any_name_is_allowed_where_others_reach_the_server() -> None:
    """On another interface, where clients need keys, and with *, no name is refused."""
    assert hosts_of("10.0.0.5", ()) == ()
    assert hosts_of("127.0.0.1", ("*",)) == ()
    assert check_host("evil.example", ()) is None


@pytest.mark.parametrize("name", ["http://x", "x/y", "x:80", "", "a b", "x" * 300])
def test_what_is_no_name_is_refused(name: str) -> None:
    """A URL or a name with a port is refused when the server starts."""
    with pytest.raises(InputError, match="--allowed-host"):
        hosts_of("127.0.0.1", (name,))


def test_every_request_is_checked_but_those_of_probes(served: Bank) -> None:
    """Pages and API are refused for another name; probes ask for an address."""
    with client_of(served, access_log=False, allowed_hosts=LOCAL) as client:
        for path in ("/", "/tasks/mood", "/v1/tasks", "/static/x/y", "/openapi.json", "/nothing"):
            wrong(client.get(path), 421, "host")
            status = client.get(path, headers={"host": "localhost:1"}).status_code
            assert status in (200, 404)
        assert client.get("/live").status_code == 200
        assert client.get("/ready").status_code == 200
        evil = client.post("/v1/tasks/mood/predict", json={"inputs": ["x"]})
        wrong(evil, 421, "host")
