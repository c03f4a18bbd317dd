"""`adapt`: teach a model some documents and get a PEFT adapter."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from selfedit.cli import screen
from selfedit.cli.common import (
    Json,
    Memory,
    Model,
    Output,
    Set,
    config_of,
    load_update,
    make_config,
    make_engine,
    print_json,
    resumable,
    start_run,
    tasks_of,
    update_folder,
    write_report,
)
from selfedit.cli.continual import learn_into
from selfedit.cli.cutting import passages as passages_of
from selfedit.config import Config
from selfedit.domains.knowledge.reader import add_questions, read_documents
from selfedit.errors import InputError
from selfedit.loops.outer import run_outer
from selfedit.protocols import Progress
from selfedit.store import Run
from selfedit.types import Task, Update
from selfedit.workflows.adapt import AdaptResult, teach
from selfedit.workflows.train import make_examiner, make_outer, own_questions

if TYPE_CHECKING:
    from selfedit.engines.local.engine import LocalEngine


def adapt(
    documents: Annotated[list[Path], typer.Argument(help=".txt, .md, or .json in SEAL's layout", metavar="DOC")],
    model: Model = None,
    questions: Annotated[Path | None, typer.Option("--questions", "-q", help="JSON list of {question, answer}")] = None,
    policy: Annotated[Path | None, typer.Option("--policy", help="write notes with this trained run's policy")] = None,
    reinforce: Annotated[
        int, typer.Option("--reinforce", min=0, help="rounds of reinforcement by questions that the model writes")
    ] = 0,
    into: Annotated[
        Path | None, typer.Option("--into", help="the run that goes on learning: these documents come after its own")
    ] = None,
    overrides: Set = None,
    memory: Memory = None,
    output: Output = None,
    json: Json = False,
) -> None:
    """Teach a model documents: it writes notes on them, and one LoRA adapter learns the notes and the text.

    Without questions the model writes its own, keeps those that it can answer only with the text before it, and is
    examined on half of them; the other half is for --reinforce, and no report sees it.

    Example: selfedit adapt handbook.md --model path/to/model --questions handbook_questions.json -o runs/handbook

    Example: selfedit adapt appendix.md --into runs/handbook
    """
    taught = read_documents(documents)
    if questions:
        taught = add_questions(taught, questions)
    if into:
        if model or policy or reinforce or overrides or output:
            raise InputError("--into goes on under the settings of that run; leave out the other options")
        return learn_into(into, taught, json)
    config = make_config(model, overrides, memory=memory)
    folder = str(update_folder(policy)) if policy else ""
    with start_run("adapt", output, config, {"documents": taught}, policy=folder, reinforce=str(reinforce)) as run:
        go_on(run, tasks_of(run), json)


def go_on(run: Run, tasks: dict[str, list[Task]], json: bool) -> None:
    """Start the lesson, or resume it."""
    config, documents = config_of(run), tasks["documents"]
    with resumable("resume", run.path):
        with screen.bars() as progress:
            engine = make_engine(config, progress)
            passages = passages_of(documents, config, engine)
            policy = load_update(engine, run.config.get("policy"))
            if not any(document.questions for document in documents):
                documents, policy = _by_itself(run, config, passages, policy, engine, progress)
            lesson = teach(run, config, passages, documents, policy, engine, progress)
        report = write_report(run, lesson.summary, [*documents, *passages])
    if json:
        print_json({"run": str(run.path), "adapter": str(run.updates / "adapter"), **lesson.summary})
    else:
        _show(run, lesson, documents, report)


def _by_itself(
    run: Run, config: Config, passages: list[Task], policy: Update, engine: LocalEngine, progress: Progress
) -> tuple[list[Task], Update]:
    """The passages with the questions of the report half, and the policy after its rounds on the other half."""
    examiner = make_examiner(config, engine, passages, run.path)
    outer = replace(make_outer(config, run.path), rounds=int(run.config.get("reinforce", 0)))
    practice, report = own_questions(run, passages, examiner, outer, progress)
    outer = replace(outer, tasks_per_round=len(practice))
    if practice and outer.rounds:
        policy = run_outer(practice, examiner, outer, run.remember, run.updates, progress, policy)
    return report, policy


def _show(run: Run, lesson: AdaptResult, documents: list[Task], report: Path) -> None:
    written = [trial for trial in lesson.notes if trial.edit.text]
    screen.out.print(f"{len(written)} notes written; the first of them:")
    if written:
        screen.out.print(written[0].edit.text)
    for document, trial in zip(documents, lesson.exams, strict=True):
        if trial.before:
            screen.out.print(screen.answer_table(document.questions, trial.before, trial.after, document.title))
    if lesson.summary:
        asked = "questions that it wrote itself" if (run.path / "questions.json").exists() else "your questions"
        screen.out.print(screen.score_table(lesson.summary, f"Closed-book answers to {asked}"))
    else:
        screen.out.print(
            "No questions were given (--questions), and the model wrote none that show what it learned: "
            "nothing was examined."
        )
    adapter = run.updates / "adapter"
    screen.out.print(
        f"Adapter: {adapter}   Report: {report}\nTry: selfedit ask {run.path} 'a question'", soft_wrap=True
    )
