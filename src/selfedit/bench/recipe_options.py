"""What the options of a recipe cost and gain on the embedded model, as Markdown.

    python -m selfedit.bench.recipe_options

Own notes on passages of the development split, five each; every option trains on the same notes with the same seeds.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import mean

from selfedit.engines.start import start_local
from selfedit.loops.examine import Exam, Examiner, score
from selfedit.loops.inner import train_edits
from selfedit.loops.outer import propose
from selfedit.protocols import silent
from selfedit.results import TextTable, markdown, percent, signed_points
from selfedit.seeds import derive_seed
from selfedit.statistics import paired_interval
from selfedit.types import BASE, Recipe, Task, Trial
from selfedit.workflows.build import make_examiner
from selfedit.workflows.configure import make_config
from selfedit.worlds.almanac import world

PASSAGES, NOTES, REPEATS, MAX_ADAPTERS = 40, 5, 2, 128


@dataclass(frozen=True, slots=True)
class RecipeRun:
    """One recipe on all notes, once: the accuracy of every edit (0 for one that could not be read), the seconds that an
    edit took in training, and its tokens.
    """

    values: list[float]
    seconds: float
    tokens: float


def options(default: Recipe) -> dict[str, Recipe]:
    """By name, the default first. What trains for longer has more epochs, and more tokens where those are counted."""
    double = 2 * default.learning_rate
    longer = replace(default, epochs=2 * default.epochs, tokens=2 * default.tokens)
    return {
        "default": default,
        "pack": replace(default, pack=True),
        "pack, twice the rate and epochs": replace(longer, pack=True, learning_rate=double),
        "top_layers": replace(default, top_layers=True),
        "top_layers, twice the rate": replace(default, top_layers=True, learning_rate=double),
        "early_stop 1.0": replace(default, early_stop=1.0),
        "early_stop 0.5, twice the epochs": replace(longer, early_stop=0.5),
        "rank 4": replace(default, rank=4, alpha=default.alpha / 4),
    }


def measure(
    examiner: Examiner, trials: Sequence[Trial], tasks: Sequence[Task], recipe: Recipe, repeat: int
) -> RecipeRun:
    """`tasks`: that of each trial."""
    edits = [replace(trial, edit=replace(trial.edit, recipe=recipe)) for trial in trials]
    seeds = [derive_seed(repeat, index) for index in range(len(edits))]
    began = time.monotonic()
    tried = train_edits(edits, BASE, examiner.engine, seeds)
    seconds = (time.monotonic() - began) / len(edits)
    live = {index: trial.update for index, trial in enumerate(tried) if trial.update}
    scores = score(examiner, [Exam(update, tasks[index], tried[index].edit) for index, update in live.items()])
    examiner.engine.release(list(live.values()))
    values = dict(zip(live, (of_edit.value or 0.0 for of_edit in scores), strict=True))
    tokens = mean(update.tokens for update in live.values())
    return RecipeRun([values.get(index, 0.0) for index in range(len(tried))], seconds, tokens)


def compare(passages: int = PASSAGES, repeats: int = REPEATS) -> dict[str, list[RecipeRun]]:
    """Every option on the notes of so many passages, so often."""
    config = make_config("almanac")
    examiner = make_examiner(config, start_local(config.model, MAX_ADAPTERS, silent))
    members = [(task, member) for task in world.tasks("develop", passages) for member in range(NOTES)]
    seeds = list(range(len(members)))
    trials = propose(BASE, members, examiner.domain, examiner.engine, config.outer.sampling, seeds)
    tasks, recipes = [task for task, _ in members], options(config.inner)
    found: dict[str, list[RecipeRun]] = {name: [] for name in recipes}
    for repeat in range(repeats):  # one after the other, so that what else the machine does hits all alike
        for name, recipe in recipes.items():
            found[name].append(measure(examiner, trials, tasks, recipe, repeat))
    return found


def by_passage(runs: Sequence[RecipeRun]) -> list[float]:
    """Mean accuracy of each passage over its notes and all repeats: what the intervals are over."""
    return [
        mean(value for run in runs for value in run.values[first : first + NOTES])
        for first in range(0, len(runs[0].values), NOTES)
    ]


def table(found: Mapping[str, Sequence[RecipeRun]]) -> TextTable:
    """`times` is how many times as fast as the default; seconds are those of the fastest repeat."""
    base = by_passage(found["default"])
    base_seconds = min(run.seconds for run in found["default"])
    rows = []
    for name, runs in found.items():
        values, seconds = by_passage(runs), min(run.seconds for run in runs)
        gain, low, high = signed_points(paired_interval(values, base))
        against = "" if name == "default" else f"{gain} ({low} to {high})"
        tokens = f"{mean(run.tokens for run in runs):.0f}"
        rows.append((name, percent(mean(values)), against, tokens, f"{seconds:.4f}", f"{base_seconds / seconds:.2f}"))
    columns = ("recipe", "right", "against the default (95 %)", "tokens", "seconds per edit", "times")
    return TextTable("Options of the recipe", columns, rows)


if __name__ == "__main__":
    print(markdown(table(compare())))
