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
from selfedit.protocols import Progress, silent
from selfedit.results import Row
from selfedit.store import Run
from selfedit.types import Job, Recipe, SelfEdit, Task, Trial, Update


def passage_only_job(job: Job, passages: Sequence[Task], examiner: Examiner, recipe: Recipe | None) -> Job:
    """The passages alone from the same parent, for about as many tokens as a job takes, by this recipe or the job's.

    Tokens are reckoned by characters: how many there were stands in the update.
    """
    examples = tuple(example for task in passages for example in examiner.domain.without_edit(task).examples)
    own, once = (sum(len(example.target) for example in of) for of in (job.examples, examples))
    passes = max(job.recipe.epochs, job.recipe.min_steps / len(job.examples))
    as_long = replace(recipe or job.recipe, epochs=max(1, round(passes * own / once)), min_steps=0)
    return replace(job, examples=examples, recipe=as_long)


def rival_rows(
    run: Run,
    job: Job,
    documents: Sequence[Task],
    passages: Sequence[Task],
    examiner: Examiner,
    recipe: Recipe | None = None,
    progress: Progress = silent,
) -> list[Row]:
    """The rows of the passages alone, and of the passage in the prompt, found by the words of each question. Documents
    without questions take no part.
    """
    asked = [task for task in documents if task.questions]
    progress("rivals", 0, 2, "")
    job_alone = passage_only_job(job, passages, examiner, recipe)
    alone = run.remember("rivals/passage_only_equal", 0, partial(_alone, asked, job_alone, examiner), Trial)
    progress("rivals", 1, 2, "")
    found = run.remember("rivals/retrieved", 0, partial(_retrieved, asked, passages, job.parent, examiner), Trial)
    progress("rivals", 2, 2, "")
    seconds = run.seconds()
    tokens = alone[0].update.tokens if alone[0].update else 0
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
