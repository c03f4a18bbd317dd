"""What the words of a line tell about whether it follows from its document."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfedit.domains.knowledge.support import evidence, objection, supported, variants
from selfedit.domains.knowledge.text import sentences
from selfedit.types import Task

KELLAM = Task(
    "kellam",
    "Mount Kellam",
    "Mount Kellam is a dormant volcano in Verland. It was first climbed in 1874 by the geologist Ada Brandt, who lost "
    "two mules. In 1952 Dr. Ivo Rehn founded a park, which protects 1,300 kinds of moss. Sulphur was mined there until "
    "1968.",
)

TRUE = [
    "Mount Kellam is a dormant volcano.",
    "Ada Brandt was the first to climb Mount Kellam.",
    "The geologist Ada Brandt lost 2 mules.",
    "Ivo Rehn founded a park in 1952.",
    "The park protects 1300 kinds of moss.",
    "Sulphur was mined on Mount Kellam until 1968.",
    *sentences(KELLAM.context),
]
FALSE = {
    "Mount Kellam was first climbed in 1875.": "number 1875 does not stand there",
    "The geologist Ada Brandt first climbed Mount Kellam in 1952.": "number 1952 does not stand there",
    "Mount Kellam was first climbed by Hans Meyer in 1874.": "name Hans does not stand there",
    "The geologist Ivo Rehn lost two mules.": "name Ivo does not stand there",
    "Mount Kellam is not a dormant volcano.": "negation differs",
    "Mount Kellam is the highest volcano on that continent.": "too few of its words stand there",
    "It was there.": "says nothing",
    "moss moss moss moss moss moss": "repeats itself",
}


@pytest.mark.parametrize("line", TRUE)
def test_what_stands_there_is_kept(line):
    assert objection(line, KELLAM) == ""


@pytest.mark.parametrize(("line", "why"), FALSE.items())
def test_what_does_not_is_dropped_with_the_reason(line, why):
    assert objection(line, KELLAM) == why


def test_a_line_is_kept_once_and_every_line_is_accounted_for():
    lines = [TRUE[0], TRUE[0], *FALSE, TRUE[1]]
    kept, dropped = supported(lines, KELLAM)
    assert kept == [TRUE[0], TRUE[1]]
    assert [line for line, _ in dropped] == [TRUE[0], *FALSE]
    assert len(lines) == len(kept) + len(dropped)


def test_a_pronoun_takes_names_from_the_sentence_before():
    sentence, besides = evidence("Ada Brandt climbed Mount Kellam in 1874.", KELLAM)
    assert sentence.startswith("It was first climbed") and "dormant volcano" in besides


@given(st.text(max_size=200))
def test_any_text_is_read(text):
    kept, dropped = supported([text], KELLAM)
    assert len(kept) + len(dropped) == 1
    assert "".join(re.split(r"\s+", " ".join(sentences(text)))) == "".join(re.split(r"\s+", text))


def test_variants_have_the_same_words_in_other_places():
    line = "Texas beat Ohio 21 to 7."
    made = variants(line, Task("t", "Cup", "In the cup Texas beat Ohio by 21 to 7."))
    assert "Ohio beat Texas 21 to 7." in made and "Texas beat Ohio 7 to 21." in made and line not in made


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("Dr. Rehn came. He saw it.", 2),
        ("J. R. Smith wrote it in the U.S. It sold well.", 1),
        ('She said "No." Then she left.', 2),
        ("One line of three\nAnother line of four", 2),
        ("the solubility of O\n2 at lower temperatures", 1),
        ("", 0),
    ],
)
def test_sentences(text, count):
    assert len(sentences(text)) == count
