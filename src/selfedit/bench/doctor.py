"""Before a run: what a model is, what would be trained with it, what that takes, and whether endpoints answer."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from selfedit.bench.needs import needs, shape_of
from selfedit.config import Config
from selfedit.engines.start import start_local
from selfedit.errors import ModelAbsent
from selfedit.protocols import Engine, silent
from selfedit.types import BASE, Example, Job, Task, Update
from selfedit.workflows.build import make_domain
from selfedit.workflows.configure import domain_type
from selfedit.workflows.endpoints import reached, used

TokenRow = list[tuple[str, bool]]
"""Pieces of a training row, and whether each is learned."""


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """Facts by name, in words, and some training rows as the model will read them."""

    facts: dict[str, str]
    rows: list[TokenRow]


def doctor(config: Config, tasks: Sequence[Task]) -> Diagnosis:
    """Loads the model. Of one that is not here it says what it needs, if its sizes are known; else raises ModelAbsent.

    What the policy will write is not known before it has: the domain's example text stands for it.
    """
    answering = {role: reached(config, role) for role in used(config)}
    try:
        engine = start_local(config.model, config.max_adapters, silent)
    except ModelAbsent as error:
        shape = shape_of(config.model.name)
        if not shape:
            raise
        said = "all this is an estimate from the model's sizes; nothing was loaded, and no time was measured"
        facts = {**needs(shape, config), "estimate": said, "weights": f"not here: {error}"}
        return Diagnosis({**facts, **answering}, [])
    domain, text = make_domain(config), domain_type(config).example_text
    edits = [domain.parse(task, text) for task in tasks]
    facts = {**engine.describe(config.inner), **estimate(engine, config, edits[0].examples), **answering}
    examples = [example for edit in edits for example in edit.examples][:3]
    return Diagnosis(facts, [row for example in examples for row in engine.token_rows(example)])


def estimate(engine: Engine, config: Config, examples: tuple[Example, ...]) -> dict[str, str]:
    """Seconds per self-edit, measured: one adapter trained for one epoch, or for its budget of tokens."""
    job = Job(BASE, examples, replace(config.inner, epochs=1), seed=0)
    epochs = 1 if config.inner.tokens else config.inner.epochs
    engine.release([done for done in engine.train([job]) if isinstance(done, Update)])  # the first call also imports
    began = time.monotonic()
    engine.train([job])
    seconds = (time.monotonic() - began) * epochs
    full = config.inner.method == "full"
    together = "" if full else f" trained alone; less in a batch of {config.max_adapters}"
    return {"seconds per edit": f"about {seconds:.2f}{together}"}
