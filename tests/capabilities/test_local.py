"""The checks on a model: random weights, a byte a token, no chat template."""

import math

import pytest

from selfedit.capabilities.multiple_choice import ChoiceItem, score_choices
from selfedit.types import BASE, Failure, LikelihoodRequest


@pytest.fixture
def engine(saved_model):
    from selfedit.config import ModelConfig
    from selfedit.engines.local.engine import LocalEngine

    return LocalEngine.from_config(ModelConfig(name=str(saved_model)))


def test_what_a_text_adds_to_its_context_is_the_likelihood_of_the_option_after_it(engine):
    item = ChoiceItem("Question: Hot?\nAnswer:", (" fire", " a block of ice", " tea"), 1)
    ((one,),) = score_choices([item], engine, [BASE])
    after = engine.likelihood([LikelihoodRequest(BASE, item.context, option) for option in item.options])
    nats = [likelihood.nats for likelihood in after]
    per_byte = [likelihood.nats / likelihood.tokens for likelihood in after]
    assert one.values["surprisal"] == (pytest.approx(-nats[1] / math.log(2), rel=1e-4),)
    assert one.values["accuracy"] == (float(nats.index(max(nats)) == 1),)
    assert one.values["accuracy_normalised"] == (float(per_byte.index(max(per_byte)) == 1),)


def test_an_item_longer_than_the_context_is_left_out_whole(engine):
    items = [ChoiceItem("x" * 600, (" a", " b"), 0), ChoiceItem("xyz", (" a", " b"), 0)]
    ((long, short),) = score_choices(items, engine, [BASE])
    assert isinstance(long.values["accuracy"][0], Failure) and "512" in long.values["accuracy"][0].message
    assert short.values["accuracy"][0] in (0.0, 1.0)
