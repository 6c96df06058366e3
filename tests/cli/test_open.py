"""`taskbank open`: its link, what it refuses, and how it ends."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import webbrowser
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from taskbank.backbone.backbone import Backbone
from taskbank.bank.bank import Bank
from taskbank.cli import open as command
from taskbank.cli.main import run
from tests.helpers.models import put_moved

WAIT = 60


@pytest.fixture
def mood(own: Bank, backbone: Backbone) -> Bank:
    """A bank with the task `mood`."""
    put_moved(own, backbone, "mood")
    return own


def get(url: str, path: str, cookie: str = "") -> tuple[int, str]:
    """Return the status of an answer, and the cookie that it sets."""
    place = urlsplit(url)
    connection = HTTPConnection(str(place.hostname), place.port, timeout=WAIT)
    connection.request("GET", path, headers={"cookie": cookie})
    response = connection.getresponse()
    response.read()
    return response.status, (response.getheader("set-cookie") or "").partition(";")[0]


@pytest.mark.process
@pytest.mark.slow
@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
def test_the_link_works_once_until_a_signal_ends_the_server(
    mood: Bank, ending: signal.Signals
) -> None:
    """The printed link opens the pages to whoever is first, and Ctrl-C ends the process."""
    process = subprocess.Popen(
        [
            str(Path(sys.executable).with_name("taskbank")),
            "open", "mood@1", "--no-browser", "--json", "--bank", mood.url,
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        said = ""
        while not said.endswith("}\n"):
            line = process.stdout.readline()
            assert line, process.communicate()
            said += line
        url = json.loads(said)["url"]
        place = urlsplit(url)
        assert place.hostname == "127.0.0.1"
        assert get(url, "/")[0] == 303
        status, cookie = get(url, f"{place.path}?{place.query}")
        assert (status, cookie.startswith("taskbank-")) == (200, True)
        assert get(url, "/tasks/mood@1", cookie)[0] == 200
        assert get(url, "/v1/tasks", cookie)[0] == 401
        assert get(url, f"{place.path}?{place.query}")[0] == 403
        process.send_signal(ending)
        said = process.communicate(timeout=WAIT)[1]
        assert process.returncode == 0, said
        assert "Traceback" not in said
    finally:
        process.kill()
        process.communicate()


@pytest.mark.process
def test_a_wrong_task_is_found_before_torch_is_imported(mood: Bank) -> None:
    """What is wrong with the arguments is said at once."""
    code = (
        "import sys; from taskbank.cli.main import run; "
        f"code = run(['open', 'nothing', '--bank', {mood.url!r}]); "
        "sys.exit(99 if 'torch' in sys.modules else code)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 2, done
    assert "nothing" in done.stderr


def test_a_bank_without_an_encoder_is_refused(
    own: Bank, capsys: pytest.CaptureFixture[str]
) -> None:
    """There is nothing to serve."""
    assert run(["open", "--bank", own.url]) == 2
    assert "taskbank init" in capsys.readouterr().err


def test_the_browser_gets_the_link_by_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its process is given a file's address, which everybody may see, and the file has the link."""
    given: list[str] = []

    def shown(url: str) -> bool:
        given.append(url)
        return len(given) == 1

    monkeypatch.setattr(webbrowser, "open", shown)
    url = "http://127.0.0.1:1/open?token=secret&next=%2F"
    command._browse(url, tmp_path)
    assert given == [(tmp_path / "open.html").as_uri()]
    assert "url=http://127.0.0.1:1/open?token=secret&amp;next=%2F" in (
        (tmp_path / "open.html").read_text()
    )
    assert capsys.readouterr().err == ""
    command._browse(url, tmp_path)
    assert "open the link yourself" in capsys.readouterr().err
