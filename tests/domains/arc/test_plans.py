"""Plans: what is read, and that nothing a policy may write is more than a BadEdit."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfedit.domains.arc.plans import read_plan
from selfedit.domains.arc.prompts import FORMATS
from selfedit.errors import BadEdit
from selfedit.types import Recipe

SWITCHES = {f"use_{name}_augmentations": name in ("basic", "chain") for name in ("basic", "size", "chain", "repeat")}
TRAINING = {"strategy": "train_using_output_tokens", "learning_rate": 1e-4, "num_train_epochs": 3}
PLAN = {"data_generation": SWITCHES, "training": TRAINING}
WIDE = {
    "data_generation": {**SWITCHES, "copies": 2},
    "training": {**TRAINING, "strategy": "train_using_later_outputs", "rank": 8, "early_stop": 0.01},
    "evaluation": {"views": 4},
}
BASE = Recipe(rank=32, alpha=16.0, batch_size=2, schedule="cosine")


def changed(place, key, value, plan=PLAN):
    return {**plan, place: {**plan[place], key: value}}


def without(place, key):
    return {**PLAN, place: {name: value for name, value in PLAN[place].items() if name != key}}


def test_a_plan_chooses_groups_and_lays_its_numbers_over_the_recipe():
    plan = read_plan(f"\n {json.dumps(PLAN)} ", wide=False)
    assert plan.data_generation.groups == ["basic", "chain"]
    assert plan.recipe(BASE) == Recipe(32, 16.0, 3, 1e-4, batch_size=2, schedule="cosine")
    assert (plan.copies, plan.views, plan.training.strategy) == (1, 0, "train_using_output_tokens")


def test_a_wide_plan_chooses_more_and_keeps_alpha_over_rank():
    plan = read_plan(json.dumps(WIDE), wide=True)
    recipe = plan.recipe(BASE)
    assert (recipe.rank, recipe.alpha, recipe.early_stop) == (8, 4.0, 0.01)
    assert (plan.copies, plan.views) == (2, 4)


def test_a_rank_above_the_configs_is_refused():
    plan = read_plan(json.dumps(changed("training", "rank", 64, WIDE)), wide=True)
    with pytest.raises(BadEdit, match=r"rank 64 is above inner\.rank, 32"):
        plan.recipe(BASE)


def test_the_embedded_models_numbers_are_numbers():
    for rate in ("3e-5", "1e-4", "3e-2", "1"):
        text = json.dumps(PLAN).replace("0.0001", rate)
        assert read_plan(text, wide=False).training.learning_rate == float(rate)


@pytest.mark.parametrize("wide", [False, True])
def test_the_skeleton_of_seals_prompt_is_a_plan(wide):
    prompt = FORMATS["seal"].plan([], wide)
    read_plan(prompt[prompt.index('{"data') :], wide)


BAD = {
    "nothing": "",
    "no JSON": "use all augmentations",
    "words around it": f"Here it is: {json.dumps(PLAN)}",
    "cut off": json.dumps(PLAN)[:-1],
    "a list": [PLAN],
    "a number": 3,
    "no training": {"data_generation": SWITCHES},
    "no switches": {"training": TRAINING},
    "training is a text": {**PLAN, "training": "all"},
    "a switch is missing": without("data_generation", "use_size_augmentations"),
    "the rate is missing": without("training", "learning_rate"),
    "a key more": {**PLAN, "notes": ""},
    "a key more inside": changed("training", "rank", 8),
    "a switch is a number": changed("data_generation", "use_size_augmentations", 1),
    "a switch is a text": changed("data_generation", "use_size_augmentations", "true"),
    "a switch is null": changed("data_generation", "use_size_augmentations", None),
    "the rate is a text": changed("training", "learning_rate", "1e-4"),
    "the rate is true": changed("training", "learning_rate", True),
    "the rate is NaN": changed("training", "learning_rate", float("nan")),
    "the rate is infinite": changed("training", "learning_rate", float("inf")),
    "the rate is 0": changed("training", "learning_rate", 0),
    "the rate is negative": changed("training", "learning_rate", -1e-4),
    "epochs with a fraction": changed("training", "num_train_epochs", 2.5),
    "epochs as a float": changed("training", "num_train_epochs", 2.0),
    "no epochs": changed("training", "num_train_epochs", 0),
    "endless epochs": changed("training", "num_train_epochs", 10**30),
    "an unknown strategy": changed("training", "strategy", "train_using_later_outputs"),
    "deep nesting": "[" * 100_000,
    "half a character": '"\ud800"',
    "a long number": f'{{"training": {"9" * 10_000}}}',
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_plan_is_refused_in_one_sentence(name):
    text = BAD[name] if isinstance(BAD[name], str) else json.dumps(BAD[name])
    with pytest.raises(BadEdit, match="the plan cannot be read: ") as caught:
        read_plan(text, wide=False)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 300


def test_a_refusal_names_the_key():
    with pytest.raises(BadEdit, match=r"training\.learning_rate"):
        read_plan(json.dumps(BAD["the rate is NaN"]), wide=False)


@pytest.mark.parametrize(
    ("place", "key", "value"),
    [
        ("data_generation", "copies", 0),
        ("data_generation", "copies", 1000),
        ("training", "rank", 0),
        ("training", "rank", 4.0),
        ("training", "early_stop", -1),
        ("training", "early_stop", float("nan")),
        ("evaluation", "views", 0),
        ("evaluation", "views", "all"),
    ],
)
def test_a_bad_choice_of_a_wide_plan_is_refused(place, key, value):
    with pytest.raises(BadEdit, match=rf"{place}\.{key}"):
        read_plan(json.dumps(changed(place, key, value, WIDE)), wide=True)


def test_neither_kind_of_plan_is_the_other():
    for plan, wide in ((PLAN, True), (WIDE, False)):
        with pytest.raises(BadEdit):
            read_plan(json.dumps(plan), wide)


@given(
    st.one_of(st.text(), st.recursive(st.none() | st.booleans() | st.floats() | st.text(), st.lists).map(json.dumps))
)
def test_whatever_is_written_is_read_or_refused(text):
    with pytest.raises(BadEdit):
        read_plan(text, wide=False)
