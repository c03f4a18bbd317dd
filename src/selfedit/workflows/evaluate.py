"""What an update knows: its closed-book score on a file of tasks, and single questions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from selfedit.config import Config
from selfedit.errors import InputError
from selfedit.loops.evaluate import summarise
from selfedit.loops.examine import Asked, Exam, answer, score
from selfedit.protocols import Engine
from selfedit.results import Summary, Table, score_table
from selfedit.types import Failure, Question, Request, SamplingParams, Score, SelfEdit, Task, Trial, Update
from selfedit.workflows.build import make_examiner
from selfedit.workflows.configure import domain_type
from selfedit.workflows.data import read_file
from selfedit.workflows.engine import leave_out_too_long, load_update
from selfedit.workflows.train import question_prompts


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The score of every task that has questions."""

    tasks: Sequence[Task]
    scores: Sequence[Score]
    summary: Summary


def evaluate(config: Config, engine: Engine, update: Path | None, data: Path, title: str) -> Evaluation:
    """The closed-book score of the update in a folder, or of the base model, on the tasks in `data`."""
    tasks = [task for task in read_file(config, data) if task.questions]
    if not tasks:
        raise InputError(f"{data} holds no questions")
    loaded, examiner = load_update(engine, update), make_examiner(config, engine)
    tasks, remarks = leave_out_too_long(tasks, engine, lambda task: question_prompts(task, examiner.domain))
    scores = score(examiner, [Exam(loaded, task) for task in tasks])
    trials = [Trial(SelfEdit(task.id, ""), loaded, after=own) for task, own in zip(tasks, scores, strict=True)]
    table = Table((summarise("closed_book", trials),))
    shown = score_table(table, domain_type(config).words, title)
    return Evaluation(tasks, scores, Summary(table, tables=[shown], remarks=remarks))


def ask(config: Config, engine: Engine, update: Path | None, question: str, topic: str = "") -> str:
    """One question to the update in a folder, or to the base model."""
    return ask_update(config, engine, load_update(engine, update), question, topic)


def chat(engine: Engine, updates: Sequence[Update], message: str, sampling: SamplingParams, seed: int) -> list[str]:
    """What each of the updates replies to the message, as it stands: in the chat template, and in no exam's words.

    Raises InputError where the model cannot answer, such as a message that is longer than its context.
    """
    params = asdict(sampling)
    replies = list[str]()
    for said in engine.sample([Request(update, message, seed, **params) for update in updates]):
        if isinstance(said, Failure):
            raise InputError(said.message)
        replies.append(said)
    return replies


def ask_update(config: Config, engine: Engine, update: Update, question: str, topic: str = "") -> str:
    """The answer to one question, closed book. `topic` is the title of the document it is about. Raises InputError
    where the model cannot answer, such as a question that is longer than its context.
    """
    asked = Asked(Exam(update, Task("", topic, "")), Question(question, ""))
    (said,) = answer(make_examiner(config, engine), [asked])
    if isinstance(said, Failure):
        raise InputError(said.message)
    return said
