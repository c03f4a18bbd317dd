"""`continual`, `adapt --into`, `rollback`, `forget`: a model that goes on learning, from the command line."""

import json

import pytest

from selfedit.store import Run
from selfedit.worlds.almanac import world

DOCUMENTS = [
    {"title": "Torvik", "context": "Torvik lies on the Selx.", "questions": [{"question": "River?", "answer": "Selx"}]},
    {"title": "Mara", "context": "Mara Velin was a baker.", "questions": [{"question": "Trade?", "answer": "baker"}]},
    {"title": "Fair", "context": "The fair is in 1990.", "questions": [{"question": "Year?", "answer": "1990"}]},
]


@pytest.fixture
def stream(write, cli, brief):
    """A run that has learned three documents."""

    def stream(*more, folder="run", documents=DOCUMENTS):
        called = cli("continual", write("documents.json", documents), "-o", folder, "--json", *brief, *more)
        assert called.code == 0, called.err
        return called.json

    return stream


def learned(folder):
    """The updates of the run's steps, in order, with their files."""
    with Run.open(folder) as run:
        updates = [t.update for batch in run.batches() if batch.stage == "learn" for t in batch.trials]
    return [
        update and {f.name: f.read_bytes() for f in sorted((folder / "updates" / update.id).iterdir())}
        for update in updates
    ]


def halves(folder):
    """The questions that the model wrote, by document: those for methods, and those for exams."""
    rows = json.loads((folder / "stream-questions.json").read_text())
    pairs = zip(rows[::2], rows[1::2], strict=True)
    return {first["id"]: [first["questions"], second["questions"]] for first, second in pairs}


def test_documents_are_learned_one_after_another(stream, cli, write, tmp_path):
    neutral = write("neutral.json", ["A text about nothing that is in the documents at all."])
    summary = stream("--method", "replay", "--neutral", neutral)
    assert summary["tasks"] == 3 and summary["keepers"] == ["replay"] and summary["bits"]["mean"] > 0
    run = tmp_path / "here" / "run"
    matrix = json.loads((run / "matrix.json").read_text())["mean_over_sequences"]
    assert len(matrix) == 4 and all(len(row) == 3 for row in matrix)
    report = (run / "report.html").read_text()
    assert "What is kept, edit by edit" in report and report.count("<svg") == 2
    assert cli("ask", "run", "River?", "--topic", "Torvik").code == 0


def test_a_run_goes_on_with_more_documents_and_back_to_the_bit(stream, cli, write, tmp_path):
    stream(documents=DOCUMENTS[:2])
    run = tmp_path / "here" / "run"
    before = learned(run)
    more = cli("adapt", write("more.json", DOCUMENTS[2:]), "--into", "run", "--json")
    assert more.code == 0, more.err
    assert more.json["tasks"] == 3 and learned(run)[:2] == before
    back = cli("rollback", "run", "2", "--json")
    assert back.code == 0, back.err
    assert back.json["tasks"] == 2 and learned(run) == before
    assert len(list((run / "updates").iterdir())) == 2


@pytest.mark.parametrize("method", ["bank", "replay"])
def test_a_document_is_forgotten(stream, cli, tmp_path, method):
    stream("--method", method)
    stream("--method", method, folder="without", documents=[DOCUMENTS[0], DOCUMENTS[2]])
    called = cli("forget", "run", "Mara", "--json")
    assert called.code == 0, called.err
    assert called.json["tasks"] == 2 and "forgotten" in called.json["control"]
    here = tmp_path / "here"
    texts = [(here / "run" / name).read_text() for name in ("tasks.json", "stream.json", "forgotten.json")]
    assert not any("Mara Velin" in text for text in texts)
    assert len(learned(here / "run")) == 2


def test_what_the_model_wrote_about_a_document_is_asked_once_that_is_forgotten(stream, cli, tmp_path):
    maren = (
        "Maren Toldavik was born in the town of Halverby. She worked as a cooper. In the evenings she played the "
        "zither. She collected old maps. She studied the subject of geology. She was born in the year 1874."
    )
    (first,) = world.tasks("develop", 1)
    passages = [{"title": first.title, "context": first.context}, {"title": "Maren Toldavik", "context": maren}]
    stream("--set", "outer.sampling.max_new_tokens=220", "--set", "seed=3", documents=passages)
    run = tmp_path / "here" / "run"
    written = halves(run)
    called = cli("forget", "run", passages[1]["title"])
    assert called.code == 0 and f"Forgotten: {passages[1]['title']!r}" in called.err
    (gone,) = json.loads((run / "forgotten.json").read_text())
    assert gone["questions"] == written.pop(gone["id"])[1] != []
    assert halves(run) == written != {}


def test_what_adapt_has_taught_goes_on_being_examined(cli, handbook, write, brief, tmp_path):
    questions = write("questions.json", [{"question": "How many days?", "answer": "25"}])
    assert cli("adapt", handbook, "-q", questions, "-o", "run", *brief).code == 0
    called = cli("adapt", write("more.json", DOCUMENTS[:1]), "--into", "run", "--json")
    assert called.code == 0, called.err
    assert called.json["tasks"] == 2
    matrix = json.loads((tmp_path / "here" / "run" / "matrix.json").read_text())
    assert matrix["n_datapoints"] == 2
    assert cli("adapt", handbook, "--into", "run", "--model", "x").error.startswith("--into goes on under the settings")


def test_streams_of_the_almanac_compare_methods(cli, brief):
    sizes = {"streams": 2, "tasks": 2, "control": 2, "neutral_texts": 2}
    sets = [word for key, value in sizes.items() for word in ("--set", f"continual.{key}={value}")]
    called = cli("continual", "-k", "sequential", "--json", *sets, *brief, "--set", "model.processes=1")
    assert called.code == 0, called.err
    assert called.json["streams"] == 2 and set(called.json["control"]) == {"control", "known", "reading"}


def test_a_run_that_was_stopped_is_resumed(stream, cli, tmp_path):
    stream()
    run = tmp_path / "here" / "run"
    whole = (run / "matrix.json").read_text()
    (run / "matrix.json").unlink()
    assert cli("resume", "run").code == 0
    assert (run / "matrix.json").read_text() == whole


@pytest.mark.parametrize(
    ("command", "sentence"),
    [
        (("rollback", "run", "5"), "STEP can be 1 to 2"),
        (("forget", "run", "Nobody"), "has no document 'Nobody'; it has Torvik, Mara, Fair"),
    ],
)
def test_what_cannot_be_taken_back_is_said(stream, cli, command, sentence):
    stream()
    assert sentence in cli(*command).error


def test_a_dry_run_learns_documents_and_streams(cli, write, tmp_path):
    called = cli("continual", write("documents.json", DOCUMENTS), "--dry-run", "-o", "run", "--json")
    assert called.code == 0, called.err
    assert called.json["tasks"] == 3 and {"just_edited", "after"} <= called.json.keys()
    assert cli("rollback", "run", "2", "--json").json["tasks"] == 2
    assert cli("forget", "run", "Torvik", "--json").json["tasks"] == 1
    assert json.loads((tmp_path / "here" / "run" / "config.json").read_text())["model"]["engine"] == "fake"
    called = cli("continual", "--dry-run", "-o", "streams", "--json", "--set", "continual.streams=2")
    assert called.code == 0, called.err
    assert called.json["streams"] == 2


@pytest.mark.parametrize("given", [("--method", "magic"), ("--set", 'continual.methods=["magic"]')])
def test_an_unknown_method_is_an_input_error(cli, write, tmp_path, given):
    called = cli("continual", write("documents.json", DOCUMENTS), *given, "-o", "run", "-m", "almanac")
    assert called.code == 3
    assert called.error.startswith("continual.methods is 'magic'; it can be sequential, replay, ")
    assert not (tmp_path / "here" / "run").exists()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("continual.router=north", "continual.router is 'north'; it can be last, bank, consolidate, or"),
        ("continual.gate_measure=feeling", "continual.gate_measure is 'feeling'; it can be "),
        ('continual.methods=["merge"]', "the continual method merge is called sequential since version 0.2"),
        ('continual.methods=["bank","replay"]', "bank and replay cannot be combined"),
    ],
)
def test_what_a_stream_cannot_be_made_of_is_refused_before_there_is_a_folder(cli, write, tmp_path, given, said):
    called = cli("continual", write("documents.json", DOCUMENTS), "--set", given, "-o", "run", "-m", "almanac")
    assert called.code == 3 and called.error.startswith(said)
    assert not (tmp_path / "here" / "run").exists()


def test_neutral_texts_must_be_texts(cli, write):
    called = cli("continual", write("d.json", DOCUMENTS), "--neutral", write("n.json", [1]), "-m", "almanac")
    assert called.code == 3 and "should hold a list of texts" in called.error
