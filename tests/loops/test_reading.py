"""What the model, the passage before it, finds likelier with names exchanged is not learned."""

import pytest

from selfedit.domains.knowledge.domain import Knowledge, KnowledgeOptions, document_of
from selfedit.loops.outer import propose
from selfedit.loops.reading import WHY
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
    chosen = KnowledgeOptions(wording="chat", prompt="implications", check=True, **{"reading": True} | options)
    (trial,) = propose(BASE, [(TASK, 0)], Knowledge(chosen), engine, SamplingParams(), [0], engine)
    return trial


def test_the_line_with_its_names_exchanged_is_dropped_and_the_others_are_learned():
    trial = learned(Engine([TRUE, FALSE]))
    assert [example.target.split("\n", 1)[1] for example in trial.edit.examples] == [TRUE, TASK.context]
    assert trial.edit.dropped == ((FALSE, WHY),)


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
    assert trial.failure == Failure("policy", f"there is nothing to learn in the notes: {WHY}")
    assert not trial.edit.examples


def test_a_line_that_could_not_be_read_is_a_failure_of_the_system_and_no_bad_note():
    engine = Engine([TRUE])
    engine.likelihood = lambda requests: [Failure("system", "out of memory")] * len(requests)
    assert learned(engine).failure == Failure("system", "out of memory")


@pytest.mark.parametrize("text", ["", "Velin Velin"])
def test_notes_that_failed_stay_as_they_are(text):
    trial = learned(Engine([text]), passage=False)
    assert trial.failure and trial.failure.blame == "policy" and WHY not in trial.failure.message
    assert document_of(TASK) not in [example.target for example in trial.edit.examples]
