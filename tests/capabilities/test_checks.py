"""The checks on engines that are made for it: what is asked, and what values come of the answers."""

import json
import math

import pytest

from selfedit.capabilities.chat_format import chat_format, is_looping
from selfedit.capabilities.compare import Measure, compare, first_failure
from selfedit.capabilities.instructions import InstructionPrompt, answers_of, read_instructions, verdicts
from selfedit.capabilities.multiple_choice import ChoiceItem, read_multiple_choice, score_choices
from selfedit.capabilities.neutral_text import score_neutral
from selfedit.capabilities.records import OWN
from selfedit.errors import InputError
from selfedit.types import BASE, Cut, Failure, ItemScore, Likelihood, Update

TAUGHT = Update("taught")


class Reader:
    """Finds a text as likely as `nats` says, by update and end of the text; what is longer than `room` does not fit."""

    def __init__(self, nats, room=1000):
        self.nats, self.room, self.calls = nats, room, 0

    def fits(self, prompts, reserve=1):
        return [Failure("system", "too long") if len(prompt) > self.room else None for prompt in prompts]

    def likelihood(self, requests):
        self.calls += 1
        assert all(request.prompt == "" for request in requests)
        return [Likelihood(self._nats(r.update, r.target), len(r.target.split())) for r in requests]

    def _nats(self, update, text):
        return next((nats for end, nats in self.nats[update.id].items() if text.endswith(end)), -10.0)

    def sample(self, requests):
        self.calls += 1
        return [f"{request.update.id}: {request.prompt}" for request in requests]


def written(folder, rows, name="data.jsonl"):
    path = folder / name
    path.write_text("\n".join(map(json.dumps, rows)))
    return path


# Instructions


def test_prompts_are_read_in_ifevals_layout_without_arguments_that_are_null(tmp_path):
    row = {
        "key": 7,
        "prompt": "Two words.",
        "instruction_id_list": ["length_constraints:number_words", "punctuation:no_comma"],
        "kwargs": [{"num_words": 3, "relation": "less than", "letter": None}, {"letter": None}],
    }
    (read,) = read_instructions(written(tmp_path, [row]))
    first, second = row["instruction_id_list"]
    assert read == InstructionPrompt(
        "7", "Two words.", ((first, {"num_words": 3, "relation": "less than"}), (second, {}))
    )


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"prompt": " "}, "line 1 of .* needs 'prompt'"),
        ({"kwargs": []}, "two lists of one length"),
        ({"instruction_id_list": ["keywords:rhyme"]}, "there is no verifier for the instruction 'keywords:rhyme'"),
        ({"kwargs": ["x"]}, "no table"),
        ({"kwargs": [{"num_words": 3}]}, "number_words takes num_words, relation"),
        ({"kwargs": [{"num_words": 3, "relation": "about"}]}, "'less than' or 'at least'"),
        ({"kwargs": [{"num_words": "3", "relation": "at least"}]}, "number_words takes"),
        ({"kwargs": [{"words": 3, "relation": "at least"}]}, "number_words takes"),
        (
            {"instruction_id_list": ["keywords:existence"], "kwargs": [{"keywords": "bread"}]},
            "existence takes keywords",
        ),
    ],
)
def test_a_prompt_that_cannot_be_verified_is_refused(tmp_path, wrong, why):
    right = {
        "prompt": "Two words.",
        "instruction_id_list": ["length_constraints:number_words"],
        "kwargs": [{"num_words": 3, "relation": "less than"}],
    }
    with pytest.raises(InputError, match=why):
        read_instructions(written(tmp_path, [{**right, **wrong}]))


def test_all_updates_are_asked_in_one_batch():
    engine = Reader({})
    answers = answers_of(["a?", "b?"], engine, [BASE, TAUGHT], 9)
    assert answers == [["base: a?", "base: b?"], ["taught: a?", "taught: b?"]] and engine.calls == 1


def test_a_prompt_is_followed_if_all_of_its_instructions_are():
    end = ("startend:end_checker", {"end_phrase": "Bye."})
    asked = InstructionPrompt("1", "…", (("punctuation:no_comma", {}), end))
    assert verdicts(asked, "Well, well\nso: Bye.") == {
        "prompts_strict": (0.0,),
        "instructions_strict": (0.0, 1.0),
        "prompts_loose": (1.0,),
        "instructions_loose": (1.0, 1.0),
    }
    failed = Failure("system", "no memory")
    assert set(verdicts(asked, failed).values()) == {(failed,)}


# The form of answers


@pytest.mark.parametrize(
    ("answer", "wrong"),
    [
        ("A good answer, with an end.", set()),
        (" \n", {"blank"}),
        (Cut("And then and"), {"cut"}),
        ("I am fine.<|im_end|>\n<|im_start|>user", {"marks"}),
        ("Yes.\nuser\nAnd you?", {"marks"}),
        ("The user may say [INST] so. [/INST]", {"marks"}),
        ("The user: a person. A system.\n### Notes", set()),
        ("the cat sat on the mat and " * 5, {"looping"}),
        ("1. Eat well.\n2. Eat well.\n3. Eat well.\n4. Eat well.\n5. Eat well.", {"looping"}),
        ("No ZZZZZZZZZZZZZZZZZZZZZZZZZ", {"looping"}),
        ("| a | b |\n|---------------------|--------------------|", set()),
        ("very, very, very good; very, very, very bad", set()),
    ],
)
def test_the_form_of_an_answer(answer, wrong):
    assert {name for name, (value,) in chat_format(answer).items() if value} == wrong


def test_a_long_loop_is_found_whatever_came_before():
    assert is_looping(" ".join(map(chr, range(0x4E00, 0x4F00))) + " and so it goes on" * 5)


# Multiple choice


def test_the_layouts_of_mmlu_hellaswag_and_lambada(tmp_path):
    rows = [
        {"question": "Hot?\n", "choices": ["fire", "ice"], "answer": 0, "subject": "x"},
        {"context": "She sat ", "choices": ["down.", "up."], "answer": 1},
        {"context": "He saw", "target": "Anna"},
    ]
    assert read_multiple_choice(written(tmp_path, rows)) == [
        ChoiceItem("Question: Hot?\nAnswer:", (" fire", " ice"), 0),
        ChoiceItem("She sat", (" down.", " up."), 1),
        ChoiceItem("He saw", (" Anna",), 0),
    ]


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ({"question": "q", "choices": ["a"], "answer": 0}, "two texts or more"),
        ({"question": "q", "choices": ["a", "b"], "answer": 2}, "0 to 1"),
        ({"question": "q", "choices": ["a", "b"], "answer": True}, "0 to 1"),
        ({"choices": ["a", "b"], "answer": 0}, "needs 'context'"),
        ("text", "no record"),
    ],
)
def test_an_item_that_is_none_is_refused(tmp_path, row, why):
    with pytest.raises(InputError, match=why):
        read_multiple_choice(written(tmp_path, [row]))


def test_files_without_records_are_refused(tmp_path):
    with pytest.raises(InputError, match="holds no records"):
        read_multiple_choice(written(tmp_path, []))


def test_the_likeliest_option_is_the_answer_and_per_byte_long_ones_are_not_worse():
    items = [ChoiceItem("Q:", (" fire and flame", " ice"), 0)]
    engine = Reader({"base": {"Q:": -2.0, "flame": -9.0, "ice": -8.0}, "taught": {"Q:": -3.0, "flame": -5.0}})
    (before,), (after,) = score_choices(items, engine, [BASE, TAUGHT])
    assert before.values == {
        "accuracy": (0.0,),
        "accuracy_normalised": (1.0,),
        "surprisal": (pytest.approx(7 / math.log(2)),),
    }
    assert (after.values["accuracy"], after.values["surprisal"]) == ((1.0,), (pytest.approx(2 / math.log(2)),))
    assert engine.calls == 1


def test_an_item_with_one_continuation_has_no_accuracy():
    ((score,),) = score_choices([ChoiceItem("He saw", (" Anna",), 0)], Reader({"base": {}}), [BASE])
    assert score.values.keys() == {"surprisal"}


def test_an_item_that_the_model_cannot_read_whole_is_not_scored():
    items = [ChoiceItem("Q:", (" a", " b" * 50), 0), ChoiceItem("Q:", (" a", " b"), 0)]
    (scores,) = score_choices(items, Reader({"base": {}}, room=20), [BASE])
    assert [isinstance(score.values["accuracy"][0], Failure) for score in scores] == [True, False]


# Neutral text


def test_bits_per_token_of_texts():
    engine = Reader({"base": {"two": -2 * math.log(2)}, "taught": {"two": -4 * math.log(2)}})
    (before,), (after,) = score_neutral(["one two"], engine, [BASE, TAUGHT])
    assert (before.values["bits"], after.values["bits"]) == ((pytest.approx(1.0),), (pytest.approx(2.0),))


# Before and after


def scores(*values, name="share"):
    return [ItemScore(str(index), {name: of_item}) for index, of_item in enumerate(values)]


def test_differences_are_paired_and_items_are_the_clusters():
    before = scores((1.0, 0.0), (1.0,), (0.0,), (0.0, 0.0, 0.0), (1.0,))
    after = scores((1.0, 1.0), (1.0,), (0.0,), (1.0, 0.0, 0.0), (1.0,))
    (change,) = compare("check", {"share": Measure("right")}, before, after)
    assert (change.before, change.after, change.difference.n) == (3 / 8, 5 / 8, 5)
    assert change.difference.mean == pytest.approx(2 / 8) and change.difference.low < 2 / 8 < change.difference.high
    assert change.ratio is None and change.left_out == 0


def test_a_constant_shift_of_bits_has_no_width_and_a_ratio():
    before, after = (scores(*((bits + more,) for bits in (2.0, 3.0, 4.0, 5.0, 6.0))) for more in (0.0, 0.5))
    (change,) = compare("neutral", {"share": Measure("bits per token", "bits")}, before, after)
    assert change.difference.fields == {"mean": 0.5, "low": 0.5, "high": 0.5}
    assert change.ratio.mean == pytest.approx(4.5 / 4.0)


def test_items_that_failed_on_one_side_are_left_out_of_both():
    failure = Failure("system", "too long")
    before, after = scores((1.0,), (failure,), (0.0,)), scores((failure,), (1.0,), (1.0,))
    (change,) = compare("check", {"share": Measure("right")}, before, after)
    assert (change.before, change.after, change.left_out, change.difference.n) == (0.0, 1.0, 2, 1)
    assert first_failure(before) == failure and first_failure(scores((1.0,))) is None
    assert compare("check", {"share": Measure("right")}, scores((failure,)), scores((1.0,))) == []


# What ships


def test_the_packages_own_sets_can_be_read():
    assert len(read_instructions(OWN / "instructions.json")) == 26
    assert len(read_multiple_choice(OWN / "everyday.json")) == 40
    assert all(60 <= len(text.split()) <= 100 for text in json.loads((OWN / "neutral.json").read_text("utf-8")))


def test_the_own_instructions_need_no_other_package():
    own = read_instructions(OWN / "instructions.json")
    assert not [name for prompt in own for name, _ in prompt.instructions if "language" in name or "english" in name]
    assert len({name for prompt in own for name, _ in prompt.instructions}) >= 20


def test_the_right_answers_of_the_own_questions_have_no_usual_place():
    places = [item.answer for item in read_multiple_choice(OWN / "everyday.json")]
    assert {places.count(place) for place in range(3)} <= {13, 14}
