"""What people see: progress bars on a terminal, one line per stage elsewhere, tables at the end."""

from __future__ import annotations

import logging
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any

from rich import box
from rich.console import Console as RichConsole
from rich.console import ConsoleOptions, RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from selfedit.errors import printable
from selfedit.results import Summary, TextTable


class Console(RichConsole):
    """What is printed is shown and never obeyed: control characters stand there as their escapes."""

    def print(self, *objects: Any, **how: Any) -> None:
        super().print(*(shown(each) if isinstance(each, str) else each for each in objects), **how)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterator[Segment]:
        """The net under texts that were made elsewhere, where their width has been counted already."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else segment._replace(text=shown(segment.text))


def shown(text: str) -> str:
    """A text of several lines as it can be printed."""
    return printable(text.replace("\r\n", "\n"), keep="\n\t")


out = Console(highlight=False, markup=False, emoji=False)
"""Results. With --json nothing but the JSON goes here."""

err = Console(stderr=True, highlight=False, markup=False, emoji=False)
"""Everything else: progress, remarks, errors."""

ENGINE_WORK = ("training", "writing")
"""What engines report: parts of a stage, shown below it while they run."""

_MARKS = {"✓": "green", "✗": "red", "?": "yellow"}
_VERDICTS = {"equal": "green", "DIFFERS": "bold red"}


class _Remarks(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        err.print(Text(printable(record.getMessage())), soft_wrap=True)


@contextmanager
def remarks() -> Iterator[None]:
    """What this package logs, such as how a file was read, is shown."""
    log, handler = logging.getLogger("selfedit"), _Remarks()
    before = log.level
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    try:
        yield
    finally:
        log.removeHandler(handler)
        log.setLevel(before)


class _Rate(ProgressColumn):
    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text(f"{speed:5.1f}/s" if speed else "", style="progress.data.speed")


class Bars:
    """A `Progress` (protocols.py) drawn with rich. Stages stay on the screen, the engine's work comes and goes.

    A stage that begins again is another run's: it takes the row of the last.
    """

    def __init__(self, bars: Progress) -> None:
        self.bars, self.rows = bars, dict[str, Any]()
        self.began = time.monotonic()

    def __call__(self, what: str, done: int, total: int, note: str) -> None:
        what, note = shown(what), shown(note)
        if self.bars.console.is_terminal:
            self._draw(what, done, total, note)
        elif what not in ENGINE_WORK and done == total:
            self.bars.console.print(f"{time.monotonic() - self.began:6.1f} s  {what}: {done} of {total}  {note}")

    def _draw(self, what: str, done: int, total: int, note: str) -> None:
        self.end([name for name in ENGINE_WORK if name != what or done <= 1])  # work may end before its total
        if what not in self.rows:
            label = f"  {what}" if what in ENGINE_WORK else what
            self.rows[what] = self.bars.add_task(label, total=total, note=note)
        elif not done:
            self.bars.reset(self.rows[what], total=total)
        self.bars.update(self.rows[what], completed=done, total=total, note=note)
        if done >= total:
            self.end({what} & set(ENGINE_WORK))

    def end(self, names: Collection[str] = ENGINE_WORK) -> None:
        """Take these rows off the screen."""
        for name in self.rows.keys() & names:
            self.bars.remove_task(self.rows.pop(name))


@contextmanager
def bars() -> Iterator[Bars]:
    columns = [
        TextColumn("{task.description:<14}", markup=False),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        _Rate(),
        TimeRemainingColumn(compact=True),
        TextColumn("{task.fields[note]}", style="dim", markup=False),
    ]
    with Progress(*columns, console=err) as progress:
        drawn = Bars(progress)
        yield drawn
        drawn.end()


def show(summary: Summary) -> None:
    """The worked example, the tables, and what else should be told."""
    for title, text in summary.sections:
        out.print()
        out.print(f"{title}:", style="bold")
        out.print(text)
    for table in summary.tables:
        print_table(table)
    for remark in summary.remarks:
        out.print(remark, soft_wrap="selfedit " in remark)  # a command is copied as a whole


def print_table(table: TextTable) -> None:
    """Numbers without lines between them, so that they fit a terminal of 80 columns; sentences with lines."""
    title = f"\n{shown(table.title)}"
    if table.is_text:
        drawn = Table(title=title, title_justify="left", show_lines=True)
    else:
        drawn = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0))
    for index, name in enumerate(table.columns):
        drawn.add_column(shown(name), justify="right" if index and not table.is_text else "left", overflow="fold")
    for row in table.rows:
        drawn.add_row(*map(_cell, row))
    out.print(drawn)
    if table.caption:
        out.print(table.caption, soft_wrap=True)


def _cell(text: str) -> Text:
    text = shown(text)
    return Text(text, style=_MARKS.get(text[:1]) or _VERDICTS.get(text) or "")
