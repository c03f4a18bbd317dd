"""Soft targets: a student pulled to its teacher, and by nothing once it is there."""

import pytest

torch = pytest.importorskip("torch")

from selfedit.engines.local.soft_targets import SoftTargets  # noqa: E402
from selfedit.types import BASE, Example, Failure, Job, LikelihoodRequest, Recipe  # noqa: E402

RECIPE = Recipe(rank=4, alpha=8.0, epochs=3, learning_rate=1e-2)
TEXTS = ["Ada was born in Torvik.", "The firm made lace.", "Hm, it is a long way to the sea."]


def adapter(engine, update):
    return engine.adapters.chains[update.id].own.weights


def test_the_gradient_is_that_of_the_loss():
    """Against automatic differentiation, for positions that are used and positions that are not."""
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(4, 9, generator=generator, dtype=torch.float64, requires_grad=True)
    teacher = torch.randn(4, 9, generator=generator, dtype=torch.float64).softmax(dim=1)
    probs, tokens = teacher.topk(3, dim=1)
    used = torch.tensor([True, True, False, True])
    targets = SoftTargets(tokens, probs, used)
    targets.losses(logits.log_softmax(dim=1))[used].sum().backward()
    grad_logits = logits.detach().softmax(dim=1)
    before = grad_logits.clone()
    targets.write_grad(grad_logits)
    assert torch.allclose(grad_logits[used], logits.grad[used], rtol=1e-10, atol=1e-12)
    assert torch.equal(grad_logits[~used], before[~used])


def test_a_student_that_is_its_teacher_learns_nothing(make_engine, architecture):
    """In one step: over several Adam makes steps of any size out of rounding."""
    engine, recipe = make_engine(architecture), Recipe(4, 8.0, 1, 1e-2, pack=True)
    (update,) = engine.train([Job(BASE, tuple(Example("", text, teacher=BASE.id) for text in TEXTS), recipe, 0)])
    assert max(float(b.abs().max()) for _, b in adapter(engine, update).values()) < 1e-9


def test_a_student_comes_to_say_what_its_teacher_says(make_engine, architecture):
    """It comes closer to what an update knows than text of that update's likelihood alone would bring it."""
    engine = make_engine(architecture)
    (teacher,) = engine.train([Job(BASE, tuple(Example("", text) for text in TEXTS), RECIPE, 0)])
    rows = tuple(Example("", text, teacher=teacher.id) for text in TEXTS)
    (student,) = engine.train([Job(BASE, rows, Recipe(8, 16.0, 30, 2e-2), 1)])
    before, wanted, after = (
        [likelihood.per_token for likelihood in engine.likelihood([LikelihoodRequest(u, "", text) for text in TEXTS])]
        for u in (BASE, teacher, student)
    )
    for was, aim, now in zip(before, wanted, after, strict=True):
        assert abs(now - aim) < 0.5 * abs(was - aim)


def test_soft_and_hard_jobs_together_equal_each_alone(make_engine):
    engine = make_engine()
    (teacher,) = engine.train([Job(BASE, (Example("", TEXTS[0]),), RECIPE, 0)])
    mixed = (
        Example("", TEXTS[1]),
        Example("Who?", " Ada.", teacher=teacher.id),
        Example("", TEXTS[2], teacher=BASE.id),
    )
    recipes = [RECIPE, Recipe(4, 8.0, 2, 1e-2, batch_size=2, shuffle_lengths=True), Recipe(2, 8.0, 2, 1e-2, pack=True)]
    jobs = [Job(BASE, mixed, recipe, n) for n, recipe in enumerate(recipes)]
    jobs += [Job(teacher, mixed[:1], RECIPE, 7), Job(teacher, mixed, RECIPE, 8)]
    together = engine.train(jobs)
    kept = [adapter(engine, update) for update in together]
    for job, found in zip(jobs, kept, strict=True):
        (alone,) = engine.train([job])
        for name, pair in adapter(engine, alone).items():
            for mine, theirs in zip(found[name], pair, strict=True):
                assert torch.allclose(mine, theirs, rtol=1e-9, atol=1e-12)


def test_a_teacher_that_cannot_read_the_row_is_a_failure(make_engine, monkeypatch):
    engine = make_engine()

    def full(*arguments, **more):
        raise torch.OutOfMemoryError("full")

    monkeypatch.setattr("selfedit.engines.local.engine.score_together", full)
    (outcome,) = engine.train([Job(BASE, (Example("", TEXTS[0], teacher=BASE.id),), RECIPE, 0)])
    assert isinstance(outcome, Failure) and outcome.blame == "system"


def test_steps_of_mixed_lengths_hold_every_row_once():
    from selfedit.engines.local.state import TrainingState
    from selfedit.engines.local.text import TokenRow

    rows = [TokenRow([1] * length, 0, 1.0) for length in (9, 2, 7, 3, 5, 4, 8)]
    batches = TrainingState(rows, Recipe(batch_size=3, shuffle_lengths=True), 0).batches
    assert sorted(len(row.ids) for batch in batches for row in batch) == [2, 3, 4, 5, 7, 8, 9]
    assert [max(len(row.ids) for row in batch) for batch in batches] == [9, 8, 7] and max(map(len, batches)) <= 3
