"""What a person should be told about a stream in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from selfedit.types import Observation, StreamStep, Task


def remarks(
    streams: Sequence[Sequence[Task]],
    pasts: Sequence[tuple[StreamStep, ...]],
    seen: Mapping[int, Sequence[Observation]],
) -> list[str]:
    """Documents that came twice, contradict each other or cannot be asked about, and edits that did not stand."""
    said: list[str] = []
    for number, (tasks, past) in enumerate(zip(streams, pasts, strict=True)):
        said += _twice(tasks)
        said += _unasked(tasks)
        said += [
            f"Step {place + 1} changed the answer to {question!r}: {was!r} became {now!r}."
            for place, question, was, now in changed_answers(number, tasks, seen)
        ]
        said += _failed(past)
    return said


def _twice(tasks: Sequence[Task]) -> list[str]:
    said = []
    for place, task in enumerate(tasks):
        for earlier, other in enumerate(tasks[:place]):
            if other.title == task.title:
                same = "is the same as" if other.context == task.context else "has the title of"
                said.append(f"Step {place + 1}, {task.title!r}, {same} step {earlier + 1}; the later one stands.")
    return said


def _unasked(tasks: Sequence[Task]) -> list[str]:
    unasked = ", ".join(repr(task.title) for task in tasks if not task.questions)
    return [f"There are no questions about {unasked}: nothing shows what of that is known."] if unasked else []


def changed_answers(
    stream: int, tasks: Sequence[Task], seen: Mapping[int, Sequence[Observation]]
) -> list[tuple[int, str, str, str]]:
    """(place of a document, question about an earlier one of the same title, answer before it, answer after it)."""
    answers = {
        (number, observed.place): observed.score.answers
        for number, observations in seen.items()
        for observed in observations
        if observed.stream == stream
    }
    return [
        (place, question.text, str(was), str(now))
        for place, task in enumerate(tasks)
        for earlier in range(place)
        if tasks[earlier].title == task.title
        for question, was, now in zip(
            tasks[earlier].questions,
            answers.get((place - 1, earlier), ()),
            answers.get((place, earlier), ()),
            strict=False,
        )
        if was != now
    ]


def _failed(steps: Sequence[StreamStep]) -> list[str]:
    failed = [(place, step.trial.failure) for place, step in enumerate(steps, start=1) if step.trial.failure]
    if failed and len(failed) == len(steps):
        reason = failed[0][1].message if failed[0][1] else ""
        return [f"No edit stood, so the model is what it was at the start. The first: {reason}."]
    return [f"Step {place} changed nothing: {failure.message}." for place, failure in failed if failure]
