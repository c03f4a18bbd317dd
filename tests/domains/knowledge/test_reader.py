"""Files in, tasks out; and long documents cut to fit."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfedit.domains.knowledge.questions import add_questions
from selfedit.domains.knowledge.reader import read_documents, read_tasks, split
from selfedit.errors import InputError
from selfedit.types import Question, Task

RECORD = {"title": "Apollo 11", "context": "It landed in 1969.", "questions": [{"question": "When?", "answer": "1969"}]}


@pytest.fixture
def write(tmp_path):
    """Writes a file (JSON, unless it is text or bytes) and returns its path."""

    def write(name, content):
        path = tmp_path / name
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
        return path

    return write


def without(key):
    return {name: value for name, value in RECORD.items() if name != key}


def refused(function, *arguments):
    """The one sentence of the InputError that this call raises."""
    with pytest.raises(InputError) as error:
        function(*arguments)
    assert "\n" not in str(error.value)
    return str(error.value)


# Passages in SEAL's layout


def test_passages_are_read_with_their_questions(write):
    (task,) = read_tasks(write("data.json", [RECORD]))
    assert task == Task("0000-apollo-11-67679c47", "Apollo 11", "It landed in 1969.", (Question("When?", "1969"),))


def test_an_id_of_its_own_is_kept_and_others_tell_records_apart(write):
    tasks = read_tasks(write("data.json", [{**RECORD, "id": 7}, RECORD, without("questions")]))
    assert [(task.id, len(task.questions)) for task in tasks] == [
        ("7", 1),
        ("0001-apollo-11-67679c47", 1),
        ("0002-apollo-11-67679c47", 0),
    ]


def test_the_byte_order_mark_of_some_editors_is_no_part_of_the_file(write):
    path = write("data.json", json.dumps([RECORD]).encode("utf-8-sig"))
    assert read_tasks(path)[0].title == "Apollo 11"


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ({"data": []}, "should hold a list of records, at least one; accepted are SEAL's layout, SQuAD's"),
        ([], "should hold a list of records"),
        ([RECORD, "text"], "record 1 should be an object with the key title; it is a str"),
        ([RECORD, without("title")], "record 1 has no key 'title'; its keys are context, questions"),
        ([without("context")], "record 0 has questions and no context; name the document, and this file with --quest"),
        ([{"title": "Apollo"}], "record 0 has no key 'context'; its keys are title; accepted are"),
        ([{}], "record 0 has no key 'title'; its keys are none"),
        ([{**RECORD, "title": None}], "record 0: title should be text; it is None"),
        ([{**RECORD, "context": ["a"]}], "record 0: context should be text; it is ['a']"),
        ([{**RECORD, "context": " \n"}], "record 0 has an empty context; there is nothing to learn in it"),
        (
            [{**RECORD, "questions": "When?"}],
            "record 0: questions should be a list of {question, answer}; it is 'When?'",
        ),
        ([{**RECORD, "questions": None}], "record 0: questions should be a list of {question, answer}; it is None"),
        ([{**RECORD, "questions": ["When?"]}], "record 0, question 0 should be an object with the key question"),
        ([{**RECORD, "questions": [{"question": "When?"}]}], "record 0, question 0 has no key 'answer'"),
        ([{**RECORD, "questions": [*RECORD["questions"], {"answer": "x"}]}], "question 1 has no key 'question'"),
        ([{**RECORD, "questions": [{"question": "When?", "answer": 1969}]}], "answer should be text; it is 1969"),
        ([{**RECORD, "id": "a"}, {**RECORD, "id": "a"}], "has two passages with the id 'a'; give each its own"),
        ('[{"title": "Apollo",\n}]', "is not JSON: "),
        ("", "is not JSON: Expecting value in line 1"),
        (b"\xff\xfe[]", "is not JSON"),
        (b'["\x81"]', "is not text in UTF-8"),
    ],
)
def test_what_is_wrong_with_a_file_is_named_with_its_record_and_key(write, content, expected):
    path = write("data.json", content)
    message = refused(read_tasks, path)
    assert message.startswith(str(path)) and expected in message


def test_a_long_value_of_the_wrong_kind_is_not_shown_in_full(write):
    assert len(refused(read_tasks, write("data.json", [{**RECORD, "context": ["a"] * 9999}]))) < 300


def test_a_file_that_is_not_there_and_a_folder_are_named(tmp_path):
    assert refused(read_tasks, tmp_path / "no.json") == f"there is no file {tmp_path}/no.json"
    assert f"{tmp_path} is a folder" in refused(read_tasks, tmp_path)


def test_a_path_that_cannot_be_opened_is_named(tmp_path):
    path = tmp_path / ("x" * 300)
    assert f"cannot read {path}: File name too long" in refused(read_tasks, path)


# Documents


def test_a_text_file_is_one_document_called_after_its_file(write):
    (task,) = read_documents([write("Staff_handbook-2.txt", "# 25 days\nof leave.\n")])
    assert task == Task("staff-handbook-2", "Staff handbook 2", "# 25 days\nof leave.")


def test_a_markdown_file_is_called_after_its_first_heading(write):
    (task,) = read_documents([write("hb.md", "Preface.\n# The handbook #\n\n25 days.\n\n# More\n\nText.\n")])
    assert (task.id, task.title) == ("hb", "The handbook")
    assert task.context == "Preface.\n\n\n25 days.\n\n# More\n\nText."


def test_a_markdown_file_without_a_heading_or_without_a_body_is_read_as_well(write):
    plain, bare = read_documents([write("plain.md", "Just text."), write("bare.md", "# Only a heading")])
    assert (plain.title, plain.context) == ("plain", "Just text.")
    assert (bare.title, bare.context) == ("Only a heading", "# Only a heading")


def test_documents_of_all_kinds_come_in_their_order(write):
    tasks = read_documents([write("b.txt", "b"), write("a.json", [RECORD, RECORD]), write("c.md", "c")])
    assert [task.id for task in tasks] == ["b", "0000-apollo-11-67679c47", "0001-apollo-11-67679c47", "c"]


def test_an_empty_document_is_an_error(write):
    path = write("empty.txt", " \n\n")
    assert refused(read_documents, [path]) == f"{path} is empty; there is nothing to learn in it"


def test_documents_whose_names_look_alike_are_told_apart_wherever_they_lie(write, tmp_path):
    """Case 02."""
    long = "quarterly-report-of-the-north-american-division-202"
    (tmp_path / "old").mkdir()
    paths = [
        write(f"{long}3.md", "a"),
        write(f"{long}4.md", "b"),
        write("hand book.txt", "c"),
        write("old/hand-book.md", "d"),
    ]
    ids = [task.id for task in read_documents(paths)]
    assert len(set(ids)) == 4 and [name.rpartition("-")[0] for name in ids] == [long[:40]] * 2 + ["hand-book"] * 2
    assert [task.id for task in read_documents(paths[::-1])] == ids[::-1]
    assert [task.id for task in read_documents(paths[:1])] == [long[:40]]


def test_names_in_any_script_are_ids(write):
    tasks = read_documents(
        [write(name, name) for name in ("员工手册.md", "财务制度.md", "Größe.md", "👩.md", "a b.md")]
    )
    assert [task.id for task in tasks] == ["员工手册", "财务制度", "größe", "document", "a-b"]


def test_a_document_that_is_given_twice_is_learned_once(write, tmp_path, caplog):
    path = write("a.txt", "a")
    (tmp_path / "copies").mkdir()
    assert len(read_documents([path, path, tmp_path, write("copies/a.txt", "a")])) == 1
    assert "1 document given more than once, and learned once" in caplog.text


# Questions for documents

DOCUMENTS = [Task("a", "Apollo", "text"), Task("t", "Torvik", "text", (Question("Old?", "yes"),))]


def ask(title=None, question="When?", answer="1969"):
    return {"question": question, "answer": answer, **({"title": title} if title else {})}


def test_a_question_goes_to_the_document_that_it_names(write):
    more = {"title": " torvik", "questions": [ask(question="Where?"), ask(question="Who?")]}
    path = write("questions.json", [ask("Torvik"), ask("Apollo"), more, ask("t", "By id?")])
    apollo, torvik = add_questions(DOCUMENTS, path)
    assert apollo.questions == (Question("When?", "1969"),)
    assert [question.text for question in torvik.questions] == ["Old?", "When?", "Where?", "Who?", "By id?"]


def test_with_one_document_no_title_is_needed_and_another_is_said(write, caplog):
    (task,) = add_questions(DOCUMENTS[:1], write("questions.json", [ask(), ask("another title", "Where?")]))
    assert len(task.questions) == 2
    assert "names 'another title', and the only document is 'Apollo': asked of it" in caplog.text


def test_a_question_that_stands_twice_is_asked_once_and_said(write, caplog):
    (task,) = add_questions(DOCUMENTS[:1], write("questions.json", [ask(), ask(question=" when? ")]))
    assert task.questions == (Question("When?", "1969"),) and "1 question twice: asked once" in caplog.text


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ({}, "record 0 has no key 'title'; its keys are none; accepted are"),
        ([], "should hold a list of records, at least one"),
        ([{"title": "Apollo", "context": "It landed."}], "should hold a list of questions, each with question and"),
        ([ask("Apollo"), ask("Apollo", answer="1970")], "record 1 asks 'When?' again: answers '1969' and '1970'; keep"),
        ([ask("Apollo", " ")], "record 0 has a blank question"),
        ([ask("Apollo", answer="")], "record 0 has a blank answer"),
        ([ask("Apollo", answer=None)], "record 0: answer should be text; it is None"),
        ([ask("Apollo", answer=[])], "record 0: answer should be text; it is []"),
        ('[{"question": "When?", "answer": NaN}]', "is not JSON: NaN is no number"),
        ([ask("Apollo"), ask()], "'When?' has no title; with several documents say which it is about"),
        ([ask("Mars")], "no document is called 'Mars'; the documents are 'Apollo', 'Torvik'"),
        ([ask("Apollo"), "When?"], "record 1 should be an object with the key title; it is a str"),
        ([{"title": "Apollo", "question": "When?"}], "record 0 has no key 'answer'; its keys are title, question"),
        ([{**ask(), "title": ["Apollo"]}], "record 0: title should be text; it is ['Apollo']"),
        (
            [{"title": "Apollo", "questions": {}}],
            "record 0: questions should be a list of {question, answer}; it is {}",
        ),
        ([{"title": "Apollo", "questions": [{}]}], "record 0, question 0 has no key 'question'"),
    ],
)
def test_what_is_wrong_with_questions_is_named(write, content, expected):
    path = write("questions.json", content)
    message = refused(add_questions, DOCUMENTS, path)
    assert message.startswith(str(path)) and expected in message


def test_questions_cannot_tell_apart_documents_of_the_same_title(write):
    twins = [Task("a", "Apollo", "one"), Task("b", "Apollo", "two")]
    assert "two documents have the same title" in refused(
        add_questions, twins, write("questions.json", [ask("Apollo")])
    )


# Cutting


def shorter_than(size):
    return lambda title, text: len(title) + len(text) <= size


def cut(text, size, title=""):
    return [part.context for part in split(Task("id", title, text), shorter_than(size))]


@given(st.text(st.sampled_from("ab.!? \n\t…界"), max_size=200), st.integers(1, 60))
def test_cutting_loses_nothing_but_space_and_every_part_fits(text, size):
    parts = cut(text, size)
    assert "".join("".join(parts).split()) == "".join(text.split())
    assert all(len(part) <= size for part in parts)


@given(st.lists(st.text(st.sampled_from("ab."), min_size=1, max_size=8), min_size=1, max_size=40), st.data())
def test_cutting_keeps_every_word_whole_where_words_fit(words, data):
    glue = data.draw(st.lists(st.sampled_from([" ", "\n", "\n\n", "  "]), min_size=len(words), max_size=len(words)))
    text = "".join(word + space for word, space in zip(words, glue, strict=True))
    parts = cut(text, 8)
    assert [word for part in parts for word in part.split()] == words


def test_a_document_that_fits_stays_as_it_is_with_its_questions():
    task = Task("id", "title", "a\n\nb", (Question("q", "a"),))
    assert split(task, shorter_than(9)) == [task]


def test_a_document_is_cut_at_paragraphs_before_sentences_before_words():
    text = "One two. Three.\n\nFour.\nFive six seven eight nine.\n\nTen."
    assert cut(text, 60) == [text]
    assert cut(text, 33) == ["One two. Three.", "Four.\nFive six seven eight nine.", "Ten."]
    assert cut(text, 16) == ["One two. Three.", "Four.", "Five six seven", "eight nine.", "Ten."]
    assert cut(text, 8) == ["One two.", "Three.", "Four.", "Five six", "seven", "eight", "nine.", "Ten."]


def test_parts_are_numbered_have_the_title_and_no_questions():
    parts = split(Task("id", "T", "aa bb", (Question("q", "a"),)), shorter_than(3))
    assert parts == [Task("id-1", "T", "aa"), Task("id-2", "T", "bb")]


def test_a_word_or_a_text_without_spaces_that_is_too_long_is_cut_as_well():
    assert cut("ab " + "界" * 8 + " cd", 5) == ["ab", "界界界界", "界界界界", "cd"]


def test_a_title_that_leaves_no_room_is_an_error():
    task = Task("id", "a long title", "text")
    assert "'a long title': the model's context has no room for a passage" in refused(split, task, shorter_than(12))


def test_a_long_document_is_measured_seldom():
    measured = []

    def fits(title, text):
        measured.append(len(text))
        return len(text) <= 1000

    assert len(split(Task("id", "T", "word " * 20_000), fits)) == 100
    assert len(measured) < 3000
