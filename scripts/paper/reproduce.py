"""Reproduces the experiments of Houlsby et al. 2019 on the tasks of a suite.

    python scripts/paper/reproduce.py SUITE --backbone SPEC --output FOLDER [--data FOLDER]
        [--only STAGE ...] [--seeds 3] [--rows N] [--precision bfloat16] [--quick]

The stages are:

- `scores`: every task with full fine-tuning, fine-tuning of the top layers, LayerNorms only, and
  adapters, each from several seeds (tables 1 and 2).
- `curve`: score against the number of trained parameters, for adapters of many sizes and
  fine-tuning of the top 1 to all layers (figures 3 and 4).
- `ablation`: trained adapters removed from every span of layers, and a sweep of the initial scale
  (figure 6).
- `squad`: F1 of the suite's question answering tasks by adapter size (figure 5).

Every training is a trial in FOLDER/bank.db and is done once: an interrupted run continues where it
stopped, and `taskbank trials` and `taskbank query` read the results. Hyperparameters and epochs
are chosen on rows held out of the training split, with the same number of trials for every
method; the split that is scored is evaluated once, with the chosen setting. A suite's `search` is
the grid for adapters.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from itertools import combinations_with_replacement
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from scripts.paper.experiment import QUICK_ROWS, Experiment, plan_with_setting
from scripts.paper.figures import draw_ablation, draw_curve, draw_initial_scale, draw_squad
from scripts.paper.score_tables import write_scores
from scripts.shared.arguments import suite_parser
from scripts.shared.plotting import check_matplotlib
from scripts.shared.tables import write_csv
from taskbank.backbone.load import load_backbone
from taskbank.bank.open import create_bank
from taskbank.bank.records import AdapterRecord, TrialRecord
from taskbank.data.encoded import Encoded
from taskbank.errors import TrainingError
from taskbank.methods.layers import select_layers
from taskbank.model.load import load_model
from taskbank.model.predict import predict_examples
from taskbank.pipeline.suite_file import Entry, read_suite
from taskbank.runtime.device import pick_device
from taskbank.training.plan import TaskPlan
from taskbank.training.search import Search
from taskbank.workers.executor import executor_for

Row = dict[str, Any]

# The search of each method: learning rates around its best one.
GRIDS: dict[str, dict[str, tuple[Any, ...]]] = {
    "full": {"learning_rate": (3e-5, 1e-4, 3e-4)},
    "top-k": {"layers": ("top:1", "top:half", "top:most")},  # 1, half, and all but one
    "layernorm": {"learning_rate": (1e-3, 3e-3, 1e-2)},
    "houlsby": {"learning_rate": (3e-4, 1e-3, 3e-3)},
}
SIZES = (2, 4, 8, 16, 32, 64, 128, 256)
SQUAD_SIZES = (2, 8, 64, 256)
SCALES = (1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0)
ABLATION_TASKS, SCALE_TASKS = 4, 2  # the first tasks of the suite


def main() -> None:
    """Run the stages that were asked for."""
    stages: dict[str, Callable[[Experiment], None]] = {
        "scores": run_scores,
        "curve": run_curve,
        "ablation": run_ablation,
        "squad": run_squad,
    }
    arguments = _arguments(list(stages))
    check_matplotlib()
    output: Path = arguments.output
    output.mkdir(parents=True, exist_ok=True)
    entries = read_suite(arguments.suite, arguments.data or arguments.suite.parent)
    backbone = load_backbone(arguments.backbone, pick_device(arguments.device))
    common = {"rows": arguments.rows, "precision": arguments.precision}
    with (
        create_bank(f"sqlite:///{output / 'bank.db'}") as bank,
        executor_for(arguments.on, bank, device=arguments.device, backbone=backbone) as place,
    ):
        experiment = Experiment(
            bank,
            backbone,
            entries,
            2 if arguments.quick else arguments.seeds,
            {key: value for key, value in common.items() if value is not None},
            output,
            arguments.quick,
            workers=None if place.in_process else place,
        )
        for stage in arguments.only:
            stages[stage](experiment)
    print(f"tables and figures are in {output}")


def _arguments(stages: list[str]) -> argparse.Namespace:
    parser = suite_parser(__doc__)
    parser.add_argument(
        "--only", nargs="+", choices=stages, default=stages, metavar="STAGE", help=", ".join(stages)
    )
    parser.add_argument("--seeds", type=int, default=3, help="seeds per chosen setting")
    parser.add_argument("--rows", type=int, help="most training rows per task")
    parser.add_argument("--precision", choices=("float32", "bfloat16"))
    parser.add_argument("--device")
    parser.add_argument("--on", metavar="PLACE", help="where to train: ray, or ray://HOST:PORT")
    parser.add_argument(
        "--quick", action="store_true", help=f"try it out: {QUICK_ROWS} rows, one epoch"
    )
    return parser.parse_args()


# Tables 1 and 2


def run_scores(experiment: Experiment) -> None:
    """Score every task with every method, tuned on validation, from several seeds."""
    rows: list[Row] = []
    for methods in (("houlsby", "full"), ("layernorm", "top-k")):
        for entry in experiment.entries:
            for method in methods:
                plan = tuned_plan(experiment, entry, method)
                name = "houlsby-64" if method == "houlsby" else method
                rows.append(score_method(experiment, plan, name))
                _write_scores(experiment, rows)
    for entry in experiment.entries:
        if "search" in entry.values:  # a suite that names sizes asks for the best of them
            plan = tuned_plan(experiment, entry, "houlsby", entry.values["search"])
            rows.append(score_method(experiment, plan, "houlsby"))
            _write_scores(experiment, rows)


def tuned_plan(
    experiment: Experiment, entry: Entry, method: str, grid: Mapping[str, Any] | None = None
) -> TaskPlan:
    """Return the plan to train a task with a method's grid, or with another grid."""
    plan = experiment.plan(entry, method)
    values = {key: tuple(own) for key, own in (grid or GRIDS[method]).items()}
    layers = experiment.backbone.identity.layers
    names = {"top:half": f"top:{max(layers // 2, 1)}", "top:most": f"top:{max(layers - 1, 1)}"}
    values = {
        key: tuple(dict.fromkeys(names.get(one, one) for one in own)) for key, own in values.items()
    }
    if experiment.quick:
        values = {key: own[:2] for key, own in values.items() if key != "epochs"}
    # The ablation needs the adapters themselves.
    return replace(plan, search=Search(values), stored=method == "houlsby")


def score_method(experiment: Experiment, plan: TaskPlan, method: str) -> Row:
    """Tune a task, train the chosen setting from every seed, and return the table's row.

    Args:
        experiment: runs the trials.
        plan: of the task, with a search.
        method: the method's name in the table.
    """
    best = experiment.run(plan)
    trials = [best]
    while len(trials) < experiment.seeds:
        # A collapsed training has used up further seeds: no seed may count twice.
        seed = trials[-1].training["seed"] + 1
        trials.append(experiment.run(plan_with_setting(plan, best, seed)))
    split = plan.data.scored_split
    scores = [float(trial.value(split) or 0.0) for trial in trials]
    return {
        "task": plan.name,
        "method": method,
        "metric": plan.metric,
        "split": split,
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


def _write_scores(experiment: Experiment, rows: list[Row]) -> None:
    write_csv(experiment.output / "scores.csv", rows)
    write_scores(experiment.output / "scores.md", rows, experiment.backbone.identity)


# Figures 3 and 4


def run_curve(experiment: Experiment) -> None:
    """Score adapters of many sizes and fine-tuning of many layers, at one learning rate each."""
    rows = list(_curve(experiment))
    write_csv(experiment.output / "curve.csv", rows)
    draw_curve(experiment.output / "curve", rows, experiment.note)


def _curve(experiment: Experiment) -> Iterator[Row]:
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


def _point(experiment: Experiment, plan: TaskPlan, method: str, value: float) -> Row:
    """Return a point of a figure; a training that fails has no score."""
    row = {"task": plan.name, "method": method, "value": value, "metric": plan.metric}
    try:
        trial = experiment.run(plan)
    except TrainingError as error:
        print(f"{plan.name} {method} {value}: {error}", file=sys.stderr)
        return row | {"parameters": 0, "score": None}
    return row | {"parameters": trial.parameters, "score": trial.value("validation")}


# Figure 6


def run_ablation(experiment: Experiment) -> None:
    """Remove trained adapters from every span of layers, and sweep the initial scale."""
    tasks = experiment.entries[:ABLATION_TASKS]
    rows = [row for entry in tasks for row in _ablate(experiment, entry)]
    write_csv(experiment.output / "ablation.csv", rows)
    draw_ablation(experiment.output / "ablation", rows, experiment.note)
    points = [
        _point(experiment, experiment.plan(entry, "houlsby", options={"init_std": scale}), "", 0)
        | {"init_std": scale}
        for entry in experiment.entries[:SCALE_TASKS]
        for scale in (SCALES[::3] if experiment.quick else SCALES)
    ]
    write_csv(experiment.output / "initial_scale.csv", points)
    draw_initial_scale(experiment.output / "initial_scale", points, experiment.note)


def _ablate(experiment: Experiment, entry: Entry) -> Iterator[Row]:
    plan = tuned_plan(experiment, entry, "houlsby")
    trial: TrialRecord = experiment.run(plan)
    record = experiment.adapter(trial)
    if record is None:
        raise SystemExit(f"the adapter of {plan.name} is no longer in the bank")
    encoded = plan.kind.encode(
        experiment.backbone.tokenizer,
        plan.data.validation.columns,
        record.definition,
        record.training["max_length"],
        labelled=False,
    )
    whole = trial.value("validation")
    for first, last in combinations_with_replacement(
        select_layers("all", experiment.backbone.identity.layers), 2
    ):
        score = score_without(experiment, plan, record, encoded, range(first, last + 1))
        yield {
            "task": plan.name,
            "first": first,
            "last": last,
            "metric": plan.metric,
            "score": score,
            "change": score - float(whole or 0.0),
        }


def score_without(
    experiment: Experiment,
    plan: TaskPlan,
    record: AdapterRecord,
    encoded: Encoded,
    layers: range,
) -> float:
    """Return the validation score of an adapter that is removed from some layers."""
    model = load_model(experiment.bank, record, experiment.backbone)
    for name, tensor in model.trained_tensors().items():
        # With an up-projection of zeros an adapter adds nothing, as if it were not there.
        if any(name.startswith(f"adapter.{one}.") for one in layers) and ".up." in name:
            tensor.zero_()
    logits = predict_examples(model, plan.kind, encoded)
    columns = plan.data.validation.columns
    return plan.kind.scores(logits, columns, record.definition)[plan.metric]


# Figure 5


def run_squad(experiment: Experiment) -> None:
    """Score question answering by adapter size, and with full fine-tuning."""
    rows = []
    for entry in experiment.entries:
        if entry.values.get("kind") != "span":
            continue
        for size in SIZES[::3] if experiment.quick else SQUAD_SIZES:
            plan = experiment.plan(entry, "houlsby", size=size)
            rows.append(score_method(experiment, plan, "houlsby") | {"size": size})
        plan = experiment.plan(entry, "full")
        rows.append(score_method(experiment, plan, "full") | {"size": 0})
    if not rows:
        print("no SQuAD figure: the suite has no task of kind span", file=sys.stderr)
        return
    write_csv(experiment.output / "squad.csv", rows)
    draw_squad(experiment.output / "squad", rows, experiment.note)


if __name__ == "__main__":
    main()
