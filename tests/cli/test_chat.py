"""`chat`: answers before and after, line by line."""

import io
import json
from contextlib import nullcontext

import pytest

from selfedit.cli import chat, screen
from selfedit.engines.fake import FakeEngine


@pytest.fixture(scope="module")
def school(tmp_path_factory):
    """A run in which the embedded model learned an almanac entry, and the entry."""
    from selfedit.cli.main import run
    from selfedit.worlds.almanac import world

    folder = tmp_path_factory.mktemp("school")
    (task,) = world.tasks("exam", 1)
    questions = [{"question": q.text, "answer": q.target} for q in task.questions]
    (folder / "entry.json").write_text(
        json.dumps([{"title": task.title, "context": task.context, "questions": questions}])
    )
    brief = ("--set", "outer.edits_per_task=1", "--set", "outer.sampling.max_new_tokens=40")
    assert run(["adapt", str(folder / "entry.json"), "-o", str(folder / "run"), "-m", "almanac", *brief]) == 0
    return folder / "run", task


@pytest.fixture
def typed(monkeypatch):
    return lambda text: monkeypatch.setattr("sys.stdin", io.StringIO(text))


def test_questions_are_asked_one_after_another_with_the_answer_before_beside_that_after(cli, school, typed):
    run, task = school
    first, second = (question.text for question in task.questions[:2])
    typed(f"{first}\n\n{second}\nexit\nnever asked\n")
    topic = ("--topic", task.title)
    lines = cli("chat", run, *topic).out.splitlines()
    assert [line[:8] for line in lines] == ["before: ", "after:  "] * 2
    alone = [cli("ask", update, first, *topic).said for update in ("base", run)]
    assert [" ".join(line[8:].split()) for line in lines[:2]] == alone


def test_what_is_typed_is_sent_as_it_is(cli, monkeypatch, typed):
    asked = []

    class Listening(FakeEngine):
        def sample(self, requests):
            asked.extend(requests)
            return [f"You said {request.prompt}" for request in requests]

    monkeypatch.setattr(chat, "open_engine", lambda config: nullcontext(Listening(())))
    typed("  Hello [there]! \nAnd now?\n")
    called = cli("chat", "base", "--temperature", "0.5", "--max-tokens", "7")
    assert called.out == "You said Hello [there]!\nYou said And now?\n"
    assert [(r.prompt, r.temperature, r.max_new_tokens) for r in asked] == [
        ("Hello [there]!", 0.5, 7),
        ("And now?", 0.5, 7),
    ]
    assert asked[0].seed != asked[1].seed


def test_json_has_a_line_for_every_line(cli, school, typed):
    typed("Where is it?\nWho?\n")
    lines = [json.loads(line) for line in cli("chat", school[0], "--max-tokens", "8", "--json").out.splitlines()]
    assert [line["message"] for line in lines] == ["Where is it?", "Who?"]
    assert all(set(line) == {"message", "before", "after"} for line in lines)


def test_only_the_answer_after_is_the_same_without_the_one_before(cli, school, typed):
    said = []
    for more in ([], ["--after-only"]):
        typed("Where is it?\n")
        said.append(cli("chat", school[0], "--max-tokens", "8", "--json", *more).json)
    assert said[1] == {"message": "Where is it?", "answer": said[0]["after"]}


def test_a_message_that_is_too_long_does_not_end_the_conversation(cli, typed):
    typed("Where is it? " * 300 + "\n" + "x" * (3 * chat.LONGEST) + "\nWhere?")
    called = cli("chat", "base", "--max-tokens", "4", "--json")
    assert called.code == 0 and "512" in called.err and "a line has 100,000 characters or more" in called.err
    assert called.json["message"] == "Where?"


def test_an_update_that_is_none_is_your_input(cli, typed):
    typed("Hello\n")
    called = cli("chat", "nowhere")
    assert called.code == 3 and called.error.startswith("nowhere holds no adapter")


@pytest.mark.parametrize(("width", "beside"), [(100, True), (60, False)])
def test_two_answers_stand_beside_each_other_where_the_terminal_is_wide(monkeypatch, width, beside):
    drawn = io.StringIO()
    monkeypatch.setattr(screen, "out", screen.Console(file=drawn, width=width, force_terminal=True, color_system=None))
    chat._show({"before": "It is [far] away.", "after": "On the Selx.\x1b[2J"})
    lines = [line for line in drawn.getvalue().splitlines() if line.strip()]
    assert ("far" in lines[-1] and "Selx" in lines[-1]) == beside and "\x1b" not in drawn.getvalue()
    assert any("before" in line and "after" in line for line in lines) == beside
