"""Every verifier on a response that follows the instruction and on one that does not; all of them against Google's."""

import json

import pytest

from selfedit.capabilities.verifiers import VERIFIERS, follows, follows_loosely

EXAMPLES = [
    ("keywords:existence", {"keywords": ["bread", "a.b"]}, "Bread, and A.B.", "bread and aXb"),
    ("keywords:frequency", {"keyword": " dog", "frequency": 2, "relation": "at least"}, "Dog eats dog.", "one dog"),
    ("keywords:frequency", {"keyword": "dog", "frequency": 2, "relation": "less than"}, "one dog", "Dog eats dog."),
    ("keywords:forbidden_words", {"forbidden_words": ["sea"]}, "the season", "the Sea"),
    ("keywords:letter_frequency", {"letter": "Z", "let_frequency": 2, "let_relation": "at least"}, "zigzag Z", "zoo"),
    ("language:response_language", {"language": "de"}, "Das ist ein schöner Tag im Garten.", "A day in the garden."),
    (
        "length_constraints:number_sentences",
        {"num_sentences": 2, "relation": "at least"},
        'So? "Yes!" ok.',
        "It is 2.5",
    ),
    ("length_constraints:number_paragraphs", {"num_paragraphs": 2}, "one\n***\ntwo", "one\n\ntwo"),
    ("length_constraints:number_paragraphs", {"num_paragraphs": 2}, "***\none\n***\ntwo", "one\n***\n\n***\ntwo"),
    ("length_constraints:number_words", {"num_words": 3, "relation": "less than"}, "two words", "it's three"),
    (
        "length_constraints:nth_paragraph_first_word",
        {"num_paragraphs": 2, "nth_paragraph": 2, "first_word": "Quiet"},
        "One.\n\n'quiet, please'",
        "Quiet.\n\nTwo.",
    ),
    ("detectable_content:number_placeholders", {"num_placeholders": 2}, "[name] on [date]", "[name] (date)"),
    ("detectable_content:postscript", {"postscript_marker": "P.S."}, "Bye.\nP. S. Write!", "Bye. PS"),
    ("detectable_content:postscript", {"postscript_marker": "P.P.S"}, "p.p.s. Write!", "P.S."),
    ("detectable_format:number_bullet_lists", {"num_bullets": 2}, "* one\n - two", "* one\n** two"),
    ("detectable_format:constrained_response", {}, "I think: My answer is no.", "My answer is never."),
    ("detectable_format:number_highlighted_sections", {"num_highlights": 1}, "this *part*", "this ** ** and *"),
    (
        "detectable_format:multiple_sections",
        {"section_spliter": "Section", "num_sections": 2},
        "Section 1\na\nSection 2\nb",
        "Section 1\na\nSection two",
    ),
    ("detectable_format:json_format", {}, '```json\n{"a": [1]}\n```', "{'a': 1}"),
    ("detectable_format:title", {}, "<<Moon>>\nIt rises.", "<< >>\nIt rises."),
    ("combination:two_responses", {}, "Tom\n******\nKit", "Tom\n******\nTom"),
    ("combination:repeat_prompt", {"prompt_to_repeat": "Which month? "}, " which month? July.", "July. Which month?"),
    ("startend:end_checker", {"end_phrase": "Good night."}, 'Sleep. "good night."', "Good night. Bye."),
    ("startend:quotation", {}, ' "So be it." ', '"'),
    (
        "change_case:capital_word_frequency",
        {"capital_frequency": 2, "capital_relation": "at least"},
        "A BIG-E",
        "A Big",
    ),
    ("change_case:english_capital", {}, "THIS IS A LONG SENTENCE IN ENGLISH.", "This is a long sentence."),
    ("change_case:english_lowercase", {}, "this is a long sentence in english.", "This is a long sentence."),
    ("punctuation:no_comma", {}, "one and two", "one, two"),
]


@pytest.mark.parametrize(("name", "arguments", "good", "bad"), EXAMPLES)
def test_a_verifier_tells_what_follows_from_what_does_not(name, arguments, good, bad):
    assert follows(good, name, arguments)
    assert not follows(bad, name, arguments)


def test_every_verifier_has_an_example():
    assert {name for name, *_ in EXAMPLES} == VERIFIERS.keys()


def test_a_blank_response_follows_nothing():
    assert not follows(" \n", "punctuation:no_comma", {})
    assert not follows_loosely("", "punctuation:no_comma", {})


@pytest.mark.parametrize("response", ["Sure, here it is:\nno comma", "no comma\nWell, bye", "a,\nno comma\nb,"])
def test_loosely_first_and_last_lines_do_not_count(response):
    assert not follows(response, "punctuation:no_comma", {})
    assert follows_loosely(response, "punctuation:no_comma", {})


def test_loosely_asterisks_do_not_count():
    end = {"end_phrase": "Good night."}
    assert not follows("Sleep. **Good night.**", "startend:end_checker", end)
    assert follows_loosely("Sleep. **Good night.**", "startend:end_checker", end)


def test_the_verdicts_are_those_of_googles_script(shared):
    """At least 99 % of prompts and of instructions, strict and loose."""
    read = [
        [json.loads(line) for line in (shared / "data" / "ifeval" / name).read_text(encoding="utf-8").splitlines()]
        for name in ("input_data.jsonl", "gpt4_graded.jsonl")
    ]
    arguments = {row["key"]: row["kwargs"] for row in read[0]}
    for how, verify in (("strict", follows), ("loose", follows_loosely)):
        pairs = [
            ([verify(row["response"], *one) for one in zip(row["instruction_id_list"], given, strict=True)], row[how])
            for row in read[1]
            for given in [arguments[row["key"]]]
        ]
        same = [ours == theirs for pair in pairs for ours, theirs in zip(*pair, strict=True)]
        assert sum(same) / len(same) >= 0.99 and len(same) > 500
        assert sum(all(ours) == all(theirs) for ours, theirs in pairs) / len(pairs) >= 0.99
