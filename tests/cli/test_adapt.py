"""`adapt`: documents in, an adapter out."""

import json
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace

import pytest

from selfedit.store import Run
from selfedit.workflows.history import documents_of

QUESTIONS = [{"question": "How many days of leave are there?", "answer": "25"}]


def saved(folder):
    return json.loads((folder / "config.json").read_text())


def test_a_markdown_document_is_taught_without_an_exam(cli, handbook, brief, tmp_path):
    called = cli("adapt", handbook, *brief)
    assert called.code == 0
    assert "1 notes written" in called.said and "nothing was examined" in called.said
    assert "Try: selfedit ask runs/adapt-1 'a question'" in called.said
    adapter = tmp_path / "here" / "runs" / "adapt-1" / "updates" / "adapter"
    assert (adapter / "adapter_model.safetensors").is_file()
    assert (tmp_path / "here" / "runs" / "adapt-1" / "report.html").is_file()
    assert json.loads((tmp_path / "here" / "runs" / "adapt-1" / "summary.json").read_text()) == {}


def test_each_lesson_has_a_folder_of_its_own(cli, handbook, brief, tmp_path):
    for _ in range(2):
        assert cli("adapt", handbook, *brief).code == 0
    assert sorted(path.name for path in (tmp_path / "here" / "runs").iterdir()) == ["adapt-1", "adapt-2"]


def test_documents_of_all_kinds_with_questions_are_examined(cli, write, handbook, passages, brief):
    questions = write("questions.json", [{"title": "Handbook", **QUESTIONS[0]}])
    plain = write("notice.txt", "The gate closes at nine.")
    called = cli("adapt", handbook, plain, passages, "--questions", questions, "-o", "run", *brief)
    assert called.code == 0
    for text in ("Handbook", "Torvik", "Selx", "Mara", "Before, closed book", "After, closed book"):
        assert text in called.said
    with Run.open(Path("run")) as run:
        exam = next(batch for batch in run.batches() if batch.stage == "exam")
    assert [bool(trial.before) for trial in exam.trials] == [True, False, True, True]


def test_a_folder_is_taught_and_what_was_read_is_said(cli, write, brief):
    write("docs/a.md", "# A\n\nText.")
    write("docs/b.txt", "b")
    write("docs/c.csv", "title,context,question,answer\nTorvik,It lies on the Selx.,River?,Selx\n")
    called = cli("adapt", "docs", "--include", "*.[mc]*", "-o", "run", "--dry-run", *brief)
    assert called.code == 0
    assert "docs: 2 files; passed over 1 of other kinds (1 .txt)" in called.err
    assert "docs/c.csv: 1 passage, 1 question" in called.err
    with Run.open(Path("run")) as run:
        assert [task.title for task in documents_of(run)] == ["A", "Torvik"]


def test_markup_in_a_document_is_text(cli, write, brief):
    """Case 24."""
    title = "Guide [/bold] </title><script>alert(1)</script> {{7*7}} {prompt}"
    asked = write("q.json", [{"question": "Tag? [/x] {question}", "answer": "</script> {answer} [/y]"}])
    document = write("a.md", f"# {title}\n\n{{answer}} [/y] {{{{7*7}}}}")
    called = cli("adapt", document, "-q", asked, "--dry-run", *brief)
    assert called.code == 0 and title in called.said and "[/y]" in called.said
    assert "<script>alert" not in Path("runs/adapt-1/report.html").read_text()


def test_a_document_can_be_piped_in(cli, brief, monkeypatch):
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=BytesIO("Größe 30".encode("cp1252"))))
    called = cli("adapt", "-", "-o", "run", "--dry-run", *brief)
    assert called.code == 0 and "standard input is not UTF-8: read as CP1252" in called.err


def test_as_json_only_the_result_is_on_stdout(cli, handbook, write, brief):
    called = cli("adapt", handbook, "-q", write("q.json", QUESTIONS), "-o", "run", "--json", *brief)
    assert called.code == 0
    assert list(called.json) == ["run", "adapter", "before", "after", "gain"]
    kept = json.loads(Path("run/summary.json").read_text())
    assert called.json == {"run": "run", "adapter": "run/updates/adapter", **kept}
    assert called.json["before"]["tokens"] == 0 < called.json["after"]["tokens"]


def test_any_model_can_be_taught_and_asked_from_another_folder(
    cli, handbook, brief, saved_model, tmp_path, monkeypatch
):
    called = cli(
        "adapt", handbook, "--model", "../model", "-o", "run", "--preset", "seal", "--set", "inner.rank=2", *brief
    )
    assert called.code == 0
    monkeypatch.chdir(tmp_path)
    asked = cli("ask", "here/run", "How many days?", "--json")
    assert asked.code == 0 and isinstance(asked.json["answer"], str)
    card = json.loads((tmp_path / "here/run/updates/adapter/adapter_config.json").read_text())
    assert card["base_model_name_or_path"] == str(saved_model)


def test_a_context_without_room_for_worked_examples_is_said(cli, handbook, brief, saved_model):
    called = cli("adapt", handbook, "--model", saved_model, "-o", "run", *brief)
    assert called.code == 3 and called.error.endswith("or ask without worked examples (--preset seal)")


def test_a_document_longer_than_the_context_is_split_and_that_is_said(cli, write, brief):
    long = write("long.txt", " ".join(f"Sentence number {n} of the story." for n in range(150)))
    called = cli("adapt", long, "-q", write("q.json", QUESTIONS), "-o", "run", *brief)
    assert called.code == 0
    assert "'long' is longer than the model's context: split into" in called.said
    with Run.open(Path("run")) as run:
        notes = [trial.edit.task_id for batch in run.batches() if batch.stage == "notes" for trial in batch.trials]
        exam = [trial.edit.task_id for batch in run.batches() if batch.stage == "exam" for trial in batch.trials]
    assert notes[:2] == ["long-1", "long-2"] and exam == ["long"]


def test_a_trained_policy_writes_the_notes(cli, handbook, brief, tiny, tmp_path):
    assert cli("demo", "-o", "school", *tiny).code == 0
    called = cli("adapt", handbook, "--policy", "school", "-o", "run", *brief)
    assert called.code == 0
    policy = tmp_path / "here" / "school" / "updates" / "round-0"
    assert saved(tmp_path / "here" / "run")["outer"]["policy"] == str(policy)
    card = json.loads((tmp_path / "here/run/updates/adapter/card.json").read_text())
    assert card["parent"] == json.loads((policy / "card.json").read_text())["id"]
    assert cli("train", "--set", "data.train=almanac", "--policy", "school", "-o", "on", *tiny).code == 0
    assert saved(tmp_path / "here" / "on")["outer"]["policy"] == str(policy)


def test_a_finished_lesson_is_shown_again_without_new_work(cli, handbook, brief):
    first = cli("adapt", handbook, "-o", "run", *brief)
    again = cli("adapt", handbook, "-o", "run", *brief)
    assert (again.code, again.out) == (0, first.out)
    assert cli("resume", "run").out == first.out


def test_a_dry_run_has_an_exam_and_an_adapter_that_goes_on_learning(cli, handbook, write):
    questions = write("q.json", QUESTIONS)
    called = cli("adapt", handbook, "-q", questions, "--dry-run", "-o", "run", "--json")
    assert called.code == 0, called.err
    assert list(called.json) == ["run", "adapter", "before", "after", "gain"]
    assert saved(Path("run"))["model"]["engine"] == "fake"
    assert Path(called.json["adapter"], "update.json").is_file()
    more = cli("adapt", write("notice.txt", "The gate closes at nine."), "--into", "run", "--json")
    assert more.code == 0, more.err
    assert json.loads(Path("run/stream.json").read_text())[1]


# What can be wrong


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("none.txt", None, "there is no file none.txt"),
        ("empty.md", "\n \n", "empty.md is empty; there is nothing to learn in it"),
        (
            "data.json",
            {"title": "x"},
            "data.json: record 0 has no key 'context'; its keys are title; accepted are SEAL's layout",
        ),
        ("data.json", [{"title": "x"}], "data.json: record 0 has no key 'context'; its keys are title"),
        ("data.json", [{"title": "x", "context": 3}], "data.json: record 0: context should be text; it is 3"),
        (
            "data.json",
            [{"id": 1, "title": "x", "context": "y"}, {"id": 1, "title": "z", "context": "y"}],
            "data.json has two passages with the id '1'; give each its own",
        ),
        ("data.json", "[{", "data.json is not JSON: "),
    ],
)
def test_a_document_that_cannot_be_read_is_your_input_and_starts_no_run(cli, write, tmp_path, name, content, said):
    if content is not None:
        write(name, content)
    called = cli("adapt", name)
    assert called.code == 3 and called.error.startswith(said)
    assert not (tmp_path / "here" / "runs").exists()


def test_questions_of_the_wrong_shape_are_your_input(cli, write, handbook):
    called = cli("adapt", handbook, "-q", write("q.json", [{"question": "How many?"}]))
    assert called.code == 3
    assert called.error.startswith("q.json: record 0 has no key 'answer'; its keys are question")


def test_a_policy_that_is_none_is_your_input(cli, handbook):
    called = cli("adapt", handbook, "--policy", "nowhere")
    assert called.code == 3 and called.error.startswith("nowhere holds no adapter: name a PEFT directory, or a run")


def test_a_policy_of_another_model_is_your_input(cli, handbook, brief, saved_model):
    seal = ("--preset", "seal", "--set", "inner.rank=2")
    assert cli("adapt", handbook, "-o", "other", "-m", saved_model, *seal, *brief).code == 0
    called = cli("adapt", handbook, "--policy", "other", *brief)
    assert called.code == 3 and "was trained for another model: " in called.error


def test_a_folder_with_something_else_in_it_is_refused(cli, write, handbook):
    write("thesis/chapter.tex", "mine")
    called = cli("adapt", handbook, "-o", "thesis", "-m", "almanac")
    assert called.code == 2
    assert called.error == "thesis is not empty and holds no run; choose another folder with --output"


def test_another_lesson_in_the_folder_of_a_run_is_refused(cli, write, handbook, brief):
    assert cli("adapt", handbook, "-o", "run", *brief).code == 0
    other = cli("adapt", write("notice.txt", "The gate closes at nine."), "-o", "run", *brief)
    assert other.code == 2 and "it differs in tasks; choose another folder" in other.error
    called = cli("adapt", handbook, "-o", "run", *brief, "--set", "seed=3")
    assert called.code == 2 and "it differs in seed; choose another folder" in called.error


ENTRY = (
    "# Maren Toldavik\nMaren Toldavik was born in the town of Halverby. She worked as a cooper. In the evenings she "
    "played the zither. She collected old maps. She studied the subject of geology. She was born in the year 1874.\n"
)


def test_without_questions_the_model_writes_its_own_and_is_examined_on_half(cli, write, tmp_path):
    document = write("maren.md", ENTRY)
    options = ["-m", "almanac", "--set", "outer.edits_per_task=2", "--set", "seed=1", "--reinforce", "1"]
    called = cli("adapt", document, "-o", "run", *options, "--json")
    assert called.code == 0
    run = tmp_path / "here" / "run"
    with Run.open(run) as opened:
        stages = {batch.stage: batch.trials for batch in opened.batches()}
        ((drafted,),) = [step.values() for step in [opened.by_stage()["questions"]]]
    reward, report = (half.questions for half in drafted)
    assert reward and report and not {q.text for q in reward} & {q.text for q in report}
    assert all(len(trial.after.grades) == len(reward) for trial in stages["round-0"] if trial.after)
    assert [len(trial.after.grades) for trial in stages["exam"]] == [len(report)]
    assert called.json["after"]["n"] == 1
    said = cli("resume", "run").said
    assert "questions that it wrote itself" in said
    assert "8 questions that the model wrote were dropped: their answer does not stand in the document" in said


@pytest.mark.parametrize(
    "command", [["adapt"], ["continual"], ["doctor"], ["eval", "base", "--data"], ["train", "--data"]]
)
def test_what_people_bring_is_not_taught_to_the_toy_model_unasked(cli, passages, tmp_path, command):
    called = cli(*command, passages)
    assert called.code == 3 and called.error.startswith("no model is named to learn this: add --model with a directory")
    assert not (tmp_path / "here" / "runs").exists()
