"""Several engines as one, each in a process of its own: two small models on two cores do twice the work of one."""

from __future__ import annotations

import signal
import weakref
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from selfedit.engines.worker import Report, start
from selfedit.errors import EngineError
from selfedit.protocols import Engine, Progress, silent
from selfedit.types import Failure, Job, Likelihood, LikelihoodRequest, Prompt, Recipe, Request, Update


class Pool:
    """`make(progress)` is called in each of `processes` workers and returns its engine; it must survive pickling.

    An update stays in the process that trained it, and what needs it goes there; a loaded one is everywhere. Who does
    what depends on the work alone, never on the clock: equal calls give equal results. A call that cannot end (Ctrl-C,
    a worker that died) closes the pool. As workers import the script they belong to, that must do its own work under
    `if __name__ == "__main__":`.
    """

    def __init__(self, make: Callable[[Progress], Engine], processes: int, progress: Progress = silent) -> None:
        self.progress = progress
        self._owners: dict[str, int] = {}
        self._workers: list[tuple[BaseProcess, Connection]] = []
        self._stop = weakref.finalize(self, _stop, self._workers)
        with self._closing_on_error():
            for _ in range(processes):
                self._workers.append(start(make))
            _raise_first(self._answers(range(processes)))

    def describe(self, recipe: Recipe) -> dict[str, str]:
        """That of one of the engines."""
        described: dict[str, str] = self._call({0: ("describe", recipe)})[0]
        return described

    def train(self, jobs: Sequence[Job]) -> list[Update | Failure]:
        sizes = [_size(job) for job in jobs]
        dealt = self._deal([job.parent for job in jobs], sizes)
        results = self._share("train", jobs, dealt)
        for worker, own in dealt.items():
            self._owners |= {result.id: worker for i in own if isinstance(result := results[i], Update)}
        return results

    def sample(self, requests: Sequence[Request]) -> list[str | Failure]:
        return self._share("sample", requests, self._deal_requests(requests))

    def search(self, requests: Sequence[Request], min_probability: float) -> list[list[str] | Failure]:
        return self._share("search", requests, self._deal_requests(requests), min_probability)

    def fits(self, prompts: Sequence[Prompt], reserve: int = 1) -> list[Failure | None]:
        failures: list[Failure | None] = self._call({0: ("fits", list(prompts), reserve)})[0]
        return failures

    def likelihood(self, requests: Sequence[LikelihoodRequest]) -> list[Likelihood | Failure]:
        sizes = [len(request.prompt) + len(request.target) for request in requests]
        return self._share("likelihood", requests, self._deal([request.update for request in requests], sizes))

    def save(self, update: Update, folder: Path) -> None:
        self._call({self._owners.get(update.id, 0): ("save", update, folder)})

    def load(self, folder: Path, one_of_many: bool = False) -> Update:
        update: Update = self._call_all("load", folder, one_of_many)[0]
        self._owners.pop(update.id, None)
        return update

    def scale(self, update: Update, factor: float) -> Update:
        worker = self._owners.get(update.id, 0)
        scaled: Update = self._call({worker: ("scale", update, factor)})[worker]
        self._owners[scaled.id] = worker
        return scaled

    def release(self, updates: Sequence[Update]) -> None:
        self._call_all("release", list(updates))
        for update in updates:
            self._owners.pop(update.id, None)

    def close(self) -> None:
        """Stop the workers, and with them lose their updates. Happens by itself once nothing uses the pool."""
        self._stop()

    # Who does what

    def _deal(self, updates: Sequence[Update], sizes: Sequence[int]) -> dict[int, list[int]]:
        """Each worker's items: those of updates that it owns; the rest go, largest first, to whoever has least."""
        loads, dealt = [0] * len(self._workers), defaultdict[int, list[int]](list)
        for index in sorted(range(len(sizes)), key=lambda i: (updates[i].id not in self._owners, -sizes[i])):
            worker = self._owners.get(updates[index].id, loads.index(min(loads)))
            loads[worker] += sizes[index]
            dealt[worker].append(index)
        return {worker: sorted(own) for worker, own in dealt.items()}

    def _deal_requests(self, requests: Sequence[Request]) -> dict[int, list[int]]:
        sizes = [len(request.prompt) + request.max_new_tokens for request in requests]
        return self._deal([request.update for request in requests], sizes)

    def _share(self, method: str, items: Sequence[Any], dealt: Mapping[int, list[int]], *more: Any) -> list[Any]:
        """What becomes of each item, in order."""
        answers = self._call({worker: (method, [items[i] for i in own], *more) for worker, own in dealt.items()})
        results = {i: result for worker, own in dealt.items() for i, result in zip(own, answers[worker], strict=True)}
        return [results[i] for i in range(len(items))]

    # Talking to the workers

    def _call_all(self, method: str, *arguments: Any) -> dict[int, Any]:
        return self._call(dict.fromkeys(range(len(self._workers)), (method, *arguments)))

    def _call(self, calls: Mapping[int, tuple[Any, ...]]) -> dict[int, Any]:
        """What each worker answers to its (method, argument, ...). They work at the same time."""
        if not self._stop.alive:
            raise EngineError("the workers of this pool were stopped; make a new pool")
        with self._closing_on_error():
            for worker, call in calls.items():
                with self._watching(worker):
                    self._workers[worker][1].send((len(calls), *call))
            answers = self._answers(calls)
        return _raise_first(answers)

    def _answers(self, workers: Iterable[int]) -> dict[int, Any]:
        """Waits for all of these workers, also when one answers with an exception. Their progress is added up."""
        waiting = {self._workers[worker][1]: worker for worker in workers}
        answers, reports = dict[int, Any](), dict[int, Report]()
        while waiting:
            for pipe in wait(list(waiting)):
                assert isinstance(pipe, Connection)
                worker = waiting[pipe]
                with self._watching(worker):
                    message = pipe.recv()
                if isinstance(message, Report):
                    reports[worker] = message
                    self._report(message, [report for report in reports.values() if report.what == message.what])
                else:
                    answers[worker] = message
                    del waiting[pipe]
        return answers

    def _report(self, latest: Report, alike: Sequence[Report]) -> None:
        done, total = sum(report.done for report in alike), sum(report.total for report in alike)
        self.progress(latest.what, done, total, latest.note)

    @contextmanager
    def _closing_on_error(self) -> Iterator[None]:
        """An interrupted call closes the pool: its answers, still to come, would be taken for the next call's."""
        try:
            yield
        except BaseException:
            self.close()
            raise

    @contextmanager
    def _watching(self, worker: int) -> Iterator[None]:
        """A pipe that breaks in this block means that the worker has died."""
        try:
            yield
        except (EOFError, OSError):
            process = self._workers[worker][0]
            process.join(timeout=5)
            code = process.exitcode or 0
            how = f"was killed ({signal.Signals(-code).name})" if code < 0 else f"ended by itself (exit code {code})"
            raise EngineError(
                f"a worker process {how}; if memory ran out, free some and go on, or set model.processes to 1"
            ) from None


def _raise_first(answers: dict[int, Any]) -> dict[int, Any]:
    for worker in sorted(answers):
        if isinstance(answers[worker], Exception):
            raise answers[worker]
    return answers


def _stop(workers: Sequence[tuple[BaseProcess, Connection]]) -> None:
    for process, pipe in workers:
        pipe.close()
        process.terminate()
    for process, _ in workers:
        process.join()


def _size(job: Job) -> int:
    """What a job costs to train, roughly in characters."""
    once = sum(len(example.prompt) + len(example.target) for example in job.examples)
    return job.recipe.tokens * CHARACTERS_PER_TOKEN or job.recipe.epochs * once


CHARACTERS_PER_TOKEN = 4
"""Of English text, roughly: jobs with a budget of tokens are weighed against others by it."""
