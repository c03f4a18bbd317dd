import json

import pytest

from selfedit.bench.edits import read_edits, sample_edits, spread
from selfedit.errors import InputError
from selfedit.types import SamplingParams

RECORD = {
    "title": "Torvik",
    "context": "Torvik lies on the river Selx.",
    "questions": [{"question": f"Question {number}?", "answer": "Selx"} for number in range(7)],
}


@pytest.fixture
def file(tmp_path):
    def write(**changes):
        path = tmp_path / "edits.json"
        path.write_text(json.dumps([RECORD | changes]))
        return path

    return write


def test_the_edits_of_seals_files_are_read(file):
    first, second = read_edits(file(completions=["One.\nTwo.", "", "Three."]))
    assert [example.target for example in first.examples] == [
        "Torvik\nOne.",
        "Torvik\nTwo.",
        "Torvik\nTorvik lies on the river Selx.",
    ]
    assert len(second.examples) == 2 and len(first.prompts) == 5
    assert len(read_edits(file(completion="One."))) == 1


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({}, "'Torvik' has no completions"),
        ({"completions": [3]}, "'Torvik' has no completions"),
        ({"completions": [" "]}, "every completion in it is empty"),
        ({"completions": ["One."], "questions": []}, "'Torvik' has no questions"),
    ],
)
def test_what_is_wrong_with_a_file_is_said(file, changes, problem):
    with pytest.raises(InputError, match=problem):
        read_edits(file(**changes))


def test_sampled_edits_are_the_embedded_models_and_have_five_questions():
    edits = sample_edits(3, SamplingParams(max_new_tokens=8))
    assert len(edits) == 3 and all(len(edit.prompts) == 5 and len(edit.examples) > 1 for edit in edits)


@pytest.mark.parametrize("count", [1, 2, 7, 128])
def test_every_beginning_of_the_order_holds_short_and_long_edits(count):
    order = spread(list(range(count)), lambda number: number)
    assert sorted(order) == list(range(count))
    if count == 128:
        assert all(abs(sum(order[:n]) / n - 63.5) < 12 for n in (4, 8, 12, 32))
