"""Plans for grids, trained and examined together and one after another, as Markdown.

    python -m selfedit.bench.plans

The embedded grid model and practice tasks. The engine answers and learns on the model's canvas; the Trainer and plain
PEFT count tokens from 0, which takes as long: what they learn is not looked at.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import replace

from selfedit.config import Config
from selfedit.engines.start import start_local, start_pool, usual_processes
from selfedit.loops.outer import propose
from selfedit.protocols import Engine, silent
from selfedit.reproduce.arc import seconds_per_plan
from selfedit.results import TextTable, markdown
from selfedit.seeds import derive_seed
from selfedit.types import BASE, Task, Trial
from selfedit.workflows.build import make_domain
from selfedit.workflows.configure import make_config
from selfedit.worlds.mosaic import world

TASKS, PLANS, ALONE = 24, 5, 8
"""Practice tasks, plans for each, and how many of these are tried one after another."""

Timings = Mapping[str, tuple[int, float]]
"""Each way to try plans: how many it tried, and the seconds that one took."""


def write_plans(config: Config, tasks: Sequence[Task], count: int, engine: Engine) -> list[Trial]:
    """Those of `count` plans of the model's own for each task that can be read."""
    members = [(task, member) for task in tasks for member in range(count)]
    seeds = [derive_seed(0, task.id, member) for task, member in members]
    written = propose(BASE, members, make_domain(config), engine, config.outer.sampling, seeds)
    return [trial for trial in written if not trial.failure]


def baselines(config: Config, plans: Sequence[Trial], tasks: Sequence[Task]) -> dict[str, tuple[int, float]]:
    """The usual ways, one plan after another."""
    from selfedit.bench.baselines import BASELINES
    from selfedit.bench.edits import BenchEdit
    from selfedit.bench.setting import Setting
    from selfedit.engines.local.model import load_model

    domain, by_id = make_domain(config), {task.id: task for task in tasks}
    setting = Setting(*load_model(config.model), config.inner, config.exam.max_new_tokens)
    rows = {}
    for name, arm in BASELINES.items():
        began = time.monotonic()
        for trial in plans:
            edit = BenchEdit(by_id[trial.edit.task_id], trial.edit.examples, domain)
            arm(replace(setting, recipe=trial.edit.recipe), [edit])
        rows[f"{name}, one after another"] = len(plans), (time.monotonic() - began) / len(plans)
    return rows


def measure() -> Timings:
    """All ways, from the slowest to the one that the commands use."""
    config, tasks = make_config("mosaic"), world.tasks("practice", TASKS)
    engine = start_local(config.model, config.max_adapters, silent)
    plans = write_plans(config, tasks, PLANS, engine)
    few = plans[:: len(plans) // ALONE][:ALONE]
    rows = baselines(config, few, tasks)
    rows["engine, one after another"] = len(few), seconds_per_plan(few, tasks, config, engine, 1)
    for together in (few, plans):
        seconds = seconds_per_plan(together, tasks, config, engine, len(together))
        rows[f"engine, {len(together)} at once"] = len(together), seconds
    processes = usual_processes(config.model)
    with closing(start_pool(config.model, config.max_adapters, processes)) as pool:
        seconds_per_plan(few, tasks, config, pool, len(few))  # every process has the model then
        last = seconds_per_plan(plans, tasks, config, pool, len(plans))
    rows[f"engine, {len(plans)} at once in {processes} processes"] = len(plans), last
    return rows


def table(timings: Timings) -> TextTable:
    """`times` is beside the last row."""
    _, last = list(timings.values())[-1]
    rows = [(name, str(count), f"{taken:.2f}", f"{taken / last:.1f}") for name, (count, taken) in timings.items()]
    return TextTable("Plans, trained and examined", ("arm", "plans", "seconds per plan", "times"), rows)


if __name__ == "__main__":
    print(markdown(table(measure())))
