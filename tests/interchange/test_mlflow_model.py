"""Registered models of a real MLflow store on SQLite, which hold whole models and adapters."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
import yaml

import taskbank
from taskbank.bank.open import create_bank
from taskbank.errors import InputError
from tests.helpers.backbones import make_backbone
from tests.helpers.foreign import write_peft
from tests.helpers.rows import sentences, write_jsonl

mlflow = pytest.importorskip("mlflow")
pytestmark = pytest.mark.slow


class Store:
    """An MLflow store of a test's own.

    Args:
        folder: the folder of the store, with a backbone and data.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.client = mlflow.MlflowClient()

    def register(self, name: str, flavors: Any, parts: dict[str, Path]) -> str:
        """Register a model with a run; return what an import calls it."""
        experiment = self.client.get_experiment_by_name("Default").experiment_id
        run = self.client.create_run(experiment, run_name="first")
        self.client.log_param(run.info.run_id, "rank", 4)
        self.client.log_metric(run.info.run_id, "accuracy", 0.75)
        self.client.log_metric(run.info.run_id, "loss", float("nan"))
        self.client.set_tag(run.info.run_id, "team", "words")
        place = self.folder / "artifacts" / name
        place.mkdir(parents=True)
        for part, source in parts.items():
            source.rename(place / part)
        described = flavors if isinstance(flavors, str) else yaml.safe_dump({"flavors": flavors})
        (place / "MLmodel").write_text(described)
        self.client.create_registered_model(name)
        version = self.client.create_model_version(name, str(place), run.info.run_id)
        self.client.set_registered_model_alias(name, "best", version.version)
        return f"models:/{name}/{version.version}"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """A store, a BERT with a pooler and test data."""
    folder = tmp_path_factory.mktemp("mlflow")
    make_backbone(folder / "bert")
    write_jsonl(folder / "test.jsonl", sentences(16, seed=3))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{folder}/mlflow.db")
        yield Store(folder)


def whole_model(store: Store, folder: Path) -> Path:
    """Save a whole model with its classes."""
    torch.manual_seed(0)
    auto = transformers.AutoModelForSequenceClassification
    names = {0: "bad", 1: "good"}
    auto.from_pretrained(store.folder / "bert", id2label=names).save_pretrained(folder)
    return folder


def take(store: Store, bank: taskbank.Bank, source: str) -> taskbank.AdapterRecord:
    """Import a model of the store."""
    test, bert = str(store.folder / "test.jsonl"), str(store.folder / "bert")
    return taskbank.import_adapter(bank, source, test=test, backbone=bert, kind="single")


@pytest.mark.parametrize("by_alias", [False, True])
def test_a_whole_model_comes_with_its_run(store: Store, tmp_path: Path, by_alias: bool) -> None:
    """It has the model's name and classes, is verified, and records what the run did."""
    name = f"whole-{by_alias}"
    flavor = {"transformers": {"model_binary": "model"}, "python_function": {}}
    source = store.register(name, flavor, {"model": whole_model(store, tmp_path / "model")})
    with create_bank(f"sqlite:///{tmp_path}/bank.db") as bank:
        record = take(store, bank, f"models:/{name}@best" if by_alias else source)
        assert (record.task, record.method, record.labels) == (name, "linear", ("bad", "good"))
        told = record.course["imported"]["mlflow"]
        assert told["run"]["params"] == {"rank": "4"}
        assert told["run"]["metrics"] == {"accuracy": 0.75}
        assert told["run"]["tags"] == {"team": "words"}
        assert taskbank.verify_all(bank).ok


def test_an_adapter_of_peft_comes_with_the_classes_of_the_whole_model(
    store: Store, tmp_path: Path
) -> None:
    """The adapter is read by the importer of peft; the names come from the model beside it."""
    lora = write_peft(tmp_path / "lora", str(store.folder / "bert"))
    flavor = {"transformers": {"model_binary": "model", "peft_adaptor": "peft"}}
    parts = {"model": whole_model(store, tmp_path / "model"), "peft": lora}
    source = store.register("lora", flavor, parts)
    with create_bank(f"sqlite:///{tmp_path}/bank.db") as bank:
        record = take(store, bank, source)
        assert (record.task, record.method, record.labels) == ("lora", "lora", ("bad", "good"))
        assert record.course["imported"]["from"] == source
        assert record.course["imported"]["format"] == "peft"
        assert taskbank.verify_all(bank).ok


REFUSED = {
    "a pickle of scikit-learn": (
        {"sklearn": {"pickled_model": "model.pkl"}, "python_function": {}},
        "flavor 'sklearn', whose models are pickles.*taskbank add-task NAME --train DATA",
    ),
    "SetFit as a function": (
        {"python_function": {"loader_module": "mlflow.pyfunc.model"}},
        "flavor 'python_function', whose models are pickles.*SetFit",
    ),
    "a part out of the folder": (
        {"transformers": {"model_binary": "../../secrets"}},
        "model_binary '../../secrets': it must be a folder beside it",
    ),
    "a part that is a list": ({"transformers": {"model_binary": ["model"]}}, "a folder beside it"),
    "no part": ({"transformers": {}}, "model_binary None"),
    "a part that is not there": ({"transformers": {"model_binary": "none"}}, "cannot be read"),
    "no flavors": ("run_id: 5\n", "names no flavors"),
    "a description that makes an object": (
        "flavors: !!python/object/apply:os.system ['true']\n",
        "MLmodel is not YAML",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_model_of_transformers_is_refused(
    store: Store, tmp_path: Path, case: str
) -> None:
    """Pickles, and descriptions that lead elsewhere, are refused with what to do."""
    flavors, says = REFUSED[case]
    source = store.register(case.replace(" ", "-"), flavors, {})
    with create_bank(f"sqlite:///{tmp_path}/bank.db") as bank:
        with pytest.raises(InputError, match=says):
            take(store, bank, source)
        assert len(bank) == 0


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("models:/nothing/1", "cannot be read from the MLflow store"),
        ("models:/nothing@best", "cannot be read from the MLflow store"),
        ("models:/mood", "write models:/NAME/VERSION"),
        ("models:/../../etc/1", "write models:/NAME/VERSION"),
    ],
)
def test_a_model_that_is_not_there_is_said_so(
    store: Store, tmp_path: Path, source: str, says: str
) -> None:
    """A name, version or alias that the store does not have is an error that says so."""
    with (
        create_bank(f"sqlite:///{tmp_path}/bank.db") as bank,
        pytest.raises(InputError, match=says),
    ):
        take(store, bank, source)


def test_no_store_is_made_where_none_is(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A missing store is an error that names the variable, and no file appears."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/other.db")
    with (
        create_bank(f"sqlite:///{tmp_path}/bank.db") as bank,
        pytest.raises(InputError, match=r"no MLflow store at .*MLFLOW_TRACKING_URI"),
    ):
        take(store, bank, "models:/mood/1")
    assert not (tmp_path / "other.db").exists()
