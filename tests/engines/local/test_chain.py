"""Parents that are attached: many of them in one batch, each as if it were merged and alone."""

import pytest

torch = pytest.importorskip("torch")

from selfedit.errors import EngineError, InputError  # noqa: E402
from selfedit.types import BASE, Example, Job, LikelihoodRequest, Recipe, Request, Update  # noqa: E402

RECIPE = Recipe(rank=4, alpha=8.0, epochs=3, learning_rate=1e-2)
TEXTS = ["Ada was born in Torvik.", "The firm made lace.", "It is a long way from here to the sea.", "Hm."]


def job(parent, text, seed, recipe=RECIPE, **constraint):
    return Job(parent, (Example("", text), Example("What?", " " + text[:9])), recipe, seed, **constraint)


def stream(engine, texts, recipe=RECIPE, parent=BASE, **constraint):
    """One edit on top of the other."""
    for seed, text in enumerate(texts):
        (parent,) = engine.train([job(parent, text, seed, recipe, **constraint)])
    return parent


def likelihoods(engine, requests):
    """Mean log-probabilities per token."""
    return [likelihood.per_token for likelihood in engine.likelihood(requests)]


def combined(engine, update):
    """What the update adds to each layer's weight."""
    adapter = engine.adapters.chains[update.id].combined
    return {name: b @ a * (adapter.alpha / adapter.rank) for name, (a, b) in adapter.weights.items()}


def apart(one, other):
    return max(float((one[name] - other[name]).abs().max() / other[name].abs().max()) for name in other)


def test_jobs_with_different_parents_together_equal_each_alone(make_engine, architecture):
    engine = make_engine(architecture)
    parents = [stream(engine, TEXTS[:count]) for count in (1, 2, 3)]
    mixed = [Recipe(2, 2.0, 2, 5e-3), RECIPE, Recipe(4, 8.0, 2, 1e-2, dropout=0.2)]
    jobs = [job(p, TEXTS[3], 9, recipe) for p, recipe in zip([*parents, BASE], [*mixed, RECIPE], strict=True)]
    together = [combined(engine, update) for update in engine.train(jobs)]
    for one, found in zip(jobs, together, strict=True):
        (alone,) = engine.train([one])
        assert apart(found, combined(engine, alone)) <= 1e-9


def test_training_on_a_parent_that_is_attached_equals_training_on_one_that_is_merged(
    make_engine, architecture, tmp_path
):
    engine = make_engine(architecture)
    attached = stream(engine, TEXTS[:2])
    engine.save(attached, tmp_path / "parent")
    (over_attached,) = engine.train([job(attached, TEXTS[2], 5)])
    found, own = combined(engine, over_attached), engine.adapters.chains[over_attached.id].own
    merged = engine.load(tmp_path / "parent")
    assert merged.id not in engine.adapters.chains
    (over_merged,) = engine.train([job(merged, TEXTS[2], 5)])
    for name, pair in engine.adapters.chains[over_merged.id].own.weights.items():
        for mine, theirs in zip(own.weights[name], pair, strict=True):
            assert torch.allclose(mine, theirs, rtol=1e-9, atol=1e-12)
    assert apart(found, combined(engine, over_merged)) > 0.01  # there the parent is not part of it


def test_many_updates_answer_and_read_in_one_batch_as_each_does_merged(make_engine, architecture, tmp_path):
    engine = make_engine(architecture)
    updates = [stream(engine, texts) for texts in (TEXTS[:2], TEXTS[1:3], TEXTS[2:])]
    requests = [Request(update, "Who?", seed=3, temperature=1.0, max_new_tokens=8) for update in updates]
    likelihood_requests = [LikelihoodRequest(update, "Who?", " Ada of Torvik") for update in updates]
    answers, read = engine.sample(requests), likelihoods(engine, likelihood_requests)
    for number, update in enumerate(updates):
        engine.save(update, tmp_path / str(number))
    for number, (request, likelihood_request) in enumerate(zip(requests, likelihood_requests, strict=True)):
        engine.load(tmp_path / str(number))
        assert engine.sample([request]) == [answers[number]]
        assert likelihoods(engine, [likelihood_request])[0] == pytest.approx(read[number], rel=1e-9)


def test_an_update_that_is_loaded_as_one_of_many_is_the_same_bits(make_engine, tmp_path):
    """Rollback: what a step left is what its folder holds, and going on from there gives the same again."""
    engine, other = make_engine(dtype=torch.float32), make_engine(dtype=torch.float32)
    step = stream(engine, TEXTS[:3])
    engine.save(step, tmp_path / "step")
    back = other.load(tmp_path / "step", one_of_many=True)
    assert back == step
    (after,), (again,) = engine.train([job(step, TEXTS[3], 8)]), other.train([job(back, TEXTS[3], 8)])
    assert after == again
    one, same = engine.adapters.chains[after.id].combined, other.adapters.chains[again.id].combined
    assert all(
        torch.equal(a, b) for name in one.weights for a, b in zip(one.weights[name], same.weights[name], strict=True)
    )


def test_the_rank_of_a_long_stream_stays_within_the_width_and_nothing_is_lost(make_engine, architecture):
    engine, recipe = make_engine(architecture), Recipe(rank=12, alpha=8.0, epochs=1, learning_rate=1e-2)
    parent, parts = BASE, []
    for seed in range(5):
        (parent,) = engine.train([job(parent, TEXTS[seed % 4], seed, recipe)])
        own = engine.adapters.chains[parent.id].own
        parts.append({name: b @ a * (own.alpha / own.rank) for name, (a, b) in own.weights.items()})
    total = {name: sum(part[name] for part in parts) for name in parts[0]}
    assert engine.adapters.chains[parent.id].combined.rank == 32 < 5 * 12
    assert apart(combined(engine, parent), total) <= 1e-12


def test_a_parent_that_is_attached_is_merged_where_the_weights_themselves_are_needed(make_engine):
    engine = make_engine()
    parent = stream(engine, TEXTS[:2])
    for recipe in (Recipe(4, 8.0, 2, 1e-2, top_layers=True), Recipe(epochs=1, learning_rate=1e-3, method="full")):
        (update,) = engine.train([job(parent, TEXTS[2], 3, recipe)])
        known = LikelihoodRequest(update, "", TEXTS[2])
        before, after = likelihoods(engine, [LikelihoodRequest(parent, "", TEXTS[2]), known])
        assert after > before
    assert (
        likelihoods(engine, [LikelihoodRequest(BASE, "", TEXTS[0])])[0]
        < likelihoods(engine, [LikelihoodRequest(parent, "", TEXTS[0])])[0]
    )


def test_an_update_is_scaled_between_its_parent_and_itself(make_engine):
    engine = make_engine()
    parent = stream(engine, TEXTS[:1])
    (update,) = engine.train([job(parent, TEXTS[1], 4)])
    nothing, half, same = (engine.scale(update, factor) for factor in (0.0, 0.5, 1.0))
    assert len({update.id, nothing.id, half.id, same.id}) == 4 and half.parent == parent.id
    assert apart(combined(engine, same), combined(engine, update)) <= 1e-12
    below, full = combined(engine, parent), combined(engine, update)
    assert apart(combined(engine, nothing), below) <= 1e-12
    assert apart(combined(engine, half), {name: (below[name] + full[name]) / 2 for name in full}) <= 1e-9


def test_what_was_loaded_with_its_parents_is_not_scaled(make_engine, tmp_path):
    engine = make_engine()
    engine.save(stream(engine, TEXTS[:2]), tmp_path / "two")
    update = engine.load(tmp_path / "two", one_of_many=True)
    with pytest.raises(EngineError, match="loaded with its parents"):
        engine.scale(update, 0.5)


def test_a_parent_that_was_released_is_an_engine_error(make_engine):
    engine = make_engine()
    parent = stream(engine, TEXTS[:1])
    (child,) = engine.train([job(parent, TEXTS[1], 1)])
    engine.release([parent])
    with pytest.raises(EngineError, match="not known here"):
        engine.train([job(parent, TEXTS[1], 1)])
    assert engine.likelihood([LikelihoodRequest(child, "", TEXTS[1])])  # its own weights hold all it needs
    with pytest.raises(EngineError, match="not known here"):
        engine.sample([Request(Update("never"), "Who?")])


def test_orthogonal_adapters_read_nothing_that_their_parent_reads(make_engine, architecture):
    engine, recipe = make_engine(architecture), Recipe(4, 8.0, 3, 1e-2)
    parent = stream(engine, TEXTS[:2], recipe, orthogonal=True)
    (update,) = engine.train([job(parent, TEXTS[2], 3, recipe, orthogonal=True)])
    below, own = engine.adapters.chains[parent.id].combined, engine.adapters.chains[update.id].own
    for name, (a, b) in own.weights.items():
        assert float((a @ below.weights[name][0].T).abs().max()) <= 1e-12
        assert float(b.abs().max()) > 0
    before, after = likelihoods(engine, [LikelihoodRequest(u, "", TEXTS[2]) for u in (parent, update)])
    assert after > before


def test_a_stream_that_has_used_up_every_direction_learns_nothing_more(make_engine):
    engine, recipe = make_engine(), Recipe(16, 8.0, 1, 1e-2)
    parent = stream(engine, TEXTS[:2], recipe, orthogonal=True)  # 32 directions, the width of the model
    (update,) = engine.train([job(parent, TEXTS[2], 3, recipe, orthogonal=True)])
    narrow = [name for name, (a, _) in engine.adapters.chains[parent.id].combined.weights.items() if a.shape[1] == 32]
    assert narrow and all(
        float(engine.adapters.chains[update.id].own.weights[name][0].abs().max()) < 1e-12 for name in narrow
    )


def test_ewc_goes_on_training_the_same_adapter_and_holds_it_back(make_engine, architecture):
    engine, recipe = make_engine(architecture), Recipe(4, 8.0, 3, 1e-2)
    (first,) = engine.train([job(BASE, TEXTS[0], 1, recipe, ewc=1e-9)])
    start = engine.adapters.chains[first.id].own
    assert start.importance and all(float(f.min()) >= 0 for pair in start.importance.values() for f in pair)
    way = []
    for ewc in (1e-9, 1e4, 1e12):
        (update,) = engine.train([job(first, TEXTS[1], 2, recipe, ewc=ewc)])
        attached = engine.adapters.chains[update.id]
        assert attached.own is attached.combined and attached.own.rank == 4
        pairs = [
            zip(attached.own.weights[name], start.weights[name], start.importance[name], strict=True)
            for name in start.weights
        ]
        way.append(sum(float((f * (a - b) ** 2).sum()) for pair in pairs for a, b, f in pair))
        grown = [
            new >= old
            for name in start.weights
            for new, old in zip(attached.own.importance[name], start.importance[name], strict=True)
        ]
        assert all(bool(more.all()) for more in grown)
    assert way[0] > way[1] > way[2]


def test_bound_jobs_together_equal_each_alone_and_survive_the_disk(make_engine, tmp_path):
    engine = make_engine()
    constrained = [
        (Recipe(4, 8.0, 2, 1e-2), {"ewc": 10.0}),
        (Recipe(4, 8.0, 3, 5e-3), {"ewc": 1e3}),
        (Recipe(2, 8.0, 2, 1e-2), {"orthogonal": True}),
    ]
    jobs = [
        job(stream(engine, TEXTS[:1], recipe, **constraint), TEXTS[1], 4, recipe, **constraint)
        for recipe, constraint in constrained
    ]
    together = [
        (u, combined(engine, u), engine.adapters.chains[u.id].own.importance)
        for u in engine.train([*jobs, job(BASE, TEXTS[2], 1)])
    ]
    for number, (one, (update, found, _)) in enumerate(zip(jobs, together, strict=False)):
        engine.save(update, tmp_path / str(number))
        (alone,) = engine.train([one])
        assert apart(found, combined(engine, alone)) <= 1e-9
    back = engine.load(tmp_path / "0", one_of_many=True)
    stored = engine.adapters.chains[back.id].own.importance
    assert all(torch.equal(a, b) for name in stored for a, b in zip(stored[name], together[0][2][name], strict=True))


def test_ewc_cannot_go_on_with_a_stack_or_another_rank(make_engine):
    engine = make_engine()
    recipe = Recipe(4, 8.0, 1, 1e-2)
    with pytest.raises(InputError, match="rank"):
        engine.train([job(stream(engine, TEXTS[:2]), TEXTS[2], 1, recipe, ewc=1.0)])
    with pytest.raises(InputError, match="rank"):
        engine.train([job(stream(engine, TEXTS[:1], Recipe(2, 8.0, 1, 1e-2)), TEXTS[2], 1, recipe, ewc=1.0)])
