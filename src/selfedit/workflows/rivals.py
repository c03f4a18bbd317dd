"""What people would do instead of teaching a model its own notes: teach it the text alone for as long, or put the text
into the prompt.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from selfedit.loops.evaluate import score_retrieved, summarise
from selfedit.loops.examine import Exam, Examiner, score
from selfedit.loops.inner import train_one
from selfedit.protocols import Domain, Progress, silent
from selfedit.results import Row
from selfedit.store import Run
from selfedit.types import Job, Recipe, SelfEdit, Task, Trial, Update


def passage_only_job(job: Job, tokens: int, passages: Sequence[Task], domain: Domain, recipe: Recipe | None) -> Job:
    """The passages alone from the same parent, for so many tokens, by this recipe or the job's."""
    examples = tuple(example for task in passages for example in domain.without_edit(task).examples)
    return replace(job, examples=examples, recipe=replace(recipe or job.recipe, tokens=tokens))


def rival_rows(
    run: Run,
    job: Job,
    tokens: int,
    documents: Sequence[Task],
    passages: Sequence[Task],
    examiner: Examiner,
    recipe: Recipe | None = None,
    progress: Progress = silent,
) -> list[Row]:
    """The rows of the passages alone, trained for as many tokens as the job took, and of the passage in the prompt,
    found by the words of each question. Documents without questions take no part.
    """
    asked = [task for task in documents if task.questions]
    progress("rivals", 0, 2, "")
    job_alone = passage_only_job(job, tokens, passages, examiner.domain, recipe)
    alone = run.remember("rivals/passage_only_equal", 0, partial(_alone, asked, job_alone, examiner), Trial)
    progress("rivals", 1, 2, "")
    found = run.remember("rivals/retrieved", 0, partial(_retrieved, asked, passages, job.parent, examiner), Trial)
    progress("rivals", 2, 2, "")
    seconds = run.seconds()
    return [
        replace(summarise("passage_only_equal", alone, seconds["rivals/passage_only_equal"]), tokens=tokens),
        summarise("retrieved", found, seconds["rivals/retrieved"]),
    ]


def _alone(documents: Sequence[Task], job: Job, examiner: Examiner) -> list[Trial]:
    engine = examiner.engine
    update = train_one(engine, job, "the passages alone could not be trained")
    scores = score(examiner, [Exam(update, task) for task in documents])
    engine.release([update])
    return [Trial(SelfEdit(task.id, ""), update, after=s) for task, s in zip(documents, scores, strict=True)]


def _retrieved(documents: Sequence[Task], passages: Sequence[Task], policy: Update, examiner: Examiner) -> list[Trial]:
    scores = score_retrieved(examiner, policy, documents, passages)
    return [Trial(SelfEdit(task.id, ""), after=s) for task, s in zip(documents, scores, strict=True)]
