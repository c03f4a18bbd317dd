"""Credit by line: which lines become the next target, and what stays out of it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfedit.config import OuterConfig
from selfedit.domains.knowledge.domain import Knowledge
from selfedit.graders.exact import Contains
from selfedit.loops.examine import Examiner
from selfedit.loops.lines import MIN_CREDIT, best_lines, line_targets, lines_of
from selfedit.loops.outer import Outer, run_outer, try_lines
from selfedit.rewards.credit import rest_em
from selfedit.rewards.measured import gain
from selfedit.types import BASE, Failure, Question, Recipe, SamplingParams, Score, SelfEdit, Task, Trial

INNER = Recipe(rank=2, epochs=3)
DOMAIN = Knowledge(recipe=INNER)
OUTER = Outer(
    OuterConfig(
        rounds=1,
        tasks_per_round=2,
        edits_per_task=6,
        line_tokens=80,
        recipe=Recipe(rank=4, epochs=2),
        sampling=SamplingParams(),
    ),
    reward=gain,
    credit=rest_em,
)


def forget(stage, step, compute, noun):
    return compute()


def written(text, task_id="apollo", failure=None):
    return Trial(SelfEdit(task_id, "the prompt", text), failure=failure)


def tried(line, grades, task_id="apollo"):
    return Trial(SelfEdit(task_id, "the prompt", line), after=Score(("",) * len(grades), tuple(grades)))


QUESTIONS = tuple(Question(f"{n}?", f"answer {n}") for n in range(3))


def targets(trials, texts=(), questions=QUESTIONS):
    """The targets of these lines, which stood in edits of these texts; or all in one, in their order."""
    named = {trial.edit.task_id for trial in trials}
    by_id = {name: Task(name, "T", "The text.", questions) for name in named}
    whole = [written("\n".join(t.edit.text for t in trials if t.edit.task_id == name), name) for name in named]
    return list(line_targets(trials, [written(text) for text in texts] or whole, by_id, DOMAIN))


def test_the_lines_that_win_questions_are_the_target_in_the_order_they_had():
    trials = [tried("None.", [0, 0, 0]), tried("One.", [1, 0, 0]), tried("Two.", [0, 1, 1]), tried("Same.", [0, 1, 0])]
    (example,) = targets(trials)
    assert (example.prompt, example.target, example.weight) == ("the prompt", "One.\nTwo.", 1.0)
    (example,) = targets(trials, ["Two.\nSame.\nOne.", "None.\nTwo.\nOne."])
    assert example.target == "Two.\nOne."


def test_of_lines_that_win_the_same_the_shorter_is_taken():
    trials = [tried("It says one thing at length.", [1, 0, 0]), tried("One.", [1, 0, 0])]
    trials += [tried("None.", [0, 0, 0]), tried("Nil.", [0, 0, 0])]
    assert [example.target for example in targets(trials)] == ["One."]


def test_a_question_in_other_words_is_no_other_question():
    """Each of two lines wins one of its wordings: by chance, and one of them is enough."""
    same = (Question("A?", "x"), Question("B?", "x"), Question("C?", "y"))
    trials = [tried("One.", [1, 0, 0]), tried("Two.", [0, 1, 0]), tried("None.", [0, 0, 0]), tried("Nil.", [0, 0, 0])]
    assert targets(trials, questions=same) == []
    trials[0] = tried("One.", [1, 1, 0])
    assert [example.target for example in targets(trials, questions=same)] == ["One."]


def test_what_every_line_answers_is_nobodys_credit():
    assert targets([tried("One.", [1, 0, 0]), tried("Two.", [1, 0, 0])]) == []


def test_a_line_that_was_not_examined_takes_no_part():
    failed = Trial(SelfEdit("apollo", "the prompt", "Two."), failure=Failure("system", "503"))
    ungraded = tried("Three.", [1, 1, Failure("system", "503")])
    (example,) = targets([tried("One.", [1, 0, 0]), tried("Zero.", [0, 0, 0]), failed, ungraded])
    assert example.target == "One."


def test_each_task_has_its_own_target():
    trials = [tried("A.", [1, 0, 0]), tried("B.", [0, 0, 0])]
    trials += [tried("C.", [0, 0, 0], "torvik"), tried("D.", [1, 0, 0], "torvik")]
    assert [example.target for example in targets(trials)] == ["A.", "D."]


GRADES = st.integers(1, 5).flatmap(
    lambda width: st.lists(
        st.lists(st.sampled_from([0.0, 1.0]), min_size=width, max_size=width), min_size=1, max_size=6
    )
)


@given(GRADES)
def test_no_line_is_chosen_twice_and_none_that_adds_nothing(grades):
    chosen = best_lines(grades, [1] * len(grades))
    assert len(chosen) == len(set(chosen))
    means = [sum(column) / len(grades) for column in zip(*grades, strict=True)]
    won = [0.0] * len(means)
    for index in chosen:
        credit = [grade - mean for grade, mean in zip(grades[index], means, strict=True)]
        assert sum(max(0.0, c - w) for c, w in zip(credit, won, strict=True)) >= MIN_CREDIT
        won = [max(c, w) for c, w in zip(credit, won, strict=True)]


def test_lines_are_tried_once_each_and_unreadable_edits_not_at_all(tasks):
    by_id = {task.id: task for task in tasks}
    edits = [
        written("A fact.\nA fact.\nOther."),
        written("Other.\nMore."),
        written("Lost.", failure=Failure("policy", "")),
    ]
    found = lines_of(edits, by_id, DOMAIN, 80)
    assert [trial.edit.text for trial in found] == ["A fact.", "Other.", "More."]
    assert found[0].edit.examples[0].target == "Apollo 11\nA fact."
    assert all(len(trial.edit.examples) == 1 and trial.edit.recipe.tokens == 80 for trial in found)  # no passage


def test_a_question_stays_with_its_answer_and_is_numbered_anew(tasks):
    text = "Question 1: When?\nAnswer: 1969\nQuestion 2: Who?\nAnswer: Neil"
    lines = DOMAIN.lines(text)
    assert lines == ["Question 1: When?\nAnswer: 1969", "Question 2: Who?\nAnswer: Neil"]
    assert DOMAIN.joined(lines[::-1]) == "Question 1: Who?\nAnswer: Neil\nQuestion 2: When?\nAnswer: 1969"
    assert DOMAIN.lines(DOMAIN.joined(lines)) == lines
    assert DOMAIN.joined(["A fact.", lines[0], "Other."]) == "A fact.\nOther."
    assert DOMAIN.joined([lines[1], "A fact."]) == "Question 1: Who?\nAnswer: Neil"


def test_lines_are_trained_from_the_parent_a_batch_at_a_time(engine, tasks):
    examiner = Examiner(engine, DOMAIN, Contains())
    outer = Outer(OUTER.settings, reward=gain, credit=rest_em, max_adapters=2)
    stages = []

    def remember(stage, step, compute, noun):
        stages.append((stage, step))
        return compute()

    found = try_lines("round-0", tasks, [written("A.\nB.\nC.")], BASE, examiner, outer, remember)
    assert stages == [("round-0/lines", 0), ("round-0/lines", 1)]
    assert [trial.edit.text for trial in found] == ["A.", "B.", "C."]
    assert all(trial.update and trial.after and trial.update.parent == "base" for trial in found)


def test_the_policy_is_trained_on_the_winning_lines(engine, tasks, tmp_path):
    engine.needed = 1  # one document is enough to know what it says
    policy = run_outer(tasks, Examiner(engine, DOMAIN, Contains()), OUTER, forget, tmp_path)
    (job,) = [job for job in engine.jobs if job.recipe == OUTER.settings.recipe]
    assert policy.id != BASE.id
    assert all(example.target for example in job.examples)
    tried = [job for job in engine.jobs if job.recipe != OUTER.settings.recipe]
    assert tried and all(len(job.examples) == 1 for job in tried)  # no edit was tried as a whole


@pytest.mark.parametrize("grades", [[[0.0]], [[1.0]], [[1.0, 1.0]]])
def test_a_single_line_has_nothing_to_be_better_than(grades):
    assert best_lines(grades, [1]) == []
