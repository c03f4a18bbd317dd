"""The verifiers of IFEval (Zhou et al. 2023, arXiv 2311.07911): whether a response follows an instruction.

The rules are those of Google's `instruction_following_eval` (Copyright The Google Research Authors, Apache-2.0),
written anew without its random defaults and without data that must be downloaded: sentences are cut by a pattern, not
by NLTK's punkt. On 371 responses that Google's script graded 577 of 578 instructions come out as there.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from selfedit.errors import InputError

Verifier = Callable[..., bool]
"""A response, and the instruction's own arguments by name -> whether it is followed."""

_SENTENCE_END = re.compile(r"""[.!?]+['")\]*\u201d\u2019]*(?=\s)""")
_ANSWERS = ("My answer is yes.", "My answer is no.", "My answer is maybe.")


def _holds(count: int, relation: str, wanted: int) -> bool:
    if relation not in ("less than", "at least"):
        raise ValueError(f"a relation is 'less than' or 'at least', not {relation!r}")
    return count < wanted if relation == "less than" else count >= wanted


# Words and letters


def has_keywords(response: str, keywords: Sequence[str]) -> bool:
    return all(re.search(re.escape(keyword), response, re.IGNORECASE) for keyword in keywords)


def has_keyword_often(response: str, keyword: str, frequency: int, relation: str) -> bool:
    found = re.findall(re.escape(keyword.strip()), response, re.IGNORECASE)
    return _holds(len(found), relation, frequency)


def lacks_words(response: str, forbidden_words: Sequence[str]) -> bool:
    return not any(re.search(rf"\b{re.escape(word)}\b", response, re.IGNORECASE) for word in forbidden_words)


def has_letter_often(response: str, letter: str, let_frequency: int, let_relation: str) -> bool:
    return _holds(response.lower().count(letter.lower()), let_relation, let_frequency)


def lacks_commas(response: str) -> bool:
    return "," not in response


# Length


def has_words(response: str, num_words: int, relation: str) -> bool:
    return _holds(len(re.findall(r"\w+", response)), relation, num_words)


def has_sentences(response: str, num_sentences: int, relation: str) -> bool:
    sentences = [part for part in _SENTENCE_END.split(f"{response.strip()} ") if part.strip()]
    return _holds(len(sentences), relation, num_sentences)


def has_paragraphs(response: str, num_paragraphs: int) -> bool:
    """Paragraphs between lines of ***; only the first and the last may be empty."""
    first, *others = re.split(r"\s?\*\*\*\s?", response)
    *inner, last = others or [""]
    if not all(part.strip() for part in inner):
        return False
    return len(inner) + bool(first.strip()) + bool(last.strip()) == num_paragraphs


def paragraph_begins_with(response: str, num_paragraphs: int, nth_paragraph: int, first_word: str) -> bool:
    """Paragraphs between empty lines. Of the first word only what stands before its punctuation counts."""
    paragraphs = response.split("\n\n")
    filled = sum(bool(paragraph.strip()) for paragraph in paragraphs)
    if not 1 <= nth_paragraph <= filled or not paragraphs[nth_paragraph - 1].strip():
        return False
    word = paragraphs[nth_paragraph - 1].split()[0].lstrip("'").lstrip('"')
    return filled == num_paragraphs and re.split(r"[.,?!'\"]", word)[0].lower() == first_word.lower()


# Form


def has_placeholders(response: str, num_placeholders: int) -> bool:
    return len(re.findall(r"\[[^\n\[]*?\]", response)) >= num_placeholders


def has_postscript(response: str, postscript_marker: str) -> bool:
    marker = postscript_marker.strip()
    patterns = {"P.P.S": r"p\.\s?p\.\s?s", "P.S.": r"p\.\s?s\."}
    return re.search(patterns.get(marker, re.escape(marker.lower())), response.lower()) is not None


def has_bullets(response: str, num_bullets: int) -> bool:
    """Lines that begin with - or a single *."""
    return len(re.findall(r"^[^\S\n]*(?:\*[^*]|-)", response, re.MULTILINE)) == num_bullets


def is_a_given_answer(response: str) -> bool:
    return any(answer in response for answer in _ANSWERS)


def has_highlights(response: str, num_highlights: int) -> bool:
    """Parts between asterisks; one between double asterisks counts."""
    single = [part for part in re.findall(r"\*[^\n*]*\*", response) if part.strip("*").strip()]
    double = [part for part in re.findall(r"\*\*([^\n*]*)\*\*", response) if part.strip()]
    return len(single) + len(double) >= num_highlights


def has_sections(response: str, section_spliter: str, num_sections: int) -> bool:
    return len(re.findall(rf"{re.escape(section_spliter.strip())}\s?\d+", response)) >= num_sections


def is_json(response: str) -> bool:
    """JSON, perhaps fenced by backquotes."""
    text = re.sub(r"^```(?:json|Json|JSON)?", "", response.strip()).removesuffix("```").strip()
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def has_title(response: str) -> bool:
    return any(title.strip("<>").strip() for title in re.findall(r"<<[^\n]+>>", response))


def is_quoted(response: str) -> bool:
    text = response.strip()
    return len(text) > 1 and text[0] == text[-1] == '"'


def ends_with(response: str, end_phrase: str) -> bool:
    return response.strip().strip('"').lower().endswith(end_phrase.strip().lower())


def gives_two_responses(response: str) -> bool:
    """Two that differ, with ****** between them."""
    first, *others = response.split("******")
    *inner, last = others or [""]
    if not all(part.strip() for part in inner):
        return False
    said = [part.strip() for part in (first, *inner, last) if part.strip()]
    return len(said) == 2 and said[0] != said[1]


def repeats_prompt(response: str, prompt_to_repeat: str) -> bool:
    return response.strip().lower().startswith(prompt_to_repeat.strip().lower())


# Case and language


def has_capital_words(response: str, capital_frequency: int, capital_relation: str) -> bool:
    words = re.findall(r"\w[\w-]*", response)
    return _holds(sum(word.isupper() for word in words), capital_relation, capital_frequency)


def is_english_in_capitals(response: str) -> bool:
    return response.isupper() and is_in_language(response, "en")


def is_english_in_lower_case(response: str) -> bool:
    return response.islower() and is_in_language(response, "en")


def is_in_language(response: str, language: str) -> bool:
    """By langdetect, as in Google's script, but with a seed. A text in which it finds no language counts as right.

    Raises InputError where langdetect is not installed.
    """
    try:
        from langdetect import DetectorFactory, LangDetectException, detect
    except ImportError:
        raise InputError(
            "instructions about the language of a response need the package langdetect: pip install 'selfedit[ifeval]'"
        ) from None
    DetectorFactory.seed = 0
    try:
        return bool(detect(response) == language)
    except LangDetectException:
        return True


VERIFIERS: dict[str, Verifier] = {
    "keywords:existence": has_keywords,
    "keywords:frequency": has_keyword_often,
    "keywords:forbidden_words": lacks_words,
    "keywords:letter_frequency": has_letter_often,
    "language:response_language": is_in_language,
    "length_constraints:number_sentences": has_sentences,
    "length_constraints:number_paragraphs": has_paragraphs,
    "length_constraints:number_words": has_words,
    "length_constraints:nth_paragraph_first_word": paragraph_begins_with,
    "detectable_content:number_placeholders": has_placeholders,
    "detectable_content:postscript": has_postscript,
    "detectable_format:number_bullet_lists": has_bullets,
    "detectable_format:constrained_response": is_a_given_answer,
    "detectable_format:number_highlighted_sections": has_highlights,
    "detectable_format:multiple_sections": has_sections,
    "detectable_format:json_format": is_json,
    "detectable_format:title": has_title,
    "combination:two_responses": gives_two_responses,
    "combination:repeat_prompt": repeats_prompt,
    "startend:end_checker": ends_with,
    "startend:quotation": is_quoted,
    "change_case:capital_word_frequency": has_capital_words,
    "change_case:english_capital": is_english_in_capitals,
    "change_case:english_lowercase": is_english_in_lower_case,
    "punctuation:no_comma": lacks_commas,
}
"""By IFEval's names."""


def follows(response: str, instruction: str, arguments: Mapping[str, Any]) -> bool:
    """Strict: the response as it is. A blank one follows nothing."""
    return bool(response.strip()) and VERIFIERS[instruction](response, **arguments)


def follows_loosely(response: str, instruction: str, arguments: Mapping[str, Any]) -> bool:
    """Loose: the response, or what is left of it without its first or last line, or both, and without asterisks."""
    lines = response.split("\n")
    cut = ["\n".join(part).strip() for part in (lines[1:], lines[:-1], lines[1:-1])]
    texts = [response, *cut]
    return any(follows(text, instruction, arguments) for text in [*texts, *(text.replace("*", "") for text in texts)])
