"""Runs: started, and carried out by the workflow of their kind.

    WORKFLOWS[run.kind](run, config, engine, progress) -> Summary

A run knows its kind. `start` makes one, `carry_out` does what it has not done yet, however far it had got.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from selfedit.config import Config
from selfedit.continual.methods import check_methods
from selfedit.engines.cores import cores
from selfedit.errors import InputError, Refused
from selfedit.protocols import Engine, Progress, silent
from selfedit.results import Summary
from selfedit.store import MACHINE, Run
from selfedit.types import Task
from selfedit.workflows.adapt import adapt
from selfedit.workflows.build import check_names
from selfedit.workflows.configure import config_of
from selfedit.workflows.cost import read_checks
from selfedit.workflows.data import TASKS, tasks_of, tasks_text
from selfedit.workflows.endpoints import check_keys
from selfedit.workflows.engine import machine_of, open_engine
from selfedit.workflows.history import is_parallel, kind_of
from selfedit.workflows.kept import KeptUpdates
from selfedit.workflows.stream import stream
from selfedit.workflows.train import train

log = logging.getLogger(__name__)

Workflow = Callable[[Run, Config, Engine, Progress], Summary]

WORKFLOWS: dict[str, Workflow] = {"train": train, "adapt": adapt, "stream": stream}


def start(kind: str, path: Path, config: Config, tasks: Mapping[str, Sequence[Task]], command: str = "") -> Run:
    """A run that holds all it needs to be resumed: its config, and the tasks themselves in `tasks.json`.

    Raises InputError for a name in the config that stands for nothing, before there is a folder.
    """
    check_names(config)
    check_keys(config)
    if kind == "stream":
        check_methods(config.continual)
    if kind == "adapt":
        read_checks(config.cost)
    text = tasks_text(tasks)
    digest = hashlib.sha256(text.encode()).hexdigest()
    header = {"kind": kind, "command": command or kind, "tasks": digest}
    parallel = kind == "train" or is_parallel(tasks)
    run = Run.create(path, {**header, **config.model_dump(mode="json")}, machine_of(config, parallel))
    if run.read_text(TASKS) is None:
        run.keep_text(TASKS, text)
    return run


def carry_out(run: Run, progress: Progress = silent) -> Summary:
    """Do what the run has not done yet. Ends with what an unbroken run would have.

    A run that cannot begin, as its model cannot be loaded, leaves no folder that another one would be refused for.
    """
    try:
        return _carry_out(run, progress)
    except (InputError, Refused):
        if not run.has_begun:
            run.discard()
        raise


def _carry_out(run: Run, progress: Progress) -> Summary:
    kind = kind_of(run)
    if kind not in WORKFLOWS:
        raise InputError(f"{run.path} is a run of kind {kind!r}; it can be {', '.join(WORKFLOWS)}")
    config, tasks = config_of(run), tasks_of(run)
    check_keys(config)
    everything = [task for of_group in tasks.values() for task in of_group]
    parallel = kind == "train" or is_parallel(tasks)
    began_on = run.config.get(MACHINE, {}).get("cores")
    if began_on not in (None, cores()):
        differ = "it goes on in as many processes and threads as there; its results may differ in their last digits"
        log.info("%s began on %s cores, and here are %s: %s", run.path, began_on, cores(), differ)
    with open_engine(config, progress, everything, parallel) as engine:
        return WORKFLOWS[kind](run, config, KeptUpdates(engine, run), progress)
