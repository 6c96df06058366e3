"""Runs the experiments of Houlsby et al. 2019 on the tasks of a suite.

    python scripts/paper.py SUITE --backbone SPEC --output FOLDER [--data FOLDER] [--quick]

    scores     each task with full fine-tuning, the top layers, the LayerNorms and adapters, from
               several seeds (tables 1 and 2)
    curve      score against trained parameters: adapters of many sizes, fine-tuning of the top 1
               to all layers (figures 3 and 4)
    ablation   trained adapters taken off every span of layers, and the initial scale swept
               (figure 6)
    squad      F1 of the suite's question answering by size of the adapters (figure 5)

Every training is a trial of the bank FOLDER/bank.db: it is done once, an interrupted run goes
on where it was, and `taskbank trials` and `taskbank query` read the results. Hyperparameters and
epochs are chosen on what is held out of train, each method with as many trials; the split that
is scored is looked at once, with the chosen setting. What a suite says of `search` is the grid
of the adapters.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations_with_replacement
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import numpy as np
from paper_figures import (
    draw_ablation,
    draw_curve,
    draw_initial_scale,
    draw_squad,
)
from paper_tables import write_csv, write_scores
from pictures import check_matplotlib

from taskbank.backbone.backbone import Backbone
from taskbank.backbone.load import load_backbone
from taskbank.bank.bank import Bank
from taskbank.bank.open import create_bank
from taskbank.bank.records import AdapterRecord, TrialRecord
from taskbank.data.encoded import Encoded
from taskbank.errors import TrainingError
from taskbank.methods.layers import select_layers
from taskbank.model.load import model_of
from taskbank.model.predict import predict_examples
from taskbank.pipeline.add_task import carry_out
from taskbank.pipeline.suite import plan_entry
from taskbank.pipeline.suite_file import Entry, read_suite
from taskbank.runtime.device import pick_device
from taskbank.training.plan import TaskPlan
from taskbank.training.search import Search, setting_of, settings
from taskbank.training.trainer import Trainer
from taskbank.training.tune import fitted

Values = dict[str, tuple[Any, ...]]

STAGES = ("scores", "curve", "ablation", "squad")
# What each method is tuned over, and for how long: the rates that bracket its best one.
GRIDS: dict[str, Values] = {
    "full": {"learning_rate": (3e-5, 1e-4, 3e-4)},
    "top-k": {"layers": ("top:1", "top:half", "top:most")},  # half of the layers, and all but one
    "layernorm": {"learning_rate": (1e-3, 3e-3, 1e-2)},
    "houlsby": {"learning_rate": (3e-4, 1e-3, 3e-3)},
}
# What the suite may say otherwise.
USUAL: dict[str, dict[str, Any]] = {
    "full": {"epochs": 5},
    "top-k": {"epochs": 5, "learning_rate": 3e-4},
    "layernorm": {"epochs": 8},
    "houlsby": {"epochs": 8},
}
SIZES = (2, 4, 8, 16, 32, 64, 128, 256)
SCALES = (1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0)
QUICK_ROWS = 200
SEARCHED = ("search", "seeds", "trials")  # what the experiments decide and not the suite
OF_THE_METHOD = ("size", "layers", "options", "learning_rate")


@dataclass(frozen=True)
class Experiment:
    """What every stage needs.

    Attributes:
        bank: that every trial is in.
        backbone: frozen.
        entries: of the suite.
        seeds: how many.
        given: keys of the suite that are the same for all tasks, such as `rows`.
        output: the folder of tables and pictures.
        quick: whether everything is made as small as it can be.
    """

    bank: Bank
    backbone: Backbone
    entries: Sequence[Entry]
    seeds: int
    given: Mapping[str, Any]
    output: Path
    quick: bool

    @property
    def note(self) -> str:
        """What stands under every picture."""
        identity = self.backbone.identity
        size = f"{identity.parameters / 1e6:.0f} M parameters"
        return f"{identity.spec}: {identity.layers} layers, {size}"

    def plan(self, entry: Entry, method: str, **fixed: Any) -> TaskPlan:
        """Return the plan of a task with a method, without any search."""
        values = {k: v for k, v in entry.values.items() if k not in SEARCHED}
        if method != values.pop("method", "houlsby"):
            values = {k: v for k, v in values.items() if k not in OF_THE_METHOD}
        values = USUAL.get(method, {}) | values | {"method": method} | dict(self.given) | fixed
        if self.quick:
            values |= {"epochs": 1, "rows": QUICK_ROWS}
        plan = plan_entry(replace(entry, values=values), new_version=True)
        return replace(plan, stored=False)

    def run(self, plan: TaskPlan) -> TrialRecord:
        """Return the best trial of a plan, scored; from the bank where it is there."""
        found = self.finished(plan)
        if found is not None:
            return found
        trial = carry_out(
            self.bank, self.backbone, plan, verify="none", resume=True, progress=True
        ).trial
        print(
            f"{plan.name} {plan.base.method.name} {dict(trial.options)} "
            f"rate {trial.training['learning_rate']:g} seed {trial.training['seed']}: "
            f"{trial.metric} {trial.value(plan.data.scored):.4f} ({trial.status})",
            flush=True,
        )
        return trial

    def finished(self, plan: TaskPlan) -> TrialRecord | None:
        """Return the best trial of a plan if every trial of it is in the bank, and it is scored."""
        trainer = Trainer(self.bank, self.backbone, plan, resume=True)
        records = {trial.specification: trial for trial in self.bank.trials(plan.name)}
        wanted = [
            trainer.specification(s) for s in settings(fitted(plan, self.backbone), plan.search)
        ]
        if all(one in trainer.known for one in wanted):
            best = max((trainer.known[one] for one in wanted), key=lambda t: t.rank(plan.metric))
            record = records[best.specification]
            stored = not plan.stored or self.adapter(record) is not None
            if best.status == "complete" and record.value(plan.data.scored) is not None and stored:
                return record
        # A run that collapsed was tried again from another seed than was planned.
        if len(wanted) > 1 and plan.data.scored == "validation":
            return None  # every trial of the search has that
        asked = (t for t in records.values() if t.environment["asked"] == plan.specification)
        return next((t for t in asked if t.value(plan.data.scored) is not None), None)

    def adapter(self, trial: TrialRecord) -> AdapterRecord | None:
        """Return the adapter of a trial, if it is stored."""
        for record in self.bank.adapters(task=trial.task, method=trial.method):
            same = (record.options, record.training) == (trial.options, trial.training)
            # The same setting on other rows of the data is another adapter.
            if same and record.environment["train"]["digest"] == trial.data["train"]["digest"]:
                return record
        return None


def main() -> None:
    """Run the stages that were asked for."""
    arguments = _arguments()
    check_matplotlib()
    output: Path = arguments.output
    output.mkdir(parents=True, exist_ok=True)
    entries = read_suite(arguments.suite, arguments.data or arguments.suite.parent)
    backbone = load_backbone(arguments.backbone, pick_device(arguments.device))
    given = {"rows": arguments.rows, "precision": arguments.precision}
    with create_bank(f"sqlite:///{output / 'bank.db'}") as bank:
        experiment = Experiment(
            bank,
            backbone,
            entries,
            2 if arguments.quick else arguments.seeds,
            {key: value for key, value in given.items() if value is not None},
            output,
            arguments.quick,
        )
        for stage in arguments.only:
            globals()[f"run_{stage}"](experiment)
    print(f"tables and pictures are in {output}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("suite", type=Path)
    parser.add_argument("--backbone", required=True, metavar="SPEC")
    parser.add_argument("--output", required=True, type=Path, metavar="FOLDER")
    parser.add_argument("--data", type=Path, metavar="FOLDER", help="where relative files are")
    parser.add_argument("--only", nargs="+", choices=STAGES, default=STAGES, metavar="STAGE")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--rows", type=int, help="rows of train that are used, at most")
    parser.add_argument("--precision", choices=("float32", "bfloat16"))
    parser.add_argument("--device")
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_ROWS} rows, one epoch")
    return parser.parse_args()


# Tables 1 and 2


def run_scores(experiment: Experiment) -> None:
    """Score every task with every method, tuned on validation, from several seeds."""
    rows: list[dict[str, Any]] = []
    for methods in (("houlsby", "full"), ("layernorm", "top-k")):
        for entry in experiment.entries:
            for method in methods:
                plan = tuned_plan(experiment, entry, method)
                name = "houlsby-64" if method == "houlsby" else method
                rows.append(scored(experiment, plan, name))
                _write_scores(experiment, rows)
    for entry in experiment.entries:
        if "search" in entry.values:  # a suite that names sizes wants the best of them
            plan = tuned_plan(experiment, entry, "houlsby", entry.values["search"])
            rows.append(scored(experiment, plan, "houlsby"))
            _write_scores(experiment, rows)


def tuned_plan(
    experiment: Experiment, entry: Entry, method: str, grid: Mapping[str, Any] | None = None
) -> TaskPlan:
    """Return the plan of a task with the grid of a method."""
    plan = experiment.plan(entry, method)
    values = {key: tuple(own) for key, own in (grid or GRIDS[method]).items()}
    layers = experiment.backbone.identity.layers
    names = {"top:half": f"top:{max(layers // 2, 1)}", "top:most": f"top:{max(layers - 1, 1)}"}
    values = {
        key: tuple(dict.fromkeys(names.get(one, one) for one in own)) for key, own in values.items()
    }
    if experiment.quick:
        values = {key: own[:2] for key, own in values.items() if key != "epochs"}
    # The ablation wants the adapters themselves.
    return replace(plan, search=Search(values), stored=method == "houlsby")


def chosen_plan(plan: TaskPlan, best: TrialRecord, seed: int) -> TaskPlan:
    """Return a plan with the setting that a search has chosen, and another seed."""
    chosen = {**best.options, **best.training, "seed": seed}
    return replace(plan, base=setting_of(plan.base, chosen), search=Search())


def scored(experiment: Experiment, plan: TaskPlan, method: str) -> dict[str, Any]:
    """Tune a task, train the chosen setting from every seed, and return its row of the table."""
    best = experiment.run(plan)
    trials = [best]
    while len(trials) < experiment.seeds:
        # A run that collapsed has used up further seeds: no seed may count twice.
        seed = trials[-1].training["seed"] + 1
        trials.append(experiment.run(chosen_plan(plan, best, seed)))
    last = plan.data.scored
    scores = [float(trial.value(last) or 0.0) for trial in trials]
    return {
        "task": plan.name,
        "method": method,
        "metric": plan.metric,
        "split": last,
        "seeds": len(scores),
        "mean": mean(scores),
        "standard_error": stdev(scores) / len(scores) ** 0.5 if len(scores) > 1 else 0.0,
        "parameters": best.parameters,
        "share": best.parameters / experiment.backbone.identity.parameters,
        "learning_rate": best.training["learning_rate"],
        "options": {key: best.options[key] for key in ("size", "layers") if key in best.options},
        "collapsed": sum(trial.status == "collapsed" for trial in trials),
        "scores": scores,
    }


def _write_scores(experiment: Experiment, rows: Sequence[Mapping[str, Any]]) -> None:
    write_csv(experiment.output / "scores.csv", rows)
    write_scores(experiment.output / "scores.md", rows, experiment.backbone.identity)


# Figures 3 and 4


def run_curve(experiment: Experiment) -> None:
    """Score adapters of many sizes and fine-tuning of many layers, at one rate each."""
    rows = list(_curve(experiment))
    write_csv(experiment.output / "curve.csv", rows)
    draw_curve(experiment.output / "curve", rows, experiment.note)


def _curve(experiment: Experiment) -> Iterator[dict[str, Any]]:
    layers = experiment.backbone.identity.layers
    for entry in experiment.entries:
        if entry.values.get("kind") == "span":
            continue
        for size in SIZES[::3] if experiment.quick else SIZES:
            plan = experiment.plan(entry, "houlsby", size=size)
            yield _point(experiment, plan, "houlsby", size)
        for count in (1, layers) if experiment.quick else range(1, layers + 1):
            plan = experiment.plan(entry, "top-k", layers=f"top:{count}", learning_rate=1e-4)
            yield _point(experiment, plan, "top-k", count)


def _point(experiment: Experiment, plan: TaskPlan, method: str, value: int) -> dict[str, Any]:
    try:
        trial = experiment.run(plan)
    except TrainingError as error:
        print(f"{plan.name} {method} {value}: {error}", file=sys.stderr)
        parameters, score = 0, None
    else:
        parameters, score = trial.parameters, trial.value("validation")
    return {
        "task": plan.name,
        "method": method,
        "value": value,
        "metric": plan.metric,
        "parameters": parameters,
        "score": score,
    }


# Figure 6


def run_ablation(experiment: Experiment) -> None:
    """Take trained adapters off every span of layers, and sweep the initial scale."""
    rows = [row for entry in experiment.entries[:4] for row in _ablated(experiment, entry)]
    write_csv(experiment.output / "ablation.csv", rows)
    draw_ablation(experiment.output / "ablation", rows, experiment.note)
    scales = SCALES[::3] if experiment.quick else SCALES
    swept = [
        _point(experiment, experiment.plan(entry, "houlsby", options={"init_std": scale}), "", 0)
        | {"init_std": scale}
        for entry in experiment.entries[:2]
        for scale in scales
    ]
    write_csv(experiment.output / "initial_scale.csv", swept)
    draw_initial_scale(experiment.output / "initial_scale", swept, experiment.note)


def _ablated(experiment: Experiment, entry: Entry) -> Iterator[dict[str, Any]]:
    plan = tuned_plan(experiment, entry, "houlsby")
    trial = experiment.run(plan)
    record = experiment.adapter(trial)
    if record is None:
        raise SystemExit(f"the adapter of {plan.name} is not in the bank any more")
    examples = plan.data.validation
    encoded = plan.kind.encode(
        experiment.backbone.tokenizer,
        examples.columns,
        record.definition,
        record.training["max_length"],
        labelled=False,
    )
    whole = trial.value("validation")
    for first, last in combinations_with_replacement(
        select_layers("all", experiment.backbone.identity.layers), 2
    ):
        score = _without(experiment, plan, record, encoded, range(first, last + 1))
        yield {
            "task": plan.name,
            "first": first,
            "last": last,
            "metric": plan.metric,
            "score": score,
            "change": score - float(whole or 0.0),
        }


def _without(
    experiment: Experiment,
    plan: TaskPlan,
    record: AdapterRecord,
    encoded: Encoded,
    layers: range,
) -> float:
    model = model_of(record, experiment.backbone)
    tensors = model.trained()
    for name, tensor in tensors.items():
        # An adapter that adds nothing is none: its last projection gives zero.
        if any(name.startswith(f"adapter.{one}.") for one in layers) and ".up." in name:
            tensor.zero_()
    predictions = predict_examples(model, plan.kind, encoded)
    columns = plan.data.validation.columns
    return plan.kind.scores(np.asarray(predictions), columns, record.definition)[plan.metric]


# Figure 5


def run_squad(experiment: Experiment) -> None:
    """Score question answering by the size of the adapters, beside full fine-tuning."""
    rows = []
    for entry in experiment.entries:
        if entry.values.get("kind") != "span":
            continue
        for size in SIZES[::3] if experiment.quick else (2, 8, 64, 256):
            plan = experiment.plan(entry, "houlsby", size=size)
            rows.append(scored(experiment, plan, "houlsby") | {"size": size})
        rows.append(scored(experiment, experiment.plan(entry, "full"), "full") | {"size": 0})
    if not rows:
        print("the suite has no task of kind span: no figure of SQuAD", file=sys.stderr)
        return
    write_csv(experiment.output / "squad.csv", rows)
    draw_squad(experiment.output / "squad", rows, experiment.note)


if __name__ == "__main__":
    main()
