"""The check by reading: the base model compares what was written with what it might have been, by what it finds likely.

edit -> its statements, each with the ways to get it wrong -> likelihoods -> the edit without what reads better wrong
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from selfedit.loops.examine import batched
from selfedit.protocols import Comparison, Domain, Scorer
from selfedit.types import Example, Failure, Likelihood, Task, Trial


def leave_out_misread(
    trials: Sequence[Trial], tasks: Mapping[str, Task], domain: Domain, scorer: Scorer
) -> list[Trial]:
    """The trials without the examples of which the model finds another version likelier. Examples that have no other
    version stay. A trial that could not be read fails; one that had failed stays as it is.
    """
    if domain.reading is None:
        return list(trials)
    asked = [
        [domain.reading.compare(tasks[trial.edit.task_id], example) for example in trial.edit.examples]
        for trial in trials
    ]
    requests = [
        [request for version in (one.versions if one else ()) for request in version if request]
        for of_trial in asked
        for one in of_trial
    ]
    found = iter(batched(requests, scorer.likelihood))
    return [
        _read(trial, of_trial, [next(found) for _ in of_trial]) for trial, of_trial in zip(trials, asked, strict=True)
    ]


def _read(
    trial: Trial, asked: Sequence[Comparison | None], likelihoods: Sequence[Sequence[Likelihood | Failure]]
) -> Trial:
    """A trial by what its examples were compared with, and the likelihoods of all that."""
    if failed := next((one for found in likelihoods for one in found if isinstance(one, Failure)), None):
        return replace(trial, failure=failed)
    kept, dropped = list[Example](), list(trial.edit.dropped)
    for example, comparison, found in zip(trial.edit.examples, asked, likelihoods, strict=True):
        nats = iter([one.nats for one in found if isinstance(one, Likelihood)])
        versions = comparison.versions if comparison else ()
        likely = [next(nats) - (next(nats) if given else 0.0) for _, given in versions]
        if comparison and misread(likely, comparison.ablated):
            dropped.append((example.target.rsplit("\n", 1)[-1], comparison.why))
        else:
            kept.append(example)
    why = ", ".join(dict.fromkeys(reason for _, reason in dropped))
    nothing = None if kept or trial.failure else Failure("policy", f"there is nothing to learn in the notes: {why}")
    edit = replace(trial.edit, examples=tuple(kept), dropped=tuple(dropped))
    return replace(trial, edit=edit, failure=trial.failure or nothing)


def misread(likely: Sequence[float], ablated: bool) -> bool:
    """Whether the first of these log-probabilities speaks against what was read: another is higher; or, where the
    others are each without a part of the document, no part adds as much as another takes away.
    """
    most = max(likely)
    return likely[0] - min(likely) <= most - likely[0] if ablated else most > likely[0]
