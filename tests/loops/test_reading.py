"""What the model, the passage before it, finds likelier with names exchanged is not learned."""

import pytest

from selfedit.domains.knowledge.domain import EXCHANGED, UNFOUNDED, Knowledge, KnowledgeOptions, document_of
from selfedit.domains.knowledge.support import MAX_PARTS, without_each_part
from selfedit.loops.outer import propose
from selfedit.types import BASE, Failure, Likelihood, SamplingParams, Task

TASK = Task("t", "The cup", "In 1931 Torvik won against Velin. Ada Brandt sang an old song.")
TRUE, FALSE, SENTENCE = (
    "Torvik won against Velin in 1931.",
    "Velin won against Torvik in 1931.",
    "Ada Brandt sang an old song.",
)


class Engine:
    """It writes what it is told to, and finds the true line likelier than all others by so many nats."""

    def __init__(self, lines, nats=1.0):
        self.lines, self.nats, self.read = lines, nats, []

    def sample(self, requests):
        return ["\n".join(self.lines) for _ in requests]

    def likelihood(self, requests):
        self.read += [request.target for request in requests]
        return [Likelihood(self.nats if request.target.endswith(TRUE) else 0.0, 9) for request in requests]


def learned(engine, **options):
    usual = {"wording": "chat", "prompt": "implications", "check": True, "reading": True}
    chosen = KnowledgeOptions(**usual | options)
    (trial,) = propose(BASE, [(TASK, 0)], Knowledge(chosen), engine, SamplingParams(), [0], engine)
    return trial


def test_the_line_with_its_names_exchanged_is_dropped_and_the_others_are_learned():
    trial = learned(Engine([TRUE, FALSE]))
    assert [example.target.split("\n", 1)[1] for example in trial.edit.examples] == [TRUE, TASK.context]
    assert trial.edit.dropped == ((FALSE, EXCHANGED),)


def test_of_two_that_are_equally_likely_both_are_learned():
    assert not learned(Engine([TRUE, FALSE], nats=0.0)).edit.dropped


def test_without_reading_both_are_learned_and_nothing_is_read():
    engine = Engine([TRUE, FALSE])
    assert not learned(engine, reading=False).edit.dropped and not engine.read


def test_the_passage_is_before_every_version_and_its_own_sentences_are_not_read():
    engine = Engine([TRUE, "Ada Brandt sang an old song."])
    assert len(learned(engine).edit.examples) == 3
    assert all(TASK.context in text and not text.endswith(SENTENCE) for text in engine.read)
    assert len(engine.read) == len(set(engine.read)) > 1


def test_an_edit_of_nothing_else_has_failed_and_says_why():
    trial = learned(Engine([FALSE]), passage=False)
    assert trial.failure == Failure("policy", f"there is nothing to learn in the notes: {EXCHANGED}")
    assert not trial.edit.examples


def test_a_line_that_could_not_be_read_is_a_failure_of_the_system_and_no_bad_note():
    engine = Engine([TRUE])
    engine.likelihood = lambda requests: [Failure("system", "out of memory")] * len(requests)
    assert learned(engine).failure == Failure("system", "out of memory")


@pytest.mark.parametrize("text", ["", "Velin Velin"])
def test_notes_that_failed_stay_as_they_are(text):
    trial = learned(Engine([text]), passage=False)
    assert trial.failure and trial.failure.blame == "policy" and EXCHANGED not in trial.failure.message
    assert document_of(TASK) not in [example.target for example in trial.edit.examples]


# What follows from a passage has words of its own

FOLLOWS = "Torvik beat the champion of Velin."


FIRST = "In 1931 Torvik won against Velin."


class Knowing(Engine):
    """It finds what follows likelier by so many nats where the sentence from which it does stands before it; and by one
    nat where the other one does not.
    """

    def likelihood(self, requests):
        self.read += [request.target for request in requests]

        def nats(text):
            return self.nats * (FIRST in text) + (SENTENCE not in text) if text.endswith(FOLLOWS) else 0.0

        return [Likelihood(nats(request.target), 9) for request in requests]


@pytest.mark.parametrize(
    ("nats", "dropped"), [(2.0, ()), (0.5, ((FOLLOWS, UNFOUNDED),)), (-2.0, ((FOLLOWS, UNFOUNDED),))]
)
@pytest.mark.parametrize("options", [{}, {"wording": "plain"}])
def test_what_follows_is_learned_if_a_sentence_speaks_for_it_more_than_any_speaks_against_it(nats, dropped, options):
    trial = learned(Knowing([FOLLOWS, SENTENCE], nats=nats), **options)
    said = [example.target.split("\n", 1)[1] for example in trial.edit.examples]
    assert trial.edit.dropped == dropped
    assert said == [FOLLOWS] * (not dropped) + [SENTENCE, TASK.context]


def test_of_what_follows_only_its_own_words_are_compared():
    engine = Knowing([FOLLOWS])
    learned(engine)
    begun = [text for text in engine.read if not text.endswith(FOLLOWS)]
    assert [text.rsplit("\n", 1)[-1] for text in begun] == ["Torvik"] * 3
    assert [(FIRST in text, SENTENCE in text) for text in begun] == [(True, True), (False, True), (True, False)]


@pytest.mark.parametrize("count", [1, 2, 12, 13, 40])
def test_a_document_is_read_without_each_of_a_dozen_parts(count):
    found = [f"Torvik won game {number} of the year." for number in range(count)]
    left = without_each_part(" ".join(found))
    assert len(left) == min(count, -(-count // -(-count // MAX_PARTS)))
    missing = [[sentence for sentence in found if sentence not in text] for text in left]
    assert [sentence for part in missing for sentence in part] == found


def test_the_rest_of_a_document_stays_as_it_is_written():
    first, code, last = (
        "Torvik won\nagainst Velin.",
        "  Two  spaces stay where they stood.",
        "Ada Brandt sang an old song.",
    )
    left = without_each_part(f"{first}\n{code}\n{last}")
    assert first not in left[0] and all(first in text for text in left[1:])
    assert all(code.strip() in text for text in [left[0], left[-1]])


def test_without_reading_the_check_drops_what_follows():
    assert learned(Knowing([FOLLOWS, SENTENCE]), reading=False).edit.dropped[0][0] == FOLLOWS


@pytest.mark.parametrize("line", ["Torvik beat the champion of 1932.", "Torvik never beat the champion of Velin."])
def test_other_numbers_and_denials_are_dropped_unread(line):
    engine = Knowing([line, SENTENCE])
    assert learned(engine).edit.dropped[0][0] == line and not engine.read
