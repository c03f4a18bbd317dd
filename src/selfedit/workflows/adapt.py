"""Teach a model some documents: it writes notes about every passage, and one adapter learns them all."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

from selfedit.config import Config
from selfedit.loops.evaluate import paired_gain, summarise
from selfedit.loops.examine import Examiner
from selfedit.loops.inner import apply_reward, for_edits, score_before_and_after, train_one, with_more
from selfedit.loops.outer import Outer, propose, run_outer
from selfedit.protocols import Domain, Engine, Progress, silent
from selfedit.results import Summary, Table, TextTable, answer_table, cost_table, notes_text, score_table
from selfedit.seeds import derive_seed
from selfedit.store import Run
from selfedit.types import Continuation, Job, SelfEdit, Task, Trial, Update
from selfedit.workflows.build import make_examiner, make_outer
from selfedit.workflows.configure import domain_type
from selfedit.workflows.cost import Cost, measure_cost
from selfedit.workflows.data import tasks_of
from selfedit.workflows.engine import load_update, splitter
from selfedit.workflows.replay import replay_examples, write_replay
from selfedit.workflows.rivals import rival_rows
from selfedit.workflows.train import own_questions
from selfedit.workflows.updates import remarks_on

ADAPTER = "adapter"
"""The run's update, below its `updates`."""


@dataclass(frozen=True, slots=True)
class Adaptation:
    """The update (also saved in the run), the notes it learned, each document's exam before and after, and what the
    saved update was seen to do.
    """

    update: Update
    notes: list[Trial]
    exams: list[Trial]
    table: Table
    seen: list[str]


def adapt(run: Run, config: Config, engine: Engine, progress: Progress = silent) -> Summary:
    """Teach the run's documents. Those without questions are examined on some that the model writes itself; half of
    these reward its notes for `outer.rounds` rounds, the other half is the exam.
    """
    documents, split = tasks_of(run)["documents"], splitter(config, engine)
    parts = [split(document) for document in documents]
    passages = [passage for of_document in parts for passage in of_document]
    start, remarks = load_update(engine, config.outer.policy), list[str]()
    policy = start
    for document, of_document in zip(documents, parts, strict=True):
        if (count := len(of_document)) > 1:
            remarks.append(f"{document.title!r} is longer than the model's context: split into {count} passages")
    asked = "your questions"
    if not any(document.questions for document in documents):
        documents, policy, invented = _reinforced_by_own_questions(run, config, passages, policy, engine, progress)
        remarks += invented
        asked = "questions that it wrote itself"
    adaptation = teach(run, config, passages, documents, policy, engine, progress)
    cost = measure_cost(config.cost, engine, start, adaptation.update, run.remember, progress)
    summary = _summary(run, config, adaptation, documents, passages, asked, remarks, cost)
    run.keep_json("summary.json", summary.to_json())
    run.write_metrics()
    return summary


def _reinforced_by_own_questions(
    run: Run, config: Config, passages: list[Task], policy: Update, engine: Engine, progress: Progress
) -> tuple[list[Task], Update, list[str]]:
    """The passages with the questions of the report half, the policy after its rounds on the other half, remarks."""
    examiner, outer = make_examiner(config, engine, passages, run.path), make_outer(config, run.path)
    practice, report, remarks = own_questions(run, passages, examiner, outer, progress)
    if practice and config.outer.rounds:
        settings = outer.settings.model_copy(update={"tasks_per_round": len(practice)})
        outer = replace(outer, settings=settings)
        policy = run_outer(practice, examiner, outer, run.remember, run.updates, progress, policy)
    return report, policy, remarks


def teach(
    run: Run,
    config: Config,
    passages: Sequence[Task],
    documents: Sequence[Task],
    policy: Update,
    engine: Engine,
    progress: Progress = silent,
) -> Adaptation:
    """Notes on every passage, one adapter from all of them and the passages, and the documents' questions as the exam.

    The adapter is saved as `updates/adapter`. Without questions there is no score, and the summary says nothing.
    """
    examiner, outer, folder = make_examiner(config, engine, folder=run.path), make_outer(config), run.updates / ADAPTER
    notes = write_notes(run, passages, policy, examiner, outer, progress)
    job = adapter_job(notes, passages, examiner.domain, policy, outer.seed)
    if config.data.replay:
        said = run.remember("replay", 0, partial(write_replay, engine, policy, config.data.replay), Continuation)
        job = with_more(job, replay_examples(said, policy))
    if not folder.exists():
        engine.save(train_one(engine, job, "the adapter could not be trained"), folder)
    update, seen = engine.load(folder), remarks_on(folder)
    exams = run.remember("exam", 0, partial(_sit_exam, documents, policy, update, examiner, outer), Trial)
    table, asked = Table(), [trial for trial in exams if trial.before]
    if asked:
        before = [replace(trial, update=None, after=trial.before) for trial in asked]
        after = replace(summarise("after", asked), tokens=update.tokens)
        rows = [summarise("before", before), after]
        if config.exam.rivals:
            recipe = config.exam.rival_recipe
            rows += rival_rows(run, job, update.tokens, documents, passages, examiner, recipe, progress)
        table = Table(tuple(rows), {"gain": paired_gain(asked, before)})
    return Adaptation(update, notes, exams, table, seen)


def adapter_job(notes: Sequence[Trial], passages: Sequence[Task], domain: Domain, parent: Update, seed: int) -> Job:
    """One adapter that learns each document of every note once, and always the passages, by the recipe of the notes, of
    which a budget of tokens counts for each passage.
    """
    learned = [*(note for note in notes if note.failure is None), *(Trial(domain.without_edit(t)) for t in passages)]
    examples = tuple(dict.fromkeys(example for trial in learned for example in trial.edit.examples))
    return Job(parent, examples, for_edits(learned[0].edit.recipe, len(passages)), derive_seed(seed, "adapter"))


def write_notes(
    run: Run, passages: Sequence[Task], policy: Update, examiner: Examiner, outer: Outer, progress: Progress
) -> list[Trial]:
    """`edits_per_task` notes on each passage, a batch at a time."""
    members = [(task, member) for task in passages for member in range(outer.settings.edits_per_task)]
    trials: list[Trial] = []
    for number, start in enumerate(range(0, len(members), outer.max_adapters)):
        progress("notes", len(trials), len(members), "")
        batch = members[start : start + outer.max_adapters]
        seeds = [derive_seed(outer.seed, "notes", task.id, member) for task, member in batch]
        engine, how = examiner.engine, outer.settings.sampling
        write = partial(propose, policy, batch, examiner.domain, engine, how, seeds, engine)
        trials += run.remember("notes", number, write, Trial)
    progress("notes", len(members), len(members), "")
    return trials


def _sit_exam(
    documents: Sequence[Task], policy: Update, update: Update, examiner: Examiner, outer: Outer
) -> list[Trial]:
    """Each document's questions, closed book, before and after. A document without questions has no scores."""
    trials = [Trial(SelfEdit(task.id, ""), update if task.questions else None) for task in documents]
    scored = score_before_and_after(trials, {task.id: task for task in documents}, policy, examiner)
    return [apply_reward(trial, outer.reward) if trial.before else trial for trial in scored]


def _summary(
    run: Run,
    config: Config,
    adaptation: Adaptation,
    documents: Sequence[Task],
    passages: Sequence[Task],
    asked: str,
    remarks: list[str],
    cost: Cost,
) -> Summary:
    words, tables = domain_type(config).words, list[TextTable]()
    written = [trial for trial in adaptation.notes if trial.edit.text]
    sections = [(f"{len(written)} notes written; the first of them", _beginning(written[0].edit))] if written else []
    remarks += _dropped(adaptation.notes)
    for document, trial in zip(documents, adaptation.exams, strict=True):
        if trial.before:
            tables.append(answer_table(document, trial.before, trial.after, document.title))
    if adaptation.table.rows:
        tables.append(score_table(adaptation.table, words, f"Closed-book answers to {asked}"))
    else:
        remarks.append(
            "No questions were given (--questions), and the model wrote none that show what it learned: "
            "nothing was examined."
        )
    if cost.changes:
        tables.append(cost_table(cost.changes))
    remarks += [*adaptation.seen, *cost.remarks]
    remarks.append(f"Try: selfedit ask {run.path} 'a question'")
    paths = {"adapter": run.updates / ADAPTER}
    return Summary(adaptation.table, None, sections, tables, remarks, [*documents, *passages], paths, cost.changes)


def _beginning(edit: SelfEdit, lines: int = 16) -> str:
    """The first lines of an edit, for a terminal; the report has all of it."""
    text = notes_text(edit).split("\n")
    return "\n".join([*text[:lines], *(["…"] if len(text) > lines else [])])


def _dropped(notes: Sequence[Trial]) -> list[str]:
    """How many lines of the notes were not learned, and why, by reason."""
    kinds = Counter(re.sub(r"^(name|number) .* does", r"a \1 does", why) for t in notes for _, why in t.edit.dropped)
    if not kinds:
        return []
    said = ", ".join(f"{count} {why}" for why, count in kinds.most_common())
    return [f"{kinds.total()} lines of the notes were not learned ({said}); the report has them."]
