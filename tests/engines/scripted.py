"""An engine that does what its prompts say; a module of its own because the workers of a pool import it."""

import os
import signal
import sys
import time

from selfedit.errors import EngineError, InputError, Refused
from selfedit.types import BASE, Failure, Likelihood, Update


class Odd(Exception):
    """Cannot be made again from its message, so it does not survive pickling."""

    def __init__(self, one, two):
        super().__init__(f"{one} and {two}")


def fail(error):
    raise error


ORDERS = {
    "input": lambda: fail(InputError("a wrong file")),
    "engine": lambda: fail(EngineError("no memory")),
    "refused": lambda: fail(Refused("not again")),
    "other": lambda: fail(ZeroDivisionError("by zero")),
    "odd": lambda: fail(Odd("one", "two")),
    "die": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "leave": lambda: os._exit(7),
    "sleep": lambda: time.sleep(600),
    "print": lambda: print("printed", file=sys.stderr) or print("printed", flush=True),
}


class Scripted:
    """Answers "PROCESS prompt", or obeys the prompt. An update is named by its first target; `tokens` is the process.

    `knows`: the updates that it has trained or loaded. It cannot be asked about others.
    """

    def __init__(self, progress):
        self.progress, self.knows = progress, {BASE.id}

    def describe(self, recipe):
        return {"rank": str(recipe.rank)}

    def sample(self, requests):
        for number, request in enumerate(requests, start=1):
            self.progress("writing", number, len(requests), request.prompt)
        return [self._sample(request) for request in requests]

    def _sample(self, request):
        self._check(request.update)
        ORDERS.get(request.prompt, lambda: None)()
        return f"{os.getpid()} {request.prompt}" if request.prompt else Failure("system", "nothing was asked")

    def fits(self, prompts, reserve=1):
        return [
            Failure("system", f"{prompt} is too long") if len(prompt) > 10 - reserve else None for prompt in prompts
        ]

    def likelihood(self, requests):
        for request in requests:
            self._check(request.update)
        return [Likelihood(-float(len(request.target)), 1) for request in requests]

    def train(self, jobs):
        return [self._train(job) for job in jobs]

    def _train(self, job):
        self._check(job.parent)
        if not job.examples:
            return Failure("policy", "nothing to learn")
        update = Update(job.examples[0].target, job.parent.id, os.getpid())
        self.knows.add(update.id)
        return update

    def save(self, update, folder):
        self._check(update)
        folder.write_text(update.id)

    def load(self, folder, one_of_many=False):
        update = Update(folder.read_text())
        self.knows.add(update.id)
        return update

    def release(self, updates):
        self.knows -= {update.id for update in updates}

    def _check(self, update):
        if update.id not in self.knows:
            raise EngineError(f"update {update.id} is not here")


def no_engine(progress):
    raise InputError("no such model")
