"""Every command that writes prints the head of the chain, and verify-all takes one to expect."""

from __future__ import annotations

import pytest

from taskbank.bank.bank import Bank
from tests.helpers.adapters import new_adapter, record_finding
from tests.helpers.tampering import rewrite
from tests.helpers.terminal import Terminal


@pytest.fixture
def own_terminal(own: Bank, capsys: pytest.CaptureFixture[str]) -> Terminal:
    """A terminal on a bank with two versions and a verification that predicted the second."""
    own.put(new_adapter())
    own.put(new_adapter(seed=1), new_version=True)
    record_finding(own, "mood@1")
    return Terminal(own.url, capsys)


WRITING = [
    ["alias", "mood@1", "production"],
    ["tolerance", "mood", "0.5"],
    ["remove", "mood@2"],
    ["gc", "--confirm"],
    ["verify-all", "--level", "integrity"],
    ["verify-all", "--level", "integrity", "--task", "mood"],
    ["db", "upgrade"],
]


@pytest.mark.parametrize("arguments", WRITING, ids=" ".join)
def test_a_writing_command_prints_the_head(
    own: Bank, own_terminal: Terminal, arguments: list[str]
) -> None:
    """As a line, as the key `head`, and nothing of it with --quiet."""
    said = own_terminal(*arguments).splitlines()
    assert (f"head {own.head().digest}" in said) == (arguments != ["db", "upgrade"])
    if arguments[0] != "remove":  # it is refused twice
        assert own_terminal.json(*arguments)["head"] == own.head().digest
        assert "head" not in own_terminal("--quiet", *arguments)


def test_the_head_is_shown_with_the_schema(own: Bank, own_terminal: Terminal) -> None:
    """`db current` prints the head and the number of its entry."""
    head = own.head()
    assert f"head {head.digest}, entry {head.entries}" in own_terminal("db", "current")
    shown = own_terminal.json("db", "current")
    assert (shown["head"], shown["entries"]) == (head.digest, head.entries)


def test_an_expected_head_may_be_an_older_entry(own: Bank, own_terminal: Terminal) -> None:
    """It is said which entry it is; a head that is not there is a finding."""
    head = own.head()
    own.set_tolerance("mood", 0.5)
    verify = ("verify-all", "--level", "integrity", "--expect")
    said = own_terminal(*verify, head.digest)
    assert f"the expected head is entry {head.entries} of {head.entries + 2}" in said
    assert own_terminal.json(*verify, head.digest)["expected_entry"] == head.entries
    said = own_terminal(*verify, "sha256:" + "0" * 64, code=1)
    assert "bank: chain: the chain has no entry with the expected head" in said


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--expect", "abc"], "is not a head"),
        (["--expect", "sha256:" + "0" * 64, "--task", "mood"], "leave out the tasks"),
    ],
)
def test_an_expected_head_is_checked_first(
    own_terminal: Terminal, arguments: list[str], says: str
) -> None:
    """What is no head, and a head together with chosen tasks, is bad input."""
    own_terminal("verify-all", *arguments, code=2)
    assert says in own_terminal.err


def test_a_bank_without_chain_is_damaged(own: Bank, own_terminal: Terminal) -> None:
    """An emptied chain is exit code 3 for the head, and a finding of verify-all."""
    rewrite(own, "DELETE FROM chain")
    own_terminal("db", "current", code=3)
    assert "chain is empty" in own_terminal("verify-all", "--level", "integrity", code=1)
