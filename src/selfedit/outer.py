"""The outer loop: task -> self-edit -> update -> score -> reward -> policy, and again."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from selfedit.errors import BadEdit, EngineError
from selfedit.inner import Examiner, derive_seed, run_inner
from selfedit.protocols import Credit, Domain, Progress, Reward, Sampler, Trainer, silent
from selfedit.types import BASE, Example, Failure, Job, Recipe, Request, SelfEdit, Task, Trial, Update

Remember = Callable[[str, int, Callable[[], list[Trial]]], list[Trial]]
"""(stage, wave, how to compute it) -> its trials, from the store where they are already there."""


@dataclass(frozen=True, slots=True)
class Writing:
    """How the policy writes. SEAL's values (spec 1.2), but for the length, which is this project's."""

    temperature: float = 1.0
    top_p: float = 0.95
    max_new_tokens: int = 512


@dataclass(frozen=True, slots=True)
class Outer:
    """Everything the outer loop needs to know; the config's `outer` table, resolved."""

    rounds: int
    tasks_per_round: int
    group_size: int
    wave: int
    writing: Writing
    inner: Recipe
    recipe: Recipe
    reward: Reward
    credit: Credit
    seed: int


def run_outer(
    tasks: Sequence[Task],
    examiner: Examiner,
    outer: Outer,
    remember: Remember,
    updates: Path,
    progress: Progress = silent,
) -> Update:
    """Returns the last policy. Each round has its own tasks, and its policy is saved in `updates`/round-N.

    A policy that is there already is loaded, and waves that `remember` knows are not run again: so a run resumes.
    """
    policy = BASE
    for number in range(outer.rounds):
        stage, folder = f"round-{number}", updates / f"round-{number}"
        if not folder.exists():
            of_round = chosen(tasks, outer, number)
            trials = run_waves(stage, of_round, policy, examiner, outer, remember, progress)
            update = improve(policy, trials, outer, examiner.engine, derive_seed(outer.seed, stage, "policy"))
            if update is policy:
                continue
            examiner.engine.save(update, folder)
            examiner.engine.release([update])
        policy = examiner.engine.load(folder)
    return policy


def chosen(tasks: Sequence[Task], outer: Outer, number: int) -> list[Task]:
    """The tasks of a round: the next ones each time, from the start again when they run out."""
    first = number * outer.tasks_per_round
    return [tasks[(first + offset) % len(tasks)] for offset in range(min(outer.tasks_per_round, len(tasks)))]


def run_waves(
    stage: str,
    tasks: Sequence[Task],
    policy: Update,
    examiner: Examiner,
    outer: Outer,
    remember: Remember,
    progress: Progress = silent,
) -> list[Trial]:
    """Propose and try `group_size` edits per task, a wave of whole tasks at a time."""
    size = max(1, outer.wave // outer.group_size)
    waves = [tasks[start : start + size] for start in range(0, len(tasks), size)]
    trials: list[Trial] = []
    for number, wave in enumerate(waves):
        progress(stage, len(trials), len(tasks) * outer.group_size, _mean_reward(trials))
        trials += remember(stage, number, lambda wave=wave: run_wave(stage, wave, policy, examiner, outer))  # type: ignore[misc]
    progress(stage, len(trials), len(trials), _mean_reward(trials))
    return trials


def run_wave(stage: str, tasks: Sequence[Task], policy: Update, examiner: Examiner, outer: Outer) -> list[Trial]:
    members = [(task, member) for task in tasks for member in range(outer.group_size)]
    seeds = [derive_seed(outer.seed, stage, task.id, member) for task, member in members]
    proposed = propose(policy, [task for task, _ in members], examiner.domain, examiner.engine, outer.writing, seeds)
    ready = [replace(trial, edit=replace(trial.edit, recipe=outer.inner)) for trial in proposed]
    return run_inner(ready, {task.id: task for task in tasks}, policy, examiner, outer.reward, seeds)


def propose(
    policy: Update, tasks: Sequence[Task], domain: Domain, sampler: Sampler, writing: Writing, seeds: Sequence[int]
) -> list[Trial]:
    """Task -> SelfEdit. Every task in the list becomes exactly one trial, whatever happens to it."""
    texts = sampler.sample(
        [
            Request(policy, domain.prompt(task), seed, writing.temperature, writing.top_p, writing.max_new_tokens)
            for task, seed in zip(tasks, seeds, strict=True)
        ]
    )
    return [read(task, text, domain) for task, text in zip(tasks, texts, strict=True)]


def read(task: Task, text: str | Failure, domain: Domain) -> Trial:
    if isinstance(text, Failure):
        return Trial(SelfEdit(task.id, domain.prompt(task)), failure=text)
    try:
        return Trial(domain.parse(task, text))
    except BadEdit as error:
        return Trial(SelfEdit(task.id, domain.prompt(task), text), failure=Failure("policy", str(error)))


def improve(policy: Update, trials: Sequence[Trial], outer: Outer, trainer: Trainer, seed: int) -> Update:
    """Reward -> policy. The same trainer as the inner loop, on the edits themselves, weighted by credit."""
    examples = tuple(credited(trials, outer.credit))
    if not examples:
        return policy  # no edit earned credit: nothing to learn from this round
    (outcome,) = trainer.train([Job(policy, examples, outer.recipe, seed)])
    if isinstance(outcome, Failure):
        raise EngineError(f"the policy update failed: {outcome.message}")
    return outcome


def credited(trials: Sequence[Trial], credit: Credit) -> Iterator[Example]:
    """The edits that the policy should imitate. Those that could not be read or rewarded take no part."""
    groups: dict[str, list[Trial]] = defaultdict(list)
    for trial in trials:
        if trial.reward is not None and trial.failure is None:
            groups[trial.edit.task_id].append(trial)
    for group in groups.values():
        for trial, weight in zip(group, credit([trial.reward or 0.0 for trial in group]), strict=True):
            if weight:
                yield Example(trial.edit.prompt, trial.edit.text, weight)


def _mean_reward(trials: Sequence[Trial]) -> str:
    rewards = [trial.reward for trial in trials if trial.reward is not None]
    return f"reward {sum(rewards) / len(rewards):+.3f}" if rewards else ""
