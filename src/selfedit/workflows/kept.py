"""The updates of a run: what is read back is what was written."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from selfedit.files import remove_folder
from selfedit.protocols import Engine
from selfedit.store import Run
from selfedit.types import Failure, Job, Likelihood, LikelihoodRequest, Prompt, Request, Update

_OF_A_RUN = re.compile(r"round-\d+(-earlier)?|adapter|[0-9a-f]{16}|.*\.partial")


class KeptUpdates:
    """An engine of which the run notes the updates that it saves in the run's folder, and checks those it loads there.

    Raises InputError for one that is not what was saved. One that was saved and not noted, as by a kill in between, is
    removed when the next engine is opened, and made again.
    """

    def __init__(self, engine: Engine, run: Run) -> None:
        self.engine, self.run = engine, run
        for folder in run.updates.glob("*"):
            if _OF_A_RUN.fullmatch(folder.name) and not run.keeps_update(folder):
                remove_folder(folder)

    def save(self, update: Update, folder: Path) -> None:
        self.run.refuse_if_removed()
        self.engine.save(update, folder)
        if folder.is_relative_to(self.run.updates):
            self.run.keep_update(folder)

    def load(self, folder: Path, one_of_many: bool = False) -> Update:
        if folder.is_relative_to(self.run.updates):
            self.run.check_update(folder)
        return self.engine.load(folder, one_of_many)

    # All else is the engine's

    def sample(self, requests: Sequence[Request]) -> list[str | Failure]:
        return self.engine.sample(requests)

    def search(self, requests: Sequence[Request], min_probability: float) -> list[list[str] | Failure]:
        return self.engine.search(requests, min_probability)

    def likelihood(self, requests: Sequence[LikelihoodRequest]) -> list[Likelihood | Failure]:
        return self.engine.likelihood(requests)

    def fits(self, prompts: Sequence[Prompt], reserve: int = 1) -> list[Failure | None]:
        return self.engine.fits(prompts, reserve)

    def train(self, jobs: Sequence[Job]) -> list[Update | Failure]:
        return self.engine.train(jobs)

    def scale(self, update: Update, factor: float) -> Update:
        return self.engine.scale(update, factor)

    def release(self, updates: Sequence[Update]) -> None:
        self.engine.release(updates)
