"""Who was trained on a row: by digest or by text, in splits too, and what was made of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from taskbank.bank.bank import Bank
from taskbank.cli.main import run
from taskbank.data.examples import Examples
from taskbank.data.row_digests import digests_of, shown
from taskbank.errors import InputError
from taskbank.pipeline.forget import find_rows, parse_digests, read_row_digests
from tests.helpers.adapters import new_adapter, training_rows

TRAIN = Examples({"text": ("one", "two"), "label": ("bad", "good")}, "train.csv")
ONE = digests_of(TRAIN, "label")[0]


@pytest.fixture
def family(bank: Bank) -> Bank:
    """A bank with a version trained on TRAIN, its child and grandchild, and three others."""
    parent = bank.put(new_adapter("first", **training_rows(TRAIN)))
    other = training_rows(TRAIN.select([1], "two"))

    def course(of: str) -> dict[str, object]:
        return {"parents": [{"ref": of, "digest": bank[of].digest}]}

    bank.put(new_adapter("child", seed=1, course=course(parent.ref), **other))
    bank.put(new_adapter("grandchild", seed=2, course=course("child"), **other))
    bank.put(new_adapter("stranger", seed=3, course={"parents": "nonsense"}, **other))
    bank.put(new_adapter("older", seed=4))
    bank.remove("first@1")
    return bank


@pytest.mark.parametrize("wanted", [ONE.row, ONE.inputs])
def test_a_row_leads_to_its_versions_and_their_descendants(family: Bank, wanted: bytes) -> None:
    """By either digest; retired versions count, and versions without digests are named."""
    uses = find_rows(family, {wanted})
    assert {use.ref: use.derived_from for use in uses.versions} == {
        "first@1": (),
        "child@1": ("first@1",),
        "grandchild@1": ("first@1",),
    }
    assert uses.versions[0].trained_on == (shown(ONE.row),)
    assert uses.versions[0].retired
    assert uses.versions[1].trained_on == ()
    assert uses.unknown == ("older@1",)


def test_a_version_is_made_from_the_one_that_it_names(family: Bank) -> None:
    """Not from others of equal bytes, unless the one that it names is not there."""
    rows = training_rows(TRAIN)
    family.put(new_adapter("twin", **rows))
    digest = family["twin"].digest
    assert digest == family["first@1"].digest
    moved = {"parents": [{"ref": "elsewhere@1", "digest": digest}]}
    family.put(new_adapter("moved", seed=5, course=moved))
    sources = {use.ref: use.derived_from for use in find_rows(family, {ONE.row}).versions}
    assert sources["child@1"] == ("first@1",)
    assert sources["moved@1"] == ("first@1", "twin@1")


def test_stored_splits_are_searched(family: Bank) -> None:
    """A row in an evaluation split is stored as text, also by versions of an earlier taskbank."""
    examples = family.examples(family["older"], "test")
    (use,) = find_rows(family, {digests_of(examples, "label")[0].row}).versions
    assert (use.ref, use.trained_on, use.splits) == ("older@1", (), {"test": 1})


def test_rows_are_found_by_a_file_without_labels(family: Bank, tmp_path: Path) -> None:
    """A request names texts, and their labels do not matter."""
    file = tmp_path / "rows.jsonl"
    file.write_text('{"text":"one"}\n{"text":"never seen"}\n')
    wanted = read_row_digests(str(file), "single")
    assert ONE.inputs in wanted
    uses = find_rows(family, wanted)
    assert uses.rows == 2
    assert [use.ref for use in uses.versions if use.trained_on] == ["first@1"]


@pytest.mark.parametrize("text", ["", "sha256:", "sha256:" + "G" * 64, "0" * 64])
def test_what_is_no_digest_is_refused(text: str) -> None:
    """The error says what a digest looks like."""
    with pytest.raises(InputError, match="64 hex digits"):
        parse_digests([text])


def test_the_command_exits_with_1_if_something_was_found(
    family: Bank, capsys: pytest.CaptureFixture[str]
) -> None:
    """0 means that no version has the row; nothing to look for is an error."""
    assert run(["--bank", family.url, "forget", shown(ONE.row)]) == 1
    printed = capsys.readouterr()
    assert "grandchild@1" in printed.out
    assert "older@1" in printed.err
    assert run(["--bank", family.url, "forget", "sha256:" + "0" * 64, "--json"]) == 0
    assert '"versions": []' in capsys.readouterr().out
    assert run(["--bank", family.url, "forget"]) == 2
