"""What a person should be told about a stream in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from selfedit.types import Step, Task, Trial


def remarks(
    streams: Sequence[Sequence[Task]],
    pasts: Sequence[tuple[Step, ...]],
    waves: Mapping[str, Mapping[int, Sequence[Trial]]],
) -> list[str]:
    """Documents that came twice or contradict each other, and edits that did not stand."""
    said: list[str] = []
    for number, (tasks, past) in enumerate(zip(streams, pasts, strict=True)):
        new = past[len(past) - len(tasks) :]
        said += _twice(tasks, new)
        said += _changed(number, tasks, waves)
        said += _failed(new)
    return said


def _twice(tasks: Sequence[Task], steps: Sequence[Step]) -> list[str]:
    said = []
    for place, task in enumerate(tasks):
        for earlier in range(place):
            other = tasks[earlier]
            if other.title == task.title:
                same = "is the same as" if other.context == task.context else "corrects"
                said.append(f"Step {place + 1}, {task.title!r}, {same} step {earlier + 1}; the later one stands.")
    return said


def _changed(stream: int, tasks: Sequence[Task], waves: Mapping[str, Mapping[int, Sequence[Trial]]]) -> list[str]:
    """Answers to an earlier document's questions that a later one of the same title changed."""
    answers = {
        (number, trial.repeat): trial.after.answers
        for number, trials in waves.get("exam", {}).items()
        for trial in trials
        if trial.member == stream and trial.after
    }
    said = []
    for place, task in enumerate(tasks):
        for earlier in (e for e in range(place) if tasks[e].title == task.title):
            before, after = answers.get((place - 1, earlier)), answers.get((place, earlier))
            for question, was, now in zip(tasks[earlier].questions, before or (), after or (), strict=False):
                if was != now:
                    said.append(f"Step {place + 1} changed the answer to {question.text!r}: {was!r} became {now!r}.")
    return said


def _failed(steps: Sequence[Step]) -> list[str]:
    failed = [(place, step.trial.failure) for place, step in enumerate(steps, start=1) if step.trial.failure]
    if failed and len(failed) == len(steps):
        reason = failed[0][1].message if failed[0][1] else ""
        return [f"No edit stood, so the model is what it was at the start. The first: {reason}."]
    return [f"Step {place} changed nothing: {failure.message}." for place, failure in failed if failure]
