"""`init` and `doctor`."""

import pytest

from selfedit.config import load_config
from selfedit.workflows.configure import make_config

# init


def test_init_writes_a_config_with_every_key_that_can_be_read_again(cli, tmp_path):
    called = cli("init", "my.toml")
    assert called.code == 0 and "selfedit train my.toml" in called.said
    assert load_config(tmp_path / "here" / "my.toml", []) == make_config("almanac")


def test_init_for_another_model_has_the_defaults_and_its_full_path(cli, tmp_path, saved_model):
    assert cli("init", "--model", "../model").code == 0
    config = load_config(tmp_path / "here" / "selfedit.toml", [])
    assert config == make_config(str(saved_model))


def test_init_leaves_a_file_that_is_there_alone(cli, write, tmp_path):
    called = cli("init", write("my.toml", "mine"))
    assert called.code == 2 and called.error.startswith("my.toml exists already")
    assert (tmp_path / "here" / "my.toml").read_text() == "mine"


def test_init_where_nothing_can_be_written(cli):
    called = cli("init", "no/such/my.toml")
    assert called.code == 3 and "cannot write no/such/my.toml: No such file or directory" in called.error


# doctor


def test_doctor_says_what_will_be_trained_and_how_long_it_takes(cli):
    called = cli("doctor")
    assert called.code == 0
    for name in ("model", "device", "context", "trainable per adapter", "memory", "seconds per edit"):
        assert any(line.startswith(name) for line in called.out.splitlines()), name
    assert called.out.count("<|end|>") == 3  # three training documents


def test_doctor_shows_the_tokens_of_a_document(cli, handbook):
    called = cli("doctor", handbook, "-m", "almanac")
    assert called.code == 0
    shown = called.out.replace("│", "").replace("\n", "").replace("⏎", " ")
    assert "Handbook Everyone has 25 days of leave.  Ask Mara [the boss] before you go." in shown


def test_doctor_reads_a_document_longer_than_the_context(cli, write):
    called = cli("doctor", write("long.txt", "One two three four five. " * 300), "-m", "almanac")
    assert called.code == 0 and called.out.count("<|end|>") > 3


def test_doctor_as_json(cli, saved_model, handbook):
    called = cli("doctor", handbook, "--model", saved_model, "--set", "inner.rank=2", "--json")
    assert called.json["context"] == "512 tokens" and str(saved_model) in called.json["model"]


@pytest.mark.parametrize(("arguments", "said"), [(["no.md"], "there is no file no.md"), (["e.md"], "e.md is empty")])
def test_doctor_names_a_document_that_cannot_be_read(cli, write, arguments, said):
    write("e.md", "\n")
    called = cli("doctor", *arguments, "-m", "almanac")
    assert called.code == 3 and said in called.error


def test_doctor_refuses_a_rank_above_the_width_of_the_model(cli, saved_model):
    called = cli("doctor", "--model", saved_model, "--set", "inner.rank=64")
    assert called.code == 3 and "rank 64 is above the width of the model's layers, 32" in called.error


def test_doctor_says_what_a_model_needs_that_cannot_be_fetched(cli):
    called = cli("doctor", "--model", "HuggingFaceTB/SmolLM2-135M", "--json")
    assert called.code == 0
    assert called.json["model"] == "HuggingFaceTB/SmolLM2-135M (134,515,008 parameters)"
    assert called.json["memory"].startswith("0.3 GB of weights in bfloat16, ")
    assert " MB per adapter in training, " in called.json["memory"]
    assert "with 24 GB of GPU memory up to " in called.json["together"]
    assert called.json["estimate"].startswith("all this is an estimate from the model's sizes")
    assert "could not be fetched from the model hub" in called.json["weights"]
    assert "pass its directory, --model path/to/directory" in called.json["weights"]
    assert "seconds per edit" not in called.json


def test_doctor_knows_nothing_of_a_model_with_unknown_sizes(cli):
    called = cli("doctor", "--model", "someone/unheard-of")
    assert called.code == 3 and called.error.startswith("someone/unheard-of could not be fetched from the model hub")
