"""The passages of `reproduce squad`, and what its summary says."""

import json

import pytest

from selfedit.errors import InputError
from selfedit.reproduce import TABLES
from selfedit.reproduce.options import Options
from selfedit.reproduce.squad import GAPS, choose, cloze
from selfedit.types import Question, Task


def passages(titles, each=2, questions=6):
    asked = tuple(Question(f"Who is number {n}?", f"name {n}") for n in range(questions))
    return [Task(f"{t}-{n}", t, f"{t} has passage {n}.", asked) for t in titles for n in range(each)]


def test_passages_have_different_titles_and_the_seed_chooses():
    found = passages("abcdef", each=9)
    first, again, other = choose(found, 4, 0), choose(found, 4, 0), choose(found, 4, 1)
    assert first == again != other
    assert [task.title for task in first] == list("abcd")
    assert all(len(task.questions) == 5 for task in first)


def test_too_few_titles_are_refused():
    with pytest.raises(InputError, match="1 titles have 5 questions on a passage, and 2 are needed"):
        choose(passages("a") + passages("b", questions=4), 2, 0)


def test_questions_by_rule_leave_out_what_a_sentence_tells():
    task = Task("b", "Bridge", "It was built in 1874 by Ada Brandt. Then nothing was heard of it for years.")
    first, second, *others = cloze(task)
    assert {first, second} == {"It was built in ____ by Ada Brandt?", "It was built in 1874 by Ada ____?"}
    assert len(others) == GAPS and all(other.count("____") == 1 and other.endswith("?") for other in others)


def test_every_row_stands_beside_the_passage_for_as_many_tokens(tmp_path):
    rows = [
        {
            "title": t,
            "context": f"{t} lies on the Selx.",
            "questions": [{"question": f"Where is {t}?", "answer": "Selx"}],
        }
        for t in ("Torvik", "Velin", "Ulmira")
    ]
    data = tmp_path / "passages.json"
    data.write_text(json.dumps(rows))
    sets = ("model.engine=fake",)
    options = Options("fresh", tmp_path / "run", lambda *_: None, lambda *_: None, sets, "a/model", data)
    summary = TABLES["fresh"].run(options)
    assert {"base", "passage_only", "passage_only_equal", "own_notes", "own_notes_unchecked"} <= summary.keys()
    assert {"in_context", "rag", "gain", "coverage", "faithful", "lines", "dropped"} <= summary.keys()
    assert summary["passage_only_equal"]["tokens"] >= summary["own_notes"]["tokens"]
    assert (summary["base"]["mean"], summary["in_context"]["mean"], summary["rag"]["mean"]) == (0.0, 1.0, 1.0)
    assert {"best", "by_rule", "gain_over_rule", "ifeval_before", "ifeval_after"} <= summary.keys()
    table, pages = TABLES["fresh"].tables(summary)
    assert len(table.rows) == 9
    assert [row[:2] for row in pages.rows] == [("chat", "0.0 % → 100.0 %"), ("gentle", "0.0 % → 100.0 %")]
