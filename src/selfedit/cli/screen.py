"""What people see: progress bars on a terminal, one line per stage elsewhere, tables at the end."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from rich import box
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from selfedit.types import Failure, Score

out = Console(highlight=False, markup=False, emoji=False)
"""Results. With --json nothing but the JSON goes here."""

err = Console(stderr=True, highlight=False, markup=False, emoji=False)
"""Everything else: progress, remarks, errors."""

LABELS = {
    "base": "Base model, closed book",
    "passage_only": "Trained on the passage only",
    "own_edits": "Trained on its own notes",
    "teacher_edits": "Trained on a teacher's notes",
    "after_rl": "… after reinforcement",
    "in_context": "Passage in the prompt",
    "before": "Before, closed book",
    "after": "After, closed book",
}
ENGINE_WORK = ("training", "writing")
"""What engines report: parts of a stage, shown below it while they run."""


class _Rate(ProgressColumn):
    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text(f"{speed:5.1f}/s" if speed else "", style="progress.data.speed")


class Bars:
    """A `Progress` (protocols.py) drawn with rich. Stages stay on the screen, the engine's work comes and goes."""

    def __init__(self, bars: Progress) -> None:
        self.bars, self.rows = bars, dict[str, Any]()
        self.began = time.monotonic()

    def __call__(self, what: str, done: int, total: int, note: str) -> None:
        if self.bars.console.is_terminal:
            self._draw(what, done, total, note)
        elif what not in ENGINE_WORK and done == total:
            self.bars.console.print(f"{time.monotonic() - self.began:6.1f} s  {what}: {done} of {total}  {note}")

    def _draw(self, what: str, done: int, total: int, note: str) -> None:
        self.end([name for name in ENGINE_WORK if name != what or done <= 1])  # work may end before its total
        if what not in self.rows:
            label = f"  {what}" if what in ENGINE_WORK else what
            self.rows[what] = self.bars.add_task(label, total=total, note=note)
        self.bars.update(self.rows[what], completed=done, total=total, note=note)
        if done >= total:
            self.end({what} & set(ENGINE_WORK))

    def forget(self) -> None:
        """Take every row off the screen: another run begins, with stages of the same names."""
        self.end(list(self.rows))

    def end(self, names: Collection[str] = ENGINE_WORK) -> None:
        """Take these rows off the screen."""
        for name in self.rows.keys() & names:
            self.bars.remove_task(self.rows.pop(name))


@contextmanager
def bars() -> Iterator[Bars]:
    columns = [
        TextColumn("{task.description:<14}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        _Rate(),
        TimeRemainingColumn(compact=True),
        TextColumn("{task.fields[note]}", style="dim"),
    ]
    with Progress(*columns, console=err) as progress:
        drawn = Bars(progress)
        yield drawn
        drawn.end()


def section(title: str, text: str) -> None:
    out.print()
    out.print(f"{title}:", style="bold")
    out.print(text)


def gain(interval: Mapping[str, float]) -> str:
    # Adding 0.0 turns a rounded -0.0 into 0.0.
    mean, low, high = (f"{round(100 * interval[key], 1) + 0.0:+.1f}" for key in ("mean", "low", "high"))
    return f"Gain of reinforcement: {mean} points (95 % interval {low} to {high}, paired by passage)"


def percent(value: float) -> str:
    return f"{100 * value:.1f} %"


def narrow_table(title: str, first: str, *columns: str) -> Table:
    """A table of numbers without lines between them, so that it fits a terminal of 80 columns."""
    table = Table(title=f"\n{title}", title_justify="left", box=box.SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0))
    table.add_column(first)
    for name in columns:
        table.add_column(name, justify="right")
    return table


def score_table(summary: Mapping[str, Any], title: str) -> Table:
    """The conditions, `n` passages each, with 95 % intervals. Entries that are none (a gain, seconds) are left out."""
    table = narrow_table(
        title, "condition", "correct", "interval\n(95 %)", "blank", "n", "trained\ntokens", "time\n(s)"
    )
    for name, row in summary.items():
        if isinstance(row, Mapping) and "n" in row:
            known = row["n"] > 1  # one passage says nothing about the spread
            interval = f"{100 * row['low']:.1f} to {100 * row['high']:.1f}" if known else "-"
            cells = (percent(row["mean"]), interval, percent(row["blank"]), str(row["n"]), f"{row.get('tokens', 0):,}")
            seconds = f"{row['seconds']:.0f}" if "seconds" in row else ""
            table.add_row(LABELS.get(name, name), *cells, seconds)
    return table


def answer_table(questions: Sequence[Any], before: Score | None, after: Score | None, title: str) -> Table:
    """Each question with its gold answer and what the model said before and after."""
    table = Table(title=title, title_justify="left", show_lines=True)
    for name in ("question", "expected", "before", "after"):
        table.add_column(name, overflow="fold")
    for index, question in enumerate(questions):
        table.add_row(question.text, question.target, _cell(before, index), _cell(after, index))
    return table


def _cell(score: Score | None, index: int) -> Text:
    if score is None:
        return Text("")
    answer, grade = score.answers[index], score.grades[index]
    if isinstance(answer, Failure) or isinstance(grade, Failure):
        return Text("not graded", style="yellow")
    return Text(answer or "(blank)", style="green" if grade > 0.5 else "red")
