"""A method and a kind of another package: one file and one entry point each."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from taskbank import plugins
from taskbank.cli.main import run
from tests.helpers.rows import write_jsonl

METHOD = '''
"""One trainable scale per selected layer."""

import torch

from taskbank.backbone.adaptation import Adaptation
from taskbank.methods.layers import select_layers
from taskbank.methods.method import Method
from taskbank.methods.options import Option, layers, number


class Scale(torch.nn.Module):
    def __init__(self, width, start):
        super().__init__()
        self.scale = torch.nn.Parameter(torch.full((width,), start))


def adapt(backbone, options, generator):
    adaptation = Adaptation(backbone)
    scales = torch.nn.ModuleDict()
    for layer in select_layers(options["layers"], backbone.identity.layers):
        own = Scale(backbone.identity.hidden_size, options["start"]).to(backbone.device)
        path = f"{backbone.layer(layer)}.{backbone.architecture.feed_forward}"
        adaptation.change_output(path, lambda _states, output, own=own: output * own.scale)
        scales[str(layer)] = own
    adaptation.add("scales", scales)
    return adaptation


SCALES = Method(
    name="scales",
    summary="one scale per layer",
    options={"start": Option(1.0, number(0, 10), "initial value"), "layers": layers()},
    adapt=adapt,
    rate=0.0125,
)
'''
KIND = '''
"""A claim and a text: does the text support the claim?"""

from taskbank.data.fields import Field
from taskbank.kinds.classification import Classification

STANCE = Classification(
    name="stance",
    inputs=((Field("claim", "text", "--text"), Field("source", "text", "--text-pair")),),
    summary="a claim and a source, a class",
    metric="f1_macro",
)
'''
ENTRY_POINTS = """
[taskbank.methods]
scales = outside_method:SCALES
houlsby = outside_method:SCALES

[taskbank.kinds]
stance = outside_kind:STANCE
"""


@pytest.fixture
def outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Install a package with a method and a kind."""
    site = tmp_path / "site"
    info = site / "outside-1.0.dist-info"
    info.mkdir(parents=True)
    (site / "outside_method.py").write_text(METHOD)
    (site / "outside_kind.py").write_text(KIND)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: outside\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(ENTRY_POINTS)
    monkeypatch.syspath_prepend(str(site))


@pytest.fixture
def rows(tmp_path: Path) -> str:
    """A file of labelled claims and sources."""
    made = [
        {"claim": f"it was good {number}", "source": word, "label": label}
        for number in range(20)
        for word, label in (("a great film", "for"), ("an awful film", "against"))
    ]
    return write_jsonl(tmp_path / "claims.jsonl", made)


@pytest.fixture
def printed(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Run a command and return what it prints."""

    def of(*arguments: str) -> str:
        assert run(list(arguments)) == 0, capsys.readouterr().err
        return capsys.readouterr().out

    return of


@pytest.mark.usefixtures("outside")
def test_help_names_methods_and_kinds_of_other_packages(printed: Callable[..., str]) -> None:
    """`add-task --help` lists the method, the kind and the default columns of the kind."""
    text = " ".join(printed("add-task", "--help").split())
    assert "top-k, full, scales)" in text
    assert "tagging, stance)" in text
    assert "question, words, claim)" in text
    assert "context, source)" in text


@pytest.mark.slow
@pytest.mark.usefixtures("outside")
def test_a_task_is_added_with_a_method_and_a_kind_of_another_package(
    rows: str, folder: Path, printed: Callable[..., str]
) -> None:
    """The adapter has the method's default rate and options, and the kind's metric."""
    bank = ("--bank", "sqlite:///bank.db", "--json")
    made: dict[str, Any] = json.loads(
        printed(
            *bank,
            "add-task",
            "claims",
            "--train",
            rows,
            "--kind",
            "stance",
            "--method",
            "scales",
            "--epochs",
            "1",
            "--layers",
            "top:1",
            "--backbone",
            str(folder),
        )
    )
    assert (made["kind"], made["method"], made["metric"]) == ("stance", "scales", "f1_macro")
    assert made["options"] == {"start": 1.0, "layers": "top:1"}
    assert made["training"]["learning_rate"] == 0.0125
    assert made["verification"]["ok"]
    (answer,) = json.loads(printed(*bank, "predict", "claims", "it was good", "a great film"))
    assert set(answer["probabilities"]) == {"for", "against"}
    assert json.loads(printed(*bank, "verify-all"))["ok"]


@pytest.mark.usefixtures("outside")
def test_a_package_cannot_replace_what_is_built_in() -> None:
    """The built-in names come first and stay first."""
    assert plugins.names("methods")[0] == "houlsby"
    assert plugins.load("methods", "houlsby").name == "houlsby"
    assert plugins.load("methods", "scales").rate == 0.0125
