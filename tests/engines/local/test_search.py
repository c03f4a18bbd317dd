"""A search finds every likely text and no other: against trying them one by one."""

import math

import pytest

torch = pytest.importorskip("torch")

from selfedit.engines.local.sampling import TokenizedRequest  # noqa: E402
from selfedit.engines.local.search import search_together  # noqa: E402
from selfedit.errors import InputError  # noqa: E402
from selfedit.types import BASE, Example, Job, Recipe, Request  # noqa: E402

LENGTH, MIN_PROBABILITY = 3, 0.01
STOPS = frozenset(range(0, 200, 3))
"""Many tokens that end a text, so that random models end some."""


@pytest.fixture
def engine(make_engine, architecture):
    """Over a random model that is surer of itself than random models are."""
    return make_engine(architecture, initializer_range=0.4)


def one_by_one(model, prompt, tokens=(), log_p=0.0):
    """Depth first, the whole text anew for every token."""
    logits = model(input_ids=torch.tensor([[*prompt, *tokens]])).logits[0, -1]
    for token, more in enumerate(logits.double().log_softmax(-1).tolist()):
        if log_p + more >= math.log(MIN_PROBABILITY):
            if token in STOPS:
                yield log_p + more, tokens
            elif len(tokens) < LENGTH:
                yield from one_by_one(model, prompt, (*tokens, token), log_p + more)


def test_it_finds_all_likely_texts_the_likeliest_first(engine):
    requests = [
        TokenizedRequest(engine.text.prompt(text), max_new_tokens=LENGTH) for text in ("Ada", "It is a long way", "x")
    ]
    found = search_together(engine.model, [(None, [request]) for request in requests], STOPS, MIN_PROBABILITY)
    with torch.no_grad():
        expected = [[t for _, t in sorted(one_by_one(engine.model, request.ids), reverse=True)] for request in requests]
    assert [[tuple(tokens) for tokens in texts] for (texts,) in found] == expected
    assert sum(map(len, expected)) > len(requests)


def test_alone_equals_in_a_batch(engine):
    texts = ("Ada was born in Torvik.", "It sank.")
    recipe = Recipe(rank=4, alpha=8.0, epochs=2, learning_rate=2e-2)
    updates = engine.train([Job(BASE, (Example("", text),), recipe, seed) for seed, text in enumerate(texts)])
    engine.text.stops = STOPS
    requests = [Request(update, text, max_new_tokens=LENGTH) for update in updates for text in ("Ada", "It is a", "x")]
    together = engine.search(requests, MIN_PROBABILITY)
    assert together == [engine.search([request], MIN_PROBABILITY)[0] for request in requests]
    assert len({tuple(found) for found in together}) > 1


@pytest.mark.parametrize("min_probability", [0.0, 1.0, -1.0])
def test_a_bound_that_is_no_probability_is_refused(make_engine, min_probability):
    with pytest.raises(InputError, match="between 0 and 1"):
        make_engine().search([Request(BASE, ">")], min_probability)
