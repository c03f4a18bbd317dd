"""SEAL's single-passage table on the embedded model."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from selfedit.domains import DOMAINS
from selfedit.loops.evaluate import across_seeds
from selfedit.reproduce.options import Options
from selfedit.results import Table, TextTable, gain_sentence, score_table
from selfedit.workflows.data import read_data
from selfedit.workflows.engine import open_engine
from selfedit.workflows.runs import start
from selfedit.workflows.train import Experiment, run_experiment, summary_of

SEEDS, PASSAGES, ROUNDS, PER_ROUND = 3, 200, 3, 100


def almanac(options: Options) -> dict[str, Any]:
    """SEAL's single-passage table on the embedded model: 3 seeds, 200 unseen passages, 3 rounds of 100 passages."""
    sizes = {"rounds": ROUNDS, "tasks_per_round": PER_ROUND}
    experiments = list[Experiment]()
    for seed in range(SEEDS):
        tree = {"data": {"eval": "almanac", "max_eval_tasks": PASSAGES}, "outer": sizes, "seed": seed}
        config = options.config(tree)
        tasks = read_data(config)
        with (
            start("train", options.folder / f"seed-{seed}", config, tasks, "reproduce") as run,
            open_engine(config, options.progress, parallel=True) as engine,
        ):
            found = run_experiment(run, config, tasks["train"], tasks["eval"], engine, options.progress)
            options.on_run(run, summary_of(config, found, tasks["train"]))
            experiments.append(found)
    table = across_seeds([found.trials for found in experiments])
    rows = tuple(replace(row, seconds=sum(f.table[row.key].seconds or 0 for f in experiments) / SEEDS) for row in table)
    return Table(rows, table.gains, sum(found.table.seconds or 0 for found in experiments)).to_json()


def tables(summary: dict[str, Any]) -> list[TextTable]:
    table = Table.from_json(summary)
    made = score_table(table, DOMAINS["knowledge"].words, (almanac.__doc__ or "").rstrip("."))
    return [replace(made, caption=gain_sentence(table.gains["rl_gain"]))]
