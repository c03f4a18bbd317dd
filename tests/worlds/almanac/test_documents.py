"""What pre-training reads: the same for a seed, in which every answer ends, and short enough for the context."""

import re
from itertools import islice
from random import Random

import pytest

from selfedit.engines.embedded import weights
from selfedit.worlds.almanac import documents, gazette, world
from selfedit.worlds.almanac.documents import KNOWN, MIXTURE, OUTRIGHT, known_entries, stream
from selfedit.worlds.almanac.parts import END

FIRST = list(islice(stream(0), 2000))
CONTEXT = 512


def text_of(document):
    return "".join(text for text, _ in document)


def test_equal_seeds_give_the_same_documents_in_the_same_order():
    assert list(islice(stream(0), 300)) == FIRST[:300]
    assert list(islice(stream(1), 300)) != FIRST[:300]


def test_another_spread_changes_what_notes_say():
    even = list(islice(stream(0, "even"), 300))
    assert even != FIRST[:300] and even == list(islice(stream(0, "even"), 300))


def test_the_mixture_is_whole():
    assert sum(share for _, share in MIXTURE) == pytest.approx(1)


def test_no_document_ends_itself_and_every_answer_within_one_does():
    """Encoding adds the last end; an answer before it has one of its own, so that a question can follow."""
    for document in FIRST:
        assert not text_of(document).endswith(END)
        for answer, asked in zip(document[1::2], document[2::2], strict=False):
            assert answer[0].endswith(END) or asked[0].startswith(END)


def test_open_book_documents_ask_twice_and_every_kind_of_question():
    rng, known, said = Random(0), known_entries(), set()
    for entry in islice(world.entries("pretrain", 1), 200):
        (document,) = documents.open_book(entry, known[0], rng)
        (_, _), (first, _), (asked, _), (second, _) = document
        assert first.endswith(f".{END}") and second.endswith(".") and asked.startswith("\nQuestion: ")
        answers = {claim.answer(entry): claim.kind for claim in (*entry.claims, *entry.implied, entry.joined)}
        said |= {answers[first.removesuffix(END).strip()], answers[second.strip()]}
    assert said == {world.STATED, world.IMPLIED, world.TWO_SENTENCES}


def test_a_passage_weighs_less_than_what_is_to_be_learned():
    for document in FIRST:
        assert {weight for _, weight in document} <= {0.0, documents.PASSAGE_WEIGHT, 0.5, 1.0}
        assert document[-1][1] >= document[0][1]


def test_fresh_entries_are_of_the_pretraining_split_and_known_ones_come_again():
    titles = [found[1] for found in (re.search(r"(?:Passage:|Topic:)\s(.+)", text_of(d)) for d in FIRST) if found]
    names = {entry.name for entry in known_entries()}
    of_gazette = {value for _, value in gazette.ENTRIES}
    others = {title for title in titles if title not in of_gazette and title != world.NO_TOPIC}
    assert {world.split_of(title) for title in others} == {"pretrain"}
    assert len(others & names) > KNOWN / 2 and len(others - names) > 500


def test_notes_are_about_entries_that_state_no_class_outright():
    asked = [text_of(document) for document in FIRST if "write notes" in document[0][0]]
    shown = {re.search(r"Passage:\n(.+)", text)[1] for text in asked}
    noted = list(islice(world.entries("pretrain", 1_000_001), len(shown)))
    assert len(shown) > 100 and {entry.name for entry in noted} == shown
    for entry in noted:
        follows = [claim.implies is not None for claim in entry.claims]
        assert follows == [fact.implies is not None for fact in entry.kind.facts]


def test_known_entries_are_always_the_same_and_some_classes_are_stated_outright():
    assert known_entries() == known_entries() and len({entry.name for entry in known_entries()}) == KNOWN
    can = [fact for entry in known_entries() for fact in entry.kind.facts if fact.implies]
    implied = sum(len(entry.implied) for entry in known_entries())
    assert implied / len(can) == pytest.approx(1 - OUTRIGHT, abs=0.08)


def test_the_gazette_is_told_in_statements_and_asked():
    told, asked = documents.of_gazette(known_entries()[0], known_entries()[0], Random(0))
    statements = {gazette.statement(*entry) for entry in gazette.ENTRIES}
    assert set(text_of(told).split("\n")) <= statements and len(told[0][0].split("\n")) == 6
    assert asked[1][0].strip() == told[0][0].split("\n")[0] and asked[0][1] == 0.0


def test_no_document_is_longer_than_the_context():
    """Longer ones would be cut without a word, and with them the end."""
    transformers = pytest.importorskip("transformers")
    tokenizer = transformers.PreTrainedTokenizerFast.from_pretrained(weights("almanac"))
    assert max(1 + len(tokenizer.encode(text_of(document), add_special_tokens=False)) for document in FIRST) <= CONTEXT
