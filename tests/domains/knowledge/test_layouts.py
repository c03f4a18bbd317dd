"""Data files in the layouts that people have them in (case 03): read with all their questions, or refused by name."""

import json

import pytest
from hypothesis import given
from mutations import examples, mutated_bytes, mutated_json, survives

from selfedit.domains.knowledge.questions import add_questions
from selfedit.domains.knowledge.reader import read_documents, read_tasks
from selfedit.errors import InputError
from selfedit.types import Question, Task

CONTEXT = "Leave is 30 days. Lunch is at noon."
ASKED = (Question("How many days?", "30 days"), Question("When is lunch?", "noon"))
FLAT = [
    {"title": "Handbook", "context": CONTEXT, "question": q.text, "answers": {"text": [q.target, "or so"]}, "id": n}
    for n, q in enumerate(ASKED)
]
QAS = [{"id": str(n), "question": q.text, "answers": [{"text": q.target}]} for n, q in enumerate(ASKED)]
WITHOUT = {"id": "2", "question": "Who?", "answers": [], "is_impossible": True}
PARAGRAPHS = [{"context": CONTEXT, "qas": [*QAS, WITHOUT]}]
OFFICIAL = {"version": "v2.0", "data": [{"title": "Handbook", "paragraphs": PARAGRAPHS}]}
ALONE = [{"question": q.text, "answer": q.target} for q in ASKED]
SEAL = [{"title": "Handbook", "context": CONTEXT, "questions": ALONE}]
PLURAL = [{**SEAL[0], "questions": [{"question": q.text, "answers": [q.target]} for q in ASKED]}]
CSV = "Title;Context;Question;Answer\n" + "".join(f'Handbook;"{CONTEXT}";{q.text};{q.target}\n' for q in ASKED)
LINES = "\n".join(map(json.dumps, FLAT)) + "\n\n"


@pytest.fixture
def write(tmp_path):
    def write(name, content):
        path = tmp_path / name
        data = content if isinstance(content, bytes) else content.encode() if isinstance(content, str) else None
        path.write_bytes(json.dumps(content).encode() if data is None else data)
        return path

    return write


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("seal.json", SEAL),
        ("plural.json", PLURAL),
        ("squad.json", OFFICIAL),
        ("flat.json", FLAT),
        ("FLAT.JSON", FLAT),
        ("flat.jsonl", LINES),
        ("lines.json", LINES),
        ("flat.txt", LINES),
        ("flat.csv", CSV),
        ("flat.CSV", CSV.replace(";", ",").encode("utf-16")),
        ("flat.tsv", CSV.replace(";", "\t").replace("\n", "\r\n")),
        ("wrapped.json", {"data": FLAT}),
    ],
)
def test_every_layout_gives_the_same_passage_and_questions(write, name, content, caplog):
    caplog.set_level("INFO")
    (task,) = read_documents([write(name, content)])
    assert (task.title, task.context, task.questions) == ("Handbook", CONTEXT, ASKED)
    assert "1 passage, 2 questions" in caplog.text
    assert ("1 without an answer left out" in caplog.text) == (content is OFFICIAL)


def test_parquet_is_read_like_the_records_it_was_made_of(tmp_path):
    pyarrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    parquet.write_table(pyarrow.Table.from_pylist(FLAT), tmp_path / "data.parquet")
    (task,) = read_tasks(tmp_path / "data.parquet")
    assert (task.title, task.context, task.questions) == ("Handbook", CONTEXT, ASKED)
    (tmp_path / "cut.parquet").write_bytes((tmp_path / "data.parquet").read_bytes()[:200])
    with pytest.raises(InputError, match="is a damaged parquet file"):
        read_tasks(tmp_path / "cut.parquet")


def test_a_single_question_of_a_dataset_is_a_dataset(write):
    assert read_tasks(write("one.json", FLAT[0]))[0].questions == ASKED[:1]
    assert read_tasks(write("one.jsonl", json.dumps(FLAT[0])))[0].questions == ASKED[:1]


def test_texts_are_documents_and_a_missing_title_is_the_files_name(write):
    tasks = read_tasks(write("my_texts.jsonl", '{"text": "One."}\n{"title": "Two", "text": "Two."}'))
    assert [(task.title, task.context) for task in tasks] == [("my texts", "One."), ("Two", "Two.")]


@pytest.mark.parametrize(
    ("name", "content", "complaint"),
    [
        ("a.json", [{"instruction": "Say hi", "input": "", "output": "hi"}], r"looks like instructions .*\(Alpaca\)"),
        ("a.csv", "instruction,input,output\nSay hi,,hi\n", r"looks like instructions .*\(Alpaca\)"),
        ("a.json", [{"conversations": [{"from": "human", "value": "hi"}]}], r"looks like chats \(ShareGPT\)"),
        ("a.jsonl", '{"messages": [{"role": "user", "content": "hi"}]}\n', "looks like chats"),
        (
            "a.jsonl",
            '{"prompt": "a", "completion": "b"}\n{"prompt": "a", "completion": "b"}',
            "looks like prompts with",
        ),
        ("a.json", [{"prompt": "a", "chosen": "b", "rejected": "c"}], "looks like preferences"),
        ("a.ipynb", {"cells": [], "nbformat": 4}, "looks like a Jupyter notebook"),
        ("a.json", {"train": [], "test": []}, "looks like a task of ARC"),
        (
            "a.json",
            {"name": "package", "version": "1"},
            "record 0 has no key 'title'; its keys are name, version; ",
        ),
        ("a.json", [{"question": "When?", "answer": "noon"}], "has questions and no context; name the document"),
        ("a.csv", "question,answer\nWhen?,noon\n", "has questions and no context; name the document"),
        ("a.csv", "question,answer,context\nWhen?,noon\n", "row 1 has 2 fields and the first row 3 names"),
        ("a.csv", "question,question,context\nWhen?,noon,x\n", "two columns have the same name"),
        ("a.csv", 'title,context\n"a,b\n', "is no CSV: unexpected end of data"),
        ("a.csv", "context\n" + "x" * 2**20 + "y\n", "is no CSV: field larger than field limit"),
        ("a.jsonl", LINES + '{"a": \n', "line 4: is not JSON"),
        ("a.json", {"data": [{"title": "a", "paragraphs": {}}]}, "record 0: paragraphs should be a list; it is {}"),
        ("a.json", [{**FLAT[0], "answers": "{'text': array(['a'])}"}], "answers should be text; it is Python's"),
        ("a.json", [{**SEAL[0], "id": ["a"]}], "id should be a number or text"),
        ("a.json", [{"title": "a", "text": " "}], "record 0 has an empty text"),
        ("a.json", [{"title": "a", "context": "b", "qa_pairs": []}], "what stands under qa_pairs is not read; call it"),
        ("a.json", [{"text": "b", "Questions": []}], "what stands under Questions is not read"),
        ("a.json", [{"instruction": "a", "context": "b", "response": "c"}], r"looks like instructions .*\(Dolly\)"),
        ("a.csv", "title,context,question,answer\nH,C,Q?,\n", "record 0 has a blank answer"),
        ("a.csv", "frage;antwort\na\n", "row 1 has 1 fields and the first row 2 names"),
    ],
)
def test_what_looks_like_something_else_is_refused_by_its_name(write, name, content, complaint):
    path = write(name, content)
    with pytest.raises(InputError, match=complaint) as error:
        read_documents([path])
    assert str(error.value).startswith(str(path)) and len(str(error.value)) < 400 + len(str(path))


def test_questions_of_texts_and_of_single_paragraphs_are_not_lost(write):
    text = {"title": "Handbook", "text": CONTEXT, "questions": ALONE}
    for record in (text, {"title": "Handbook", **PARAGRAPHS[0]}):
        assert read_tasks(write("a.json", [record]))[0].questions == ASKED


def test_other_rows_are_a_table(write, caplog):
    caplog.set_level("INFO")
    (task,) = read_documents([write("a.csv", "sep=;\nfrage;antwort\nWie lange?;30 Tage\n")])
    assert task.context == "| frage | antwort |\n| --- | --- |\n| Wie lange? | 30 Tage |"
    assert "read as a table of frage, antwort" in caplog.text


@pytest.mark.parametrize("content", [SEAL, PLURAL, OFFICIAL, FLAT, ALONE])
def test_questions_for_a_document_come_in_any_layout(write, content):
    (task,) = add_questions([Task("a", "Handbook", CONTEXT)], write("questions.json", content))
    assert task.questions == ASKED


def test_questions_come_in_rows_and_lines(write):
    csv, lines = "question,answer\nHow many days?,30 days\n", '{"question": "How many days?", "answer": "30 days"}\n'
    for name, content in (("q.csv", csv), ("q.jsonl", lines)):
        assert add_questions([Task("a", "Handbook", CONTEXT)], write(name, content))[0].questions == ASKED[:1]


# Any file


@examples(60)
@given(mutated_json(SEAL, PLURAL, OFFICIAL, FLAT) | mutated_bytes(CSV.encode(), LINES.encode(), CSV.encode("utf-16")))
def test_any_data_file_is_read_or_refused(tmp_path_factory, content):
    for name in ("any.json", "any.csv"):
        path = tmp_path_factory.getbasetemp() / name
        path.write_bytes(content)
        for task in survives(read_tasks, path) or []:
            assert task.context.strip() and all(q.text.strip() and q.target.strip() for q in task.questions)
            json.dumps([task.id, task.title, task.context], ensure_ascii=False).encode()
        survives(add_questions, [Task("a", "Handbook", CONTEXT), Task("b", "Other", CONTEXT)], path)
