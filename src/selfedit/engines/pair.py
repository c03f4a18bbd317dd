"""Two engines as one: a fast sampler for the base model, such as a server, and an engine for everything else."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from selfedit.protocols import Engine, Sampler
from selfedit.types import BASE, Failure, Job, Likelihood, LikelihoodRequest, Request, Update


class Pair:
    """Samples the base from `sampler`; all else is `trainer`'s, sampling from its updates included.

    Both must serve the same model, or what was sampled is not the policy's own. That is not checked.
    """

    def __init__(self, sampler: Sampler, trainer: Engine) -> None:
        self.sampler, self.trainer = sampler, trainer

    def sample(self, requests: Sequence[Request]) -> list[str | Failure]:
        is_base = [request.update == BASE for request in requests]
        results: dict[int, str | Failure] = {}
        for engine, of_base in ((self.sampler, True), (self.trainer, False)):
            if indices := [index for index, base in enumerate(is_base) if base == of_base]:
                results |= zip(indices, engine.sample([requests[index] for index in indices]), strict=True)
        return [results[index] for index in range(len(requests))]

    def search(self, requests: Sequence[Request], min_probability: float) -> list[list[str] | Failure]:
        return self.trainer.search(requests, min_probability)

    def likelihood(self, requests: Sequence[LikelihoodRequest]) -> list[Likelihood | Failure]:
        return self.trainer.likelihood(requests)

    def fits(self, prompts: Sequence[str], reserve: int = 1) -> list[Failure | None]:
        return self.trainer.fits(prompts, reserve)

    def train(self, jobs: Sequence[Job]) -> list[Update | Failure]:
        return self.trainer.train(jobs)

    def save(self, update: Update, folder: Path) -> None:
        self.trainer.save(update, folder)

    def load(self, folder: Path, one_of_many: bool = False) -> Update:
        return self.trainer.load(folder, one_of_many)

    def scale(self, update: Update, factor: float) -> Update:
        return self.trainer.scale(update, factor)

    def release(self, updates: Sequence[Update]) -> None:
        self.trainer.release(updates)
