"""The outer loop, end to end, with an engine that has no model."""

import json
import time
from dataclasses import replace

import pytest

from selfedit.config import OuterConfig
from selfedit.domains.knowledge.domain import Knowledge, KnowledgeOptions
from selfedit.engines.fake import NOTES, FakeEngine
from selfedit.errors import EngineError
from selfedit.graders.exact import Contains
from selfedit.loops.examine import Examiner
from selfedit.loops.outer import Outer, credited, kl_examples, propose, run_outer, tasks_of_round, try_batch, try_edits
from selfedit.protocols import FLOOR
from selfedit.rewards.credit import CREDITS, rest_em, threshold
from selfedit.rewards.measured import gain
from selfedit.seeds import derive_seed
from selfedit.store import Run
from selfedit.types import BASE, Example, Failure, Recipe, Request, SamplingParams, SelfEdit, Trial

SETTINGS = OuterConfig(
    rounds=3, tasks_per_round=1, edits_per_task=8, repeats=1, recipe=Recipe(rank=4, epochs=2), sampling=SamplingParams()
)
OUTER = Outer(SETTINGS, reward=gain, credit=rest_em, seed=0, max_adapters=64)


def outer_with(outer=OUTER, reward=None, credit=None, seed=None, max_adapters=None, proxy=None, **settings):
    """The outer loop with some settings changed."""
    own = {"reward": reward, "credit": credit, "seed": seed, "max_adapters": max_adapters, "proxy": proxy}
    changed = replace(outer, settings=outer.settings.model_copy(update=settings))
    return replace(changed, **{name: value for name, value in own.items() if value is not None})


DOWN = Failure("system", "503")


class DownJudge:
    def grade(self, pairs):
        return [DOWN for _ in pairs]


class Crash(BaseException):
    """What a kill looks like from inside: nothing may catch it."""


INNER = Recipe(rank=2, epochs=3)


def examiner(engine, grader=None):
    return Examiner(engine, Knowledge(recipe=INNER), grader or Contains())


def compute(stage, step, trials, noun):
    """A `remember` that forgets."""
    return trials()


def trial(text, reward, task_id="apollo", failure=None, member=0, repeat=0):
    edit = SelfEdit(task_id, f"prompt of {task_id}", text)
    return Trial(edit, reward=reward, failure=failure, member=member, repeat=repeat)


def noting(calls, name, function):
    """The function, which now also notes what it was called with."""

    def noted(*arguments):
        calls.append((name, arguments))
        return function(*arguments)

    return noted


def share_of_useful(policy, task, engine):
    trials = propose(policy, [(task, 0)] * 200, Knowledge(), engine, SamplingParams(), range(200))
    return sum(trial.edit.text.startswith("To remember") for trial in trials) / len(trials)


# Learning


@pytest.mark.parametrize("credit", CREDITS)
def test_the_policy_learns_to_write_useful_edits_about_new_passages(engine, tasks, tmp_path, credit):
    *practice, new = tasks
    outer = outer_with(credit=CREDITS[credit], recipe=replace(SETTINGS.recipe, ratio_clip=0.2))
    policy = run_outer(practice, examiner(engine), outer, compute, tmp_path)
    assert share_of_useful(BASE, new, engine) < 0.5
    least = 0.5 if credit == "best_by_advantage" else 0.8  # it learns less the more alike the edits of a group are
    assert share_of_useful(policy, new, engine) > least


def policy_jobs(engine):
    return [job for job in engine.jobs if job.recipe == SETTINGS.recipe]


def test_rounds_are_adapted_and_examined_from_the_policy_of_the_round_before(engine, tasks, tmp_path):
    run_outer(tasks, examiner(engine), outer_with(rounds=2), compute, tmp_path)
    first = engine.load(tmp_path / "round-0")
    inner = [job for job in engine.jobs if job.recipe == INNER]
    assert list(dict.fromkeys(job.parent for job in inner)) == [BASE, first]
    (second,) = [job for job in policy_jobs(engine) if job.parent == first]
    assert second.examples


def test_a_policy_learned_anew_begins_at_the_first_with_the_examples_of_all_rounds(engine, tasks, tmp_path):
    run_outer(tasks, examiner(engine), outer_with(rounds=3, anew=True), compute, tmp_path)
    jobs = policy_jobs(engine)
    assert [job.parent for job in jobs] == [BASE] * 3
    assert [len(job.examples) for job in jobs] == [1, 2, 3]
    assert jobs[2].examples[:2] == jobs[1].examples and jobs[1].examples[:1] == jobs[0].examples


def test_policies_learned_anew_are_the_same_when_a_run_goes_on(engine, tasks, tmp_path):
    outer, stored = outer_with(rounds=3, anew=True), dict[tuple[str, int], list[Trial]]()

    def kept(stage, step, trials, noun):
        if (stage, step) not in stored:
            stored[stage, step] = trials()
        return stored[stage, step]

    run_outer(tasks, examiner(engine), outer_with(outer, rounds=2), kept, tmp_path)
    run_outer(tasks, examiner(engine), outer, kept, tmp_path)
    *_, third = policy_jobs(engine)
    assert len(policy_jobs(engine)) == 3 and third.parent == BASE and len(third.examples) == 3


def test_a_policy_is_loaded_in_place_of_the_update_that_was_trained(engine, tasks, tmp_path):
    calls = []
    for method in ("save", "release", "load"):
        setattr(engine, method, noting(calls, method, getattr(engine, method)))
    policy = run_outer(tasks[:1], examiner(engine), outer_with(rounds=1), compute, tmp_path)
    assert [(method, arguments[0]) for method, arguments in calls][1:] == [
        ("save", policy),
        ("release", [policy]),
        ("load", tmp_path / "round-0"),
    ]


def of_these(*trials):
    """A `remember` that knows the trials of every round."""
    return lambda stage, step, compute, noun: list(trials)


def test_the_policy_is_trained_on_what_it_was_shown_and_what_it_wrote(engine, tasks, tmp_path):
    trials = of_these(trial("good", 0.5), trial("bad", 0.0, member=1))
    run_outer(tasks, examiner(engine), outer_with(rounds=1, seed=5), trials, tmp_path)
    (job,) = engine.jobs
    assert job.examples == (Example("prompt of apollo", "good", 1.0),)
    assert (job.parent, job.recipe, job.seed) == (BASE, SETTINGS.recipe, derive_seed(5, "round-0", "policy"))


def test_a_policy_is_held_to_what_the_first_one_answers(engine, tasks, tmp_path):
    outer = outer_with(rounds=2, tasks_per_round=1, kl_prompts=2)
    run_outer(tasks[:2], examiner(engine), outer, compute, tmp_path)
    updates = policy_jobs(engine)
    for task, job in zip(tasks, updates, strict=False):
        held = [example for example in job.examples if example.teacher]
        prompts = [prompt for question in task.questions for prompt in Knowledge().exam(task, question)]
        said = engine.sample([Request(BASE, prompt) for prompt in prompts[:2]])
        assert held == [Example(prompt, text, teacher=BASE.id) for prompt, text in zip(prompts, said, strict=True)]
    assert [job.parent for job in updates] == [BASE, engine.load(tmp_path / "round-0")]


def test_a_round_without_credit_is_not_held_to_anything(engine, tasks, tmp_path):
    assert kl_examples(tasks[:1], BASE, examiner(engine), 2)
    outer = outer_with(credit=threshold, kl_prompts=2)
    assert run_outer(tasks, examiner(engine), outer, of_these(trial("bad", -0.5)), tmp_path) is BASE
    assert engine.jobs == []


def test_credit_is_given_within_each_task():
    first = [trial("a", 0.9), trial("b", 0.1, "torvik")]
    trials = [*first, trial("c", 0.8, member=1), trial("d", 0.2, "torvik", member=1)]
    assert [example.target for example in credited(trials, rest_em)] == ["a", "d"]


# Failures


def test_an_unreadable_edit_is_never_imitated_even_where_all_are():
    unreadable = trial("", FLOOR, failure=Failure("policy", "the notes are empty"))
    assert list(credited([unreadable, unreadable], rest_em)) == []


def test_an_edit_that_the_system_failed_takes_no_part_in_credit():
    lost = trial("lost", None, failure=DOWN)
    trials = [lost, trial("worse", -0.5, member=1), trial("bad", -0.2, member=2)]
    assert [example.target for example in credited(trials, rest_em)] == ["bad"]


def test_a_broken_grader_gives_no_reward_and_no_policy(engine, tasks, tmp_path):
    seen = []

    def remember(stage, number, trials, noun):
        found = trials()
        seen.extend(found)
        return found

    policy = run_outer(tasks, examiner(engine, DownJudge()), OUTER, remember, tmp_path)
    assert policy is BASE
    assert {trial.reward for trial in seen} == {None, FLOOR}
    assert list(tmp_path.iterdir()) == []


def test_a_round_without_credit_keeps_the_policy(engine, tasks, tmp_path):
    policy, trials = replace(BASE, id="policy"), of_these(trial("bad", -0.5))
    outer = outer_with(credit=threshold)
    assert run_outer(tasks, examiner(engine), outer, trials, tmp_path, start=policy) is policy
    assert engine.jobs == []


def test_a_broken_sampler_still_gives_one_trial_per_request(engine, tasks):
    engine.sample = lambda requests: [DOWN for _ in requests]
    trials = try_batch("round-0", tasks, BASE, examiner(engine), OUTER)
    assert [trial.edit.task_id for trial in trials] == [task.id for task in tasks for _ in range(8)]
    assert {(trial.reward, trial.failure) for trial in trials} == {(None, DOWN)}


def test_one_request_that_fails_does_not_touch_its_neighbours(engine, tasks):
    def sample(requests):
        texts = FakeEngine(tasks, NOTES[:1], needed=2).sample(requests)
        return [DOWN, *texts[1:]]

    engine.sample = sample
    trials = propose(BASE, [(task, 0) for task in tasks], Knowledge(), engine, SamplingParams(), range(4))
    assert [trial.failure for trial in trials] == [DOWN, None, None, None]


def test_an_engine_that_loses_a_text_is_an_error_and_no_text_goes_to_another_task(engine, tasks):
    engine.sample = lambda requests: ["text"] * (len(requests) - 1)
    with pytest.raises(ValueError, match="shorter"):
        propose(BASE, [(task, 0) for task in tasks], Knowledge(), engine, SamplingParams(), range(4))


def test_a_policy_that_cannot_be_trained_stops_the_run(engine, tasks, tmp_path):
    engine.train = lambda jobs: [Failure("system", "out of memory")]
    with pytest.raises(EngineError, match="out of memory"):
        run_outer(tasks, examiner(engine), OUTER, of_these(trial("good", 0.5)), tmp_path)


# Which tasks, in which batches


def test_each_round_takes_the_next_tasks(tasks):
    assert tasks_of_round(tasks, 2, 0) + tasks_of_round(tasks, 2, 1) == tasks


def test_tasks_come_again_when_they_run_out(tasks):
    assert tasks_of_round(tasks, 3, 1) == [tasks[3], tasks[0], tasks[1]]


def test_no_round_has_a_task_twice(tasks):
    found = tasks_of_round(tasks, 50, 1)
    assert sorted(task.id for task in found) == sorted(task.id for task in tasks)


@pytest.mark.parametrize(("max_adapters", "sizes"), [(64, [12]), (7, [6, 6]), (6, [6, 6]), (1, [3, 3, 3, 3])])
def test_a_batch_holds_as_many_whole_tasks_as_fit_and_at_least_one(engine, tasks, max_adapters, sizes):
    found = []

    def remember(stage, number, trials, noun):
        found.append(trials())
        return found[-1]

    trials = try_edits(
        "round-0", tasks, BASE, examiner(engine), outer_with(edits_per_task=3, max_adapters=max_adapters), remember
    )
    assert [len(trials) for trials in found] == sizes
    assert [trial.edit.task_id for trial in trials] == [task.id for task in tasks for _ in range(3)]


def test_trials_do_not_depend_on_the_size_of_the_batches(engine, tasks):
    small, large = (
        try_edits("round-0", tasks, BASE, examiner(engine), outer_with(max_adapters=size), compute) for size in (1, 64)
    )
    assert small == large


def test_progress_ends_with_everything_done(engine, tasks):
    told = []
    try_edits(
        "round-0", tasks, BASE, examiner(engine), outer_with(max_adapters=8), compute, lambda *row: told.append(row)
    )
    assert [done for _, done, _, _ in told] == [0, 8, 16, 24, 32]
    assert {(what, total) for what, _, total, _ in told} == {("round-0", 32)}
    assert told[0][3] == "" and told[-1][3].startswith("reward ")


# Seeds


def written_with(new_engine, tasks, tmp_path, seed=0):
    engine = new_engine()
    outer = outer_with(rounds=2, tasks_per_round=4, seed=seed)
    run_outer(tasks, examiner(engine), outer, compute, tmp_path / f"{seed}")
    return [request.seed for request in engine.requests if request.temperature], [job.seed for job in engine.jobs]


def test_seeds_differ_between_rounds_tasks_members_and_configs(new_engine, tasks, tmp_path):
    seeds = [seed for config in (0, 1) for seed in written_with(new_engine, tasks, tmp_path, config)[0]]
    assert len(seeds) == len(set(seeds)) == 2 * 2 * 4 * 8  # configs x rounds x tasks x members


def test_no_two_trainings_share_a_seed(new_engine, tasks, tmp_path):
    _, seeds = written_with(new_engine, tasks, tmp_path)
    assert len(seeds) == len(set(seeds))


def test_seeds_do_not_depend_on_the_clock(new_engine, tasks, tmp_path, monkeypatch):
    before = written_with(new_engine, tasks, tmp_path / "before")
    for clock in ("time", "time_ns", "monotonic", "monotonic_ns", "perf_counter"):
        monkeypatch.setattr(time, clock, lambda: 0)
    assert written_with(new_engine, tasks, tmp_path / "after") == before


# Resuming


OF_TWO_BATCHES = outer_with(rounds=2, tasks_per_round=2, edits_per_task=4, max_adapters=4)
"""Six trainings: in each round two batches and the policy."""


def run_stored(folder, tasks, engine):
    with Run.create(folder, {"seed": 0}) as run:
        policy = run_outer(tasks, examiner(engine), OF_TWO_BATCHES, run.remember, run.updates)
        return policy, [(batch.stage, batch.step, batch.trials) for batch in run.batches()]


def crash_at(engine, method, call):
    """Let this call of the engine's method be its last."""
    original, calls = getattr(engine, method), []

    def crashing(*arguments):
        calls.append(arguments)
        if len(calls) == call:
            raise Crash
        return original(*arguments)

    setattr(engine, method, crashing)


@pytest.mark.parametrize(
    ("method", "call"), [*[("train", call) for call in range(1, 7)], ("sample", 4), ("save", 1), ("load", 2)]
)
def test_a_run_that_crashed_and_was_resumed_equals_one_that_did_not(new_engine, tasks, tmp_path, method, call):
    uninterrupted = run_stored(tmp_path / "whole", tasks, new_engine())
    crashing = new_engine()
    crash_at(crashing, method, call)
    with pytest.raises(Crash):
        run_stored(tmp_path / "crashed", tasks, crashing)
    assert run_stored(tmp_path / "crashed", tasks, new_engine()) == uninterrupted
    whole, crashed = (
        json.loads((tmp_path / name / "updates" / "round-1" / "update.json").read_text())
        for name in ("whole", "crashed")
    )
    assert whole == crashed


def test_a_resumed_run_tries_again_only_what_was_not_stored(new_engine, tasks, tmp_path):
    crashing, engine = new_engine(), new_engine()
    crash_at(crashing, "train", 5)  # the second batch of the second round
    with pytest.raises(Crash):
        run_stored(tmp_path, tasks, crashing)
    run_stored(tmp_path, tasks, engine)
    assert {request.prompt for request in engine.requests if request.temperature} == {Knowledge().prompts(tasks[3])[0]}


def test_a_finished_run_is_only_read(new_engine, tasks, tmp_path):
    finished = run_stored(tmp_path, tasks, new_engine())
    engine = new_engine()
    assert run_stored(tmp_path, tasks, engine) == finished
    assert engine.requests == engine.jobs == []


# Repeats, prompts, proxies


def test_every_edit_is_tried_as_often_as_asked_with_its_own_seeds(engine, tasks):
    outer = outer_with(edits_per_task=3, repeats=2, repeat_check=0)
    trials = try_batch("round-0", tasks[:2], BASE, examiner(engine), outer)
    tried = [trial for trial in trials if trial.update]
    assert all(trial.repeat in (0, 1) for trial in trials)
    for trial in tried:
        twin = [other for other in tried if (other.edit, other.member) == (trial.edit, trial.member)]
        assert {other.repeat for other in twin} == {0, 1}
    assert len({job.seed for job in engine.jobs}) == len(engine.jobs)


def test_the_first_try_is_the_same_however_many_follow(engine, tasks):
    once, twice = (
        try_batch("round-0", tasks, BASE, examiner(engine), outer_with(repeats=repeats)) for repeats in (1, 2)
    )
    assert [trial for trial in twice if trial.repeat == 0] == once


def test_checked_tasks_alone_are_tried_twice(engine, tasks):
    trials = try_edits("round-0", tasks, BASE, examiner(engine), outer_with(repeat_check=1), compute)
    assert {trial.edit.task_id for trial in trials if trial.repeat} == {tasks[0].id}


def test_credit_goes_by_the_mean_of_the_repeats():
    lucky = [trial("lucky", 1.0), trial("lucky", 0.0, repeat=1)]
    steady = [trial("steady", 0.6, member=1), trial("steady", 0.6, member=1, repeat=1)]
    assert [example.target for example in credited([*lucky, *steady], rest_em)] == ["steady"]


def test_the_members_of_a_pool_are_asked_in_different_ways(engine, tasks):
    domain = Knowledge(KnowledgeOptions(prompt="pool"))
    trials = propose(BASE, [(tasks[0], member) for member in range(5)], domain, engine, SamplingParams(), range(5))
    assert len({trial.edit.prompt for trial in trials}) == 5
    assert {trial.edit.prompt for trial in trials} == {request.prompt for request in engine.requests}


class Listing:
    """Lists two names of the passage and one that is not in it, then says how two are related."""

    def sample(self, requests):
        self.asked = [request.prompt for request in requests]
        return ["1. Apollo 11\n2. Neil Armstrong\n3. Mars" if "one per line" in p else "A led B." for p in self.asked]


def test_entity_pairs_are_asked_about_in_a_second_step(tasks):
    sampler = Listing()
    (trial,) = propose(
        BASE, [(tasks[0], 0)], Knowledge(KnowledgeOptions(prompt="entity-pair")), sampler, SamplingParams(), [7]
    )
    assert len(sampler.asked) == 1 and "Apollo 11 and Neil Armstrong" in sampler.asked[0]
    assert trial.edit.text == "A led B."
    assert [example.target.split("\n")[1] for example in trial.edit.examples] == ["A led B.", tasks[0].context]


class ByLength:
    def rate(self, edits):
        return [Failure("system", "503") if "much" in edit.text else float(len(edit.text)) for _, edit in edits]


def test_with_a_proxy_no_edit_is_tried_and_its_failures_are_no_rewards(engine, tasks):
    trials = try_batch("round-0", tasks, BASE, examiner(engine), outer_with(proxy=ByLength()))
    assert engine.jobs == []
    for each in trials:
        if not each.edit.text:
            assert each.reward == FLOOR
        elif "much" in each.edit.text:
            assert each.reward is None and each.failure.blame == "system"
        else:
            assert each.reward == len(each.edit.text)
