"""The inner loop: edits in, rewarded trials out. Each stage fills one field of Trial.

SelfEdit -> train_edits -> Update -> score_before_and_after -> Scores -> apply_reward -> reward
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from selfedit.errors import EngineError
from selfedit.loops.examine import Exam, Examiner, score
from selfedit.protocols import FLOOR, Engine, Reward, Trainer
from selfedit.types import Example, Failure, Job, Recipe, Task, Trial, Update


def run_inner(
    trials: Sequence[Trial],
    tasks: Mapping[str, Task],
    parent: Update,
    examiner: Examiner,
    reward: Reward,
    seeds: Sequence[int],
    tasks_per_adapter: int = 1,
) -> list[Trial]:
    """Train an adapter per trial from `parent`, examine parent and adapters, and reward. `seeds`: one per trial.

    `tasks_per_adapter` trials, one after another, share an adapter (continued pretraining).
    """
    trained = train_edits(trials, parent, examiner.engine, seeds, tasks_per_adapter)
    scored = score_before_and_after(trained, tasks, parent, examiner)
    examiner.engine.release([trial.update for trial in scored if trial.update])
    return [apply_reward(trial, reward) for trial in scored]


def train_edits(
    trials: Sequence[Trial], parent: Update, engine: Engine, seeds: Sequence[int], tasks_per_adapter: int = 1
) -> list[Trial]:
    """SelfEdit -> Update, all trained from the same parent. Trials that failed are left as they are.

    An adapter that several share is trained with the first one's recipe and seed; each has its part of the tokens, and
    a budget of tokens counts for each.
    """
    live = [index for index, trial in enumerate(trials) if trial.failure is None]
    groups = [live[start : start + tasks_per_adapter] for start in range(0, len(live), tasks_per_adapter)]
    jobs = []
    for group in groups:
        examples = tuple(example for index in group for example in trials[index].edit.examples)
        jobs.append(Job(parent, examples, for_edits(trials[group[0]].edit.recipe, len(group)), seeds[group[0]]))
    filled = list(trials)
    for group, outcome in zip(groups, engine.train(jobs), strict=True):
        for index in group:
            if isinstance(outcome, Failure):
                filled[index] = replace(trials[index], failure=outcome)
            else:
                filled[index] = replace(trials[index], update=replace(outcome, tokens=outcome.tokens // len(group)))
    return filled


def for_edits(recipe: Recipe, count: int) -> Recipe:
    """The recipe of an adapter that so many edits share: a budget of tokens counts for each of them."""
    return replace(recipe, tokens=recipe.tokens * count)


def with_more(job: Job, more: Sequence[Example]) -> Job:
    """The job with these examples on top: a budget of tokens grows by their share of the characters, so that what the
    job had before keeps its own. An empty document has no share.
    """
    own, new = (max(1, sum(len(example.prompt) + len(example.target) for example in of)) for of in (job.examples, more))
    tokens = round(job.recipe.tokens * (own + new) / own) if more else job.recipe.tokens
    return replace(job, examples=(*job.examples, *more), recipe=replace(job.recipe, tokens=tokens))


def train_one(trainer: Trainer, job: Job, failed: str) -> Update:
    """The update of a job that nothing goes on without. Raises EngineError, `failed` and why."""
    (outcome,) = trainer.train([job])
    if isinstance(outcome, Failure):
        raise EngineError(f"{failed}: {outcome.message}")
    return outcome


def score_before_and_after(
    trials: Sequence[Trial], tasks: Mapping[str, Task], parent: Update, examiner: Examiner
) -> list[Trial]:
    """Update -> Score, before and after, in one batch. The parent sits each exam once, not once per trial."""
    after = [Exam(trial.update, tasks[trial.edit.task_id], trial.edit) for trial in trials if trial.update]
    before = {exam.task.id: Exam(parent, exam.task) for exam in after}
    scores = iter(score(examiner, [*before.values(), *after]))
    of_parent = {task_id: next(scores) for task_id in before}
    return [
        replace(trial, before=of_parent[trial.edit.task_id], after=next(scores)) if trial.update else trial
        for trial in trials
    ]


def apply_reward(trial: Trial, reward: Reward) -> Trial:
    """Score -> reward. A system failure has no reward: it must not look like a bad edit."""
    if trial.failure:
        return replace(trial, reward=FLOOR) if trial.failure.blame == "policy" else trial
    if not (trial.before and trial.after and trial.before.is_complete and trial.after.is_complete):
        return replace(trial, failure=Failure("system", "a question was not answered or not graded"))
    return replace(trial, reward=reward(trial))


def merge_edits(trials: Sequence[Trial], repeat_context: bool = False) -> Trial:
    """One trial that learns all these edits, equal documents once unless `repeat_context`; by the first one's recipe.

    Edits that could not be read are left out; if none could, nor can the whole. One that the system failed fails it.
    """
    readable = [trial for trial in trials if trial.failure is None]
    failed = [trial for trial in trials if trial.failure and trial.failure.blame == "system"]
    if failed or not readable or len(trials) == 1:
        return (failed or list(trials))[0]
    examples = [example for trial in readable for example in trial.edit.examples]
    kept = tuple(examples if repeat_context else dict.fromkeys(examples))
    text = "\n\n".join(trial.edit.text for trial in readable)
    return replace(readable[0], edit=replace(readable[0].edit, text=text, examples=kept))
