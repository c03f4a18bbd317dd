"""Credit by line: every line of the edits is tried by itself, and the lines that win questions are the next target.

The reward of a whole edit cannot say which of its lines earned it, and the best edit of five is mostly a short one. A
line is a document of its own, so it can be trained alone: what is then answered of the exam is its own doing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from statistics import fmean

from selfedit.errors import BadEdit
from selfedit.protocols import Domain
from selfedit.types import Example, Failure, Prompt, SelfEdit, Task, Trial

MIN_CREDIT = 0.5
"""What a line must add, in questions, to what the chosen lines win already."""


def parts_of(edit: SelfEdit) -> Sequence[tuple[Prompt, str]]:
    """What was said to each prompt of an edit; one pair where there was one prompt."""
    return edit.parts or ((edit.prompt, edit.text),)


def lines_of(written: Sequence[Trial], tasks: Mapping[str, Task], domain: Domain, tokens: int) -> list[Trial]:
    """The different lines of edits, each as an edit of its own under the prompt that it answers: without the context
    of the task, which would answer questions too, and for so many tokens.
    """
    found: dict[tuple[str, Prompt, str], Trial] = {}
    for trial in written:
        of = trial.edit.task_id
        context = domain.without_edit(tasks[of]).examples
        for prompt, text in () if trial.failure else parts_of(trial.edit):
            for line in domain.lines(text):
                with suppress(BadEdit):
                    edit = domain.parse(tasks[of], line)
                    examples = tuple(example for example in edit.examples if example not in context)
                    recipe = replace(edit.recipe, tokens=tokens)
                    edit = replace(edit, prompt=prompt, text=line, examples=examples, recipe=recipe)
                    if examples:
                        found.setdefault((of, prompt, line), Trial(edit))
    return list(found.values())


def line_targets(
    tried: Sequence[Trial], written: Sequence[Trial], tasks: Mapping[str, Task], domain: Domain
) -> Iterator[Example]:
    """The policy's next examples: for every prompt, the lines that won questions of their task, in the order in which
    the edits had them on average.
    """
    of_task: dict[str, list[Trial]] = {}
    for trial in tried:
        if trial.after and trial.after.is_complete:
            of_task.setdefault(trial.edit.task_id, []).append(trial)
    for task_id, trials in of_task.items():
        grades = [grades_by_answer(trial, tasks[task_id]) for trial in trials]
        chosen = [trials[n].edit for n in best_lines(grades, [len(trial.edit.text.split()) for trial in trials])]
        places = _places([trial for trial in written if trial.edit.task_id == task_id], domain)
        by_prompt: dict[Prompt, list[str]] = {}
        for edit in sorted(chosen, key=lambda edit: fmean(places[edit.prompt, edit.text])):
            by_prompt.setdefault(edit.prompt, []).append(edit.text)
        for prompt, lines in by_prompt.items():
            yield Example(prompt, domain.joined(lines), 1 / len(by_prompt))


def best_lines(grades: Sequence[Sequence[float]], words: Sequence[int], least: float = MIN_CREDIT) -> list[int]:
    """Which lines cover the questions, by number. `grades`: [lines][answers]; `words`: how long each line is.

    A line is worth, for each answer, its grade less the mean over the task's lines: what any line answers, as a guess
    may do, counts for none. Of the lines that add `least` to the best of those taken, the one is next that adds most a
    word: greedily, as the value of a set is submodular (Nemhauser and others, 1978; by cost: Lin and Bilmes, 2010).
    """
    means = [sum(column) / len(grades) for column in zip(*grades, strict=True)]
    credit = [[grade - mean for grade, mean in zip(row, means, strict=True)] for row in grades]
    won, chosen = [0.0] * len(means), list[int]()
    while True:
        added = [sum(max(0.0, c - w) for c, w in zip(row, won, strict=True)) for row in credit]
        able = [index for index, value in enumerate(added) if value >= least]
        if not able:
            return chosen
        best = max(able, key=lambda index: added[index] / max(1, words[index]))
        chosen.append(best)
        won = [max(c, w) for c, w in zip(credit[best], won, strict=True)]


def grades_by_answer(trial: Trial, task: Task) -> list[float]:
    """The mean grade of the questions that have the same gold answer, one for each answer: asked in other words, a
    question is no other question.
    """
    found: dict[str, list[float]] = {}
    for question, value in zip(task.questions, trial.after.grades if trial.after else (), strict=True):
        found.setdefault(question.target, []).append(0.0 if isinstance(value, Failure) else value)
    return [fmean(values) for values in found.values()]


def _places(written: Sequence[Trial], domain: Domain) -> dict[tuple[Prompt, str], list[float]]:
    """Where every line stood in the edits that had it, from 0 for the first of its edit."""
    places: dict[tuple[Prompt, str], list[float]] = {}
    for trial in written:
        for prompt, text in parts_of(trial.edit):
            lines = domain.lines(text)
            for number, line in enumerate(lines):
                places.setdefault((prompt, line), []).append(number / len(lines))
    return places
