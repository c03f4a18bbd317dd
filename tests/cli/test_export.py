"""`export`: an update for other programs, from the command line."""

import json
import shutil

import pytest


@pytest.fixture(scope="module")
def school(tmp_path_factory):
    """A run in which the embedded model was taught a document, for a moment."""
    from selfedit.cli.main import run

    folder = tmp_path_factory.mktemp("school")
    (folder / "torvik.md").write_text("# Torvik\n\nTorvik lies on the river Selx.\n")
    (folder / "questions.json").write_text(json.dumps([{"question": "Where does it lie?", "answer": "Selx"}]))
    brief = ("--set", "outer.edits_per_task=1", "--set", "outer.sampling.max_new_tokens=8", "--set", "inner.tokens=100")
    asked = ("--questions", str(folder / "questions.json"), "-m", "almanac", *brief)
    assert run(["adapt", str(folder / "torvik.md"), "-o", str(folder / "run"), *asked]) == 0
    return folder / "run"


def test_an_exported_model_is_asked_as_its_run_is(cli, school):
    called = cli("export", school, "--merged", "model", "--peft", "adapter")
    assert called.code == 0 and "checked: all 4 answers are those of the model that was examined" in called.said
    assert "The adapter calls its base almanac, which other programs and machines do not know" in called.said
    asked = ("Where does it lie?", "--topic", "Torvik")
    said, plain = cli("ask", school, *asked).out, ("--set", "domain.wording=plain", "--set", "domain.prompt=notes")
    assert cli("ask", "base", *asked, "--model", "model", *plain).out == said == cli("ask", "adapter", *asked).out


def test_an_update_of_a_run_is_exported_by_its_folder_and_json_says_what_was_seen(cli, school):
    called = cli("export", school / "updates" / "adapter", "--ollama", "ollama", "--dtype", "bfloat16", "--json")
    (one,) = called.json["exported"]
    assert one["form"] == "ollama" and one["path"] == "ollama" and one["dtype"] == "bfloat16" and one["answers"] == 4
    (remark,) = called.json["remarks"]
    assert remark.startswith("Ollama was not run. To import: cd ollama && ollama create NAME -f Modelfile.")


def test_an_adapter_of_no_run_is_compared_by_the_fixed_prompts(cli, school, tmp_path):
    shutil.copytree(school / "updates" / "adapter", tmp_path / "alone")
    called = cli("export", tmp_path / "alone", "--peft", "out", "--base", "org/almanac")
    assert "all 3 answers" in called.said and "calls its base" not in called.said


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "no form is named: add --merged DIR, --peft DIR, --gguf FILE or --ollama DIR"),
        (["--merged", "out", "--dtype", "int4"], "the type of the weights is 'int4'; it can be float32, bfloat16"),
        (["--gguf", "out.gguf"], "a GGUF is made by llama.cpp's own converter"),
        (["--gguf", "out.gguf", "--llama-cpp", "."], ". is not the source of llama.cpp: it holds no convert_hf_to"),
        (["--gguf", "out"], "out is to be a GGUF file: give it a name that ends in .gguf"),
        (["--merged", "out", "--set", "model.engine=fake"], "only models of the local engine are exported"),
    ],
)
def test_what_cannot_be_exported_is_your_input(cli, school, monkeypatch, arguments, said):
    monkeypatch.delenv("LLAMA_CPP", raising=False)
    called = cli("export", school, *arguments)
    assert called.code == 3 and called.error.startswith(said)


@pytest.mark.parametrize("largest", [1_000, 200_000])
def test_a_full_disk_leaves_nothing_of_an_export(forks, school, tmp_path, largest):
    (tmp_path / "empty").mkdir()
    command = ("export", school, "--merged", "model", "--peft", "adapter")
    full = forks(tmp_path / "empty", *command, largest_file=largest)
    assert full["code"] == 3 and "Traceback" not in full["err"]
    last = full["err"].rstrip("\n").split("\n")[-1]
    assert last.startswith("error: the export cannot be written: ") and "nothing of it was kept" in last
    assert {path.name for path in (tmp_path / "empty").iterdir()} <= {"out.txt", "err.txt"}


def test_a_place_that_is_taken_is_refused(cli, school, write):
    write("out/mine.txt", "mine")
    called = cli("export", school, "--merged", "out")
    assert called.code == 2 and called.error == "out is there already; export to another place, or remove it first"


def test_the_base_and_what_is_no_update_are_refused(cli):
    assert cli("export", "base", "--merged", "out").error.startswith("base is the model without an update")
    assert cli("export", "nowhere", "--merged", "out").error.startswith("nowhere holds no adapter")


def test_a_dry_run_has_no_update_to_export(cli, handbook):
    assert cli("adapt", handbook, "--dry-run", "-o", "dry").code == 0
    assert "it was made by a dry run, which has no model" in cli("export", "dry", "--merged", "out").error


def test_a_model_in_the_hubs_cache_is_called_by_its_name_there():
    from selfedit.workflows.export import hub_name

    assert hub_name("/home/me/hub/models--org--a-model.5/snapshots/0a1b2c") == "org/a-model.5"
    assert hub_name("org/name") == "org/name" and hub_name("/models/mine") == "/models/mine"


def test_of_a_bank_of_updates_the_last_is_exported_and_that_is_said(cli, write, brief):
    for name in ("one", "two"):
        write(f"docs/{name}.md", f"# {name}\n\nThe word of {name} is {name * 2}.\n")
    assert cli("continual", "docs/one.md", "docs/two.md", "-o", "bank", "--method", "bank", *brief).code == 0
    called = cli("export", "bank", "--peft", "out")
    assert "In this run the router 'bank' chooses which update answers; exported is the last one" in called.said
