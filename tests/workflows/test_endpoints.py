"""Whole runs graded by a judge over HTTP: it may go down at any moment, and the end is the same."""

import json

import pytest

from selfedit.config import Config, load_config
from selfedit.errors import EndpointDown, InputError, Refused
from selfedit.store import Run
from selfedit.types import BASE, Request, SelfEdit
from selfedit.workflows.build import make_examiner
from selfedit.workflows.endpoints import ROLES, make_judge, make_rubric, make_sampler, reached, used
from selfedit.workflows.train import run_experiment

SECRET = "sk-do-not-show-this-0123456789"


@pytest.fixture
def config(endpoint):
    endpoint.answer = endpoint.judge
    return Config.model_validate(
        {
            "max_adapters": 4,
            "outer": {"rounds": 2, "tasks_per_round": 2, "edits_per_task": 4, "recipe": {"epochs": 1}},
            "exam": {"grader": "judge"},
            "endpoints": {"judge": {"url": endpoint.url, "model": "small", "retries": 0, "parallel": 2}},
        }
    )


def run_in(folder, engine, tasks, config):
    with Run.create(folder, config.model_dump(mode="json")) as run:
        result = run_experiment(run, config, tasks[:2], tasks[2:], engine)
        return result.trials, [(batch.stage, batch.step, batch.trials) for batch in run.batches()]


def test_a_run_is_graded_by_the_judge_and_then_needs_it_no_more(endpoint, config, new_engine, tasks, tmp_path):
    trials, batches = run_in(tmp_path, new_engine(), tasks, config)
    grades = {grade for trial in trials["after_rl"] for grade in trial.after.grades}
    assert grades == {1.0} and {trial.after.value for trial in trials["base"]} == {0.0}
    endpoint.down = True
    assert run_in(tmp_path, new_engine(), tasks, config) == (trials, batches)
    assert len(set(endpoint.prompts)) == len(endpoint.prompts)


def test_a_judge_that_goes_down_changes_nothing_but_the_time(endpoint, config, new_engine, tasks, tmp_path):
    """It goes down again and again, a few verdicts later each time, until the run has ended."""
    whole = run_in(tmp_path / "whole", new_engine(), tasks, config)
    asked, stops = list(endpoint.prompts), 0
    broken = None
    while broken is None:
        endpoint.down, left = False, iter(range(3))
        endpoint.answer = lambda prompt, left=left: judge_until_none_is_left(endpoint, left, prompt)
        try:
            broken = run_in(tmp_path / "broken", new_engine(), tasks, config)
        except EndpointDown:
            stops += 1
    assert broken == whole
    assert set(endpoint.prompts[len(asked) :]) == set(asked)
    assert stops >= len(asked) // 3 - 1


def judge_until_none_is_left(endpoint, left, prompt):
    endpoint.down = next(left, 2) == 2
    return endpoint.judge(prompt)


def test_a_batch_without_all_its_verdicts_is_not_stored(endpoint, config, new_engine, tasks, tmp_path):
    lost = []

    def answer(prompt):
        if "Neil Armstrong" in prompt and not lost:
            lost.append(prompt)
            return 500, "no", {}
        return endpoint.judge(prompt)

    endpoint.answer = answer
    with pytest.raises(EndpointDown, match=r"1 of \d+ verdicts could not be had: no answer from"):
        run_in(tmp_path, new_engine(), tasks, config)
    with Run.open(tmp_path) as run:
        assert run.batches() == []
    assert run_in(tmp_path, new_engine(), tasks, config)[0]["after_rl"][0].reward is not None


def test_a_verdict_that_cannot_be_read_leaves_its_trial_without_a_reward(endpoint, config, new_engine, tasks, tmp_path):
    endpoint.answer = lambda prompt: "perhaps" if "Neil Armstrong" in prompt else endpoint.judge(prompt)
    _, batches = run_in(tmp_path, new_engine(), tasks, config)
    of_apollo = [
        t for stage, _, of_batch in batches for t in of_batch if stage == "round-0" and t.edit.task_id == "apollo"
    ]
    ended = [(trial.reward, trial.failure.blame) for trial in of_apollo if trial.update]
    assert ended and set(ended) == {(None, "system")}


def test_the_key_stands_in_no_file_of_a_run(endpoint, config, new_engine, tasks, tmp_path, monkeypatch, allow_key):
    allow_key("OPENAI_API_KEY")
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    run_in(tmp_path, new_engine(), tasks, config)
    assert {headers["Authorization"] for headers in endpoint.headers} == {f"Bearer {SECRET}"}
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert any(path.parent.parent == tmp_path / "judge" for path in files)
    assert not any(SECRET[:12].encode() in path.read_bytes() for path in files)


def test_a_judge_that_cannot_judge_is_refused_before_anything_is_trained(endpoint, config, engine, tasks, tmp_path):
    endpoint.answer = lambda prompt: "yes"
    with pytest.raises(Refused, match="the judge small is wrong on 3 of 6 answers"):
        run_in(tmp_path, engine, tasks, config)
    assert engine.jobs == []


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize(("given", "missing"), [({}, "url"), ({"url": "http://host"}, "model")])
def test_an_endpoint_that_is_not_set_is_named(role, given, missing):
    key = f"endpoints.{role}"
    config = load_config(None, [f"{key}.{name}={value}" for name, value in given.items()])
    with pytest.raises(InputError) as error:
        make_sampler(config, role, None)
    assert str(error.value) == f"{key}.{missing} is empty; set it in the config, or with --set {key}.{missing}=..."


def test_a_judge_without_an_address_is_your_input(engine):
    with pytest.raises(InputError, match=r"endpoints\.judge\.url is empty"):
        make_examiner(load_config(None, ["exam.grader=judge"]), engine)


@pytest.mark.parametrize("role", ROLES)
def test_every_role_has_its_own_endpoint_and_folder(endpoint, tmp_path, role):
    config = load_config(None, [f"endpoints.{role}.url={endpoint.url}", f"endpoints.{role}.model={role}"])
    assert make_sampler(config, role, tmp_path).sample([Request(BASE, "a")]) == ["You said a"]
    assert endpoint.bodies[0]["model"] == role
    assert [path.name for path in tmp_path.iterdir()] == [role]


def test_without_a_run_nothing_is_kept(endpoint, config, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make_judge(config, None)
    make_judge(config, None)
    assert len(endpoint.prompts) == 2 * len(set(endpoint.prompts)) and list(tmp_path.iterdir()) == []


def test_the_rubric_rates_over_http(endpoint, tasks, tmp_path):
    endpoint.answer = lambda prompt: json.dumps(dict.fromkeys(("length", "diversity", "quality", "correctness"), 3))
    config = load_config(None, [f"endpoints.rubric.url={endpoint.url}", "endpoints.rubric.model=m"])
    assert make_rubric(config, tmp_path).rate([(tasks[0], SelfEdit("apollo", "", "notes"))]) == [12.0]


# What doctor says


@pytest.mark.parametrize(
    ("overrides", "roles"),
    [
        ([], []),
        (["endpoints.judge.url=http://host"], []),
        (["exam.grader=judge", "outer.reward=rubric", "endpoints.teacher.url=http://host"], list(ROLES)),
    ],
)
def test_only_what_is_used_is_looked_at(overrides, roles):
    assert used(load_config(None, overrides)) == roles


def test_whether_an_endpoint_answers_is_said_after_one_try(endpoint, config):
    assert reached(config, "judge") == f"small answers at {endpoint.url}/chat/completions"
    endpoint.down, asked = True, len(endpoint.bodies)
    patient = config.endpoints.judge.model_copy(update={"retries": 5})
    patient = config.model_copy(update={"exam": config.exam.model_copy(update={"judge": patient})})
    assert reached(patient, "judge").startswith("cannot be used: no answer from http://127.0.0.1")
    assert len(endpoint.bodies) == asked + 1
    assert reached(config, "teacher").startswith("cannot be used: endpoints.teacher.url is empty")
