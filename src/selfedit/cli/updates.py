"""`eval` and `ask`: what an update knows."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from selfedit.cli import screen
from selfedit.cli.common import Json, Model, Set, load_update, make_config, make_engine, print_json, update_folder
from selfedit.domains.knowledge import prompts
from selfedit.domains.knowledge.reader import read_tasks
from selfedit.errors import InputError
from selfedit.loops.evaluate import summarise
from selfedit.protocols import silent
from selfedit.store import read_json
from selfedit.types import BASE, Request, SelfEdit, Task, Trial
from selfedit.workflows.train import exam_texts, make_examiner, refuse_too_long

UpdateFolder = Annotated[Path, typer.Argument(help="a run, a PEFT adapter directory, or `base`", metavar="UPDATE")]


def evaluate(
    update: UpdateFolder,
    data: Annotated[Path, typer.Option("--data", "-d", help="passages with questions, JSON in SEAL's layout")],
    model: Model = None,
    overrides: Set = None,
    json: Json = False,
) -> None:
    """The closed-book score of an update: every question, without the passages.

    Example: selfedit eval runs/handbook --data handbook_questions.json
    """
    tasks = read_tasks(data)
    if not any(task.questions for task in tasks):
        raise InputError(f"{data} holds no questions")
    folder = _folder(update)
    config = make_config(model or _base_of(folder), overrides)
    with screen.bars() as progress:
        engine = make_engine(config, progress)
        loaded = load_update(engine, folder)
        asked, examiner = [task for task in tasks if task.questions], make_examiner(config, engine)
        refuse_too_long(asked, engine, lambda task: exam_texts(task, examiner.domain))
        scores = examiner.score([(loaded, task) for task in asked])
    trials = [Trial(SelfEdit(task.id, ""), loaded, after=score) for task, score in zip(asked, scores, strict=True)]
    summary = {"closed_book": summarise(trials)}
    if json:
        answers = {task.id: list(score.answers) for task, score in zip(asked, scores, strict=True)}
        print_json({**summary, "answers": answers})
    else:
        screen.out.print(screen.score_table(summary, f"{update} on {data.name}"))


def ask(
    update: UpdateFolder,
    question: Annotated[str, typer.Argument(help="what to ask, without the document")],
    topic: Annotated[str, typer.Option("--topic", help="the title of the document it is about")] = "",
    model: Model = None,
    overrides: Set = None,
    json: Json = False,
) -> None:
    """Ask an update a question, closed book.

    Example: selfedit ask runs/handbook "How many days of leave are there?" --topic Handbook
    """
    folder = _folder(update)
    config = make_config(model or _base_of(folder), overrides)
    engine = make_engine(config, silent)
    loaded = load_update(engine, folder)
    prompt = prompts.exam(Task("", topic, ""), question)
    (answer,) = engine.sample([Request(loaded, prompt, max_new_tokens=config.exam.max_new_tokens)])
    if not isinstance(answer, str):
        raise InputError(answer.message)
    if json:
        print_json({"question": question, "answer": answer})
    else:
        screen.out.print(answer or "(blank)")


def _folder(update: Path) -> Path | None:
    return None if str(update) == BASE.id else update_folder(update)


def _base_of(folder: Path | None) -> str | None:
    """The model that an update was trained on, as its PEFT config names it, or the card of one without."""
    if folder is None:
        return None
    path = folder / "adapter_config.json"
    path = path if path.is_file() else folder / "card.json"
    config = read_json(path)
    if not isinstance(config, dict):
        raise InputError(f"{path} is not the config of a PEFT adapter: it holds no table of settings")
    name = config.get("base_model_name_or_path") or config.get("base")
    return str(name) if name else None
