"""What a request gets depends on its update, its prompt and its seed, never on its neighbours."""

import pytest

torch = pytest.importorskip("torch")

from selfedit.types import BASE, Cut, Example, Failure, Job, Recipe, Request  # noqa: E402

RECIPE = Recipe(rank=4, alpha=8.0, epochs=4, learning_rate=2e-2)


def trained(engine):
    texts = ("Ada was born in Torvik.", "The firm sells soap.", "It sank.")
    return engine.train([Job(BASE, (Example("", text),), RECIPE, seed) for seed, text in enumerate(texts)])


def mixed(updates):
    prompts = ("Ada", "The firm sells", "Where is it? It is a long way from here.", "It")
    return [
        Request(update, prompt, seed, temperature, 0.9, 12)
        for seed, (update, prompt, temperature) in enumerate(
            (update, prompt, temperature)
            for update in [BASE, *updates]
            for prompt in prompts
            for temperature in (0.0, 1.0)
        )
    ]


def test_alone_equals_in_a_batch(make_engine, architecture):
    engine = make_engine(architecture)
    requests = mixed(trained(engine))
    together = engine.sample(requests)
    assert together == [engine.sample([request])[0] for request in requests]
    assert len(set(together)) > len(requests) // 2  # the requests do differ


def test_a_seed_repeats_and_another_differs(make_engine):
    engine = make_engine()
    ask = [Request(BASE, "Ada", seed, 1.0, 1.0, 20) for seed in (1, 1, 2)]
    first, again, other = engine.sample(ask)
    assert first == again != other


def test_greedy_decoding_equals_transformers(make_engine, architecture):
    engine = make_engine(architecture)
    prompt = engine.text.prompt("The firm sells")
    expected = engine.model.generate(torch.tensor([prompt]), max_new_tokens=15, do_sample=False, pad_token_id=1)
    (answer,) = engine.sample([Request(BASE, "The firm sells", max_new_tokens=15)])
    assert answer == engine.text.decode(expected[0, len(prompt) :].tolist())


def test_an_update_answers_what_it_learned(make_engine):
    engine = make_engine()
    recipe = Recipe(rank=8, alpha=16.0, epochs=60, learning_rate=1e-2)
    updates = engine.train(
        [Job(BASE, (Example("", f"Ada lives in {town}."),), recipe, 0) for town in ("Torvik", "Halmere")]
    )
    answers = engine.sample([Request(update, "Ada lives in", max_new_tokens=9) for update in updates])
    assert answers == ["Torvik.", "Halmere."]


def test_nucleus_leaves_out_the_tail(make_engine):
    engine = make_engine()
    greedy = engine.sample([Request(BASE, "Ada", 0, 0.0, 1.0, 10)])
    narrow = engine.sample([Request(BASE, "Ada", 5, 1.0, 1e-9, 10)])
    assert narrow == greedy


def test_a_prompt_over_the_context_fails_with_both_numbers(make_engine):
    (failure, answer) = make_engine().sample([Request(BASE, "x" * 200), Request(BASE, "x", max_new_tokens=2)])
    assert isinstance(failure, Failure) and failure.blame == "system"
    assert "200 tokens" in failure.message and "128" in failure.message
    assert isinstance(answer, str)


@pytest.mark.parametrize("template", ["", "User: {prompt}\nBot:"])
def test_a_prompt_is_refused_as_it_would_fail(make_engine, template):
    engine = make_engine(context=40, template=template)
    prompts = ["x" * length for length in range(0, 48, 3)]
    failures = engine.fits(prompts)
    assert None in failures and failures[-1] is not None
    sampled = engine.sample([Request(BASE, prompt, max_new_tokens=1) for prompt in prompts])
    assert failures == [outcome if isinstance(outcome, Failure) else None for outcome in sampled]


def test_room_for_an_answer_is_reserved_but_never_more_than_half_the_context(make_engine):
    engine = make_engine(context=40)
    prompts = ["x" * length for length in (20, 21, 30, 31)]
    assert [failure is None for failure in engine.fits(prompts, reserve=10)] == [True, True, True, False]
    assert [failure is None for failure in engine.fits(prompts, reserve=500)] == [True, False, False, False]


def test_an_answer_stops_at_the_context(make_engine):
    engine = make_engine()
    (answer,) = engine.sample([Request(BASE, "x" * 120, max_new_tokens=50)])
    assert isinstance(answer, Cut)


def test_an_answer_says_whether_it_was_cut(make_engine):
    engine = make_engine()
    recipe = Recipe(rank=8, alpha=16.0, epochs=60, learning_rate=1e-2)
    (update,) = engine.train([Job(BASE, (Example("Where?", "Torvik."),), recipe, 0)])
    lengths = [len("Torvi"), len("Torvik."), len("Torvik.") + 1]
    answers = engine.sample([Request(update, "Where?", max_new_tokens=length) for length in lengths])
    assert answers == ["Torvi", "Torvik.", "Torvik."]
    assert [isinstance(answer, Cut) for answer in answers] == [True, True, False]
