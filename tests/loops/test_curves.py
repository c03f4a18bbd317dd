"""The same edits at other budgets."""

from dataclasses import replace

import pytest

from selfedit.config import OuterConfig
from selfedit.domains.knowledge.domain import Knowledge
from selfedit.graders.exact import Contains
from selfedit.loops.curves import at_budgets
from selfedit.loops.evaluate import by_kind
from selfedit.loops.examine import Examiner
from selfedit.loops.inner import with_more
from selfedit.loops.outer import Outer
from selfedit.rewards.credit import rest_em
from selfedit.rewards.measured import gain
from selfedit.types import BASE, Example, Failure, Job, Question, Recipe, Score, SelfEdit, Task, Trial

DOMAIN = Knowledge(recipe=Recipe(rank=2, epochs=3))
OUTER = Outer(OuterConfig(), reward=gain, credit=rest_em, max_adapters=3)


def forget(stage, step, compute, noun):
    return compute()


def edits(tasks):
    return [Trial(DOMAIN.without_edit(task)) for task in tasks]


def test_every_arm_is_learned_at_every_budget_a_batch_at_a_time(engine, tasks):
    stages = []

    def remember(stage, step, compute, noun):
        stages.append((stage, step))
        return compute()

    arms = {"passage_only": (BASE, edits(tasks)), "own_edits": (BASE, edits(tasks))}
    found = at_budgets(arms, tasks, (50, 90), Examiner(engine, DOMAIN, Contains()), OUTER, remember)
    assert {arm: {tokens: len(trials) for tokens, trials in of.items()} for arm, of in found.items()} == {
        arm: {50: len(tasks), 90: len(tasks)} for arm in arms
    }
    assert stages[:4] == [(f"curve/passage_only/{tokens}", step) for tokens in (50, 90) for step in (0, 1)]
    assert [job.recipe.tokens for job in engine.jobs[: len(tasks)]] == [50] * len(tasks)
    seeds = [job.seed for job in engine.jobs]
    assert seeds[: len(tasks)] == seeds[len(tasks) : 2 * len(tasks)]  # of a task, whatever is learned and how long


def test_an_edit_that_failed_stays_failed(engine, tasks):
    failed = Trial(SelfEdit(tasks[0].id, "", ""), failure=Failure("policy", "the notes are empty"))
    found = at_budgets({"own": (BASE, [failed])}, tasks[:1], (50,), Examiner(engine, DOMAIN, Contains()), OUTER, forget)
    (trial,) = found["own"][50]
    assert trial.failure == failed.failure and not engine.jobs


def test_an_adapter_of_several_tasks_has_the_budget_for_each(engine, tasks):
    outer = Outer(OuterConfig(), reward=gain, credit=rest_em, max_adapters=4)
    arms = {"passage_only": (BASE, edits(tasks))}
    at_budgets(arms, tasks, (50,), Examiner(engine, DOMAIN, Contains()), outer, forget, tasks_per_adapter=2)
    assert [job.recipe.tokens for job in engine.jobs] == [100] * (len(tasks) // 2)


@pytest.mark.parametrize("more", [1, 3])
def test_what_is_put_on_top_brings_its_own_tokens(more):
    job = Job(BASE, (Example("", "a" * 100),), Recipe(tokens=40), 0)
    grown = with_more(job, [Example("", "b" * 100)] * more)
    assert grown.recipe.tokens == 40 * (1 + more) and len(grown.examples) == 1 + more
    assert with_more(job, []) == job
    assert with_more(replace(job, recipe=Recipe()), [Example("", "b")]).recipe.tokens == 0


def test_kinds_of_questions_are_told_apart():
    task = Task("t", "T", "A.", (Question("?", "a", "stated"), Question("?", "b", "implied"), Question("?", "c")))
    right = Trial(SelfEdit("t", ""), after=Score(("", "", ""), (1.0, 0.0, 1.0)))
    unused = Trial(SelfEdit("t", ""), failure=Failure("policy", "empty"))
    down = Trial(SelfEdit("t", ""), failure=Failure("system", "503"))
    assert by_kind([right], [task]) == {"stated": 1.0, "implied": 0.0}
    assert by_kind([right, unused], [task, task]) == {"stated": 0.5, "implied": 0.0}
    assert by_kind([right, down], [task, task]) == {"stated": 1.0, "implied": 0.0}
