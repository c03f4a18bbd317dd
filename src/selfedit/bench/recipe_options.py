"""What the options of a recipe cost and gain on the embedded model: `python benchmarks/recipe_options.py`, as Markdown.

Own notes on passages of the development split, five each; every option trains on the same notes with the same seeds.
"""

from __future__ import annotations

import time
from dataclasses import replace
from statistics import mean

from selfedit.config import Config, load_config, read_toml
from selfedit.domains.knowledge.domain import Knowledge
from selfedit.engines.start import start_local
from selfedit.graders import GRADERS
from selfedit.loops.inner import Examiner, adapt, derive_seed
from selfedit.loops.outer import SamplingParams, propose
from selfedit.protocols import silent
from selfedit.statistics import paired_interval
from selfedit.types import BASE, Recipe, Task, Trial
from selfedit.worlds.almanac import RECIPE, world

PASSAGES, NOTES, REPEATS = 40, 5, 2


def options(default: Recipe) -> dict[str, Recipe]:
    double = 2 * default.learning_rate
    return {
        "default": default,
        "pack": replace(default, pack=True),
        "pack, twice the rate and epochs": replace(default, pack=True, learning_rate=double, epochs=2 * default.epochs),
        "top_layers": replace(default, top_layers=True),
        "top_layers, twice the rate": replace(default, top_layers=True, learning_rate=double),
        "early_stop 1.0": replace(default, early_stop=1.0),
        "early_stop 0.5, twice the epochs": replace(default, early_stop=0.5, epochs=2 * default.epochs),
        "rank 4": replace(default, rank=4, alpha=default.alpha / 4),
    }


def measure(
    examiner: Examiner, trials: list[Trial], tasks: list[Task], recipe: Recipe, repeat: int
) -> tuple[list[float], float, float]:
    """(accuracy of every edit, 0 for one that could not be read; seconds per edit in training; tokens per edit)."""
    edits = [replace(trial, edit=replace(trial.edit, recipe=recipe)) for trial in trials]
    seeds = [derive_seed(repeat, index) for index in range(len(edits))]
    began = time.monotonic()
    tried = adapt(edits, BASE, examiner.engine, seeds)
    seconds = (time.monotonic() - began) / len(edits)
    live = {index: trial.update for index, trial in enumerate(tried) if trial.update}
    scores = examiner.score([(update, tasks[index]) for index, update in live.items()])
    examiner.engine.release(list(live.values()))
    values = dict(zip(live, (score.value or 0.0 for score in scores), strict=True))
    tokens = mean(update.tokens for update in live.values())
    return [values.get(index, 0.0) for index in range(len(tried))], seconds, tokens


def main() -> None:
    config: Config = load_config(None, [], read_toml(RECIPE))
    examiner = Examiner(start_local(config.model, 128, silent), Knowledge(), GRADERS["contains"], 24)
    tasks = [task for task in world.tasks("develop", PASSAGES) for _ in range(NOTES)]
    writing = SamplingParams(**config.outer.writing.model_dump())
    trials = propose(BASE, tasks, examiner.domain, examiner.engine, writing, list(range(len(tasks))))
    recipes = options(config.inner.recipe())
    found: dict[str, list[tuple[list[float], float, float]]] = {name: [] for name in recipes}
    for repeat in range(REPEATS):  # one after the other, so that what else the machine does hits all alike
        for name, recipe in recipes.items():
            found[name].append(measure(examiner, trials, tasks, recipe, repeat))
    print("| recipe | right | against the default (95 %) | tokens | seconds per edit | times |")
    print("|---|--:|--:|--:|--:|--:|")
    base = by_passage(found["default"])
    base_seconds = min(seconds for _, seconds, _ in found["default"])
    for name, runs in found.items():
        values, seconds = by_passage(runs), min(seconds for _, seconds, _ in runs)
        gain = paired_interval(values, base)
        against = (
            "" if name == "default" else f"{100 * gain.mean:+.1f} ({100 * gain.low:+.1f} to {100 * gain.high:+.1f})"
        )
        tokens = mean(tokens for _, _, tokens in runs)
        print(
            f"| {name} | {100 * mean(values):.1f} % | {against} | {tokens:.0f} | {seconds:.4f} "
            f"| {base_seconds / seconds:.2f} |"
        )


def by_passage(runs: list[tuple[list[float], float, float]]) -> list[float]:
    """Mean accuracy of each passage over its notes and all repeats: what the intervals are over."""
    return [
        mean(values[place] for values, _, _ in runs for place in range(first, first + NOTES))
        for first in range(0, PASSAGES * NOTES, NOTES)
    ]


if __name__ == "__main__":
    main()
