"""Verification: what is well is said to be well, and every change is found and named."""

from __future__ import annotations

import json
import shutil
import sqlite3
import xml.etree.ElementTree as ET
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import load, save

from taskbank.backbone.load import load_backbone
from taskbank.bank.bank import Bank
from taskbank.bank.catalog.rows import child_rows
from taskbank.bank.catalog.tables import Base
from taskbank.bank.open import create_bank
from taskbank.bank.records import AdapterRecord
from taskbank.checks import ANY_DROP, check_writable
from taskbank.digests import digest_bytes
from taskbank.errors import BackboneMismatchError, DamagedError, InputError, NotFoundError
from taskbank.kinds.single import SINGLE
from taskbank.pipeline.add_task import Added, add_task
from taskbank.serve.predictor import predict
from taskbank.verify.compare import Comparison, compare
from taskbank.verify.html import write_html
from taskbank.verify.junit import write_junit
from taskbank.verify.report import Report, TaskResult
from taskbank.verify.verdict import Evidence, judge
from taskbank.verify.verify import verify_all
from tests.helpers.making import identity, new_adapter, new_trial, record_finding
from tests.helpers.tiny import make_backbone

JSON_KEYS = {"ok", "level", "checked", "findings", "tasks"}
TASK_KEYS = {
    "task",
    "version",
    "status",
    "metric",
    "recorded",
    "observed",
    "flips",
    "examples",
}


def rewrite(bank: Bank, statement: str, *values: object) -> None:
    """Change a SQLite bank behind its back, its triggers put aside and put back."""
    with sqlite3.connect(str(bank.engine.url.database)) as connection:
        triggers = connection.execute(
            "SELECT name, sql FROM sqlite_master WHERE type = 'trigger'"
        ).fetchall()
        for name, _ in triggers:
            connection.execute(f"DROP TRIGGER {name}")
        connection.execute("PRAGMA foreign_keys = OFF")
        connection.execute(statement, values)
        for _, sql in triggers:
            connection.execute(sql)
    connection.close()


def messages(report: Report) -> str:
    """Return every finding as one text."""
    return "\n".join(f"{f.task}@{f.version} {f.check} {f.message}" for f in report.findings)


def test_an_untouched_bank_verifies_and_the_run_is_recorded(mood: Bank) -> None:
    """Nothing is found, nothing flips, the scores are the recorded ones, to the last digit."""
    report = verify_all(mood)
    assert report.ok, messages(report)
    (result,) = report.tasks
    assert (result.status, result.recorded) == ("ok", result.observed)
    assert (result.flips, result.examples, result.shift) == (0, 96, 0.0)
    recorded = mood.verifications.all()[-1]
    assert (recorded["id"], recorded["ok"], recorded["level"]) == (report.id, True, "full")
    assert recorded["results"][0]["status"] == "ok"
    assert set(report.to_json()) >= JSON_KEYS
    assert set(report.to_json()["tasks"][0]) >= TASK_KEYS
    json.dumps(report.to_json())


def test_integrity_is_checked_on_either_database(bank: Bank) -> None:
    """Every adapter in use is checked, the retired one is not, and a choice is respected."""
    for seed in range(3):
        bank.put(new_adapter("mood", seed=seed), new_version=True)
    bank.put(new_adapter("other", seed=9))
    bank.remove("mood@1")
    bank.alias("mood@2", "production")
    assert verify_all(bank, level="integrity").checked == 3
    assert verify_all(bank, ["mood"], level="integrity").checked == 2
    for ref in ("mood@3", "mood@production"):
        assert verify_all(bank, [ref], level="integrity").checked == 1
    with pytest.raises(NotFoundError):
        verify_all(bank, ["nothing"], level="integrity")
    with pytest.raises(InputError, match="tolerance"):
        verify_all(bank, tolerance=2)
    with pytest.raises(InputError, match="level 'deep'"):
        verify_all(bank, level="deep")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "table", ["tasks", "adapters", "aliases", "tags", "predictions", "splits", "trials"]
)
def test_one_task_is_checked_without_the_others(tmp_path: Path, table: str) -> None:
    """What was changed of a task is found when that one is verified, and not with another."""
    with create_bank(f"sqlite:///{tmp_path}/bank.db") as bank:
        for number, task in enumerate(("one", "two")):
            bank.put(new_adapter(task, seed=number))
            bank.alias(f"{task}@1", "production")
            bank.put_trial(new_trial(task, seed=number))
        others = {"tasks": "kind", "aliases": "set_at", "tags": "value", "splits": "created_at"}
        column = others.get(table, "digest")
        rewrite(
            bank,
            f"UPDATE {table} SET {column} = '9' || substr({column}, 2) "
            f"WHERE id = (SELECT max(id) FROM {table})",
        )
        assert verify_all(bank, ["one"], level="integrity").ok
        assert not verify_all(bank, ["two"], level="integrity").ok


def _columns() -> list[tuple[str, str]]:
    texts = ("VARCHAR", "TEXT", "JSON")
    return [
        (table.name, column.name)
        for table in Base.metadata.sorted_tables
        for column in table.columns
        if str(column.type).upper().startswith(texts)
    ]


@pytest.mark.parametrize("mask", [0x01, 0x80])
@pytest.mark.parametrize(("table", "column"), _columns())
def test_a_flipped_byte_in_any_text_column_is_found(
    tmp_path: Path, table: str, column: str, mask: int
) -> None:
    """XOR with a constant always changes a byte; wherever it is, it is found or refused, and
    what was not touched is still checked."""
    with create_bank(f"sqlite:///{tmp_path}/bank.db") as bank:
        bank.put(new_adapter("one"))
        bank.put(new_adapter("two", seed=1))
        bank.alias("one@1", "production")
        bank.put(new_adapter("gone", seed=2))
        bank.remove("gone@1")
        bank.put_trial(new_trial(seed=3))
        assert verify_all(bank, level="integrity").ok
        record_finding(bank, "one")
        with sqlite3.connect(tmp_path / "bank.db") as connection:
            connection.text_factory = bytes
            found = connection.execute(
                f'SELECT rowid, "{column}" FROM {table} WHERE "{column}" != \'\' LIMIT 1'
            ).fetchone()
        connection.close()
        assert found is not None
        row, value = found
        middle = len(value) // 2
        flipped = value[:middle] + bytes([value[middle] ^ mask]) + value[middle + 1 :]
        rewrite(
            bank, f'UPDATE {table} SET "{column}" = CAST(? AS TEXT) WHERE rowid = ?', flipped, row
        )
        if table == "bank":
            with pytest.raises(DamagedError, match=r"was changed|cannot be read"):
                Bank(bank.url)
            return
        report = verify_all(bank, level="integrity")
    assert not report.ok
    assert report.checked >= 2
    if table in ("adapters", "tags", "metrics", "predictions"):
        (finding,) = report.findings
        assert finding.task in ("one", "two", "gone")
        damaged = [task.task for task in report.tasks if task.status != "ok"]
        assert damaged == [finding.task] * (finding.task != "gone")


def test_a_flipped_byte_in_any_blob_is_found(mood: Bank) -> None:
    """Weights, splits and predictions: a changed byte anywhere makes the task damaged."""
    for digest, size in list(mood.blobs.sizes()):
        data = mood.blobs.get(digest)
        place = size // 2
        flipped = data[:place] + bytes([data[place] ^ 0x10]) + data[place + 1 :]
        rewrite(mood, "UPDATE blobs SET data = ? WHERE digest = ?", flipped, digest)
        report = verify_all(mood)
        assert [task.status for task in report.tasks] == ["damaged"]
        assert digest in messages(report)
        rewrite(mood, "UPDATE blobs SET data = ? WHERE digest = ?", data, digest)
    assert verify_all(mood).ok


@pytest.mark.parametrize(
    ("statement", "says"),
    [
        ("DELETE FROM metrics WHERE name = 'accuracy'", "lost or added"),
        ("DELETE FROM tags", "lost or added"),
        ("DELETE FROM predictions WHERE split = 'test'", "lost or added"),
        ("DELETE FROM blobs", "is missing"),
        ("INSERT INTO tags (adapter_id, key, value) VALUES (1, 'a', 'b')", "lost or added"),
        ("UPDATE adapters SET score = 0.999", "was changed"),
        ("UPDATE adapters SET parameters = 7", "was changed"),
        ("UPDATE metrics SET value = 1", "were changed"),
        ("DELETE FROM backbones", "its row of table 'backbones' is missing"),
        ("DELETE FROM tasks", "its row of table 'tasks' is missing"),
        ("DROP TRIGGER blobs_no_delete", "blobs_no_delete"),
    ],
)
def test_rows_changed_behind_the_banks_back_are_found(
    mood: Bank, statement: str, says: str
) -> None:
    """Lost, added and changed rows and a missing trigger are findings, not tracebacks."""
    if statement.startswith("DROP"):
        with sqlite3.connect(str(mood.engine.url.database)) as connection:
            connection.execute(statement)
        connection.close()
    else:
        rewrite(mood, statement)
    report = verify_all(mood, level="integrity")
    assert not report.ok
    assert says in messages(report)


def reseal(bank: Bank, change: Callable[[dict[str, np.ndarray]], None], which: str) -> None:
    """Change a stored tensor and make every digest and seal fit again, as a liar would."""
    from taskbank.bank.catalog.seals import contents, seal

    record = bank["mood"]
    digests = {"weights": record.digest, "logits": record.splits[1].predictions}
    old = digests[which]
    tensors = load(bank.blobs.get(old))
    change(tensors)
    data = save(tensors)
    new = digest_bytes(data)
    rewrite(bank, "UPDATE blobs SET digest = ?, data = ? WHERE digest = ?", new, data, old)
    rewrite(bank, "UPDATE predictions SET digest = ? WHERE digest = ?", new, old)
    rewrite(bank, "UPDATE adapters SET digest = ? WHERE digest = ?", new, old)
    with bank.engine.connect() as connection:
        children = child_rows(connection, [1])
        table = Base.metadata.tables["adapters"]
        row = dict(connection.execute(table.select()).mappings().one())
    row["contents"] = {name: contents(rows[1], "adapter_id") for name, rows in children.items()}
    rewrite(
        bank,
        "UPDATE adapters SET contents = ?, seal = ?",
        json.dumps(row["contents"]),
        seal(row),
    )


def test_weights_that_predict_otherwise_are_a_regression(mood: Bank) -> None:
    """A head with its classes swapped passes every digest, and is caught by its predictions,
    example by example."""

    def swap(tensors: dict[str, np.ndarray]) -> None:
        tensors["head.weight"] = tensors["head.weight"][::-1].copy()
        tensors["head.bias"] = tensors["head.bias"][::-1].copy()

    reseal(mood, swap, "weights")
    assert verify_all(mood, level="integrity").ok
    report = verify_all(mood)
    (result,) = report.tasks
    assert result.status == "regressed"
    assert result.flips == result.examples == 96
    assert result.observed == pytest.approx(1 - result.recorded)
    assert {f.check for f in report.findings} == {"regression"}
    assert result.flipped[0].recorded != result.flipped[0].observed
    assert result.negative_flips == round(96 * (1 - result.positive_flips / 96))
    assert result.p_value < 1e-6
    # Chance does not explain it, so that no tolerance lets it pass.
    assert not verify_all(mood, tolerance=1.0).ok


def test_a_small_change_that_flips_nothing_is_shown_but_is_no_regression(mood: Bank) -> None:
    """Where no label flips, the shift of the logits says how much changed."""

    def nudge(tensors: dict[str, np.ndarray]) -> None:
        tensors["head.bias"] = tensors["head.bias"] + np.float32(1e-3)

    reseal(mood, nudge, "weights")
    report = verify_all(mood)
    assert report.ok
    assert report.tasks[0].status == "changed"
    assert report.tasks[0].shift == pytest.approx(1e-3, rel=0.01)
    assert report.tasks[0].noise < 1e-4
    assert verify_all(mood, strict=True).ok


def test_references_that_do_not_belong_to_the_examples_are_damage(mood: Bank) -> None:
    """Shuffled reference predictions contradict the recorded metrics, and that is said."""

    def shuffle(tensors: dict[str, np.ndarray]) -> None:
        tensors["logits"] = np.roll(tensors["logits"], 1, axis=0).copy()

    reseal(mood, shuffle, "logits")
    report = verify_all(mood)
    assert report.tasks[0].status == "damaged"
    assert "do not belong together" in messages(report)


def test_weights_that_are_no_numbers_are_a_regression(mood: Bank) -> None:
    """NaN never passes: every example counts as flipped."""

    def spoil(tensors: dict[str, np.ndarray]) -> None:
        tensors["head.bias"] = np.full_like(tensors["head.bias"], np.nan)

    reseal(mood, spoil, "weights")
    report = verify_all(mood)
    assert (report.tasks[0].status, report.tasks[0].flips) == ("regressed", 96)
    assert report.tasks[0].shift is None
    with pytest.raises(DamagedError, match="no number for input 1"):
        predict(mood, "mood", ["good"])
    assert report.id is not None


def test_flips_between_near_ties_are_told_apart(mood: Bank) -> None:
    """A flip within rounding noise is counted but changes nothing; one beyond it is a change."""
    record = mood["mood"]
    split = record.splits[1]
    examples = mood.examples(record, "test")
    reference = mood.reference(record, "test").copy()
    chosen = int(reference[0].argmax())
    reference[0, [chosen, 1 - chosen]] = [1.00001, 1.0]
    close, far = reference.copy(), reference.copy()
    close[0, [chosen, 1 - chosen]] = [1.0, 1.00001]
    far[0, [chosen, 1 - chosen]] = [1.0, 1.2]
    near = compare(record, split, examples, reference, close, 1e-4)
    assert (len(near.flips), near.real_flips, near.moved) == (1, 0, 0)
    assert judged(record, near).status == "ok"
    sharper = compare(record, split, examples, reference, close, 1e-6)
    assert (sharper.real_flips, judged(record, sharper).status) == (1, "changed")
    real = compare(record, split, examples, reference, far, 1e-4)
    assert (len(real.flips), real.real_flips, real.moved) == (1, 1, 1)
    assert "row 1" in real.describe()


def judged(record: AdapterRecord, found: Comparison, tolerance: float = ANY_DROP) -> TaskResult:
    """Return what is said of one adapter that is verified alone."""
    # The references are made up here and so have not the recorded metrics.
    evidence = [Evidence(record, (replace(found, disagreements=()),))]
    return judge(evidence, tolerance=tolerance, strict=False)[1][0]


def test_one_flip_is_a_change_and_a_regression_only_beyond_the_tolerance(mood: Bank) -> None:
    """A single answer that is wrong now may be chance: what is let pass is for the user to say,
    and an answer that is right now is never worse."""
    record = mood["mood"]
    split = record.splits[1]
    examples = mood.examples(record, "test")
    reference = mood.reference(record, "test")
    right = SINGLE.correctness(reference, examples.columns, record.definition) == 1
    for was_right, effect in ((True, "worse"), (False, "better")):
        now = reference.copy()
        row = np.flatnonzero(right == was_right)[:1]
        if not len(row):
            continue
        now[row] = now[row, ::-1]
        found = compare(record, split, examples, reference, now, 1e-6)
        assert [flip.effect for flip in found.flips] == [effect]
        assert found.p_value == (0.5 if was_right else 1)
        assert judged(record, found).status == "changed"
        worse = "regressed" if was_right else "changed"
        assert judged(record, found, tolerance=0.9 / len(examples)).status == worse
        assert judged(record, found, tolerance=1.1 / len(examples)).status == "changed"
    assert (~right).any(), "the task is too easy to show both"


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("batch", [1, 5, 64])
def test_batches_and_threads_make_no_finding(
    mood: Bank, monkeypatch: pytest.MonkeyPatch, threads: int, batch: int
) -> None:
    """An untouched bank verifies whatever the batch size and the number of threads."""
    monkeypatch.setattr("taskbank.model.predict.EVALUATION_BATCH", batch)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        report = verify_all(mood)
    finally:
        torch.set_num_threads(before)
    assert report.ok, messages(report)
    assert report.tasks[0].shift < 1e-4


def test_a_backbone_that_cannot_be_loaded_is_one_finding(
    tmp_path: Path, folder: Path, data: Path
) -> None:
    """A backbone that is gone, or another one, makes its tasks unverifiable, by name; given
    where it is now, they verify."""
    place = tmp_path / "model"
    shutil.copytree(folder, place)
    url = f"sqlite:///{tmp_path}/bank.db"
    for name in ("one", "two"):
        add_task(
            url,
            name,
            str(data / "train.jsonl"),
            backbone=str(place),
            options={"size": 4},
            training={"epochs": 1},
        )
    with Bank(url) as bank:
        shutil.rmtree(place)
        gone = verify_all(bank)
        make_backbone(place, seed=1)
        other = verify_all(bank)
        for report in (gone, other):
            assert [task.status for task in report.tasks] == ["unverifiable"] * 2
            (finding,) = report.findings
            assert finding.check == "backbone"
            assert "one@1, two@1" in finding.message
        assert "weights is sha256" in other.findings[0].message
        with pytest.raises(BackboneMismatchError):
            verify_all(bank, backbone=str(place))
        assert verify_all(bank, backbone=str(folder)).ok
        assert verify_all(bank, level="integrity").ok


def test_verifying_changes_nothing_but_its_own_record(mood: Bank) -> None:
    """Adapters, blobs and aliases are the same before and after."""
    before = mood.adapters(), list(mood.blobs.sizes()), mood.aliases("mood")
    verify_all(mood)
    assert (mood.adapters(), list(mood.blobs.sizes()), mood.aliases("mood")) == before


def test_a_bank_that_cannot_be_written_to_is_still_reported_on(
    mood: Bank, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the record of the run cannot be kept, the report says so and stands."""
    from taskbank.errors import BankError

    def refuse(*_arguments: object) -> None:
        raise BankError("the bank could not do that: attempt to write a readonly database")

    monkeypatch.setattr("taskbank.verify.verify.writing", refuse)
    report = verify_all(mood, level="integrity")
    assert report.ok
    assert (report.id, "readonly" in str(report.unrecorded)) == (None, True)


@pytest.fixture
def regressed(mood: Bank) -> Report:
    """The report of a bank with a regressed task and a text that would break a page."""

    def swap(tensors: dict[str, np.ndarray]) -> None:
        tensors["head.bias"] = np.array([9, -9], dtype=np.float32)

    reseal(mood, swap, "weights")
    return verify_all(mood)


def test_a_junit_file_has_a_case_for_each_adapter(regressed: Report, tmp_path: Path) -> None:
    """CI reads one case an adapter and one for the bank, with the finding as its failure."""
    write_junit(regressed, tmp_path / "report.xml")
    suite = ET.parse(tmp_path / "report.xml").getroot()
    assert [case.get("name") for case in suite] == ["bank", "mood@1"]
    assert (suite.get("tests"), suite.get("failures")) == ("2", "1")
    (failure, *_) = suite[1]
    assert failure.get("type") == "regression"


def test_the_page_is_one_file_that_loads_nothing(regressed: Report, tmp_path: Path) -> None:
    """The page names status, findings and flipped examples, and refers to no other place."""
    write_html(regressed, tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text()
    assert "mood@1" in page
    assert "regressed" in page
    assert regressed.tasks[0].flipped[0].text in page
    assert "http" not in page
    assert page.count("<script") == 1  # what sorts and filters the table


def test_texts_in_a_report_are_only_texts(tmp_path: Path) -> None:
    """Markup and control characters from the data reach neither page nor XML as such."""
    from taskbank.verify.report import Finding, TaskResult

    nasty = "<script>alert(1)</script>\x00\x1b"
    report = Report(
        "full",
        (Finding("a", 1, "row", nasty), Finding(None, None, "backbone", nasty)),
        (TaskResult("a", 1, "damaged", "accuracy", 0.5),),
        0.0,
        {"x": nasty},
        "",
        "",
    )
    write_html(report, tmp_path / "a.html")
    write_junit(report, tmp_path / "a.xml")
    assert "<script>alert" not in (tmp_path / "a.html").read_text()
    assert len(list(ET.parse(tmp_path / "a.xml").getroot().iter("failure"))) == 2


def test_an_unwritable_report_is_noticed_first(tmp_path: Path) -> None:
    """A folder that is not there is said before anything is predicted."""
    with pytest.raises(InputError, match="cannot be written"):
        check_writable(tmp_path / "nowhere" / "report.html")
    with pytest.raises(InputError, match="cannot be written"):
        check_writable(tmp_path)


def test_adapters_of_different_backbones_are_verified_each_with_its_own(
    mood: Bank, trained: tuple[Path, Added], data: Path, tmp_path: Path
) -> None:
    """A bank with two backbones loads both, and an adapter without any is unverifiable."""
    other = make_backbone(tmp_path / "other", seed=5)
    add_task(
        mood,
        "again",
        str(data / "train.jsonl"),
        backbone=str(other),
        options={"size": 4},
        training={"epochs": 1},
    )
    assert verify_all(mood).ok
    assert len({r.backbone for r in mood}) == 2
    mood.put(new_adapter("lost", backbone=identity("nowhere")))
    statuses = {task.task: task.status for task in verify_all(mood).tasks}
    assert statuses == {"mood": "ok", "again": "ok", "lost": "unverifiable"}


def test_verification_leaves_a_loaded_backbone_as_it_was(mood: Bank, folder: Path) -> None:
    """Attaching and predicting many times never touches the backbone's tensors."""
    loaded = load_backbone(str(folder))
    before = {name: tensor.clone() for name, tensor in loaded.model.state_dict().items()}
    from taskbank.model.load import model_of

    for _ in range(3):
        model = model_of(mood["mood"], loaded)
        assert not model.training
    after: dict[str, Any] = loaded.model.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_a_drop_that_matters_to_nobody_is_a_change(mood: Bank) -> None:
    """Less than a tenth of a point is no regression, however surely it is no chance."""
    record = mood["mood"]
    split = record.splits[1]
    reference = mood.reference(record, "test")
    found = compare(record, split, mood.examples(record, "test"), reference, reference + 1, 1e-5)
    for drop, status in ((0.0009, "changed"), (0.0011, "regressed")):
        sure = replace(
            found, metrics={record.metric: (record.score, record.score - drop)}, p_value=1e-9
        )
        assert judged(record, sure).status == status
        assert judged(record, sure, tolerance=0.0).status == "regressed"
