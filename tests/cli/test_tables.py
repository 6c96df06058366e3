"""Tables: readable on a terminal of any width, whole where there is none."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from taskbank.bank.records import TrialRecord
from taskbank.cli import tables, trials
from taskbank.cli.tables import print_table
from taskbank.cli.trials import by_seed, print_spread, print_trials

PROSE = "a very good day and quite a bright one with a film that was lovely"
COLUMNS = ("label", ">score", "text")
ROWS = [("praise", "0.9876", PROSE), ("blame", "0.5000", "it was bad")]


class Screen:
    """A terminal of some width, and what was printed since it was last asked."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self.monkeypatch = monkeypatch
        self.capsys = capsys

    def widen(self, width: int | None) -> None:
        """Be a terminal of a width, or none."""
        for module in (tables, trials):
            self.monkeypatch.setattr(module, "terminal_width", lambda: width)

    def table(self, width: int | None, *given: Any) -> list[str]:
        """Return the lines of a table, without the spaces at their ends."""
        self.widen(width)
        print_table(*given)
        return self.lines()

    def lines(self) -> list[str]:
        """Return the lines that were printed, without the spaces at their ends."""
        return [line.rstrip() for line in self.capsys.readouterr().out.splitlines()]


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Screen:
    """A terminal."""
    return Screen(monkeypatch, capsys)


def trial(seed: int = 0, score: float = 0.5, **changes: Any) -> TrialRecord:
    """Return a trial as a bank has it."""
    training = {"epochs": 2, "learning_rate": 0.001, "batch_size": 32, "seed": seed}
    return TrialRecord(
        task="corp",
        kind="single",
        backbone="sha256:1",
        specification="sha256:2",
        method="houlsby",
        options=changes.pop("options", {"size": 8}),
        training=training | changes.pop("training", {}),
        data={"train": {"rows": 9}},
        labels=("a", "b"),
        settings={},
        status=changes.pop("status", "complete"),
        metric=changes.pop("metric", "accuracy"),
        score=score,
        metrics=(),
        parameters=1234,
        digest=None,
        environment={"seconds": 1.2},
        created_at="2026-01-01",
        read_blob=lambda digest: pytest.fail("read"),
        **changes,
    )


def test_where_there_is_no_terminal_a_table_is_whole(screen: Screen) -> None:
    """A pipe gets every column and a line a row, however long."""
    wide = "x " * 300 + "end"
    lines = screen.table(None, (*COLUMNS, "more"), [(*ROWS[0], wide)], ("text",))
    assert len(lines) == 3
    assert lines[0].split() == ["label", "score", "text", "more"]
    assert lines[2] == f"praise   0.9876   {PROSE}   {wide}"


def test_a_table_that_fits_is_the_same_on_a_terminal(screen: Screen) -> None:
    """Nothing is folded or left out where there is room."""
    assert screen.table(120, COLUMNS, ROWS, ("label",)) == screen.table(None, COLUMNS, ROWS)


@pytest.mark.parametrize("width", range(28, 100, 3))
def test_only_the_text_is_folded_and_only_between_words(screen: Screen, width: int) -> None:
    """Every word of the table is whole on some line, and no line is wider than the terminal."""
    lines = screen.table(width, COLUMNS, ROWS)
    assert all(len(line) <= width for line in lines)
    words = {word for line in lines for word in line.split()}
    assert words >= {*PROSE.split(), *COLUMNS[::2], "score", "praise", "0.9876", "blame", "bad"}
    assert lines[2].split()[:2] == ["praise", "0.9876"]


def test_two_long_texts_share_what_room_there_is(screen: Screen) -> None:
    """A long answer does not leave its question a few letters a line."""
    lines = screen.table(40, COLUMNS, [(PROSE, "0.5000", PROSE)])
    assert all(len(line) <= 40 for line in lines)
    assert len(lines) <= 2 + 6


def test_a_long_word_is_cut_only_in_the_last_column(screen: Screen) -> None:
    """An address in a text does not cost the table; in a name it would not be the same name."""
    address = "https://example.org/" + "x" * 60
    lines = screen.table(60, COLUMNS, [("praise", "0.5", address)])
    assert lines[0].split() == ["label", "score", "text"]
    assert "".join(line.split()[-1] for line in lines[2:]) == address
    assert screen.table(60, COLUMNS, [(address, "0.5", "praise")])[0] == f"label  {address}"


def test_optional_columns_go_first_and_in_their_order(screen: Screen) -> None:
    """A narrow terminal does without what was said to matter least."""
    columns, row = ("name", ">a", ">b"), ("n" * 20, "1" * 20, "2" * 20)
    kept = {
        width: screen.table(width, columns, [row], (">b", ">a"))[0].split()
        for width in (66, 64, 63, 42, 41, 20)
    }
    assert kept == {
        66: ["name", "a", "b"],
        64: ["name", "a", "b"],
        63: ["name", "a"],
        42: ["name", "a"],
        41: ["name"],
        20: ["name"],
    }


def test_a_terminal_too_narrow_for_a_table_gets_a_line_a_heading(screen: Screen) -> None:
    """Where not even folding does, a row is a block; what is empty is left out of it."""
    rows = [("sst2-houlsby@1", "ok", "0.9000"), ("cola@12", "", "0.5000")]
    assert screen.table(20, ("adapter", "status", ">recorded"), rows) == [
        "adapter   sst2-houlsby@1",
        "status    ok",
        "recorded  0.9000",
        "",
        "adapter   cola@12",
        "recorded  0.5000",
    ]


def test_wide_letters_take_two_places(screen: Screen) -> None:
    """Chinese is folded by what it takes on a screen."""
    lines = screen.table(40, COLUMNS, [("好", "0.5", "今天天气很好" * 5)])
    assert all(len(line.encode("gbk")) <= 40 for line in lines if "─" not in line)
    assert sum(line.count("气") for line in lines) == 5


@pytest.mark.parametrize("rows", [[], [("", "", "")]])
def test_a_table_of_nothing_is_its_headings(screen: Screen, rows: list[Any]) -> None:
    """No rows, or empty ones, are no error."""
    assert screen.table(60, COLUMNS, rows)[0].split() == ["label", "score", "text"]


@pytest.mark.parametrize("width", [60, 80, 120])
def test_trials_say_once_what_all_have_alike(screen: Screen, width: int) -> None:
    """On a terminal only what differs is a column, and a search fits its narrowest."""
    found = [
        trial(seed, options={"size": size, "activation": "gelu"}, training={"learning_rate": rate})
        for seed in (0, 1)
        for size in (8, 64)
        for rate in (0.0003, 0.001)
    ]
    screen.widen(width)
    print_trials(found)
    lines = screen.lines()
    assert lines[0] == "task corp, method houlsby, epochs 2, metric accuracy"
    assert lines[1].split()[:5] == ["size", "learning_rate", "seed", "status", "score"]
    assert len(lines) == 3 + len(found)
    assert all(len(line) <= width for line in lines[1:])
    print_spread(found)
    lines = screen.lines()
    assert lines[:2] == ["", "task corp, method houlsby, epochs 2, metric accuracy"]
    assert len(lines) == 4 + 4


def test_trials_that_differ_say_nothing_once(screen: Screen) -> None:
    """What one of the rows has otherwise stays a column."""
    screen.widen(200)
    print_trials([trial(), replace(trial(metric="f1"), task="b", method="full", options={})])
    lines = screen.lines()
    assert lines[0] == "epochs 2, learning_rate 0.001"
    assert lines[1].split()[:5] == ["task", "method", "seed", "status", "metric"]


def test_a_pipe_gets_all_columns_of_trials(screen: Screen) -> None:
    """What is read by scripts does not depend on what differs."""
    screen.widen(None)
    print_trials([trial(0), trial(1)])
    lines = screen.lines()
    columns = "task method epochs learning_rate seed status metric score params seconds"
    assert lines[0].split() == columns.split()
    assert len(lines) == 4


def test_a_seed_counts_once(screen: Screen) -> None:
    """A trial that was run again is no further seed: the last one stands for it."""
    assert by_seed([trial(0, 0.1), trial(0, 0.2)]) == [[trial(0, 0.2)]]
    screen.widen(None)
    print_spread([trial(0, 0.1), trial(0, 0.2)])
    assert screen.lines() == []
    print_spread([trial(0, 0.1), trial(1, 0.5), trial(0, 0.3), trial(2, 0.9, status="pruned")])
    (row,) = screen.lines()[2:]
    assert row.split()[4:] == ["2", "accuracy", "0.4000", "0.1414", "0.3000", "0.5000"]


def test_other_data_metrics_and_backbones_are_other_settings() -> None:
    """Only what differs in nothing but the seed is put together."""
    one = trial()
    others = [
        replace(one, backbone="sha256:9"),
        replace(one, metric="f1"),
        replace(one, data={}),
        replace(one, method="full"),
    ]
    assert len(by_seed([one, *others, trial(1)])) == 5


def test_a_prediction_of_nothing_says_so(
    screen: Screen, monkeypatch: pytest.MonkeyPatch, mood: Any
) -> None:
    """No label, no entity and no answer are shown as such, and not as an empty cell."""
    from taskbank.cli.main import run

    monkeypatch.setattr(
        "taskbank.serve.predictor.Predictor.predict_many",
        lambda *given, **named: [[{"text": "a day", "label": "", "score": 0.75}]],
    )
    screen.widen(60)
    assert run(["predict", "mood", "a day", "--bank", mood.url]) == 0
    assert screen.lines()[2].split() == ["(none)", "0.7500", "a", "day"]
