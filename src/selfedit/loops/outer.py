"""The outer loop: task -> self-edit -> update -> score -> reward -> policy, and again."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from selfedit.errors import BadEdit
from selfedit.loops.inner import Examiner, derive_seed, run_inner, train_one
from selfedit.protocols import Credit, Domain, Progress, Proxy, Reward, Sampler, Trainer, silent
from selfedit.rewards.measured import FLOOR
from selfedit.types import BASE, Example, Failure, Job, Recipe, Request, SelfEdit, Task, Trial, Update

Remember = Callable[[str, int, Callable[[], list[Trial]]], list[Trial]]
"""(stage, wave, how to compute it) -> its trials, from the store where they are already there."""


@dataclass(frozen=True, slots=True)
class SamplingParams:
    """How the policy writes. SEAL's values (spec 1.2), but for the length, which is this project's."""

    temperature: float = 1.0
    top_p: float = 0.95
    max_new_tokens: int = 512


@dataclass(frozen=True, slots=True)
class Outer:
    """Everything the outer loop needs to know; the config's `outer` table, resolved.

    Every edit is tried `repeats` times with different seeds, those of the first `probe` tasks of a round at least
    twice: that shows how reliable the reward is. With a `proxy` no edit is tried, and `reward` is used in exams only.
    The tasks in `earlier` are learned at the beginning of each round, and its edits are tried on top of them.
    `anchors` answers per task hold the policy to what the first one answers in exams, while it learns what to write.
    """

    rounds: int
    tasks_per_round: int
    group_size: int
    wave: int
    writing: SamplingParams
    recipe: Recipe
    reward: Reward
    credit: Credit
    seed: int
    repeats: int = 1
    probe: int = 0
    proxy: Proxy | None = None
    earlier: tuple[Task, ...] = ()
    anchors: int = 0


def run_outer(
    tasks: Sequence[Task],
    examiner: Examiner,
    outer: Outer,
    remember: Remember,
    updates: Path,
    progress: Progress = silent,
    start: Update = BASE,
) -> Update:
    """Returns the last policy; the first is `start`.

    Each round has its own tasks, and its policy is saved in `updates`/round-N. A policy that is there already is
    loaded, and waves that `remember` knows are not run again: so a run resumes.
    """
    policy = start
    for number in range(outer.rounds):
        stage, folder = f"round-{number}", updates / f"round-{number}"
        if not folder.exists():
            of_round = chosen(tasks, outer, number)
            parent = learn_earlier(stage, policy, examiner, outer, updates) if outer.earlier else policy
            trials = run_waves(stage, of_round, policy, examiner, outer, remember, progress, parent)
            held = anchors(of_round, start, examiner, outer.anchors)
            seed = derive_seed(outer.seed, stage, "policy")
            update = improve(policy, trials, outer, examiner.engine, seed, held)
            if update is policy:
                continue
            examiner.engine.save(update, folder)
            examiner.engine.release([update])
        policy = examiner.engine.load(folder)
    return policy


def learn_earlier(stage: str, policy: Update, examiner: Examiner, outer: Outer, updates: Path) -> Update:
    """What the edits of a round are tried on where retention counts: the policy, once it has learned other tasks."""
    folder = updates / f"{stage}-earlier"
    if not folder.exists():
        members = [(task, 0) for task in outer.earlier]
        seeds = [derive_seed(outer.seed, stage, "earlier", task.id) for task in outer.earlier]
        written = propose(policy, members, examiner.domain, examiner.engine, outer.writing, seeds)
        examples = tuple(example for trial in written for example in trial.edit.examples)
        recipe = examiner.domain.without_edit(outer.earlier[0]).recipe
        job = Job(policy, examples, recipe, derive_seed(outer.seed, stage, "earlier"))
        update = train_one(examiner.engine, job, "the earlier tasks could not be learned")
        examiner.engine.save(update, folder)
        examiner.engine.release([update])
    return examiner.engine.load(folder)


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
    parent: Update | None = None,
) -> list[Trial]:
    """Propose and try `group_size` edits per task, a wave of whole tasks at a time, on `parent` or the policy."""
    size = max(1, outer.wave // (outer.group_size * outer.repeats))
    probed = frozenset(task.id for task in tasks[: outer.probe])
    trials: list[Trial] = []
    for number, start in enumerate(range(0, len(tasks), size)):
        progress(stage, start * outer.group_size, len(tasks) * outer.group_size, _mean_reward(trials))
        wave = tasks[start : start + size]
        trials += remember(
            stage,
            number,
            lambda wave=wave: run_wave(stage, wave, policy, examiner, outer, probed, parent),  # type: ignore[misc]
        )
    progress(stage, len(tasks) * outer.group_size, len(tasks) * outer.group_size, _mean_reward(trials))
    return trials


def run_wave(
    stage: str,
    tasks: Sequence[Task],
    policy: Update,
    examiner: Examiner,
    outer: Outer,
    probed: frozenset[str] = frozenset(),
    parent: Update | None = None,
) -> list[Trial]:
    """Every edit of these tasks, written and rewarded. Of the tasks in `probed` each is tried at least twice."""
    by_id = {task.id: task for task in tasks}
    members = [(task, member) for task in tasks for member in range(outer.group_size)]
    seeds = {(task.id, member): derive_seed(outer.seed, stage, task.id, member) for task, member in members}
    written = propose(policy, members, examiner.domain, examiner.engine, outer.writing, list(seeds.values()))
    if outer.proxy:
        return rate(written, by_id, outer.proxy)
    tries = [
        (replace(trial, repeat=repeat), _repeated(seeds[trial.edit.task_id, trial.member], repeat))
        for trial in written
        for repeat in range(_tries(trial, outer, probed))
    ]
    seeds_of_tries = [seed for _, seed in tries]
    return run_inner([trial for trial, _ in tries], by_id, parent or policy, examiner, outer.reward, seeds_of_tries)


def _tries(trial: Trial, outer: Outer, probed: frozenset[str]) -> int:
    if trial.failure:
        return 1
    return max(outer.repeats, 2) if trial.edit.task_id in probed else outer.repeats


def _repeated(seed: int, repeat: int) -> int:
    return derive_seed(seed, repeat) if repeat else seed


def rate(trials: Sequence[Trial], tasks: Mapping[str, Task], proxy: Proxy) -> list[Trial]:
    """SelfEdit -> reward, by a look at the edit instead of a try."""
    live = {index: trial.edit for index, trial in enumerate(trials) if trial.failure is None}
    ratings = dict(zip(live, proxy.rate([(tasks[edit.task_id], edit) for edit in live.values()]), strict=True))
    return [_rated(trial, ratings.get(index)) for index, trial in enumerate(trials)]


def _rated(trial: Trial, rating: float | Failure | None) -> Trial:
    if rating is None:
        return replace(trial, reward=FLOOR) if trial.failure and trial.failure.blame == "policy" else trial
    return replace(trial, failure=rating) if isinstance(rating, Failure) else replace(trial, reward=rating)


def propose(
    policy: Update,
    members: Sequence[tuple[Task, int]],
    domain: Domain,
    sampler: Sampler,
    writing: SamplingParams,
    seeds: Sequence[int],
) -> list[Trial]:
    """Task -> SelfEdit. Every (task, number of the edit) becomes exactly one trial, whatever happens to it."""

    def ask(prompts: Sequence[str], seeds: Sequence[int]) -> list[str | Failure]:
        how = (writing.temperature, writing.top_p, writing.max_new_tokens)
        return sampler.sample([Request(policy, p, seed, *how) for p, seed in zip(prompts, seeds, strict=True)])

    texts = ask([domain.prompt(task, member) for task, member in members], seeds)
    more = [
        [] if isinstance(text, Failure) else domain.follow_ups(task, text)
        for (task, _), text in zip(members, texts, strict=True)
    ]
    flat = [derive_seed(seed, index) for seed, own in zip(seeds, more, strict=True) for index in range(len(own))]
    answers = iter(ask([prompt for own in more for prompt in own], flat) if flat else [])
    whole = [_joined(text, [next(answers) for _ in own]) for text, own in zip(texts, more, strict=True)]
    return [read(task, member, text, domain) for (task, member), text in zip(members, whole, strict=True)]


def _joined(text: str | Failure, answers: Sequence[str | Failure]) -> str | Failure:
    """The answers to the follow-ups are the edit; what led to them is not."""
    failed = [answer for answer in answers if isinstance(answer, Failure)]
    return failed[0] if failed else "\n".join(map(str, answers)) if answers else text


def read(task: Task, member: int, text: str | Failure, domain: Domain) -> Trial:
    prompt = domain.prompt(task, member)
    if isinstance(text, Failure):
        return Trial(SelfEdit(task.id, prompt), failure=text, member=member)
    try:
        return Trial(domain.parse(task, text, member), member=member)
    except BadEdit as error:
        return Trial(SelfEdit(task.id, prompt, text), failure=Failure("policy", str(error)), member=member)


def improve(
    policy: Update,
    trials: Sequence[Trial],
    outer: Outer,
    trainer: Trainer,
    seed: int,
    held: Sequence[Example] = (),
) -> Update:
    """Reward -> policy. The same trainer as the inner loop, on the edits themselves, weighted by credit.

    It stays what it was on the examples that are `held`.
    """
    examples = tuple(credited(trials, outer.credit))
    if not examples:
        return policy  # no edit earned credit: nothing to learn from this round
    return train_one(trainer, Job(policy, (*examples, *held), outer.recipe, seed), "the policy update failed")


def anchors(tasks: Sequence[Task], start: Update, examiner: Examiner, count: int) -> list[Example]:
    """What `start` says to the first `count` prompts of each task's exam, with `start` as the teacher.

    Right or wrong: as soft targets they keep a policy from losing, by learning to write, what edits build on.
    """
    domain = examiner.domain
    exams = [[text for question in task.questions for text in domain.exam(task, question)][:count] for task in tasks]
    prompts = [prompt for exam in exams for prompt in exam]
    requests = [Request(start, prompt, max_new_tokens=examiner.max_new_tokens) for prompt in prompts]
    said = examiner.engine.sample(requests) if requests else []
    return [
        Example(prompt, text, teacher=start.id)
        for prompt, text in zip(prompts, said, strict=True)
        if text and isinstance(text, str)
    ]


def credited(trials: Sequence[Trial], credit: Credit) -> Iterator[Example]:
    """The edits that the policy should learn from, each with its weight. Repeats of an edit count with their mean.

    Those that could not be read or rewarded take no part.
    """
    groups: dict[str, dict[int, list[Trial]]] = defaultdict(lambda: defaultdict(list))
    for trial in trials:
        if trial.reward is not None and trial.failure is None:
            groups[trial.edit.task_id][trial.member].append(trial)
    for group in groups.values():
        rewards = [sum(t.reward or 0.0 for t in repeats) / len(repeats) for repeats in group.values()]
        for repeats, weight in zip(group.values(), credit(rewards), strict=True):
            if weight:
                yield Example(repeats[0].edit.prompt, repeats[0].edit.text, weight)


def _mean_reward(trials: Sequence[Trial]) -> str:
    rewards = [trial.reward for trial in trials if trial.reward is not None]
    return f"reward {sum(rewards) / len(rewards):+.3f}" if rewards else ""
