"""Chat that is replayed while a model learns."""

import json
from importlib.resources import files

import pytest

from selfedit.errors import InputError
from selfedit.types import BASE, Continuation
from selfedit.workflows.replay import PROMPTS, replay_examples, write_replay


def test_the_model_answers_everyday_prompts_and_is_its_own_teacher(engine):
    said = write_replay(engine, BASE, 5)
    assert [one.prompt for one in said] == json.loads(PROMPTS.read_text())[: len(said)]
    rows = replay_examples([Continuation("Hello!", "Hi."), Continuation("Why?", "Because.")], BASE)
    assert [(row.prompt, row.target) for row in rows] == [
        ("Hello!", "Hi."),
        ("", "Hi."),
        ("Why?", "Because."),
        ("", "Because."),
    ]
    assert {row.teacher for row in rows} == {BASE.id}


def test_more_prompts_than_there_are_is_your_input(engine):
    with pytest.raises(InputError, match=r"data\.replay is 1000, and there are 32 prompts to replay"):
        write_replay(engine, BASE, 1000)


def test_nothing_is_replayed_by_which_the_cost_is_measured():
    data = files("selfedit.capabilities") / "data"
    measured = "".join(one.read_text() for one in data.iterdir() if one.name.endswith(".json"))
    prompts = json.loads(PROMPTS.read_text())
    assert len(set(prompts)) == len(prompts) == 32
    assert not [prompt for prompt in prompts if prompt in measured]
