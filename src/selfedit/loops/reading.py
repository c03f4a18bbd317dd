"""The check by reading: the base model, the context before it, compares what was written with what it might have been.

edit -> its statements, each with the ways to get it wrong -> likelihoods -> the edit without what reads better wrong
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from selfedit.loops.examine import batched
from selfedit.protocols import Domain, Scorer
from selfedit.types import Example, Failure, Likelihood, Task, Trial

WHY = "reads better with its names or numbers exchanged"


def leave_out_misread(
    trials: Sequence[Trial], tasks: Mapping[str, Task], domain: Domain, scorer: Scorer
) -> list[Trial]:
    """The trials without the examples of which the model finds another version likelier. Examples that have no other
    version stay. A trial that could not be read fails; one that had failed stays as it is.
    """
    if domain.reading is None:
        return list(trials)
    asked = [
        [domain.reading.versions(tasks[trial.edit.task_id], example) for example in trial.edit.examples]
        for trial in trials
    ]
    found = iter(batched([versions for of_trial in asked for versions in of_trial], scorer.likelihood))
    return [_read(trial, [next(found) for _ in of_trial]) for trial, of_trial in zip(trials, asked, strict=True)]


def _read(trial: Trial, likelihoods: Sequence[Sequence[Likelihood | Failure]]) -> Trial:
    """A trial by the likelihoods of the versions of each of its examples, its own first."""
    if failed := next((one for versions in likelihoods for one in versions if isinstance(one, Failure)), None):
        return replace(trial, failure=failed)
    kept, dropped = list[Example](), list(trial.edit.dropped)
    for example, versions in zip(trial.edit.examples, likelihoods, strict=True):
        nats = [one.nats for one in versions if isinstance(one, Likelihood)]
        if nats and max(nats) > nats[0]:
            dropped.append((example.target.rsplit("\n", 1)[-1], WHY))
        else:
            kept.append(example)
    nothing = None if kept or trial.failure else Failure("policy", f"there is nothing to learn in the notes: {WHY}")
    edit = replace(trial.edit, examples=tuple(kept), dropped=tuple(dropped))
    return replace(trial, edit=edit, failure=trial.failure or nothing)
