"""What the comparisons with other libraries rest on: environments, processes, rounds, figures."""

from __future__ import annotations

import csv
import json
import sys
from functools import partial
from pathlib import Path

import peers
import pytest
import torch
from products import Encoder
from side_by_side import Found, in_turn, ratios, shown, table, values, write
from torch.utils.flop_counter import FlopCounterMode
from transformers import AutoModel

from tests.helpers.backbones import make_backbone


def test_sides_run_in_turn() -> None:
    """Every round has every side once, and starts with another one."""
    ran: list[str] = []

    def side(name: str) -> Found:
        ran.append(name)
        return {"seconds": len(ran)}

    names = ["a", "b", "c"]
    found = in_turn({name: partial(side, name) for name in names}, 3)
    assert ran == ["a", "b", "c", "b", "c", "a", "c", "a", "b"]
    assert values(found["a"], "seconds") == [1, 6, 8]


def test_figures_are_median_and_range() -> None:
    """The middle of the runs, and the lowest and the highest."""
    assert shown([3, 1, 2]) == "2.00 (1.00–3.00)"
    assert shown([1234.5], 0) == "1,234 (1,234–1,234)"


def test_a_ratio_is_of_one_round() -> None:
    """What slows down a whole round does not change it."""
    theirs: list[Found] = [{"seconds": 2.0}, {"seconds": 20.0}]
    ours: list[Found] = [{"seconds": 1.0}, {"seconds": 10.0}]
    assert ratios(theirs, ours) == [2.0, 2.0]


def test_a_table_is_aligned() -> None:
    """Words to the left, numbers to the right, and what is missing is empty."""
    assert table([{"side": "one", "s": "1.0"}, {"side": "another"}]).splitlines() == [
        "side       s",
        "-------  ---",
        "one      1.0",
        "another",
    ]


def test_raw_numbers_are_written(tmp_path: Path) -> None:
    """JSON has them by side, and CSV a row a run."""
    found: dict[str, list[Found]] = {"a": [{"seconds": 1.5}, {"seconds": 2.5}], "b": [{"rows": 3}]}
    write(tmp_path, "it", found)
    assert json.loads((tmp_path / "it.json").read_text()) == found
    with (tmp_path / "it.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(r["side"], r["round"], r["seconds"], r["rows"]) for r in rows] == [
        ("a", "1", "1.5", ""),
        ("a", "2", "2.5", ""),
        ("b", "1", "", "3"),
    ]


def test_the_work_of_a_forward_is_what_torch_counts(tmp_path: Path) -> None:
    """The operations of an encoder's products are those that its layers are seen to do."""
    folder = make_backbone(tmp_path / "backbone")
    model = AutoModel.from_pretrained(folder, attn_implementation="eager").eval()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(input_ids=torch.arange(5, 12)[None])
    counted = sum(counter.flop_counts[f"{type(model).__name__}.encoder"].values())
    assert Encoder.at(Path(folder)).forward(7, 49) == counted


def test_only_what_is_trained_is_computed_again() -> None:
    """With fewer layers adapted, training costs less, and what lies below does so once."""
    encoder = Encoder(hidden=8, inner=32, layers=4)
    one, two = (encoder.training(100, 1000, epochs, 1, 50) for epochs in (1, 2))
    whole = encoder.training(100, 1000, 1, 4, 50)
    assert one < whole
    assert two - one == one - encoder.forward(100, 1000, 3)


def test_a_worker_gets_its_job_and_its_threads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It runs in a process of its own, which computes with no more threads than it is given."""
    (tmp_path / "echo.py").write_text(
        "import json, os, pathlib, sys\n"
        "job = json.loads(pathlib.Path(sys.argv[1]).read_text())\n"
        "job['environment'] = os.environ['OMP_NUM_THREADS']\n"
        "pathlib.Path(sys.argv[2]).write_text(json.dumps(job))\n"
    )
    (tmp_path / "broken.py").write_text("raise ValueError('because of this')")
    monkeypatch.setattr(peers, "WORKERS", tmp_path)
    job = {"threads": 3, "rows": 7}
    found = peers.run_worker(Path(sys.executable), "echo.py", job, tmp_path / "runs")
    assert found == {**job, "environment": "3"}
    with pytest.raises(SystemExit, match="because of this"):
        peers.run_worker(Path(sys.executable), "broken.py", job, tmp_path / "runs")


def test_an_environment_that_is_there_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is made or installed where a peer's Python has what it needs."""
    python = tmp_path / "peft" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text('#!/bin/sh\necho \'{"peft": "0.21.2"}\'\n')
    python.chmod(0o755)
    assert peers.versions(python, "peft") == {"peft": "0.21.2"}
    monkeypatch.setattr(peers, "versions", lambda *_: {"peft": "0.21.2"})
    monkeypatch.setattr("subprocess.run", lambda *_, **__: pytest.fail("it was made"))
    assert peers.environment(tmp_path, "peft") == python


def test_a_backbone_is_a_folder_for_every_library(tmp_path: Path) -> None:
    """That of a package is found, and one that is not installed is named."""
    assert peers.backbone_folder(str(tmp_path)) == tmp_path
    assert peers.backbone_folder("package:taskbank/kinds").name == "kinds"
    with pytest.raises(SystemExit, match="no_such_package"):
        peers.backbone_folder("package:no_such_package/model")
