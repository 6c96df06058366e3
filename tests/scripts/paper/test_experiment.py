"""Tests of scripts/paper/experiment.py."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from scripts.paper.experiment import Experiment
from scripts.verification.suite_bank import as_new
from taskbank.backbone.load import load_backbone
from taskbank.bank.bank import Bank
from taskbank.digests import digest_bytes
from taskbank.pipeline.suite_file import Entry
from taskbank.training.search import Search
from taskbank.workers.worker import Worker
from tests.helpers.jobs import Backwards


def test_the_adapter_of_a_trial_has_its_training_rows(mood: Bank, folder: Path) -> None:
    """Of two adapters with the same setting, each trial gets the one with its own rows."""
    (trial,) = mood.trials("mood")
    train = {"train": {"digest": digest_bytes(b"other rows")}}
    new = as_new(mood, mood["mood"])
    mood.put(replace(new, course=dict(new.course) | train), new_version=True)
    other = replace(trial, data=dict(trial.data) | train)
    experiment = Experiment(mood, load_backbone(str(folder)), (), 1, {}, folder)
    found = [experiment.adapter(one) for one in (trial, other)]
    assert [one.ref for one in found if one] == ["mood@1", "mood@2"]


@pytest.mark.slow
def test_workers_train_what_is_missing(own: Bank, small: str, folder: Path) -> None:
    """Every training is recorded once, a search through its settings too, and found afterwards."""
    entry = Entry("mood", 1, {"train": small, "epochs": 1})
    backbone = load_backbone(str(folder))
    workers = Backwards(Worker(own, backbone))
    experiment = Experiment(own, backbone, (entry,), 1, {}, folder, workers=workers)
    plans = [experiment.plan(entry, "houlsby", size=size, seed=1) for size in (2, 4)]
    assert len(list(experiment.run_all(plans))) == 2
    sizes = [one.options["size"] for one in own.trials("mood")]
    assert sorted(sizes) == [2, 4]
    searched = replace(plans[0], search=Search({"size": (2, 4, 8)}))
    found = experiment.run(searched)
    assert found == experiment.finished(searched)
    assert sorted(one.options["size"] for one in own.trials("mood")) == [2, 4, 8]
    assert list(experiment.run_all(plans)) == []
