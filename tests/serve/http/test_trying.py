"""The page Try over HTTP: one task, many, what is refused, and what is not told."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from taskbank.bank.bank import Bank
from taskbank.errors import OverloadedError
from taskbank.serve.engine import BatchReport
from taskbank.serve.http import trying
from taskbank.serve.http.keys import add_key
from tests.helpers.serving import client_of, service_of, serving

OWN = {"sec-fetch-site": "same-origin"}
TEXT = "the film was very good"


@pytest.fixture(scope="module")
def client(served: Bank) -> Iterator[TestClient]:
    """A client of a server without keys."""
    with client_of(served, access_log=False) as made:
        yield made


def token_of(client: TestClient) -> str:
    """Return the token of the form."""
    found = re.search(r'name="token" value="([^"]+)"', client.get("/try").text)
    assert found
    return found[1]


def ask(client: TestClient, task: str, *texts: str, **headers: str) -> Any:
    """Send the form; return the answer."""
    form = {"token": token_of(client), "task": task}
    form |= {f"input{number}": text for number, text in enumerate(texts, 1)}
    return client.post("/try", data=form, headers=OWN | headers)


def test_one_task_answers_and_says_why(client: TestClient) -> None:
    """The answer and its probability are those of the API, with marks and the version."""
    response = ask(client, "mood@1", TEXT)
    assert response.status_code == 200
    answer = client.post("/v1/tasks/mood@1/predict", json={"inputs": [TEXT]}).json()
    found = answer["predictions"][0]
    assert f'<b class="answer"><bdi>{found["label"]}</bdi></b>' in response.text
    assert f"confidence {found['score']:.1%}" in response.text
    assert "/tasks/mood@1" in response.text
    assert len(re.findall(r'<mark class="(?:for|against|tried)[-\d]*" title', response.text)) == 5
    assert "Nearest stored examples" in response.text
    assert f">\n{TEXT}</textarea>" in response.text


def test_a_mark_is_the_difference_of_two_answers(client: TestClient) -> None:
    """The effect of a word is the probability with it minus that without it."""
    inputs = [TEXT, "the film was very"]
    whole, other = client.post("/v1/tasks/film/predict", json={"inputs": inputs}).json()[
        "predictions"
    ]
    change = whole["score"] - other["probabilities"][whole["label"]]
    titles = re.findall(r'title="([^"]+)"', ask(client, "film", TEXT).text)
    assert float(titles[-1].replace("\N{MINUS SIGN}", "-")) == pytest.approx(change, abs=6e-4)


def test_many_tasks_answer_in_one_batch(served: Bank) -> None:
    """A pattern asks all its tasks at once; one that fails is named and the others answer."""
    batches: list[tuple[int, int]] = []
    service = service_of(served, access_log=False)
    count = service.metrics.count_batch

    def noted(report: BatchReport) -> None:
        batches.append((report.rows, report.tasks))
        count(report)

    service.metrics.count_batch = noted  # type: ignore[method-assign]
    with serving(service) as client:
        response = ask(client, "*", TEXT)
        assert response.status_code == 200
        for task in ("calm", "film", "mood"):
            assert f'<a href="/tasks/{task}">{task}</a>' in response.text
        assert "Answers" in response.text
        assert "1 task did not answer" in response.text
        assert "NaN" in response.text
        assert sum(rows for rows, _ in batches) == 4
        batches.clear()
        ask(client, "calm", TEXT)
        assert sum(rows for rows, _ in batches) == 6


def test_only_so_many_tasks_are_asked(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pattern that means more is answered by the first ones, and the page says so."""
    monkeypatch.setattr(trying, "TASKS", 2)
    text = ask(client, "*", TEXT).text
    assert "Only the first 2 of 4 tasks were asked" in text
    assert 'href="/tasks/mood"' not in text


def test_what_is_tried_is_not_counted(served: Bank) -> None:
    """The page of a task says what clients asked, not what was tried."""
    service = service_of(served, access_log=False)
    with serving(service) as client:
        ask(client, "mood", TEXT)
        assert service.metrics.answered("mood") == {}


@pytest.mark.parametrize(
    ("task", "text", "status", "words"),
    [
        ("nothing", "a", 404, "nothing"),
        ("x*", "a", 404, "no task that is served matches"),
        ("mood", " ", 422, "mood@2 needs a text"),
        ("*", "", 422, "write a text"),
        ("mood@9", "a", 404, "version"),
        ("[" * 300, "a", 422, "characters"),
        ("nan", "a b", 503, "NaN"),
    ],
)
def test_mistakes_are_shown_beside_what_was_typed(
    client: TestClient, task: str, text: str, status: int, words: str
) -> None:
    """The page comes back with the reason, and with the form as it was."""
    response = ask(client, task, text)
    assert response.status_code == status
    assert words in response.text
    assert '<p class="problem"' in response.text
    assert f">\n{text}</textarea>" in response.text
    assert f'value="{task}"' in response.text


def test_an_overloaded_server_says_so(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """It answers with 429 and when to try again, and keeps what was typed in the form."""
    service = client.app.service  # type: ignore[attr-defined]

    def refuse(*_: Any) -> None:
        raise OverloadedError("many rows are waiting", 7)

    monkeypatch.setattr(service.engine, "submit", refuse)
    response = ask(client, "mood", TEXT)
    assert (response.status_code, response.headers["retry-after"]) == (429, "7")
    assert "many rows are waiting" in response.text
    assert TEXT in response.text


@pytest.mark.parametrize(
    ("headers", "token"),
    [({"sec-fetch-site": "cross-site"}, None), ({}, None), (OWN, "x.y"), (OWN, "")],
)
def test_forms_of_other_sites_are_refused(
    client: TestClient, headers: dict[str, str], token: str | None
) -> None:
    """Nothing is computed for a form that this server did not send, also without keys."""
    form = {"token": token_of(client) if token is None else token, "task": "mood", "input1": TEXT}
    response = client.post("/try", data=form, headers=headers)
    assert response.status_code == 403
    assert TEXT not in response.text


def test_a_refusal_replaces_the_page_in_place(client: TestClient) -> None:
    """What is updated in place shows an error as the whole page, not within a part of it."""
    headers = OWN | {"hx-request": "true"}
    response = client.post("/try", data={"token": "x"}, headers=headers)
    assert response.status_code == 403
    assert response.headers["hx-retarget"] == response.headers["hx-reselect"] == "#content"


def test_texts_are_in_no_log_and_no_address(
    served: Bank, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The log says which task answered how many rows, and nothing of the text."""
    caplog.set_level("DEBUG")
    with client_of(served, access_log=True) as client:
        response = ask(client, "mood", "secretword and more")
    assert "secretword" in response.text
    assert "secretword" not in caplog.text
    assert '"route": "POST /try"' in caplog.text
    assert "secretword" not in str(response.headers)
    assert "secretword" not in str(response.url)


def test_hostile_texts_are_text(client: TestClient) -> None:
    """Markup is escaped everywhere, and what was typed comes back into the form unchanged."""
    hostile = "\n</textarea><script>alert(1)</script> film \u202e good"
    response = ask(client, "mood", hostile)
    assert response.status_code == 200
    assert "<script>" not in response.text
    assert "&lt;script&gt;" in response.text
    assert "\n\n&lt;/textarea&gt;" in response.text
    assert r"\u202e" in response.text.split("</form>")[1]
    assert "\u202e" not in response.text.split("</form>")[1]


def test_a_long_text_is_answered_and_a_longer_one_refused(client: TestClient) -> None:
    """A page of answers stays small, and a form has a largest size."""
    response = ask(client, "mood", "good film " * 10_000)
    assert response.status_code == 200
    assert "its end was left out" in response.text
    assert len(response.text) < 250_000
    assert ask(client, "mood", "x" * 300_000).status_code == 413


def test_a_task_can_be_chosen_by_its_address(client: TestClient) -> None:
    """The form has the texts that the task takes; one that there is not is an error."""
    assert 'value="mood@1"' in client.get("/try?task=mood@1").text
    assert client.get("/try?task=nothing").status_code == 404


def test_with_keys_a_session_is_needed(served: Bank, tmp_path: Path) -> None:
    """Neither the form nor an answer is given without one."""
    add_key(tmp_path / "keys", "web", "read")
    with client_of(served, tmp_path / "keys", access_log=False) as client:
        client.follow_redirects = False
        assert client.get("/try").status_code == 303
        assert client.post("/try", data={"task": "mood"}, headers=OWN).status_code == 303
