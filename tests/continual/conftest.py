"""Streams over the fake engine: two of three documents each."""

from dataclasses import replace

import pytest

from selfedit.config import resolve
from selfedit.engines.fake import FakeEngine
from selfedit.store import Run
from selfedit.types import BASE, Example, SelfEdit, StreamStep, Task, Trial
from selfedit.workflows.stream import run_continual


class Forgetful(FakeEngine):
    """Writes good notes; with `forgets` a job loses all that its parent knew."""

    def __init__(self, tasks, forgets=False, notes=("To remember: {answers}.",), **more):
        super().__init__(tasks, notes, **more)
        self.forgets = forgets

    def _train(self, job):
        return super()._train(replace(job, parent=BASE) if self.forgets else job)


@pytest.fixture
def groups(tasks):
    """The tasks of a run: two streams of the same documents in other orders, a control group, neutral texts."""
    neutral = [Task(f"neutral-{n}", "", "Some text of more than eight words about nothing at all.") for n in range(2)]
    return {"stream-00": tasks[:3], "stream-01": tasks[2::-1], "control": tasks[3:], "neutral": neutral}


@pytest.fixture
def settings():
    def settings(*methods, **more):
        return resolve({"continual": {"methods": list(methods), **more}}, "the test")

    return settings


@pytest.fixture
def learn(settings, groups, tasks, tmp_path):
    """Learns the groups with these methods; the summary. The run's folder is `learn.path`."""

    def learn(*methods, engine=None, groups=groups, folder="run", **more):
        config = settings(*methods, **more)
        learn.path = tmp_path / folder
        with Run.create(tmp_path / folder, config.model_dump(mode="json")) as run:
            return run_continual(run, config, groups, engine or Forgetful(tasks))

    return learn


@pytest.fixture
def forgetful(tasks):
    return lambda **more: Forgetful(tasks, **more)


@pytest.fixture
def without_questions():
    return lambda task: replace(task, questions=())


@pytest.fixture(scope="session")
def step():
    """Makes a step of a stream: a document with notes on it, and the update that learned them."""

    def step(title, text="", update=None, questions=()):
        task = Task(title.lower(), title, f"About {title}: {text}")
        edit = SelfEdit(task.id, "", text, (Example("", f"{title}\n{text}"), Example("", f"{title}\n{task.context}")))
        return StreamStep(task, Trial(edit, update), questions)

    return step
