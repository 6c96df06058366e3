"""Bank URLs: the file that each names, and how it is shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from taskbank.bank.open import bank_exists, create_bank, open_bank
from taskbank.bank.url import parse_url, redacted_url
from taskbank.errors import InputError
from tests.helpers.adapters import new_adapter

ODD_NAMES = ["what?.db", "a%20b.db", "a b.db", "50%.db", "a#b.db", "ü.db", "a+b&c=d.db", "[x].db"]


@pytest.mark.parametrize("name", ODD_NAMES)
def test_a_file_has_the_name_that_was_written(name: str, tmp_path: Path) -> None:
    """A URL, a path and a Path name the same file, exactly as written, and messages show it so."""
    url = f"sqlite:///{name}"
    with create_bank(url) as bank:
        bank.put(new_adapter())
        assert repr(bank) == f"Bank({url!r})"
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == [name]
    for same in (name, f"./{name}", Path(name), f"sqlite:///{tmp_path}/{name}", tmp_path / name):
        with create_bank(same) as bank:
            assert len(bank) == 1


def test_a_bank_stays_where_it_was_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A relative name keeps its meaning when the process changes its folder."""
    (tmp_path / "elsewhere").mkdir()
    with create_bank("bank.db") as bank:
        monkeypatch.chdir("elsewhere")
        bank.close()
        assert len(bank) == 0


def test_a_name_with_percent_escapes_does_not_start_a_second_bank() -> None:
    """Where only the decoded name exists, the escaped one is refused and both are named."""
    create_bank("my bank.db").close()
    for step in (create_bank, bank_exists):
        with pytest.raises(InputError, match=r"my%20bank.db, but there is .*my bank.db"):
            step("sqlite:///my%20bank.db")
    assert not Path("my%20bank.db").exists()


def test_a_home_folder_is_understood(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A path may start with `~`."""
    monkeypatch.setenv("HOME", str(tmp_path))
    assert parse_url("~/bank.db").file == tmp_path / "bank.db"
    assert parse_url("sqlite:///~/bank.db").file == tmp_path / "~" / "bank.db"


@pytest.mark.parametrize("name", ["x" * 300, "a/" * 3000])
def test_an_impossible_name_is_one_error(name: str) -> None:
    """A name that the file system refuses is invalid input."""
    with pytest.raises(InputError, match="cannot be opened"):
        bank_exists(name)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("bank.db", "bank.db"),
        ("sqlite:///a\x1b[2J.db", r"sqlite:///a\x1b[2J.db"),
        ("postgresql://joe@host:5433/tasks", "postgresql://joe@host:5433/tasks"),
        ("postgresql+psycopg://joe:hunter2@host/a%20b", "postgresql+psycopg://joe:***@host/a%20b"),
        ("postgresql://joe:hunter%402@host/x", "postgresql://joe:***@host/x"),
        (
            "postgresql://host/x?user=joe&password=hunter2&sslmode=require",
            "postgresql://host/x?user=joe&password=***&sslmode=require",
        ),
        ("postgresql://host/x?sslpassword=hunter2", "postgresql://host/x?sslpassword=***"),
        ("postgresql://host/x?options=hunter2", "postgresql://host/x?***"),
        ("postgresql://host/x?hunter2", "postgresql://host/x?***"),
        ("postgresql://host/x?password=a&hunter2=b", "postgresql://host/x?password=***&***"),
    ],
)
def test_a_url_is_shown_without_its_secrets(url: str, shown: str) -> None:
    """What is shown is what was written, but for passwords and control characters."""
    assert redacted_url(url) == shown
    assert "hunter2" not in repr(parse_url(url).shown)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://joe:hun@ter2@host/x",
        "postgresql://joe:hun/ter2@host/x",
        "postgresql://joe:hun?ter2@host/x",
        "postgresql://joe:hun@ter2/x@host/x",
        "postgresql://host:5432/x?password=hun@ter2",
        "postgresql://joe:ter2/x",
        "postgresql://joe:hun@{ter2/x",
        "joe:ter2@host/x",
        "//joe:ter2@host/x",
        "postgres:ter2",
        "host=h password=ter2",
        "sqlite://joe:ter2@host/x.db",
        "sqlite:///joe:ter2@host/x.db",
        "sqlite:///x.db?password=ter2",
        "sqlite+pysqlcipher://:ter2@/x.db",
    ],
)
def test_an_ambiguous_url_is_refused_without_being_shown(url: str) -> None:
    """Where a password could be taken for something else, nothing is guessed and nothing shown."""
    with pytest.raises(InputError) as caught:
        parse_url(url)
    assert "ter2" not in str(caught.value)


def test_an_error_of_the_driver_is_shown_without_secrets() -> None:
    """Secrets are hidden in any text, whether escaped or not."""
    url = parse_url("postgresql://joe:hunter%402@host/x?sslpassword=swordfish")
    said = url.hide_secrets("no: hunter@2, hunter%402, swordfish, redis://u:other@h")
    assert said == "no: ***, ***, ***, redis://u:***@h"


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://joe:hun@ter2.invalid/x",  # the host may be the end of the password
        "postgresql://joe@127.0.0.1:9/x?ter2=hun",
        "postgresql://joe@127.0.0.1:9/x?ter2 =hun",
        "postgresql://joe@127.0.0.1:9/x?ter2",
    ],
)
def test_a_server_that_cannot_be_reached_is_named_without_secrets(url: str) -> None:
    """The driver names the host that it cannot find and the option that it does not know."""
    with pytest.raises(InputError, match=r"cannot be reached|is invalid") as caught:
        open_bank(url)
    assert "ter2" not in str(caught.value)


def test_a_host_without_a_password_is_named() -> None:
    """A misspelt host is shown where nothing could be a part of a password."""
    with pytest.raises(InputError, match=r"failed to resolve host 'nowhere\.invalid'"):
        open_bank("postgresql://joe@nowhere.invalid/x")


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("banks/mine.db", "mine.db"),
        ("sqlite:////srv/banks/mine.db", "mine.db"),
        ("postgresql+psycopg://user:password@host:5432/tasks?sslmode=require", "tasks"),
        ("postgresql://host", ""),
    ],
)
def test_the_name_of_a_bank_does_not_say_where_it_is(url: str, name: str) -> None:
    """It is the file or the database alone: no folder, host, user or password."""
    assert parse_url(url).name == name
