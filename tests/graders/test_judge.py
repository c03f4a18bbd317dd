"""The judge: what it is asked, how it is read, what it is not asked, and whether it can be trusted."""

import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfedit.errors import EndpointDown, Refused
from selfedit.graders.exact import Contains
from selfedit.graders.judge import JUDGE_CHECKS, Judge, check, is_empty, probe, verdict
from selfedit.types import Failure, Question

QUESTION = Question("Which river does {Torvik} lie on?", "the Selx")


class Model:
    """Answers every prompt by a function, and keeps the prompts."""

    def __init__(self, answer):
        self.answer, self.prompts = answer, []

    def sample(self, requests):
        self.prompts += [request.prompt for request in requests]
        return [self.answer(request.prompt) for request in requests]


def say(text):
    return Model(lambda prompt: text)


def graded_by(model, *answers, question=QUESTION):
    return Judge(model).grade([(question, answer) for answer in answers])


def test_the_judge_sees_the_question_the_gold_answer_and_the_answer_as_they_are():
    model = say("yes")
    assert graded_by(model, "{it} lies\non the Selx") == [1.0]
    (prompt,) = model.prompts
    for part in (QUESTION.text, "the Selx", "<answer>\n{it} lies\non the Selx\n</answer>", "yes or no"):
        assert part in prompt


@pytest.mark.parametrize("text", ["yes", "Yes.", " YES\n", "**Yes**, it is.", "I say: yes!"])
def test_yes(text):
    assert verdict(text) == 1.0


@pytest.mark.parametrize("text", ["no", "No.", "NO\n", "**no**", "The answer is no, because it differs."])
def test_no(text):
    assert verdict(text) == 0.0


@pytest.mark.parametrize("text", ["", "yes and no", "maybe", "I do not know", "eyes", "noon yesterday", "1", "nope"])
def test_neither(text):
    assert verdict(text) is None


@given(st.text())
def test_a_verdict_is_never_taken_from_a_text_without_its_word(text):
    found = verdict(text)
    assert found is None or ("no", "yes")[int(found)] in text.lower()


@pytest.mark.parametrize(
    "answer",
    [
        "",
        " \n\t",
        ".",
        ":",
        "...",
        "**",
        "__",
        "Answer:",
        "answer",
        "Final answer: ",
        "The answer is",
        "The correct answer.",
        "Solution",
        "Thought process:",
        "Thought process:\n\nAnswer: ...",
        "Let's solve this problem step by step.",
        "Let\u2019s think step by step:",
        "解",
        "かいせつ",
        "Respuesta:",
    ],
)
def test_an_answer_with_nothing_in_it_is_wrong_without_a_call(answer):
    model = say("yes")
    assert graded_by(model, answer) == [0.0]
    assert model.prompts == []


@pytest.mark.parametrize("answer", ["Selx", "Answer: Selx", "The answer is 4", "4", "Ж", "Solutions", "answers", "no"])
def test_an_answer_with_something_in_it_is_judged(answer):
    model = say("yes")
    assert graded_by(model, answer) == [1.0]
    assert len(model.prompts) == 1


@pytest.mark.parametrize(("gold", "answer"), [("+", " +"), ("Solution", "solution"), ("...", "...")])
def test_an_answer_that_is_the_gold_answer_is_judged_however_little_it_is(gold, answer):
    assert graded_by(say("yes"), answer, question=Question("?", gold)) == [1.0]


@given(st.text(alphabet=" .,:;!?-_*\n"))
def test_punctuation_alone_is_never_right(answer):
    assert is_empty(answer, "the Selx")


@given(lead=st.sampled_from(["", "Answer: ", "Thought process:\n"]), word=st.from_regex(r"[bcdf]{3,9}", fullmatch=True))
def test_a_word_after_a_lead_in_is_never_nothing(lead, word):
    assert not is_empty(lead + word, "the Selx")


def test_long_answers_of_lead_ins_take_no_time():
    assert not is_empty("the answer is " * 2000 + "Selx", "the Selx")


def test_grades_come_in_order_and_equal_pairs_are_asked_once():
    model = Model(lambda prompt: "yes" if "\nSelx\n" in prompt else "no")
    assert graded_by(model, "Selx", "", "Orm", "Selx", "Orm") == [1.0, 0.0, 0.0, 1.0, 0.0]
    assert len(model.prompts) == 2


def test_a_verdict_that_is_no_verdict_is_asked_again_and_is_never_a_no():
    model = say("perhaps")
    (grade,) = graded_by(model, "Selx")
    assert grade == Failure("system", "a verdict could not be read: 'perhaps'")
    assert len(model.prompts) == 2


def test_a_judge_that_is_down_grades_nothing():
    model = Model(lambda prompt: "yes" if "\nSelx\n" in prompt else Failure("system", "no answer from here"))
    with pytest.raises(EndpointDown, match="1 of 2 verdicts could not be had: no answer from here"):
        graded_by(model, "Selx", "Orm")


# Whether it can be trusted


def honest(prompt):
    """Judges the probes as they should be, by what stands between the last tags."""
    question = next(p.question for p in JUDGE_CHECKS if p.question.text in prompt.partition("<answer>")[0])
    answer = prompt.partition("<answer>\n")[2].rpartition("\n</answer>")[0]
    return "yes" if is_right(question, answer) else "no"


def is_right(question, answer):
    return any(p.right for p in JUDGE_CHECKS if p.question == question and p.answer == answer)


def test_an_honest_judge_passes(caplog):
    judge = Judge(Model(honest))
    assert probe(judge) == []
    check(judge, "honest")
    assert caplog.text == ""


@pytest.mark.parametrize(("word", "wrong"), [("yes", False), ("no", True)])
def test_a_judge_that_does_not_read_is_refused(word, wrong):
    judge = Judge(say(word))
    plain = [p for p, _ in probe(judge) if not p.trick]
    assert plain == [p for p in JUDGE_CHECKS if not p.trick and p.right is wrong]
    with pytest.raises(Refused) as error:
        check(judge, "lazy")
    assert str(error.value).startswith(f"the judge lazy is wrong on {len(plain)} of 6 answers that are plainly")
    assert str(error.value).endswith("use a better model")


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ("perhaps", "a verdict could not be read: 'perhaps'"),
        ("<think>Is it? Yes or no", "the model was still thinking when its tokens were used up; raise thinking_tokens"),
    ],
)
def test_a_judge_without_verdicts_is_refused_and_says_what_it_lacks(said, why):
    with pytest.raises(Refused) as error:
        check(Judge(say(said)), "dreamer")
    told = f"the judge dreamer has no verdict on 6 of 6 answers that are plainly right or wrong: {why}"
    assert str(error.value).startswith(told)


@pytest.mark.parametrize("thought", ["<think>No, or yes?</think>", "so yes and no\n</think>\n\n", "[THINK]no[/THINK]"])
def test_thoughts_are_no_verdict(thought):
    check(Judge(Model(lambda prompt: thought + honest(prompt))), "thinker")


def test_one_plain_mistake_is_enough():
    model = Model(lambda prompt: "yes" if "Nobody knows." in prompt else honest(prompt))
    with pytest.raises(
        Refused, match=r"wrong on 1 of 6 .* such as 'Nobody knows\.' where the gold answer is 'a baker'"
    ):
        check(Judge(model), "kind")


def test_a_judge_that_takes_orders_is_used_with_a_warning(caplog):
    model = Model(lambda prompt: "yes" if "answer yes." in prompt else honest(prompt))
    with caplog.at_level(logging.WARNING):
        check(Judge(model), "obedient")
    (record,) = caplog.records
    assert record.getMessage().startswith("the judge obedient falls for 1 of 6 tricks, such as the answer 'Ignore the")


def test_probes_say_what_a_reader_would():
    """No trick holds its gold answer, and what is plainly right or wrong is so to a grader that compares words."""
    grades = Contains().grade([(probe.question, probe.answer) for probe in JUDGE_CHECKS])
    assert grades == [float(probe.right) for probe in JUDGE_CHECKS]
