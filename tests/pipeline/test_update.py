"""A task that goes on learning: what is new is found first, and the new version is compared."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from taskbank.bank.bank import Bank
from taskbank.cli.main import run
from taskbank.data.remarks import Remark
from taskbank.errors import ConflictError, DataError, InputError, NotFoundError
from taskbank.pipeline.add_task import add_task
from taskbank.pipeline.forget import find_rows
from taskbank.pipeline.storage import store
from taskbank.pipeline.update import NewData, compare_data, update
from taskbank.verify.verify import verify_all
from tests.helpers.adapters import new_adapter
from tests.helpers.rows import questions, sentences

FIRST, MORE = sentences(60, seed=1), sentences(40, seed=2)
THIRD = [{"text": f"{row['text']} neither", "label": "mixed"} for row in sentences(20, seed=3)]
TRAINING = {"epochs": 2, "learning_rate": 0.02, "precision": "float32", "max_length": 24}


def learn(bank: Bank, folder: Path, **given: Any) -> None:
    """Add the task `mood`, trained a little."""
    given = {"training": TRAINING, "options": {"size": 4}, "verify": "none", **given}
    add_task(bank, "mood", FIRST, backbone=str(folder), **given)


@pytest.mark.slow
def test_a_task_learns_new_rows_and_a_new_label(bank: Bank, folder: Path) -> None:
    """The version is trained on the union, compared on old and new rows, and remembers its parent;
    the same data again adds nothing."""
    learn(bank, folder, keep_rows=True)
    parent = bank["mood"]
    relabelled = {"text": bank.kept_rows(parent).columns["text"][0], "label": "mixed"}
    known = [row for row in FIRST[:9] if row["text"] != relabelled["text"]]
    data = NewData([*MORE, *THIRD, relabelled, *known])
    with pytest.warns(Remark, match="has 1 label that mood@1 does not have: 'mixed'"):
        updated = update(bank, "mood", data, alias="best", verify="integrity")
    child = updated.record
    assert child is not None
    assert child.ref == "mood@2"
    assert child.labels == ("bad", "good", "mixed")
    assert child.course["parents"] == [{"ref": "mood@1", "digest": parent.digest}]
    assert len(updated.difference.relabelled) == 1
    rows = list(bank.kept_rows(child).rows())
    assert [row["label"] for row in rows if row["text"] == relabelled["text"]] in (["mixed"], [])
    own = {split.name: split for split in child.splits}
    assert own["old"].digest == parent.splits[0].digest
    assert own["old"].rows + own["new"].rows == own["validation"].rows
    held_out = {text for name in own for text in bank.examples(child, name).columns["text"]}
    assert not held_out & {row["text"] for row in rows}
    assert set(updated.comparisons or {}) == {"old", "new", "validation"}
    assert updated.verification is not None
    assert updated.verification.ok
    assert (bank["mood@best"].ref == "mood@2") if not updated.worse else True
    again = update(bank, "mood", data, verify="none")
    assert again.record is None
    assert again.difference.is_empty
    assert len(bank.adapters(task="mood")) == 2


@pytest.mark.slow
def test_an_update_is_stored_whole_or_not_at_all(
    own: Bank, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Old rows come from their file if they were not kept. What is interrupted, or is no longer
    the newest version's child, leaves no version."""
    learn(own, folder)
    before = own["mood"]
    data = NewData(MORE)
    with pytest.raises(InputError, match="--old DATA"):
        update(own, "mood", data)
    with pytest.raises(InputError, match=r"lacks .* rows that mood@1 was trained on"):
        update(own, "mood", data, old=FIRST[:30])
    assert len(own) == 1
    put = Bank.put

    def interrupted(*_given: Any, **_more: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(Bank, "put", interrupted)
    with pytest.raises(KeyboardInterrupt):
        update(own, "mood", data, old=FIRST)
    assert list(own) == [before]
    monkeypatch.setattr(Bank, "put", put)

    def overtaken(bank: Bank, *given: Any, **more: Any) -> Any:
        put(bank, new_adapter("mood", backbone=given[1].identity), new_version=True)
        return store(bank, *given, **more)

    monkeypatch.setattr("taskbank.pipeline.update.store", overtaken)
    with pytest.raises(ConflictError, match="mood@2 was added after mood@1 was read"):
        update(own, "mood", data, old=FIRST, resume=True)
    assert len(own) == 2
    monkeypatch.setattr("taskbank.pipeline.update.store", store)
    updated = update(own, "mood@1", data, old=FIRST, keep_rows=True, resume=True, verify="none")
    assert updated.record is not None
    assert updated.record.ref == "mood@3"
    assert updated.record.kept_rows is not None
    assert verify_all(own, level="integrity").ok
    uses = find_rows(own, {own.row_digests(before).rows[0].row})
    assert [use.derived_from for use in uses.versions] == [(), ("mood@1",)]


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"alias": "a b"}, "alias 'a b' is invalid"),
        ({"verify": "some"}, "verify is 'some': use integrity, changed, canary, full, none"),
        ({"anchor": "1"}, "anchor is '1': it must be a number above 0"),
        ({"anchor": np.float32(1)}, r"anchor is .*1.0.*: it must be a number above 0"),
    ],
)
def test_an_invalid_argument_is_refused_before_anything_is_read(
    own: Bank, given: Any, problem: str
) -> None:
    """So no training is lost, and no version is stored that the command does not name."""
    with pytest.raises(InputError, match=problem):
        update(own, "mood", NewData(MORE), **given)


@pytest.mark.slow
@pytest.mark.parametrize("wrong", [33, 10])  # one trained on, one held out
def test_an_invalid_new_row_is_named_by_its_place_in_the_new_data(
    own: Bank, folder: Path, wrong: int
) -> None:
    """Wherever the row would go, to training or to the rows that are held out."""
    add_task(
        own,
        "where",
        questions(20, seed=1),
        validation=questions(10, seed=3),
        kind="span",
        method="linear",
        training={"epochs": 1},
        backbone=str(folder),
        keep_rows=True,
        verify="none",
    )
    rows = questions(40, seed=2)
    rows[wrong]["answers"] = {"text": ["nowhere"], "answer_start": [0]}
    with pytest.raises(DataError, match=rf"row {wrong + 1} of data \(list\) has the answer"):
        update(own, "where", NewData(rows))


@pytest.mark.slow
def test_a_worse_version_is_recorded_and_not_promoted(
    own: Bank, folder: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """New rows with wrong labels make the old split worse; the exit code is 1. A dry run trains
    nothing and lists the rows."""
    from tests.helpers.rows import write_jsonl

    old = sentences(40, seed=5)  # enough for a significant drop
    learn(own, folder, keep_rows=True, validation=old, training={**TRAINING, "epochs": 8})
    own.alias("mood@1", "best")
    other = {"good": "bad", "bad": "good"}
    wrong = [{**row, "label": other[row["label"]]} for row in [*sentences(400, seed=9), *FIRST]]
    file = write_jsonl(tmp_path / "wrong.jsonl", wrong)
    command = ["--bank", own.url, "update", "mood", "--train", file]
    assert run([*command, "--dry-run"]) == 0
    assert "relabelled row" in capsys.readouterr().out
    assert len(own) == 1
    assert run([*command, "--alias", "best", "--verify", "none"]) == 1
    printed = capsys.readouterr()
    assert "mood@2 is worse than mood@1 on split 'old'" in printed.err
    assert own["mood@best"].ref == "mood@1"
    assert own["mood"].ref == "mood@2"


@pytest.mark.slow
def test_what_cannot_be_updated_says_why(
    own: Bank, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A version of an earlier taskbank, too few rows, and a version that is retired before or
    during the training."""
    own.put(new_adapter("older"))
    with pytest.raises(NotFoundError, match="add-task --new-version"):
        compare_data(own, "older", NewData(MORE))
    learn(own, folder, keep_rows=True)
    with pytest.raises(DataError, match="1 new row, too few to hold some out"):
        update(own, "mood", NewData([{"text": "quite new", "label": "good"}]))
    with pytest.raises(DataError, match="2 new rows with 1 different input, too few"):
        update(own, "mood", NewData([{"text": text, "label": "good"} for text in ("new", "NEW")]))
    names = {"good": "mixed", "bad": "bad"}
    every = [{"text": row["text"], "label": names[row["label"]]} for row in FIRST]
    with pytest.raises(InputError, match="no row has the label 'good'"):
        update(own, "mood", NewData(every))
    assert len(own) == 2

    def retired(bank: Bank, *given: Any, **more: Any) -> Any:
        bank.remove("mood@1")
        return store(bank, *given, **more)

    monkeypatch.setattr("taskbank.pipeline.update.store", retired)
    with pytest.raises(ConflictError, match="mood@1 was retired after it was read: nothing was"):
        update(own, "mood", NewData(MORE))
    assert [one.ref for one in own.adapters(retired=True)] == ["older@1", "mood@1"]
    with pytest.raises(ConflictError, match="mood@1 is retired: update a version in use"):
        update(own, "mood@1", NewData(MORE))
