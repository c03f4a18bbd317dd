"""The outer loop: task -> self-edit -> update -> score -> reward -> policy, and again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import NamedTuple

from selfedit.config import OuterConfig
from selfedit.errors import BadEdit, InputError
from selfedit.loops.examine import Examiner, batched
from selfedit.loops.inner import for_edits, run_inner, train_one
from selfedit.loops.lines import line_targets, lines_of, parts_of
from selfedit.loops.reading import leave_out_misread
from selfedit.protocols import FLOOR, Credit, Domain, Progress, Proxy, Remember, Reward, Sampler, Scorer, silent
from selfedit.seeds import derive_seed
from selfedit.statistics import rewarded
from selfedit.types import (
    BASE,
    Example,
    Failure,
    Job,
    Prompt,
    Request,
    SamplingParams,
    SelfEdit,
    Task,
    Trial,
    Update,
    as_conversation,
)


@dataclass(frozen=True, slots=True)
class Outer:
    """The outer loop's settings, and what stands behind the names in them.

    With a `proxy` no edit is tried, and `reward` is used in exams only. The `retention_tasks` are learned at the
    beginning of each round, and its edits are tried on top of them.
    """

    settings: OuterConfig
    reward: Reward
    credit: Credit
    seed: int = 0
    max_adapters: int = 64
    proxy: Proxy | None = None
    retention_tasks: tuple[Task, ...] = ()


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
    loaded, and batches that `remember` knows are not run again: so a run resumes.

    With `outer.anew` every policy is learned from `start`, from the examples of all rounds so far. ReST-EM begins at
    the first model each time too, with those of the last round (arXiv 2312.06585, section 3); SEAL goes on from the
    last policy.
    """
    engine, policy, settings, earlier = examiner.engine, start, outer.settings, list[Example]()
    for number in range(settings.rounds):
        stage, folder = f"round-{number}", updates / f"round-{number}"
        if settings.anew or not folder.exists():
            of_round = tasks_of_round(tasks, settings.tasks_per_round, number)
            examples = earlier + examples_of_round(
                stage, of_round, policy, start, examiner, outer, remember, updates, progress
            )
            if examples == earlier:
                continue  # no edit earned credit: nothing to learn from this round
            if settings.anew:
                earlier = examples
        if not folder.exists():
            parent = start if settings.anew else policy
            job = Job(parent, tuple(examples), settings.recipe, derive_seed(outer.seed, stage, "policy"))
            update = train_one(engine, job, "the policy update failed")
            engine.save(update, folder)
            engine.release([update])
        policy = engine.load(folder)
    return policy


def examples_of_round(
    stage: str,
    tasks: Sequence[Task],
    policy: Update,
    start: Update,
    examiner: Examiner,
    outer: Outer,
    remember: Remember,
    updates: Path,
    progress: Progress = silent,
) -> list[Example]:
    """What the next policy learns from: the edits or lines of this round that earned credit, and what holds it to
    `start`; empty where none did.
    """
    parent = learn_retention_tasks(stage, policy, examiner, outer, updates) if outer.retention_tasks else policy
    trials = try_edits(stage, tasks, policy, examiner, outer, remember, progress, parent)
    if outer.settings.line_tokens:
        tried = try_lines(stage, tasks, trials, parent, examiner, outer, remember, progress)
        examples = list(line_targets(tried, trials, {task.id: task for task in tasks}, examiner.domain))
    else:
        examples = list(credited(trials, outer.credit))
    return [*examples, *kl_examples(tasks, start, examiner, outer.settings.kl_prompts)] if examples else []


def tasks_of_round(tasks: Sequence[Task], count: int, number: int) -> list[Task]:
    """The next `count` tasks each time, from the start again when they run out."""
    return [tasks[(number * count + offset) % len(tasks)] for offset in range(min(count, len(tasks)))]


def learn_retention_tasks(stage: str, policy: Update, examiner: Examiner, outer: Outer, updates: Path) -> Update:
    """What the edits of a round are tried on where retention counts: the policy, once it has learned other tasks."""
    engine, domain, folder = examiner.engine, examiner.domain, updates / f"{stage}-earlier"
    if not folder.exists():
        members = [(task, 0) for task in outer.retention_tasks]
        seeds = [derive_seed(outer.seed, stage, "earlier", task.id) for task in outer.retention_tasks]
        written = propose(policy, members, domain, engine, outer.settings.sampling, seeds, engine)
        examples = tuple(example for trial in written for example in trial.edit.examples)
        recipe = for_edits(domain.without_edit(outer.retention_tasks[0]).recipe, len(written))
        job = Job(policy, examples, recipe, derive_seed(outer.seed, stage, "earlier"))
        update = train_one(engine, job, "the retention tasks could not be learned")
        engine.save(update, folder)
        engine.release([update])
    return engine.load(folder)


def try_edits(
    stage: str,
    tasks: Sequence[Task],
    policy: Update,
    examiner: Examiner,
    outer: Outer,
    remember: Remember,
    progress: Progress = silent,
    parent: Update | None = None,
) -> list[Trial]:
    """Write and try every edit of these tasks, a batch of whole tasks at a time, on `parent` or the policy."""
    settings, trials = outer.settings, list[Trial]()
    size = max(1, outer.max_adapters // (settings.edits_per_task * settings.repeats))
    checked = frozenset(task.id for task in tasks[: settings.repeat_check])
    total = len(tasks) * settings.edits_per_task
    for number, start in enumerate(range(0, len(tasks), size)):
        progress(stage, start * settings.edits_per_task, total, _mean_reward(trials))
        batch = tasks[start : start + size]
        compute = partial(try_batch, stage, batch, policy, examiner, outer, checked, parent)
        trials += remember(stage, number, compute, Trial)
    progress(stage, total, total, _mean_reward(trials))
    return trials


def try_lines(
    stage: str,
    tasks: Sequence[Task],
    written: Sequence[Trial],
    parent: Update,
    examiner: Examiner,
    outer: Outer,
    remember: Remember,
    progress: Progress = silent,
) -> list[Trial]:
    """Every different line of the edits as a trial, trained alone from `parent` for `outer.line_tokens` tokens. Edits
    that could not be read have no lines.
    """
    by_id = {task.id: task for task in tasks}
    lines = lines_of(written, by_id, examiner.domain, outer.settings.line_tokens)
    tried = list[Trial]()
    for number, start in enumerate(range(0, len(lines), outer.max_adapters)):
        progress(f"{stage}, by line", start, len(lines), "")
        batch = lines[start : start + outer.max_adapters]
        seeds = [derive_seed(outer.seed, stage, trial.edit.task_id, trial.edit.text) for trial in batch]
        compute = partial(run_inner, batch, by_id, parent, examiner, outer.reward, seeds)
        tried += remember(f"{stage}/lines", number, compute, Trial)
    progress(f"{stage}, by line", len(lines), len(lines), "")
    return tried


def try_batch(
    stage: str,
    tasks: Sequence[Task],
    policy: Update,
    examiner: Examiner,
    outer: Outer,
    checked: frozenset[str] = frozenset(),
    parent: Update | None = None,
) -> list[Trial]:
    """Every edit of these tasks, written and rewarded. Of the tasks in `checked` each is tried at least twice."""
    settings, by_id = outer.settings, {task.id: task for task in tasks}
    members = [(task, member) for task in tasks for member in range(settings.edits_per_task)]
    seeds = [derive_seed(outer.seed, stage, task.id, member) for task, member in members]
    written = propose(policy, members, examiner.domain, examiner.engine, settings.sampling, seeds, examiner.engine)
    if settings.line_tokens:
        return written
    if outer.proxy:
        return rate(written, by_id, outer.proxy)
    tries, seeds_of_tries = list[Trial](), list[int]()
    for trial, seed in zip(written, seeds, strict=True):
        repeats = max(settings.repeats, 2) if trial.edit.task_id in checked else settings.repeats
        for repeat in range(1 if trial.failure else repeats):
            tries.append(replace(trial, repeat=repeat))
            seeds_of_tries.append(derive_seed(seed, repeat) if repeat else seed)
    return run_inner(tries, by_id, parent or policy, examiner, outer.reward, seeds_of_tries)


def propose(
    policy: Update,
    members: Sequence[tuple[Task, int]],
    domain: Domain,
    sampler: Sampler,
    sampling: SamplingParams,
    seeds: Sequence[int],
    scorer: Scorer | None = None,
) -> list[Trial]:
    """Task -> SelfEdit. Every (task, number of the edit) becomes exactly one trial, whatever happens to it.

    Where a domain has follow-ups, the answers to these are the edit; what led to them is not. `scorer`
    reads what was written again, where a domain wants that.
    """

    asked = [Writing(policy, task, member, seed) for (task, member), seed in zip(members, seeds, strict=True)]
    trials = write(asked, domain, sampler, sampling)
    return leave_out_misread(trials, {task.id: task for task, _ in members}, domain, scorer) if scorer else trials


class Writing(NamedTuple):
    """Who writes the `member`-th edit of a task, and the seed of it."""

    writer: Update
    task: Task
    member: int
    seed: int


def write(asked: Sequence[Writing], domain: Domain, sampler: Sampler, sampling: SamplingParams) -> list[Trial]:
    """As `propose`, each edit by a writer of its own."""
    how = (sampling.temperature, sampling.top_p, sampling.max_new_tokens)

    def ask(prompts: Sequence[Sequence[Prompt]], later: bool = False) -> list[list[str | Failure]]:
        requests = [
            [Request(of.writer, p, derive_seed(of.seed, n) if later or n else of.seed, *how) for n, p in enumerate(own)]
            for of, own in zip(asked, prompts, strict=True)
        ]
        return batched(requests, sampler.sample) if any(requests) else [[] for _ in requests]

    prompts = [domain.prompts(of.task, of.member) for of in asked]
    texts = ask(prompts)
    more = [
        domain.follow_ups(of.task, own[0]) if len(own) == 1 and isinstance(own[0], str) else []
        for of, own in zip(asked, texts, strict=True)
    ]
    trials = []
    for of, shown, first, asked_next, second in zip(asked, prompts, texts, more, ask(more, later=True), strict=True):
        whole = joined(asked_next, second) if second else joined(shown, first)
        trial = parse_edit(of.task, of.member, whole, domain)
        if len(shown) > 1 and isinstance(whole, str):
            trial = replace(trial, edit=replace(trial.edit, parts=tuple(zip(shown, map(str, first), strict=True))))
        trials.append(trial)
    return trials


def joined(prompts: Sequence[Prompt], texts: Sequence[str | Failure]) -> str | Failure:
    """The answers to prompts, one after another, each with what its prompt has put into the model's mouth; the first
    failure, if there is one.
    """
    failed = next((text for text in texts if isinstance(text, Failure)), None)
    return failed or "\n".join(
        f"{as_conversation(prompt).prefill}{text}" for prompt, text in zip(prompts, texts, strict=True)
    )


def parse_edit(task: Task, member: int, text: str | Failure, domain: Domain) -> Trial:
    """The trial of what a policy wrote; a failure where nothing came back, or nothing that the domain can read."""
    prompt = domain.prompts(task, member)[0]
    if isinstance(text, Failure):
        return Trial(SelfEdit(task.id, prompt), failure=text, member=member)
    try:
        return Trial(domain.parse(task, text, member), member=member)
    except BadEdit as error:
        return Trial(SelfEdit(task.id, prompt, text), failure=Failure("policy", str(error)), member=member)


def rate(trials: Sequence[Trial], tasks: Mapping[str, Task], proxy: Proxy) -> list[Trial]:
    """SelfEdit -> reward, by a look at the edit instead of a try."""
    live = {index: trial.edit for index, trial in enumerate(trials) if trial.failure is None}
    ratings = dict(zip(live, proxy.rate([(tasks[edit.task_id], edit) for edit in live.values()]), strict=True))
    rated = list(trials)
    for index, trial in enumerate(trials):
        rating = ratings.get(index, trial.failure)
        if isinstance(rating, float | int):
            rated[index] = replace(trial, reward=rating)
        elif rating:
            rated[index] = replace(trial, failure=rating, reward=FLOOR if rating.blame == "policy" else None)
    return rated


def credited(trials: Sequence[Trial], credit: Credit) -> Iterator[Example]:
    """The edits that the policy should learn from, each with its weight. Repeats of an edit count with their mean.

    Those that could not be read or rewarded take no part.
    """
    for edits in rewarded(trials):
        rewards = [sum(t.reward or 0.0 for t in repeats) / len(repeats) for repeats in edits]
        weights = list(credit(rewards))
        if len(weights) != len(rewards):
            found = f"{len(weights)} weights for {len(rewards)} rewards"
            raise InputError(f"the function of outer.credit gave {found}; it must give one for each")
        for repeats, weight in zip(edits, weights, strict=True):
            edit = repeats[0].edit
            for prompt, text in parts_of(edit) if weight else ():
                yield Example(prompt, text, weight / max(1, len(edit.parts)))


def kl_examples(tasks: Sequence[Task], start: Update, examiner: Examiner, count: int) -> list[Example]:
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


def _mean_reward(trials: Sequence[Trial]) -> str:
    rewards = [trial.reward for trial in trials if trial.reward is not None]
    return f"reward {fmean(rewards):+.3f}" if rewards else ""
