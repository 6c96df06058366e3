"""Tests of scripts/paper/experiment.py."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from scripts.paper.experiment import Experiment
from scripts.verification.suite_bank import as_new
from taskbank.backbone.load import load_backbone
from taskbank.bank.bank import Bank
from taskbank.digests import digest_bytes


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
