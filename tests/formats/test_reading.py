"""Files of other shapes are understood, and what is wrong with a file is named with its record and key."""

import json
from datetime import UTC, datetime

import pytest

from selfedit.errors import InputError
from selfedit.files import write_text
from selfedit.formats.imitation import read_imitation
from selfedit.formats.passages import Completions, read_completions, read_meta, read_passages, read_synthetic
from selfedit.formats.record import read_record
from selfedit.formats.results import ContinualSummary, QueryResults
from selfedit.types import Question

PASSAGE = {"title": "Apollo 11", "context": "It landed.", "questions": [{"question": "When?", "answer": "1969"}]}
WRITTEN = {**PASSAGE, "completions": ["one", "two"], "prompt": "Read this."}
SUMMARY = {
    "mean_over_sequences": [[0.5], [1.0]],
    "std_over_sequences": [[0.1], [0.2]],
    "n_sequences": 8,
    "n_datapoints": 1,
    "dataset": "d",
    "base_model": "m",
}


@pytest.fixture
def write(tmp_path):
    """Writes a file (JSON, unless it is text) and returns its path."""

    def write(content, name="data.json"):
        path = tmp_path / name
        path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
        return path

    return write


def refused(function, *arguments):
    """The one sentence of the InputError that this call raises."""
    with pytest.raises(InputError) as error:
        function(*arguments)
    assert "\n" not in str(error.value)
    return str(error.value)


def texts(write, **keys):
    return read_completions(write([{**PASSAGE, **keys}]))[0].completions


# Completions


def test_completions_come_with_their_passage_questions_and_prompt(write):
    (read,) = read_completions(write([WRITTEN]))
    question = Question("When?", "1969")
    assert read == Completions("Apollo 11", "It landed.", (question,), ("one", "two"), "Read this.")


def test_a_record_may_have_no_questions_and_no_prompt(write):
    (read,) = read_completions(write([{"title": "T", "context": "C", "completions": ["one"]}]))
    assert (read.questions, read.prompt) == ((), "")


def test_every_kind_of_file_gives_its_texts(write):
    assert texts(write, completion="one") == ("one",)
    assert texts(write, completions=[""]) == ("",)  # the edit that is the passage alone
    assert texts(write, entities=["A"], entities_raw="A, B", pair_completions=["a-b"]) == ("a-b",)
    assert texts(write, pair_completions=["a-b"], triple_completions=["a-b-c"]) == ("a-b", "a-b-c")


@pytest.mark.parametrize("least", [1, 2, 3])
def test_too_few_completions_are_refused_and_enough_are_not(write, least):
    path = write([{**WRITTEN, "completions": ["a", "b", "c"]}, {**WRITTEN, "title": "Torvik", "completions": ["a"]}])
    if least == 1:
        assert [len(read.completions) for read in read_completions(path, at_least=least)] == [3, 1]
    else:
        message = refused(read_completions, path, least)
        assert message.startswith(f"{path}: record 1 ('Torvik') has 1 completions where at least {least} are needed;")


# What is wrong is named


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("[{]", " is not JSON: key must be a string at line 1 column 3"),
        ([], " holds an empty list; there should be at least one record in it"),
        ({}, ": should be a valid array; it is {}"),
        ([WRITTEN, "text"], ": record 1: should be an object; it is 'text'"),
        ([WRITTEN, {"title": "T"}], ": record 1 has no key 'context'; its keys are title"),
        ([{**WRITTEN, "title": 7}], ": record 0, title: should be a valid string; it is 7"),
        ([{**WRITTEN, "completions": "one"}], ": record 0, completions: should be a valid array; it is 'one'"),
        ([{**WRITTEN, "completions": ["a", None]}], ": record 0, completions 1: should be a valid string; it is None"),
        ([{**WRITTEN, "questions": [{"answer": "x"}]}], ": record 0, questions 0 has no key 'question'; its keys are"),
        ([PASSAGE], ": record 0: should have completions, completion, pair_completions or triple_completions; it is"),
    ],
)
def test_what_is_wrong_with_synthetic_data_is_named(write, content, expected):
    path = write(content)
    message = refused(read_synthetic, path)
    assert message.startswith(f"{path}{expected}") and len(message) < len(str(path)) + 300


def test_what_is_wrong_with_passages_and_results_is_named(write):
    path = write([{**PASSAGE, "questions": None}])
    assert refused(read_passages, path) == f"{path}: record 0, questions: should be a valid array; it is None"
    path = write({"overall": {"mean_gain": "a lot"}})
    assert refused(read_record, path, QueryResults).startswith(f"{path}: overall has no key 'baseline_mean_accuracy'")


def test_a_row_that_is_wrong_is_named_with_its_line(write):
    path = write('{"prompt": "a", "completion": "b"}\n\n{"prompt": "a"}\n', "rows.jsonl")
    assert refused(read_imitation, path) == f"{path}, line 3 has no key 'completion'; its keys are prompt"
    path = write('{"prompt": "a", "completion": "b"\n', "rows.jsonl")
    assert refused(read_imitation, path).startswith(f"{path}, line 1 is not JSON: EOF")


@pytest.mark.parametrize("name", ["mean_over_sequences", "std_over_sequences"])
@pytest.mark.parametrize("matrix", [[[0.5]], [[0.5], [0.5, 0.5]], [[0.5], [0.5], [0.5]]])
def test_a_matrix_of_the_wrong_shape_is_named(write, name, matrix):
    path = write({**SUMMARY, name: matrix})
    expected = f"{path}: {name} should have 2 rows of 1 numbers, for 1 n_datapoints; it is "
    assert refused(read_record, path, ContinualSummary).startswith(expected)


def test_numbers_are_not_made_of_text_or_of_truth(write):
    for wrong in ("8", True, 8.5):
        assert ": n_sequences: should be" in refused(
            read_record, write({**SUMMARY, "n_sequences": wrong}), ContinualSummary
        )


def test_a_file_that_cannot_be_read_or_written_is_named(tmp_path):
    assert refused(read_synthetic, tmp_path / "no.json") == f"there is no file {tmp_path}/no.json"
    assert refused(read_synthetic, tmp_path).startswith(f"{tmp_path} is a folder")
    assert refused(write_text, tmp_path / "no" / "x.json", "") == (
        f"cannot write {tmp_path}/no/x.json: No such file or directory"
    )


# Meta


def test_a_comma_too_many_is_overlooked_but_not_inside_a_text(write):
    write('{"model": "a,}\\",]", "n": 2,\n}', "data.json.meta")
    meta = read_meta(write([], "data.json"))
    assert (meta.model, meta.n) == ('a,}",]', 2)


def test_a_meta_may_be_named_without_the_ending_of_its_data_and_the_full_name_goes_first(write):
    data = write([], "data.json")
    assert read_meta(data) is None
    write({"model": "short"}, "data.meta")
    assert read_meta(data).model == "short"
    write({"model": "full"}, "data.json.meta")
    assert read_meta(data).model == "full"


def test_a_damaged_meta_is_named(write):
    path = write({"n": 3}, "data.json.meta")
    assert refused(read_meta, path.with_suffix("")) == f"{path} has no key 'model'; its keys are n"


@pytest.mark.parametrize("ending", ["+00:00Z", "+00:00", "Z"])
def test_a_time_with_one_or_two_zones_is_read(write, ending):
    write({"model": "m", "timestamp": f"2025-05-07T04:39:52{ending}"}, "data.json.meta")
    assert read_meta(write([], "data.json")).written_at == datetime(2025, 5, 7, 4, 39, 52, tzinfo=UTC)


def test_a_time_that_is_none_is_not_made_up(write):
    write({"model": "m", "timestamp": "in May"}, "data.json.meta")
    assert read_meta(write([], "data.json")).written_at is None
