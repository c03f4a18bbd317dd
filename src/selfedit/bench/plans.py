"""Plans for grids, trained and examined together and one after another: `python benchmarks/plans.py`, as Markdown.

The embedded grid model and practice tasks. The engine answers and learns on the model's canvas; the Trainer and plain
PEFT count tokens from 0, which takes as long: what they learn is not looked at.
"""

from __future__ import annotations

import time
from contextlib import closing
from dataclasses import replace

from selfedit.bench.baselines import BASELINES
from selfedit.bench.edits import BenchEdit
from selfedit.bench.setting import Setting
from selfedit.config import load_config
from selfedit.engines import embedded
from selfedit.engines.local.model import load_model
from selfedit.engines.start import start_local, start_pool, usual_processes
from selfedit.loops.inner import derive_seed
from selfedit.loops.outer import propose
from selfedit.protocols import silent
from selfedit.reproduce.arc import seconds_per_plan
from selfedit.types import BASE
from selfedit.workflows.train import make_examiner, make_outer
from selfedit.worlds.mosaic import world

TASKS, PLANS, ALONE = 24, 5, 8
"""Practice tasks, plans for each, and how many of these are tried one after another."""


def main() -> None:
    config = load_config(None, [], embedded.recipe("mosaic"))
    engine = start_local(config.model, config.wave, silent)
    examiner, outer = make_examiner(config, engine), make_outer(config)
    tasks = world.tasks("practice", TASKS)
    members = [(task, member) for task in tasks for member in range(PLANS)]
    seeds = [derive_seed(0, task.id, member) for task, member in members]
    written = propose(BASE, members, examiner.domain, engine, outer.writing, seeds)
    plans = [trial for trial in written if not trial.failure]
    few = plans[:: len(plans) // ALONE][:ALONE]

    model, tokenizer = load_model(config.model)
    setting = Setting(model, tokenizer, config.inner.recipe(), config.exam.max_new_tokens)
    by_id = {task.id: task for task in tasks}
    rows: dict[str, tuple[int, float]] = {}
    for name, arm in BASELINES.items():
        began = time.monotonic()
        for trial in few:
            edit = BenchEdit(by_id[trial.edit.task_id], trial.edit.examples, examiner.domain)
            arm(replace(setting, recipe=trial.edit.recipe or setting.recipe), [edit])
        rows[f"{name}, one after another"] = len(few), (time.monotonic() - began) / len(few)
    rows["engine, one after another"] = len(few), seconds_per_plan(few, tasks, config, engine, 1)
    for together in (few, plans):
        seconds = seconds_per_plan(together, tasks, config, engine, len(together))
        rows[f"engine, {len(together)} at once"] = len(together), seconds
    processes = usual_processes(config.model)
    with closing(start_pool(config.model, config.wave, processes)) as pool:
        seconds_per_plan(few, tasks, config, pool, len(few))  # every process has the model then
        last = seconds_per_plan(plans, tasks, config, pool, len(plans))
    rows[f"engine, {len(plans)} at once in {processes} processes"] = len(plans), last
    print("| arm | plans | seconds per plan | times |")
    print("|---|--:|--:|--:|")
    for name, (count, taken) in rows.items():
        print(f"| {name} | {count} | {taken:.2f} | {taken / last:.1f} |")


if __name__ == "__main__":
    main()
