"""selfedit from Python: `import selfedit as se`.

model = se.load("path/to/model")
model.internalize("handbook.md")
model.ask("How many days of leave are there?", topic="Handbook")

summary = se.train("squad_train.json", evaluation="squad_val.json", model="path/to/model", output="runs/first")
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

from selfedit.config import Config
from selfedit.errors import InputError
from selfedit.loops.inner import train_one
from selfedit.loops.outer import propose
from selfedit.protocols import Progress, silent
from selfedit.results import Summary
from selfedit.seeds import derive_seed
from selfedit.types import BASE, Task, Update
from selfedit.workflows.adapt import adapter_job
from selfedit.workflows.build import make_domain
from selfedit.workflows.configure import make_config
from selfedit.workflows.data import read_data
from selfedit.workflows.documents import documents_with_questions
from selfedit.workflows.engine import load_update, open_engine, splitter
from selfedit.workflows.evaluate import ask_update
from selfedit.workflows.runs import carry_out, start
from selfedit.workflows.updates import update_folder
from selfedit.worlds import WORLDS


def load(
    model: str | None = None,
    update: str | Path | None = None,
    settings: Sequence[str] = (),
    progress: Progress = silent,
) -> Model:
    """A model that can learn documents: a directory, a GGUF file, a hub id, `smollm2` once it was fetched, or
    `almanac`, the toy that ships with the package.

    `update` is a run or an adapter that it begins with; `settings` are config keys, such as "inner.epochs=5". Raises
    InputError for a model, an update or a key that is wrong.
    """
    config = make_config(model, settings, own_documents=True, needs_model=True)
    return Model(config, update_folder(Path(update)) if update else None, progress)


class Model:
    """A model and what it has learned since it was loaded. Close it, or use it in a `with`, to free its memory."""

    def __init__(self, config: Config, update: Path | None = None, progress: Progress = silent) -> None:
        self.config, self._stack = config, ExitStack()
        self.engine = self._stack.enter_context(open_engine(config, progress))
        self.domain = make_domain(config)
        self._start = self.update = load_update(self.engine, update)

    def internalize(self, document: str | Path, title: str = "") -> list[str]:
        """Learn a document on top of what was learned before: a path, or a text with its title.

        The model writes `outer.edits_per_task` notes on every passage, and an adapter learns these and the passages.
        Returns the notes. Raises InputError for a file that cannot be read, EngineError where training fails.
        """
        split, notes = splitter(self.config, self.engine), list[str]()
        for task in self._documents(document, title):
            passages = split(task)
            members = [(p, member) for p in passages for member in range(self.config.outer.edits_per_task)]
            seeds = [derive_seed(self.config.seed, "notes", p.id, member) for p, member in members]
            how = self.config.outer.sampling
            written = propose(self.update, members, self.domain, self.engine, how, seeds, self.engine)
            job = adapter_job(written, passages, self.domain, self.update, self.config.seed)
            self.update = train_one(self.engine, job, f"{task.title!r} could not be learned")
            notes += [trial.edit.text for trial in written if trial.failure is None]
        return notes

    def _documents(self, document: str | Path, title: str) -> list[Task]:
        if not title:
            return documents_with_questions([Path(document)])
        if isinstance(document, Path):
            raise InputError(f"{document} is a path, whose file says its title; a title goes with a text")
        return [Task(title, title, document)]

    def ask(self, question: str, topic: str = "") -> str:
        """Its answer without the document. `topic` is the title of the document that the question is about."""
        return ask_update(self.config, self.engine, self.update, question, topic)

    def reset(self) -> None:
        """Back to what it was when it was loaded."""
        self.update = self._start

    def save(self, folder: str | Path) -> Path:
        """Write what was learned as a PEFT adapter. Raises InputError where nothing was, or the disk refuses."""
        self.engine.save(self.update, Path(folder))
        return Path(folder)

    def close(self) -> None:
        self._stack.close()

    def __enter__(self) -> Model:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def train(
    data: str | Path = "almanac",
    evaluation: str | Path = "",
    model: str | None = None,
    output: str | Path = "runs/train",
    settings: Sequence[str] = (),
    progress: Progress = silent,
) -> Summary:
    """Reinforce a model's note writing (SEAL's outer loop) on tasks with questions, and score it on `evaluation`.

    The run is a folder, `output`: the same call goes on with one that was stopped. Raises InputError and Refused.
    """
    named = [f"data.train={data}", *([f"data.eval={evaluation}"] if evaluation else [])]
    is_world = data in WORLDS and (not evaluation or evaluation in WORLDS)
    config = make_config(model, [*named, *settings], needs_model=not is_world)
    with start("train", Path(output), config, read_data(config)) as run:
        return carry_out(run, progress)


__all__ = ["BASE", "Config", "Model", "Summary", "Update", "load", "train"]
