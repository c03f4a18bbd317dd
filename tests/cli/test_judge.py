"""A judge from the command line: it goes down, the command says how to go on, and that command does."""

import pytest


@pytest.fixture
def judged(endpoint):
    """Options for a judge at the endpoint: an answer is right that holds the last word of the gold answer."""

    endpoint.answer = endpoint.judge
    settings = {
        "exam.grader": "judge",
        "endpoints.judge.url": endpoint.url,
        "endpoints.judge.model": "m",
        "endpoints.judge.retries": 0,
    }
    return [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]


def test_a_run_whose_judge_goes_down_says_how_to_go_on(cli, endpoint, passages, tiny, judged):
    def judge(prompt):
        endpoint.down = len(set(endpoint.prompts)) > 12  # of which ten are probes
        return endpoint.judge(prompt)

    endpoint.answer = judge
    called = cli("train", "--data", passages, "-o", "run", *tiny, *judged, "--set", "endpoints.judge.parallel=1")
    assert called.code == 1
    again = "what was finished is kept. When it is up again, go on with: selfedit resume run"
    assert "no answer from http://127.0.0.1" in called.error and called.error.endswith(again)
    endpoint.down, endpoint.answer = False, endpoint.judge
    assert cli(*called.error.rpartition("selfedit ")[2].split()).code == 0


def test_a_judge_that_is_not_set_is_named(cli, passages, tiny):
    called = cli("train", "--data", passages, *tiny, "--set", "exam.grader=judge")
    assert called.code == 3
    assert called.error.endswith(
        "endpoints.judge.url is empty; set it in the config, or with --set endpoints.judge.url=..."
    )


def test_doctor_asks_the_judge(cli, endpoint, judged):
    endpoint.script = [(401, "who are you", {})]
    called = cli("doctor", *judged)
    assert called.code == 0
    assert "cannot be used: " in called.said and "(401: who are you); set it in the environment" in called.said
    assert f"m answers at {endpoint.url}" in cli("doctor", *judged).said
