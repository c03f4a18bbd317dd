"""Sampling as a model's maker has it."""

import json

import pytest

from selfedit.engines.generation_config import own_sampling
from selfedit.workflows.configure import make_config


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"temperature": 0.6, "top_p": 0.8, "top_k": 20}, {"temperature": 0.6, "top_p": 0.8}),
        ({"do_sample": False, "temperature": 0.6}, {}),
        ({"temperature": True, "top_p": "much"}, {}),
        ({"temperature": 1e9, "top_p": -1}, {}),
        ([], {}),
    ],
)
def test_only_numbers_that_can_be_meant_are_taken(tmp_path, given, expected):
    (tmp_path / "generation_config.json").write_text(json.dumps(given))
    assert own_sampling(str(tmp_path)) == expected


def test_the_maker_says_how_a_model_is_sampled_and_seal_says_it_for_seal(tmp_path):
    (tmp_path / "generation_config.json").write_text('{"temperature": 0.6}')
    own, seal = make_config(str(tmp_path)), make_config(str(tmp_path), preset="seal")
    assert (own.outer.sampling.temperature, seal.outer.sampling.temperature) == (0.6, 1.0)
    assert (own.domain.options["wording"], seal.domain.options["wording"]) == ("chat", "plain")
    assert make_config(str(tmp_path), ["outer.sampling.temperature=0.1"]).outer.sampling.temperature == 0.1


def test_a_file_that_is_broken_is_left_to_the_loading_of_the_model(tmp_path):
    (tmp_path / "generation_config.json").write_text("{")
    assert own_sampling(str(tmp_path)) == own_sampling(str(tmp_path / "nowhere")) == {}


def test_the_embedded_model_and_other_domains_have_no_preset():
    assert make_config("almanac").domain.options["wording"] == "plain"
    assert "wording" not in make_config("a/b", ["domain.name=arc"]).domain.options


def test_a_gentle_preset_is_the_usual_one_with_smaller_steps_and_chat():
    usual, gentle = make_config("a/b"), make_config("a/b", preset="gentle")
    assert gentle.domain == usual.domain and gentle.data.replay > usual.data.replay == 0
    assert gentle.inner.learning_rate < usual.inner.learning_rate
