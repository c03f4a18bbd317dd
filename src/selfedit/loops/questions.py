"""Self-generated evaluation: where nobody wrote questions about a passage, the model does.

It keeps those whose answer stands in the passage, and that it answers with the passage before it and not without, and
shares them between a half that rewards edits and a half that only the report sees.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from random import Random

from selfedit.graders.phrase import Phrase
from selfedit.loops.examine import Exam, Examiner, batched, score
from selfedit.seeds import derive_seed
from selfedit.types import Failure, Question, Request, SamplingParams, Task, Update, as_conversation

DRAFTS = 4
"""How often a model is asked for questions about a passage: one answer seldom covers it."""

KNOWN = 0.5
"""Grade from which an answer counts as known."""


@dataclass(frozen=True, slots=True)
class SelfExam:
    """The two halves for one passage: tasks with the same context. `drafted` counts the questions before the sieve, and
    `invented` those of them whose answer does not stand in the passage.
    """

    reward: Task
    report: Task
    drafted: int
    invented: int


def self_exams(
    tasks: Sequence[Task], writer: Update, examiner: Examiner, sampling: SamplingParams, seed: int
) -> list[SelfExam]:
    """Write questions about every passage, sieve them and split them. The tasks' own questions are not looked at.

    A passage may end with no question in a half, or in both. Raises nothing; what the engine failed is left out.
    """
    own = zip(tasks, draft(tasks, writer, examiner, sampling, seed), strict=True)
    drafted = [replace(task, questions=questions) for task, questions in own]
    kept = sieve(drafted, writer, examiner)
    counts = [(len(task.questions), len(task.questions) - len(grounded(task).questions)) for task in drafted]
    return [
        SelfExam(*halves(task, derive_seed(seed, "halves", task.id)), *count)
        for task, count in zip(kept, counts, strict=True)
    ]


def draft(
    tasks: Sequence[Task], writer: Update, examiner: Examiner, sampling: SamplingParams, seed: int, drafts: int = DRAFTS
) -> list[tuple[Question, ...]]:
    """Ask `drafts` times for questions about each passage. Equal questions are kept once, with their first answer."""
    domain, how = examiner.domain, (sampling.temperature, sampling.top_p, sampling.max_new_tokens)
    requests = [
        [
            Request(writer, prompt, derive_seed(seed, "draft", task.id, n, *([part] if part else [])), *how)
            for n in range(drafts)
            for part, prompt in enumerate(domain.question_prompts(task))
        ]
        for task in tasks
    ]
    texts = batched(requests, examiner.engine.sample)
    said = [
        [
            as_conversation(one.prompt).prefill + text
            for one, text in zip(of_task, own, strict=True)
            if isinstance(text, str)
        ]
        for of_task, own in zip(requests, texts, strict=True)
    ]
    return [tuple(distinct([q for text in own for q in domain.parse_questions(text)])) for own in said]


def distinct(questions: Sequence[Question]) -> list[Question]:
    """Each question once, the first wording of those with the same words; none that gives its answer away."""
    seen: dict[frozenset[str], Question] = {}
    for question in questions:
        asked, answer = _words(question.text), _words(question.target)
        if answer and not answer <= asked:
            seen.setdefault(asked, question)
    return list(seen.values())


def grounded(task: Task) -> Task:
    """The task with those of its questions whose answer stands in its context: what is not in it, it cannot teach."""
    grades = Phrase().grade([(question, task.context) for question in task.questions])
    return replace(task, questions=tuple(q for q, grade in zip(task.questions, grades, strict=True) if grade == 1.0))


def sieve(tasks: Sequence[Task], writer: Update, examiner: Examiner) -> list[Task]:
    """Leave each task the questions whose answer stands in it, and that are answered with it and not without it."""
    tasks = [grounded(task) for task in tasks]
    exams = [Exam(writer, task) for task in tasks]
    open_book, closed_book = (score(examiner.only_grades, exams, open_book=is_open) for is_open in (True, False))
    kept = []
    for task, reading, recalling in zip(tasks, open_book, closed_book, strict=True):
        graded = zip(task.questions, reading.grades, recalling.grades, strict=True)
        kept.append(replace(task, questions=tuple(q for q, read, recalled in graded if _is_learnable(read, recalled))))
    return kept


def _is_learnable(with_passage: float | Failure, without: float | Failure) -> bool:
    if isinstance(with_passage, Failure) or isinstance(without, Failure):
        return False
    return with_passage >= KNOWN > without


def halves(task: Task, seed: int) -> tuple[Task, Task]:
    """Share the questions out. Those with the same answer go to the same half: to know one is to know the other."""
    groups: dict[frozenset[str], list[Question]] = {}
    for question in task.questions:
        groups.setdefault(_words(question.target), []).append(question)
    shuffled = Random(seed).sample(list(groups.values()), len(groups))
    first, second = ([q for group in shuffled[start::2] for q in group] for start in (0, 1))
    return replace(task, questions=tuple(first)), replace(task, questions=tuple(second))


def _words(text: str) -> frozenset[str]:
    return frozenset(re.findall(r"\w+", text.lower()))
