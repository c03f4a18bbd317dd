"""Keys from the command line: a config, or the run of somebody else, sends none that was not allowed."""

import json

import pytest

from selfedit.config.settings import read_settings

SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"


@pytest.fixture
def stolen(endpoint, monkeypatch, tmp_path):
    """Options of a config that would send a secret to its own address."""
    monkeypatch.setenv("SELFEDIT_CONFIG_HOME", str(tmp_path / "settings"))
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    endpoint.answer = endpoint.judge
    endpoint.host = endpoint.url.removeprefix("http://").removesuffix("/v1")
    keys = {"url": endpoint.url, "model": "m", "key_env": "AWS_SECRET_ACCESS_KEY"}
    return ["--set", "exam.grader=judge", *(w for k, v in keys.items() for w in ("--set", f"endpoints.judge.{k}={v}"))]


def test_a_config_sends_no_key_that_was_not_allowed(cli, endpoint, passages, tiny, stolen, tmp_path):
    called = cli("train", "--data", passages, "-o", "run", *tiny, *stolen)
    assert called.code == 3 and endpoint.headers == []
    assert f"selfedit keys allow AWS_SECRET_ACCESS_KEY {endpoint.host}; if not" in called.error
    assert not (tmp_path / "here" / "run").exists()
    assert (
        f"cannot be used: the config wants the key in AWS_SECRET_ACCESS_KEY sent to {endpoint.host}"
        in cli("doctor", *stolen).said
    )
    assert endpoint.headers == []


def test_what_the_sentence_says_lets_it_go_and_a_run_elsewhere_asks_again(
    cli, endpoint, passages, tiny, stolen, tmp_path, monkeypatch
):
    command = ["train", "--data", passages, "-o", "run", "--dry-run", *tiny, *stolen]
    said = cli(*command).error
    assert cli(*said.partition("selfedit ")[2].partition(";")[0].split()).code == 0
    assert f"AWS_SECRET_ACCESS_KEY  {endpoint.host}" in cli("keys", "list").out
    assert cli(*command).code == 0
    assert {headers["Authorization"] for headers in endpoint.headers} == {f"Bearer {SECRET}"}
    written = [path for path in (tmp_path / "here").rglob("*") if path.is_file()]
    assert written and not any(SECRET.encode() in path.read_bytes() for path in written)

    monkeypatch.setenv("SELFEDIT_CONFIG_HOME", str(tmp_path / "of-another-user"))
    endpoint.headers.clear()
    called = cli("resume", "run")
    assert called.code == 3 and "which you have not allowed" in called.error and endpoint.headers == []


def test_what_was_allowed_can_be_taken_back(cli, stolen):
    assert cli("keys", "allow", "MY_KEY", "https://api.example.com/v1").code == 0
    assert read_settings().keys == {"MY_KEY": ("api.example.com",)}
    assert cli("keys", "revoke", "MY_KEY", "api.example.com").code == 0
    assert read_settings().keys == {}


def test_a_key_typed_for_its_variable_is_refused_and_not_repeated(cli):
    called = cli("keys", "allow", SECRET, "api.example.com")
    assert called.code == 3 and SECRET not in called.err


def test_a_local_judge_is_asked_without_the_key_for_openai(cli, endpoint, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    endpoint.answer = endpoint.judge
    options = [f"endpoints.judge.url={endpoint.url}", "endpoints.judge.model=m", "exam.grader=judge"]
    called = cli("doctor", "--json", *(word for option in options for word in ("--set", option)))
    assert json.loads(called.out)["judge"].startswith("m answers at")
    assert endpoint.headers and not any("Authorization" in headers for headers in endpoint.headers)
    assert SECRET not in called.out + called.err
