"""The query language, on both databases."""

from __future__ import annotations

import pytest

from taskbank.bank.bank import Bank
from taskbank.bank.records import MetricRecord
from taskbank.errors import InputError
from taskbank.specs import MethodSpec, TrainingSpec
from tests.helpers.adapters import new_adapter


@pytest.fixture(scope="module")
def three(shared_bank: Bank) -> Bank:
    """A bank with three adapters that differ in what queries ask for; nothing may change it."""
    for task, score, size, rate, tags in (
        ("alpha", 0.95, 64, 0.001, {"team": "search", "tier": "1"}),
        ("beta", 0.80, 8, 0.01, {"team": "ads"}),
        ("Gamma", 0.90, 256, 0.001, {}),
    ):
        shared_bank.put(
            new_adapter(
                task,
                metrics=(
                    MetricRecord("test", "accuracy", score, 0.01, 10),
                    MetricRecord("validation", "accuracy", 0.5, 0.01, 10),
                ),
                method=MethodSpec("houlsby", {"size": size, "activation": "gelu"}),
                training=TrainingSpec(learning_rate=rate),
                tags=tags,
                description='says "hi"' if task == "beta" else "",
            )
        )
    return shared_bank


def nested(depth: int) -> str:
    """Return a query of alternating `and` and `or` in parentheses."""
    query = "score > 0"
    for level in range(depth):
        query = f"(score > 0 {('and', 'or')[level % 2]} {query})"
    return query


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("metric.accuracy >= 0.9", "alpha Gamma"),
        ("metric.accuracy > 0.9", "alpha"),
        ("metric.validation.accuracy = 0.5", "alpha beta Gamma"),
        ("metric.f1 > 0", ""),
        ("not metric.f1 > 0", "alpha beta Gamma"),
        ('tag.team = "search"', "alpha"),
        ("tag.team != 'search'", "beta"),
        ('not tag.team = "search"', "beta Gamma"),
        ('tag.team in ("search", "ads")', "alpha beta"),
        ('tag.team not in ("search")', "beta"),
        ('task like "%A%"', "alpha beta Gamma"),
        ('task like "b%"', "beta"),
        ('task not like "%eta"', "alpha Gamma"),
        ('task like "a_pha"', "alpha"),
        ("options.size = 64", "alpha"),
        ("options.size in (8, 256)", "beta Gamma"),
        ("options.size < 100 and training.learning_rate < 0.005", "alpha"),
        ('options.activation = "gelu"', "alpha beta Gamma"),
        ("options.activation > 3", ""),
        ('options.size = "64"', ""),
        ("training.patience = 1", ""),
        ("training.epochs >= 1", "alpha beta Gamma"),
        ("version >= 1.5", ""),
        ("version = 1", "alpha beta Gamma"),
        ("version < 9000000000", "alpha beta Gamma"),
        ("score >= .9 or task = 'beta' and version = 2", "alpha Gamma"),
        ("(score >= .9 or task = 'beta') and options.size < 64", "beta"),
        ("NOT (score < 0.9 OR score > 0.92)", "Gamma"),
        ('method = "houlsby" and kind == "single"', "alpha beta Gamma"),
        ('description = "says \\"hi\\""', "beta"),
        ("score <> 0.8", "alpha Gamma"),
        ("created_at >= '2020'", "alpha beta Gamma"),
        ("not not task = 'beta'", "beta"),
    ],
)
def test_a_query_selects_what_it_says(three: Bank, query: str, expected: str) -> None:
    """Each construct of the language selects the same adapters on both databases."""
    assert [record.task for record in three.query(query)] == expected.split()


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("", "syntax error at character 1:"),
        ("score >", "syntax error at character 7:"),
        ("score > 0.9 and", "syntax error at character 13:"),
        ("score > 0.9)", "character 12"),
        ('task = "open', "syntax error at character 8:"),
        ("__import__('os').system('true')", "syntax error at character 11:"),
        ("task = 'x'; DROP TABLE tasks", "syntax error at character 11:"),
        ("colour = 'red'", "no field 'colour'"),
        ("metric = 3", "takes text"),
        ("metric.a.b.c = 3", "no field"),
        ("training.a.b = 3", "no field"),
        ("tag = 'x'", "no field 'tag'"),
        ("score = 'high'", "takes a number"),
        ("metric.accuracy = 'high'", "takes a number"),
        ("tag.team = 3", "takes text"),
        ("version in (1, 'x')", "version is compared with both numbers and text"),
        ("task like 'x\\\\'", "backslash"),
        ("(" * 500 + "score > 1" + ")" * 500, "nested too deeply at character 21"),
        ("not " * 21 + "score > 1", "nested too deeply at character 81"),
        (nested(50), "nested too deeply"),
        ('task = "\udcff"', "NUL or is not UTF-8"),
        ('task = "\x00"', "NUL or is not UTF-8"),
        ("score > 1 and " * 2000 + "score > 1", "characters"),
    ],
)
def test_a_query_that_means_nothing_is_refused(three: Bank, query: str, says: str) -> None:
    """A query that does not parse or fit is an error that shows where or what."""
    with pytest.raises(InputError, match=says):
        three.query(query)


@pytest.mark.parametrize(
    ("query", "what", "shown", "place"),
    [
        ("score\x1b > 1", "cannot be seen at character 6", r"score\x1b > 1", r"\x1b"),
        ("sco\u202ere > 1", "cannot be seen at character 4", r"sco\u202ere > 1", r"\u202e"),
        ('task = "a\x1b" und', "syntax error at character 13", r'task = "a\x1b" und', "und"),
        ("score > 1\nand )", "syntax error at character 15", r"score > 1\nand )", ")"),
    ],
)
def test_the_arrow_points_at_what_is_shown(
    three: Bank, query: str, what: str, shown: str, place: str
) -> None:
    """Characters that cannot be seen are written out, and the arrow stands below the mistake."""
    with pytest.raises(InputError, match=what) as error:
        three.query(query)
    _, line, arrow, _ = str(error.value).split("\n")
    assert line.strip() == shown
    assert arrow.index("^") == line.index(place)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (nested(19), "alpha beta Gamma"),
        ("or ".join(["score>0"] * 998), "alpha beta Gamma"),
        ("and ".join(["score>0"] * 900), "alpha beta Gamma"),
        ("not(" + "or ".join(["score>1"] * 900) + ")", "alpha beta Gamma"),
        ("or ".join(["tag.a='x'"] * 750), ""),
        ("score in (" + ",".join(["0.9"] * 2000) + ")", "Gamma"),
        ("score < 1e400 and version < 99999999999999999999", "alpha beta Gamma"),
    ],
)
def test_long_and_nested_queries_are_answered(three: Bank, query: str, expected: str) -> None:
    """Whatever is accepted is within the limits of both databases."""
    assert [record.task for record in three.query(query)] == expected.split()


def test_values_in_a_query_are_only_values(three: Bank) -> None:
    """SQL inside a string is compared, never run."""
    assert three.query("task = \"x' OR '1'='1\"") == ()
    assert len(three) == 3
