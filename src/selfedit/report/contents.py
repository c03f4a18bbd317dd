"""What the report says, as plain data: a run's trials and its summary, arranged for reading.

No wording for the web and no drawing here; the template and `plots` take these values as they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from selfedit.statistics import Interval, Reliability, mean_interval
from selfedit.store import StoredBatch, reward_reliability
from selfedit.types import Failure, Score, Task, Trial

LABELS = {
    "base": "Base model, closed book",
    "passage_only": "Trained on the passage only",
    "own_edits": "Trained on its own notes",
    "teacher_edits": "Trained on a teacher's notes",
    "after_rl": "Trained on its own notes, after reinforcement",
    "in_context": "In context (passage in the prompt)",
    "before": "Before, closed book",
    "after": "After learning from its own notes",
}
"""The conditions people compare, in the order in which they are shown."""

GRID_LABELS = {
    "in_context": "Demonstrations in the prompt",
    "before_rl": "Trained by its own plans",
    "after_rl": "Trained by its own plans, after reinforcement",
    "by_hand": "Trained by a plan made by hand",
    "oracle": "Best plan made by hand, in hindsight",
}
"""The same for tasks of grids, where a self-edit is a plan."""

METHOD = {"own_edits", "before_rl", "after_rl", "after"}
"""The conditions that learn from the model's own notes; the others are there to compare with."""

EDITS_SHOWN = 300
"""Self-edits per stage that the report prints, so that a stage adds about 1 MB at most."""

_FIELDS = {"mean", "low", "high", "n"}


@dataclass(frozen=True, slots=True)
class Condition:
    """One row of the score table. `mean`, `low`, `high` and `blank` are shares of 1; `n` counts passages or tasks."""

    key: str
    label: str
    mean: float
    low: float
    high: float
    n: int
    blank: float | None
    tokens: int | None
    seconds: float | None

    @property
    def is_method(self) -> bool:
        return self.key in METHOD


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
    """A trial and its questions."""

    trial: Trial
    rows: list[QuestionRow]


@dataclass(frozen=True, slots=True)
class ShownTask:
    """One task of a stage, with every self-edit that was tried for it."""

    title: str
    text: str
    edits: list[ShownEdit]

    @property
    def best(self) -> float | None:
        return max(_rewards(edit.trial for edit in self.edits), default=None)


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
    def is_round(self) -> bool:
        return self.name.startswith("round-")

    @property
    def is_exam(self) -> bool:
        return self.name.startswith("exam/")

    @property
    def edits_shown(self) -> int:
        return sum(len(passage.edits) for passage in self.passages)


def conditions(summary: Mapping[str, Any], labels: Mapping[str, str] = LABELS) -> list[Condition]:
    """The rows of the score table: the known conditions in their order, then any others that have a score's fields."""
    known = [key for key in labels if _has(summary.get(key), _FIELDS)]
    others = [key for key, value in summary.items() if key not in labels and _has(value, {*_FIELDS, "blank"})]
    return [_condition(labels.get(key, key), key, summary[key]) for key in (*known, *others)]


def _has(value: object, fields: set[str]) -> bool:
    """Whether it is a score: a difference between two has no blank answers, a mean over streams no count."""
    return isinstance(value, Mapping) and value.keys() >= fields


def _condition(label: str, key: str, value: Mapping[str, Any]) -> Condition:
    measured = {name: value[name] for name in _FIELDS}
    blank, tokens, seconds = (value.get(name) for name in ("blank", "tokens", "seconds"))
    return Condition(key, label, **measured, blank=blank, tokens=tokens, seconds=seconds)


def stages(waves: Sequence[StoredBatch], tasks: Mapping[str, Task], labels: Mapping[str, str] = LABELS) -> list[Stage]:
    """One Stage per stage of the run, in the order in which each began."""
    by_name: dict[str, list[StoredBatch]] = {}
    for wave in waves:
        by_name.setdefault(wave.stage, []).append(wave)
    known = _read_passages(waves) | {task.id: (task.title, task.context) for task in tasks.values()}
    return [_stage(name, _label(name, labels), members, known, tasks) for name, members in by_name.items()]


def _label(stage: str, labels: Mapping[str, str]) -> str:
    if stage.startswith("round-"):
        return f"Round {stage.removeprefix('round-')}"
    condition = stage.removeprefix("exam/")
    return f"Exam: {labels.get(condition, condition)}" if condition != stage else stage.capitalize()


def _stage(
    name: str, label: str, waves: list[StoredBatch], known: Mapping[str, tuple[str, str]], tasks: Mapping[str, Task]
) -> Stage:
    groups: dict[str, list[Trial]] = {}
    for wave in waves:
        for trial in wave.trials:
            groups.setdefault(trial.edit.task_id, []).append(trial)
    trials = [trial for group in groups.values() for trial in group]
    rewards = [rewarded for group in groups.values() if (rewarded := _rewards(group))]
    scores = [trial.after.value for trial in trials if trial.after and trial.after.value is not None]
    updates = [trial.update for trial in trials if trial.update]
    blames = [trial.failure.blame for trial in trials if trial.failure]
    return Stage(
        name=name,
        label=label,
        tasks=len(groups),
        trials=len(trials),
        reward=mean_interval([_mean(group) for group in rewards]) if rewards else None,
        best=_mean([max(group) for group in rewards]) if rewards else None,
        score=_mean(scores) if scores else None,
        reliability=reward_reliability(trials),
        policy_failures=blames.count("policy"),
        system_failures=blames.count("system"),
        adapters=len(updates),
        tokens=sum(update.tokens for update in updates),
        seconds=sum(wave.seconds for wave in waves),
        passages=[
            _passage(known.get(task_id, (task_id, "")), group, tasks.get(task_id)) for task_id, group in _first(groups)
        ],
    )


def _rewards(trials: Iterable[Trial]) -> list[float]:
    return [trial.reward for trial in trials if trial.reward is not None]


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _first(groups: Mapping[str, list[Trial]]) -> list[tuple[str, list[Trial]]]:
    """Whole groups, up to EDITS_SHOWN self-edits, but one group at least."""
    shown: list[tuple[str, list[Trial]]] = []
    room = EDITS_SHOWN
    for task_id, group in groups.items():
        if shown and len(group) > room:
            break
        shown.append((task_id, group))
        room -= len(group)
    return shown


def _read_passages(waves: Sequence[StoredBatch]) -> dict[str, tuple[str, str]]:
    """Title and passage of each task, from whichever of its trials tells most: the passage is the last document.

    Not covered: a domain whose last example is no plain document; what the policy was shown stands in for it there.
    """
    found: dict[str, tuple[str, str]] = {}
    for trial in (trial for wave in waves for trial in wave.trials):
        edit = trial.edit
        last = edit.examples[-1] if edit.examples else None
        if last and not last.prompt:
            title, _, text = last.target.partition("\n")
            found[edit.task_id] = (title, text)
        elif edit.prompt:
            found.setdefault(edit.task_id, (edit.task_id, edit.prompt))
    return found


def _passage(known: tuple[str, str], trials: Sequence[Trial], task: Task | None) -> ShownTask:
    return ShownTask(*known, edits=[ShownEdit(trial, _rows(trial, task)) for trial in trials])


def _rows(trial: Trial, task: Task | None) -> list[QuestionRow]:
    before, after = _answers(trial.before), _answers(trial.after)
    questions = [(question.text, question.target) for question in task.questions] if task else []
    count = max(len(before), len(after))
    questions += [(f"Question {number + 1}", "") for number in range(len(questions), count)]
    before += [None] * (count - len(before))
    after += [None] * (count - len(after))
    return [QuestionRow(*questions[index], before[index], after[index]) for index in range(count)]


def _answers(score: Score | None) -> list[Answer | None]:
    return [_answer(*pair) for pair in zip(score.answers, score.grades, strict=True)] if score else []


def _answer(answer: str | Failure, grade: float | Failure) -> Answer:
    if isinstance(answer, Failure):
        return Answer("", "ungraded", answer.message)
    if isinstance(grade, Failure):
        return Answer(answer.strip(), "ungraded", grade.message)
    if 0 < grade < 1:
        return Answer(answer.strip(), "partly", f"{grade:.2f}")
    return Answer(answer.strip(), "right" if grade else "wrong")
