"""What the report says, as plain data: a run's trials and its summary, arranged for reading.

No wording for the web and no drawing here; the template and `plots` take these values as they are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Literal

from selfedit.results import Row, Table, Words, notes_text
from selfedit.statistics import Interval, Reliability, mean_interval
from selfedit.store import StoredBatch, reward_reliability
from selfedit.types import Failure, Observation, Score, Task, Trial, Update

METHOD = {"own_edits", "before_rl", "after_rl", "after"}
"""The conditions that learn from the model's own notes; the others are there to compare with."""

EDITS_SHOWN = 300
"""Self-edits per stage that the report prints, so that a stage adds about 1 MB at most."""


@dataclass(frozen=True, slots=True)
class Condition:
    """One row of the score table, with its label."""

    row: Row
    label: str

    @property
    def is_method(self) -> bool:
        return self.row.key in METHOD


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer and how it was graded. `note` holds a grade between 0 and 1, or why there is none."""

    text: str
    mark: Literal["right", "wrong", "partly", "ungraded"]
    note: str = ""


@dataclass(frozen=True, slots=True)
class QuestionRow:
    """One question of a trial. `target` is empty where the task is not known; an exam not sat has no answer."""

    question: str
    target: str
    before: Answer | None
    after: Answer | None


@dataclass(frozen=True, slots=True)
class ShownEdit:
    """What was tried or observed, and its questions. An observation has no text, update or reward."""

    text: str
    update: Update | None
    reward: float | None
    failure: Failure | None
    before: Score | None
    after: Score | None
    rows: list[QuestionRow]


@dataclass(frozen=True, slots=True)
class ShownTask:
    """One task of a stage, with every self-edit that was tried for it."""

    title: str
    text: str
    edits: list[ShownEdit]

    @property
    def noun(self) -> str:
        """What its edits are: tried, or only examined."""
        tried = any(edit.text or edit.update or edit.failure or edit.before for edit in self.edits)
        return "self-edit" if tried else "exam"

    @property
    def best(self) -> float | None:
        return max((edit.reward for edit in self.edits if edit.reward is not None), default=None)


@dataclass(frozen=True, slots=True)
class Stage:
    """All trials of a stage. `reward` is the mean over passages; `best` the mean of each passage's best self-edit.

    `reliability` is that of the rewards, known where self-edits were tried more than once.
    """

    name: str
    label: str
    tasks: int
    trials: int
    reward: Interval | None
    best: float | None
    score: float | None
    reliability: Reliability | None
    policy_failures: int
    system_failures: int
    adapters: int
    tokens: int
    seconds: float
    passages: list[ShownTask]

    @property
    def is_empty(self) -> bool:
        edits = [edit for passage in self.passages for edit in passage.edits]
        return not any(edit.text or edit.update or edit.failure or edit.rows for edit in edits)

    @property
    def is_round(self) -> bool:
        return self.name.startswith("round-")

    @property
    def is_written_only(self) -> bool:
        """Edits that were not tried as a whole: their lines were, in the next stage."""
        return not self.reward and not self.adapters and not self.policy_failures and not self.system_failures

    @property
    def is_exam(self) -> bool:
        return self.name.startswith("exam/")

    @property
    def edits_shown(self) -> int:
        return sum(len(passage.edits) for passage in self.passages)


def conditions(scores: Table, words: Words) -> list[Condition]:
    """The rows of the score table: those that the domain has words for in their order, then any others."""
    known = [scores[key] for key in words.conditions if key in scores]
    others = [row for row in scores if row.key not in words.conditions]
    return [Condition(row, words.conditions.get(row.key, row.key)) for row in (*known, *others)]


def stages(batches: Sequence[StoredBatch], tasks: Mapping[str, Task], words: Words) -> list[Stage]:
    """One Stage per stage of the run that has something to show, in the order in which each began: an exam without
    questions has nothing.
    """
    by_name: dict[str, list[StoredBatch]] = {}
    for batch in batches:
        if not batch.items or isinstance(batch.items[0], Trial | Observation):
            by_name.setdefault(batch.stage, []).append(batch)
    known = _read_passages(batches) | {task.id: (task.title, task.context) for task in tasks.values()}
    made = [_stage(name, _label(name, words), members, known, tasks) for name, members in by_name.items()]
    return [stage for stage in made if not stage.is_empty]


def _label(stage: str, words: Words) -> str:
    if stage.startswith("round-"):
        return f"Round {stage.removeprefix('round-')}".replace("/lines", ", by line")
    condition = stage.removeprefix("exam/")
    return (
        f"Exam: {words.conditions.get(condition, condition)}"
        if condition != stage
        else stage.capitalize().replace("/", ": ")
    )


def _stage(
    name: str,
    label: str,
    batches: list[StoredBatch],
    known: Mapping[str, tuple[str, str]],
    tasks: Mapping[str, Task],
) -> Stage:
    trials = [trial for batch in batches for trial in batch.trials]
    groups: dict[str, list[ShownEdit]] = {}
    for item in (item for batch in batches for item in batch.items):
        task_id = item.edit.task_id if isinstance(item, Trial) else item.task_id
        groups.setdefault(task_id, []).append(_shown(item, tasks.get(task_id)))
    edits = [edit for group in groups.values() for edit in group]
    rewards = [own for group in groups.values() if (own := [e.reward for e in group if e.reward is not None])]
    scores = [edit.after.value for edit in edits if edit.after and edit.after.value is not None]
    updates = [edit.update for edit in edits if edit.update]
    blames = [edit.failure.blame for edit in edits if edit.failure]
    return Stage(
        name=name,
        label=label,
        tasks=len(groups),
        trials=len(edits),
        reward=mean_interval([fmean(group) for group in rewards]) if rewards else None,
        best=fmean([max(group) for group in rewards]) if rewards else None,
        score=fmean(scores) if scores else None,
        reliability=reward_reliability(trials),
        policy_failures=blames.count("policy"),
        system_failures=blames.count("system"),
        adapters=len(updates),
        tokens=sum(update.tokens for update in updates),
        seconds=sum(batch.seconds for batch in batches),
        passages=[ShownTask(*known.get(task_id, (task_id, "")), edits=group) for task_id, group in _first(groups)],
    )


def _shown(item: Trial | Observation, task: Task | None) -> ShownEdit:
    if isinstance(item, Observation):
        return ShownEdit("", None, None, None, None, item.score, _rows(None, item.score, task))
    rows = _rows(item.before, item.after, task)
    return ShownEdit(notes_text(item.edit), item.update, item.reward, item.failure, item.before, item.after, rows)


def _first(groups: Mapping[str, list[ShownEdit]]) -> list[tuple[str, list[ShownEdit]]]:
    """Whole groups, up to EDITS_SHOWN self-edits, but one group at least."""
    shown: list[tuple[str, list[ShownEdit]]] = []
    room = EDITS_SHOWN
    for task_id, group in groups.items():
        if shown and len(group) > room:
            break
        shown.append((task_id, group))
        room -= len(group)
    return shown


def _read_passages(batches: Sequence[StoredBatch]) -> dict[str, tuple[str, str]]:
    """Title and passage of each task, from whichever of its trials tells most: the passage is the last document.

    Not covered: a domain whose last example is no plain document; what the policy was shown stands in for it there.
    """
    found: dict[str, tuple[str, str]] = {}
    for trial in (trial for batch in batches for trial in batch.trials):
        edit = trial.edit
        last = edit.examples[-1] if edit.examples else None
        if last and not last.prompt:
            title, _, text = last.target.partition("\n")
            found[edit.task_id] = (title, text)
        elif edit.prompt:
            found.setdefault(edit.task_id, (edit.task_id, str(edit.prompt)))
    return found


def _rows(before: Score | None, after: Score | None, task: Task | None) -> list[QuestionRow]:
    both = [[_answer(*pair) for pair in zip(s.answers, s.grades, strict=True)] if s else [] for s in (before, after)]
    questions = [(question.text, question.target) for question in task.questions] if task else []
    count = max(map(len, both))
    questions += [(f"Question {number + 1}", "") for number in range(len(questions), count)]
    filled = [own + [None] * (count - len(own)) for own in both]
    return [QuestionRow(*questions[index], filled[0][index], filled[1][index]) for index in range(count)]


def _answer(answer: str | Failure, grade: float | Failure) -> Answer:
    if isinstance(answer, Failure):
        return Answer("", "ungraded", answer.message)
    if isinstance(grade, Failure):
        return Answer(answer.strip(), "ungraded", grade.message)
    if 0 < grade < 1:
        return Answer(answer.strip(), "partly", f"{grade:.2f}")
    return Answer(answer.strip(), "right" if grade else "wrong")
