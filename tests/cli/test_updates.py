"""`eval`, `ask` and `cost`: what an update knows, and what it costs."""

import json
import shutil

import pytest

TAUGHT = [
    "-m",
    "almanac",
    "--set",
    "outer.edits_per_task=1",
    "--set",
    "inner.tokens=2000",
    "--set",
    "outer.sampling.max_new_tokens=60",
]


@pytest.fixture(scope="module")
def school(tmp_path_factory):
    """A run in which the embedded model learned two almanac entries, and the file with them."""
    from selfedit.cli.main import run
    from selfedit.worlds.almanac import world

    folder = tmp_path_factory.mktemp("school")
    records = [
        {
            "title": t.title,
            "context": t.context,
            "questions": [{"question": q.text, "answer": q.target} for q in t.questions],
        }
        for t in world.tasks("exam", 2)
    ]
    (folder / "entries.json").write_text(json.dumps(records))
    assert run(["adapt", str(folder / "entries.json"), "-o", str(folder / "run"), *TAUGHT]) == 0
    return folder


@pytest.fixture
def entry(school):
    return json.loads((school / "entries.json").read_text())[0]


# eval


def test_eval_knows_more_after_a_lesson_than_before(cli, school):
    base, taught = (
        cli("eval", update, "-m", "almanac", "--data", school / "entries.json", "--json").json
        for update in ("base", school / "run")
    )
    assert base["closed_book"]["mean"] < taught["closed_book"]["mean"]
    asked = [len(entry["questions"]) for entry in json.loads((school / "entries.json").read_text())]
    assert [len(answers) for answers in taught["answers"].values()] == asked
    assert taught["closed_book"]["n"] == 2


def test_eval_shows_a_table(cli, school):
    called = cli("eval", school / "run", "-d", school / "entries.json")
    assert called.code == 0 and "closed_book" in called.said and "entries.json" in called.said


def test_eval_needs_questions(cli, write):
    called = cli("eval", "base", "-m", "almanac", "--data", write("data.json", [{"title": "x", "context": "y"}]))
    assert called.code == 3 and called.error == "data.json holds no questions"


# ask


def test_ask_answers_what_was_taught(cli, school, entry):
    answers = [cli("ask", school / "run", q["question"], "--topic", entry["title"]).said for q in entry["questions"]]
    known = sum(q["answer"] in answer for q, answer in zip(entry["questions"], answers, strict=True))
    assert known >= 2


def test_ask_as_json_has_the_question_and_the_answer(cli):
    called = cli("ask", "base", "Where is [Torvik]?", "--json")
    assert called.code == 0 and called.json["question"] == "Where is [Torvik]?"
    assert set(called.json) == {"question", "answer"} and called.err == ""


def test_a_peft_directory_can_be_asked_as_well_as_its_run(cli, school):
    of_run, of_adapter = (
        cli("ask", path, "Where is it?").out for path in (school / "run", school / "run" / "updates" / "adapter")
    )
    assert of_run == of_adapter


def test_an_adapter_of_a_run_of_another_version_can_be_asked_all_the_same(cli, school, tmp_path):
    asked = cli("ask", school / "run" / "updates" / "adapter", "Where is it?").out
    shutil.copytree(school / "run", tmp_path / "run")
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    (tmp_path / "run" / "config.json").write_text(json.dumps({**config, "version": "0.1"}))
    assert cli("ask", tmp_path / "run" / "updates" / "adapter", "Where is it?").out == asked


def test_a_question_longer_than_the_context_is_your_input(cli):
    called = cli("ask", "base", "Where is it? " * 300)
    assert called.code == 3 and "512" in called.error


def test_a_question_over_the_context_is_your_input_in_an_exam_too(cli, write):
    asked = [{"question": "Short?", "answer": "x"}, {"question": "Where is it? " * 300, "answer": "x"}]
    name = write("long.json", [{"title": "Torvik", "context": "It is far.", "questions": asked}])
    called = cli("eval", "base", "-m", "almanac", "--data", name)
    assert called.code == 3 and called.error.startswith("passage 'Torvik' is too long: the prompt has ")
    assert "512" in called.error


@pytest.mark.parametrize("command", [["ask", "nowhere", "Where?"], ["eval", "nowhere", "--data"]])
def test_an_update_that_is_none_is_your_input(cli, passages, command):
    called = cli(*command, *([passages] if command[0] == "eval" else []))
    assert called.code == 3 and called.error.startswith("nowhere holds no adapter")


def test_the_adapter_of_another_model_is_your_input(cli, school, saved_model):
    called = cli("ask", school / "run", "Where?", "--model", saved_model)
    assert called.code == 3
    assert "adapter was trained for another model: " in called.error and f"does not fit {saved_model}" in called.error


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("adapter_config.json", "{", "adapter_config.json is damaged: "),
        ("adapter_config.json", "[]", "adapter_config.json is not the config of a PEFT adapter"),
        ("adapter_model.safetensors", "no tensors", "adapter_model.safetensors is damaged ("),
    ],
)
def test_a_damaged_adapter_is_your_input(cli, school, tmp_path, name, content, said):
    folder = shutil.copytree(school / "run" / "updates" / "adapter", tmp_path / "adapter")
    (folder / name).write_text(content)
    called = cli("ask", folder, "Where?")
    assert called.code == 3 and said in called.error


def test_an_adapter_whose_model_has_gone_is_your_input(cli, school, tmp_path):
    folder = shutil.copytree(school / "run" / "updates" / "adapter", tmp_path / "adapter")
    config = json.loads((folder / "adapter_config.json").read_text())
    for name in ("gone/model", str(tmp_path / "gone")):
        (folder / "adapter_config.json").write_text(json.dumps({**config, "base_model_name_or_path": name}))
        called = cli("ask", folder, "Where?")
        assert called.code == 3 and called.error.startswith(name)


def test_a_model_without_a_tokenizer_is_your_input(cli, saved_model):
    for file in saved_model.glob("tokenizer*"):
        file.unlink()
    called = cli("ask", "base", "Where?", "--model", saved_model)
    assert called.code == 3
    assert called.error == f"{saved_model} has no tokenizer: put its tokenizer.json beside config.json"


def test_a_half_written_policy_is_never_taken_for_one(cli, school, tmp_path):
    whole = shutil.copytree(school / "run" / "updates" / "adapter", tmp_path / "run" / "updates" / "round-0")
    partial = shutil.copytree(whole, whole.with_name("round-1.partial"))
    (partial / "adapter_model.safetensors").write_text("half")
    assert cli("ask", tmp_path / "run", "Where is it?").code == 0


def test_an_update_of_all_weights_is_asked_like_an_adapter_and_is_a_model_too(cli, school, entry):
    full = ("--set", "inner.method=full", "--set", "inner.learning_rate=2e-3", *TAUGHT)
    assert cli("adapt", school / "entries.json", "-o", school / "full", *full).code == 0
    question, plain = (
        ("Where is it?", "--topic", entry["title"]),
        ("--set", "domain.wording=plain", "--set", "domain.prompt=notes"),
    )
    answer = cli("ask", school / "full", *question).said
    assert answer == cli("ask", "base", *question, "--model", school / "full/updates/adapter", *plain).said
    assert answer != cli("ask", "base", *question).said


def test_ask_needs_a_question_and_says_where_many_are_asked(cli, school):
    called = cli("ask", school / "run")
    assert called.code == 3
    assert called.error == f"there is no question: add it, or ask many in a row with selfedit chat {school / 'run'}"


# cost


@pytest.fixture
def texts(write):
    return write("texts.json", ["A text about the sea.", "Another, about a garden."])


def test_cost_compares_the_update_with_its_base(cli, school, texts):
    called = cli("cost", school / "run", "--neutral", texts)
    assert called.code == 0 and "neutral text, bits per token" in called.said and "prompts" not in called.said


def test_cost_as_json_has_what_was_asked_for(cli, school, texts, write):
    items = write("items.json", [{"context": "It lies on the", "choices": ["river", "moon"], "answer": 0}])
    prompts = write(
        "prompts.json", [{"prompt": "Say it.", "instruction_id_list": ["punctuation:no_comma"], "kwargs": [{}]}]
    )
    named = ("--instructions", prompts, "--multiple-choice", items, "--neutral", texts)
    found = cli("cost", school / "run", *named, "--set", "cost.max_new_tokens=4", "--json").json
    (answers,) = found["answers"].values()
    assert len(answers) == 2
    found = found["cost"]
    assert list(found) == ["instructions", "chat_format", "multiple_choice/items", "neutral"]
    assert found["neutral"]["bits"]["n"] == 2
    assert found["neutral"]["bits"]["before"] != found["neutral"]["bits"]["after"]


def test_the_base_model_costs_nothing(cli):
    called = cli("cost", "base", "-m", "almanac")
    assert called.code == 3 and called.error.startswith("the base model costs nothing")


def test_cost_names_the_line_of_a_file_that_is_wrong(cli, school, write):
    called = cli("cost", school / "run", "--instructions", write("prompts.jsonl", '{"prompt": "x"}\n'))
    assert called.code == 3 and "prompts.jsonl needs 'instruction_id_list'" in called.error
