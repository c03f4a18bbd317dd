"""Beginnings that prompts share are read once, and what is written is the same."""

from random import Random

import pytest

torch = pytest.importorskip("torch")

from hypothesis import given  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

from selfedit.engines.local.prefixes import PrefillStage, shared_lengths, stages  # noqa: E402
from selfedit.types import BASE, Example, Job, Recipe, Request  # noqa: E402

PASSAGES = [
    "Ada Vell was born in Torvik in 1931, and played the tuba by the river in the evenings.",
    "The firm sells soap in Halmere, and has done so since the old mill beside the bridge burned down.",
]


def family(random, groups, size):
    """Prompts of groups that begin with a system prompt, go on with one of a few passages, and end in any way."""
    system = [1] * random.choice([0, 5, 90])
    passages = [[random.randrange(2, 9) for _ in range(random.choice([0, 70, 200]))] for _ in range(3)]
    questions = [[random.randrange(2, 9) for _ in range(random.randint(1, 12))] for _ in range(3)]
    return [system + random.choice(passages) + random.choice(questions) for _ in range(groups * size)]


def read(found):
    """The tokens that each row of the last stage has read in all."""
    first, *others = found
    texts = first.texts
    for stage in others:
        texts = [texts[row] + more for row, more in zip(stage.rows, stage.texts, strict=True)]
    return texts


def cost(found):
    return sum(len(stage.texts) * stage.width for stage in found)


@given(st.integers(0, 2**32), st.integers(1, 3), st.integers(1, 12), st.booleans())
def test_every_row_reads_its_own_prompt_with_the_rows_of_its_group_and_never_more_than_alone(seed, groups, size, equal):
    prompts = family(Random(seed), groups, size)
    found = stages(prompts, groups, only_equal=equal)
    assert read(found) == prompts
    assert cost(found) <= cost([PrefillStage([], prompts)])
    assert all(text for stage in found for text in stage.texts)
    group_of = list(range(groups))
    for stage in found:
        width = len(stage.texts) // groups
        assert len(stage.texts) == groups * width
        if stage.rows:
            assert [group_of[row] for row in stage.rows] == [index // width for index in range(len(stage.rows))]
        group_of = [index // width for index in range(len(stage.texts))]


@given(st.integers(0, 2**32), st.integers(1, 12))
def test_where_gaps_are_not_understood_there_are_none(seed, size):
    for stage in stages(family(Random(seed), 1, size), 1, only_equal=True)[1:]:
        assert {len(text) for text in stage.texts} == {1}


def test_what_is_shared_is_found():
    system, passage, other = [1] * 100, [2] * 200, [3] * 200
    prompts = [system + text + [end] for text in (passage, other) for end in (4, 4, 5, 5, 6)]
    found = stages(prompts, 1, only_equal=False)
    assert [(len(stage.texts), stage.width) for stage in found] == [(1, 100), (2, 200), (10, 1)]
    apart = stages(prompts, 2, only_equal=False)  # each half has an adapter of its own
    assert [(len(stage.texts), stage.width) for stage in apart] == [(2, 300), (10, 1)]
    assert shared_lengths([[1, 2], [1], [7]], only_equal=False) == [1, 0, 0]


@pytest.mark.parametrize("name", ["llama", "llama-gqa", "gpt-neox", "gpt2", "mistral", "mixtral"])
def test_what_shares_its_beginning_is_written_as_alone(make_engine, name):
    engine = make_engine(name, context=160)
    recipe = Recipe(rank=4, alpha=8.0, epochs=3, learning_rate=2e-2)
    updates = engine.train([Job(BASE, (Example("", text),), recipe, seed) for seed, text in enumerate(PASSAGES)])
    prompts = [f"{passage} {end}" for passage in PASSAGES for end in ("Notes:", "Notes:", "Where?", "Who was it then?")]
    requests = [
        Request(update, prompt, seed, temperature=seed % 2, max_new_tokens=6)
        for update in (BASE, *updates)
        for seed, prompt in enumerate(prompts)
    ]
    read = []
    engine.model.get_input_embeddings().register_forward_hook(lambda layer, inputs, output: read.append(inputs[0]))
    together = engine.sample(requests)
    in_all = sum(ids.numel() for ids in read)  # the tokens that are written among them
    gaps = name != "mistral"  # which has a sliding window
    assert engine.abilities.gaps is gaps
    assert in_all < (0.6 if gaps else 0.95) * sum(len(engine.text.prompt(request.prompt)) for request in requests)
    assert together == [engine.sample([request])[0] for request in requests]
    assert len(set(together)) > len(prompts)
