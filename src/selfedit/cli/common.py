"""What the commands share: options, where runs live, how a config becomes an engine, and the one place errors end."""

from __future__ import annotations

import hashlib
import json
import shlex
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from selfedit.cli import screen
from selfedit.config import Config, load_config, read_toml, resolve
from selfedit.engines import embedded
from selfedit.engines.start import start_local, start_pool, usual_processes
from selfedit.errors import EndpointDown, InputError, SelfEditError
from selfedit.protocols import Engine, Progress
from selfedit.store import Run, read_json
from selfedit.types import BASE, Question, Task, Update

if TYPE_CHECKING:
    from selfedit.engines.local.engine import LocalEngine

RUNS = Path("runs")

Model = Annotated[
    str | None, typer.Option("--model", "-m", help="a model directory, a hub id, or an embedded one: almanac, mosaic")
]
Set = Annotated[list[str] | None, typer.Option("--set", help="override a config key: --set inner.epochs=5")]
Memory = Annotated[str | None, typer.Option("--memory", help="most memory to take: 8GB; left out: what is free")]
Output = Annotated[Path | None, typer.Option("--output", "-o", help="the run's folder; left out: runs/COMMAND-N")]
Json = Annotated[bool, typer.Option("--json", help="print the result as JSON on standard output")]


def make_config(
    model: str | None, overrides: Sequence[str] | None, path: Path | None = None, memory: str | None = None
) -> Config:
    """The config of a command: defaults, the embedded model's recipe if that is the model, the file, the options."""
    file = read_toml(path) if path else {}
    named = {"model.name": model, "model.memory": memory}
    chosen = [f"{key}={json.dumps(value)}" for key, value in named.items() if value]
    table = file.get("model")
    name = model or (table.get("name") if isinstance(table, dict) else None) or "almanac"
    config = load_config(path, [*chosen, *(overrides or [])], embedded.recipe(name))
    return config.model_copy(update={"model": config.model.model_copy(update={"name": _anywhere(config.model.name)})})


def _anywhere(model: str) -> str:
    """A model's directory by its full path, so that its runs and adapters can be used from other directories."""
    folder = Path(model).expanduser()
    return str(folder.resolve()) if model not in embedded.NAMES and folder.is_dir() else model


def make_engine(config: Config, progress: Progress) -> LocalEngine:
    """The local engine with the config's model, in this process."""
    return start_local(config.model, config.wave, progress)


@contextmanager
def engine_for_many(config: Config, progress: Progress) -> Iterator[Engine]:
    """The engine of commands that train many adapters: in as many processes as the config says."""
    processes = config.model.processes or usual_processes(config.model)
    if processes == 1:
        yield make_engine(config, progress)
    else:
        with closing(start_pool(config.model, config.wave, processes, progress)) as pool:
            yield pool


def new_folder(command: str) -> Path:
    """runs/<command>-<n>, the first that is free."""
    number = 1
    while (RUNS / f"{command}-{number}").exists():
        number += 1
    return RUNS / f"{command}-{number}"


def start_run(
    command: str, output: Path | None, config: Config, tasks: Mapping[str, Sequence[Task]], **more: str
) -> Run:
    """A run that holds all it needs to be resumed: its config, and the tasks themselves in `tasks.json`."""
    text = json.dumps({name: [asdict(task) for task in of_name] for name, of_name in tasks.items()}, indent=1)
    digest = hashlib.sha256(text.encode()).hexdigest()
    tree = {"command": command, "tasks": digest, **more, **config.model_dump(mode="json")}
    run = Run.create(output or new_folder(command), tree)
    if not (run.path / "tasks.json").exists():
        run.write_text("tasks.json", text)
    screen.err.print(f"run folder: {run.path}", style="dim")
    return run


def config_of(run: Run) -> Config:
    tree = {key: value for key, value in run.config.items() if key in Config.model_fields}
    return resolve(tree, str(run.path / "config.json"))


def tasks_of(run: Run) -> dict[str, list[Task]]:
    """The tasks that were stored with the run, by what they are for."""
    path = run.path / "tasks.json"
    if not path.exists():
        raise InputError(f"{run.path} has no tasks.json: it was killed before it began; start it again")
    stored = read_json(path)
    try:
        return {name: [as_task(row) for row in rows] for name, rows in stored.items()}
    except (AttributeError, KeyError, TypeError) as error:
        raise InputError(f"{path} is damaged: {error}; restore it, or choose another folder") from None


def as_task(row: dict[str, Any]) -> Task:
    """The inverse of `asdict`."""
    return Task(**{**row, "questions": tuple(Question(**question) for question in row["questions"])})


def load_update(engine: Engine, folder: str | Path | None) -> Update:
    """The update in a folder, or the base model where none is named."""
    return engine.load(Path(folder)) if folder else BASE


def update_folder(path: Path) -> Path:
    """The adapter that a person means by a run or an adapter folder.

    The last update of its stream, if it has one; the run's adapter, or its last policy.
    """
    rounds = (path / "updates").glob("round-*[0-9]")  # a kill may leave a round-0.partial
    latest = sorted(rounds, key=lambda folder: int(folder.name.removeprefix("round-")), reverse=True)
    for folder in [path, *_of_stream(path), path / "updates" / "adapter", *latest]:
        if (folder / "adapter_config.json").is_file() or (folder / "card.json").is_file():
            return folder.resolve()
    raise InputError(f"{path} holds no adapter: name a PEFT directory, or a run that has finished training")


def _of_stream(path: Path) -> list[Path]:
    if not (path / "trials.sqlite").is_file():
        return []
    with Run.open(path) as run:
        learned = [trial.update for wave in run.waves() if wave.stage == "learn" for trial in wave.trials]
    return [path / "updates" / update.id for update in learned[::-1] if update]


def write_report(run: Run, summary: dict[str, Any], tasks: list[Task]) -> Path:
    """Imported here because drawing takes a second to import."""
    from selfedit.report import write_report

    return write_report(run, summary, {task.id: task for task in tasks})


def print_json(value: object) -> None:
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False) + "\n")


class Stopped(SelfEditError):
    """Ctrl-C while a run was going on."""

    exit_code = 130


@contextmanager
def resumable(*command: object) -> Iterator[None]:
    """Ctrl-C, or a judge that is down, ends with the command that goes on. What was finished is already stored.

    The key is noted, not only raised: in C code the exception can come out as another (PyTorch makes it a ValueError).
    """
    pressed: list[int] = []

    def note(number: int, frame: object) -> None:
        pressed.append(number)
        raise KeyboardInterrupt

    previous = signal.signal(signal.SIGINT, note)
    again = shlex.join(["selfedit", *map(str, command)])
    try:
        yield
    except EndpointDown as error:
        raise EndpointDown(f"{error}; what was finished is kept. When it is up again, go on with: {again}") from error
    except BaseException:
        if not pressed:
            raise
        raise Stopped(f"stopped; what was finished is kept. Go on with: {again}") from None
    finally:
        signal.signal(signal.SIGINT, previous)
