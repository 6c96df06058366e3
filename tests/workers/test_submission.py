"""What is kept of a submitted command, and how its progress is counted."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from taskbank.bank.bank import Bank
from taskbank.errors import InputError
from taskbank.workers.submission import KEY, Submission, seconds_left
from tests.helpers.adapters import new_adapter

BANK = "postgresql+psycopg://me@db.example/tasks"
SUITE = Submission("add-tasks", BANK, ("one", "two", "three"), total=3, before=1)


def test_what_is_kept_comes_back() -> None:
    """For suites and verifications."""
    verification = Submission("verify-all", BANK, ("a@1",), level="changed", resume=True)
    for submission in (SUITE, verification, Submission("verify-all", BANK, (), level="full")):
        assert Submission.from_metadata(submission.to_metadata()) == submission


def test_too_many_tasks_are_refused() -> None:
    """Six thousand names go, and so many that Ray cannot keep them do not."""
    names = tuple(f"some-task-{number:05d}" for number in range(20_000))
    Submission("add-tasks", BANK, names[:6000]).to_metadata()
    with pytest.raises(InputError, match=r"20,000 tasks .* submit the suite in parts"):
        Submission("add-tasks", BANK, names).to_metadata()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "[" * 100_000,
        '{"tasks": ""}',
        '{"command": "add-tasks", "bank": "b", "tasks": 3}',
        '{"command": "add-tasks", "bank": "b", "tasks": "", "more": 1}',
        '{"command": 5, "bank": "b", "tasks": ""}',
        '{"command": "add-tasks", "bank": "b", "tasks": "", "total": "9"}',
        '{"command": "add-tasks", "bank": "b", "tasks": "", "total": -1}',
        '{"command": "add-tasks", "bank": "b", "tasks": "", "before": true}',
        '{"command": "add-tasks", "bank": "b", "tasks": "", "before": null}',
        '{"command": "add-tasks", "bank": "b", "tasks": "", "level": []}',
    ],
)
def test_metadata_of_anyone_else_is_no_command_of_taskbank(text: str) -> None:
    """Whatever it is."""
    assert Submission.from_metadata({KEY: text}) is None
    assert Submission.from_metadata({"other": "x"}) is None


def test_a_bank_is_the_same_with_and_without_its_password() -> None:
    """Another server, user or database is another bank."""
    assert SUITE.is_on(BANK)
    assert SUITE.is_on(BANK.replace("me@", "me:secret@"))
    for other in (BANK + "2", BANK.replace("me", "you"), "bank.db", "nonsense://"):
        assert not SUITE.is_on(other)
    assert not Submission("add-tasks", "nonsense://", ()).is_on(BANK)


def test_tasks_that_are_in_the_bank_are_done(bank: Bank) -> None:
    """Each once, and no other task; new versions only if they came since."""
    bank.put(new_adapter("one"))
    begin = datetime.now(UTC)
    again = replace(SUITE, before=0, new_version=True)
    assert (SUITE.count_done(bank, begin), again.count_done(bank, begin)) == (1, 0)
    bank.put(new_adapter("two"))
    bank.put(new_adapter("one", seed=2), new_version=True)
    bank.put(new_adapter("other"))
    assert (SUITE.count_done(bank, begin), again.count_done(bank, begin)) == (2, 2)
    ahead = datetime.now(UTC) + timedelta(hours=1)
    assert again.count_done(bank, ahead) == 0


def test_a_verification_is_as_far_as_its_run(bank: Bank) -> None:
    """Its run is the unfinished one of its level and tasks that began since."""
    log = bank.verification_log
    whole = Submission("verify-all", bank.url, (), 9, level="full")
    log.start_run("full", [], {})
    begin = datetime.now(UTC)
    assert whole.count_done(bank, begin) is None
    log.start_run("canary", [], {})
    log.start_run("full", ["one"], {})
    assert whole.count_done(bank, begin) is None
    resumed = Submission("verify-all", bank.url, (), 9, level="full", resume=True)
    assert resumed.count_done(bank, begin) == 0
    log.start_run("full", [], {})
    assert whole.count_done(bank, begin) == 0


def test_the_time_left_follows_the_mean_rate() -> None:
    """What was there before says nothing about the rate."""
    assert seconds_left(done=3, before=1, total=9, elapsed=10) == 30
    assert seconds_left(done=9, before=0, total=9, elapsed=10) == 0
    assert seconds_left(done=1, before=1, total=9, elapsed=10) is None


def test_the_metadata_is_one_readable_text() -> None:
    """As Ray shows it to people."""
    assert json.loads(SUITE.to_metadata()[KEY])["tasks"] == "one two three"
