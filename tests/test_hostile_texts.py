"""Long texts on which patterns that backtrack take minutes to years: whatever reads texts is done at once."""

import contextlib

import pytest

from selfedit.config.tree import ModelConfig
from selfedit.domains.knowledge import documents
from selfedit.domains.knowledge.domain import Knowledge, KnowledgeOptions
from selfedit.errors import BadEdit, InputError
from selfedit.formats.passages import meta_path, read_meta
from selfedit.graders import GRADERS
from selfedit.graders.judge import is_empty
from selfedit.loops.questions import distinct
from selfedit.rewards.proxies.features import features
from selfedit.thoughts import without_thoughts
from selfedit.types import Question, Task
from selfedit.worlds.almanac import notes, world

SIZE = 50_000
TASK, QUESTION = Task("t", "Handbook", "Leave is 30 days."), Question("How long is leave?", "30 days")
UNITS = ("\n", " ", "\n ", "\t\n", "the answer is ", "Implications: ", "Question 1: ", "Answer: ", "#", "(", '"\\', ",",
         "1,", "1.", "- ", "Ab ", ".", "Ab. ", "a: ", "a", "_", "<think>", "=", "`", "she was born in ")  # fmt: skip
ENTRY = next(world.entries("practice", 0))
TEXTS = {unit: "a?" + unit * (SIZE // len(unit)) + "x1" for unit in UNITS}


def parse(text, prompt):
    with contextlib.suppress(BadEdit):
        Knowledge(KnowledgeOptions(prompt=prompt)).parse(TASK, text)


def read_meta_file(text, path):
    meta_path(path).write_text('{"n_passages": "' + text)
    with contextlib.suppress(InputError):
        read_meta(path)


def read_size(text):
    with pytest.raises(ValueError):
        ModelConfig(memory=f"1{text}")


@pytest.mark.parametrize("unit", UNITS, ids=repr)
def test_what_a_model_writes_is_read_at_once(unit, tmp_path):
    text = TEXTS[unit]
    parse(text, "notes")
    distinct(list(documents.parse_questions(text)))
    Knowledge(KnowledgeOptions(prompt="entity-pair")).follow_ups(TASK, text)
    without_thoughts(text)
    features("Handbook", "Leave is 30 days.", text, [text])
    is_empty(text, "30 days")
    notes.contents(ENTRY, text), notes.style_of(ENTRY, text)
    read_meta_file(text, tmp_path / "passages.json")
    read_size(text)
    for name in GRADERS.keys() - {"attempts"}:
        assert GRADERS[name].grade([(QUESTION, text)])[0] < 1.0
