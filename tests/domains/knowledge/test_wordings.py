"""What a model is asked, as data."""

import pytest

from selfedit.domains.knowledge import prompts
from selfedit.domains.knowledge.domain import Knowledge, KnowledgeOptions
from selfedit.domains.knowledge.wordings import FOLDER, read_wordings
from selfedit.errors import BadEdit, InputError
from selfedit.types import Conversation, Question, Task

TASK = Task("t", "Torvik", "Torvik lies on the river Selx. Ada Brandt founded it in 1843.", (Question("Q?", "Selx"),))


def chat(**options):
    return Knowledge(KnowledgeOptions(wording="chat", prompt="questions", check=True, **options))


def test_the_plain_wording_is_what_the_embedded_model_was_pretrained_on():
    plain = read_wordings("plain")
    for name, wording in prompts.PROMPTS.items():
        assert plain.notes[name].prompts(TASK) == [wording.of(TASK)]
    assert plain.questions.prompts(TASK) == [prompts.questions(TASK)]
    assert plain.closed_book(TASK, "Q?") == prompts.exam(TASK, "Q?")
    assert plain.open_book(TASK, "Q?") == prompts.open_book(TASK, "Q?")


def test_a_chat_model_is_asked_about_each_sentence_with_worked_examples_before_it():
    first, second = chat().prompts(TASK)
    assert isinstance(first, Conversation) and "river Selx" in first.user and "1843" in second.user
    assert first.examples == second.examples and len(first.examples) == 2
    assert all("Torvik" not in text for turn in first.examples for text in turn)


def test_every_note_of_the_chat_wording_can_be_asked_for_and_read():
    for name in read_wordings("chat").notes:
        domain = Knowledge(KnowledgeOptions(wording="chat", prompt=name, check=True))
        assert domain.prompts(TASK)
        edit = domain.parse(TASK, "Where does Torvik lie on the river Selx?\nTorvik lies on the river Selx.")
        assert edit.examples[-1].target == "Torvik\n" + TASK.context


def test_a_question_is_learned_with_the_sentence_that_it_is_about():
    edit = chat().parse(TASK, "Who founded Torvik in 1843?\nWho founded Torvik in 1900?\nTorvik is nice.")
    *lines, _ = [example.target for example in edit.examples]
    assert lines == ["Topic: Torvik\nQuestion: Who founded Torvik in 1843?\n\nAda Brandt founded it in 1843."]
    assert edit.dropped == (("Who founded Torvik in 1900?", "number 1900 does not stand there"),)


def test_only_so_many_questions_are_kept_about_one_sentence():
    said = "\n".join(f"{word} did Ada Brandt found Torvik in 1843?" for word in ("When", "Why", "How", "Where"))
    assert len(chat(passage=False).parse(TASK, said).examples) == 2


def test_notes_of_which_nothing_is_left_are_no_edit_where_the_passage_is_not_learned():
    with pytest.raises(BadEdit, match="nothing to learn in the notes: number 9 does not stand there"):
        chat(passage=False).parse(TASK, "Who founded Torvik in the year 9?")


def test_people_bring_their_own(tmp_path):
    own = tmp_path / "own.toml"
    own.write_text((FOLDER / "chat.toml").read_text().replace("Answer in one full sentence.", "Be brief."))
    domain = Knowledge(KnowledgeOptions(wording=str(own), prompt="facts"))
    assert domain.exam(TASK, TASK.questions[0]) == ["Topic: Torvik\nQuestion: Q?\n\nBe brief."]


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (("{question}", "{answer}"), "question"),
        (('unit = "sentence"', 'unit = "word"'), "unit"),
        (("Passage:", "Passage {x}:"), "only {title} and {text} stand in braces"),
        (("exam =", "examm ="), "exam"),
    ],
)
def test_a_wording_that_cannot_work_is_refused_by_its_key(tmp_path, change, why):
    own = tmp_path / "own.toml"
    own.write_text((FOLDER / "chat.toml").read_text().replace(*change))
    with pytest.raises(InputError, match=why):
        read_wordings(str(own))


def test_a_wording_that_is_not_there_is_refused():
    with pytest.raises(InputError, match=r"domain\.wording is 'none'"):
        read_wordings("none")
