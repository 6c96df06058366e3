"""Trains a task on the workers of a cluster: every setting of its search is a job of its own."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from taskbank.pipeline.storage import known_trials, trial_recorder
from taskbank.pipeline.train_and_store import Added, train_and_store
from taskbank.pipeline.training_job import TrainingJob
from taskbank.specs import BackboneIdentity
from taskbank.training.checkpoint import Checkpoint
from taskbank.training.plan import TaskPlan
from taskbank.training.search import Setting, seeded_settings
from taskbank.training.train_task import make_trainer
from taskbank.training.trainer import release_weights
from taskbank.training.trial import Trial
from taskbank.workers.executor import run_one

if TYPE_CHECKING:
    from taskbank.workers.job import Executor
    from taskbank.workers.worker import Worker


def train_on_workers(
    executor: Executor,
    plan: TaskPlan,
    base: Setting,
    backbone: BackboneIdentity,
    device: str,
    *,
    new_version: bool,
    resume: bool,
    progress: bool,
) -> Added:
    """Train a planned task on workers, and store it.

    The settings of a grid are trained side by side. One more job then chooses the best of them as
    on one machine, and stores it. A sampled search depends on what was sampled before, so all of
    it is one job.

    Args:
        executor: the workers.
        plan: the planned task.
        base: the setting that is trained, or that the search varies.
        backbone: the backbone to train on.
        device: the device to train on.
        new_version: whether to add a version if the task already exists.
        resume: whether to use the trials and checkpoints of an interrupted run.
        progress: whether to show a progress bar if stderr is a terminal.

    Raises:
        TaskbankError: what training or storing raised on a worker.
    """
    search = plan.search
    chosen = [] if search.trials is not None else seeded_settings(base, search)
    trials: list[Trial] = []
    if len(chosen) > 1:
        jobs = [TrainTrial(plan, backbone, device, setting, resume=resume) for setting in chosen]
        for finished in executor.run(jobs, caption=plan.name, unit="trial", progress=progress):
            trials = _only_best_keeps_weights([*trials, finished.get()], plan.metric)
    job = FinishTask(plan, backbone, device, tuple(trials), new_version=new_version, resume=resume)
    return run_one(executor, job)


@dataclass(frozen=True)
class TrainTrial(TrainingJob):
    """Trains one setting of a task's search, and records the trial: a job.

    Attributes:
        setting: the setting.
        resume: whether to use the trials and checkpoints of an interrupted run.
    """

    setting: Setting
    resume: bool

    def run(self, worker: Worker) -> Trial:
        """Return the trial; see `Job.run`."""
        backbone = worker.backbone(self.backbone, self.device)
        trainer = make_trainer(
            self.plan,
            backbone,
            known=known_trials(worker.bank, self.plan, resume=self.resume),
            record=trial_recorder(worker.bank, self.plan, backbone),
            resume=True,  # another worker may have died over it
        )
        trainer.check_machine(self.setting)
        trial = trainer.run(self.setting)
        for specification in trainer.checkpoints(trial):
            Checkpoint(specification, resume=False).remove()
        return trial


@dataclass(frozen=True)
class FinishTask(TrainingJob):
    """Trains what is left of a task, and stores the best trial: a job.

    Attributes:
        trials: the trials that other jobs have trained.
        new_version: whether to add a version if the task already exists.
        resume: whether to use the trials and checkpoints of an interrupted run.
    """

    trials: tuple[Trial, ...]
    new_version: bool
    resume: bool

    def run(self, worker: Worker) -> Added:
        """Return the task as it was stored; see `Job.run`."""
        return train_and_store(
            worker.bank,
            worker.backbone(self.backbone, self.device),
            self.plan,
            new_version=self.new_version,
            known=self.trials,
            verify="none",
            resume=self.resume,
        )


def _only_best_keeps_weights(trials: Iterable[Trial], metric: str) -> list[Trial]:
    """Return trials of which only the best keeps its weights; the others are never stored."""
    kept = list(trials)
    best = max(kept, key=lambda trial: trial.rank(metric))
    return [trial if trial is best else release_weights(trial) for trial in kept]
