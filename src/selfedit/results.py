"""Results as values: scored conditions (`Row`, `Table`), and tables as people read them (`TextTable`).

A result is made once. As JSON it is what `to_json` gives; on a terminal, on a page and in Markdown it is the same
`TextTable`, drawn by `cli.screen`, `report` and `markdown`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from selfedit.changes import Change, changes_json
from selfedit.statistics import MIN_CLUSTERS, Interval
from selfedit.types import Failure, Score, SelfEdit, Task


@dataclass(frozen=True, slots=True)
class Words:
    """What a domain's results call things: `conditions` by key, in the order in which they are shown."""

    conditions: Mapping[str, str]
    title: str = "Questions answered correctly"
    bars: str = "Each bar is the share of questions answered correctly, averaged over tasks."
    asked: str = "All conditions are asked the same questions, without the task's context."
    correct: str = "correct"
    claim: str = (
        "Without the {task} in front of it, the model answers {share} of questions after learning from its own {edit}"
    )
    share: str = "of questions answered"
    task: str = "task"
    edit: str = "self-edit"
    edits: str = "self-edits"
    tasks_and_edits: str = "Tasks and self-edits"


@dataclass(frozen=True, slots=True)
class Row:
    """The score under one condition. Shares are of 1, and averaged over the `n` tasks that have a score.

    `failed` counts the tasks that the system failed; they are left out, and not counted wrong. `tokens` were trained in
    all. `seeds` has the mean of every run, where the row is a mean over several.
    """

    key: str
    mean: float
    low: float
    high: float
    n: int
    blank: float | None = None
    failed: int | None = None
    tokens: int | None = None
    seconds: float | None = None
    seeds: tuple[float, ...] = ()

    def point(self, tokens: int) -> dict[str, float]:
        """What a curve has of it, at so many trained tokens a task."""
        return {"tokens": tokens, "mean": self.mean, "low": self.low, "high": self.high}

    def to_json(self) -> dict[str, Any]:
        """What is known of it, without its key."""
        known = {field.name: getattr(self, field.name) for field in fields(self) if field.name != "key"}
        return {name: list(v) if isinstance(v, tuple) else v for name, v in known.items() if v not in (None, ())}

    @classmethod
    def from_json(cls, key: str, value: Any) -> Row | None:
        """The row that `to_json` made this of; None for anything else, such as a gain or seconds."""
        if not isinstance(value, Mapping) or not value.keys() >= {"mean", "low", "high", "n"}:
            return None
        known = {field.name: value[field.name] for field in fields(cls) if field.name in value}
        return cls(**{**known, "key": key, "seeds": tuple(value.get("seeds", ()))})


@dataclass(frozen=True, slots=True)
class Table:
    """Conditions side by side, differences between two of them (`gains`: rl_gain, ...), and the seconds it all took.
    `by_kind` has the share of right answers by kind of question and condition, where questions have kinds; `curves` the
    scores of a condition by trained tokens a task.
    """

    rows: tuple[Row, ...] = ()
    gains: Mapping[str, Interval] = field(default_factory=dict)
    seconds: float | None = None
    by_kind: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    curves: Mapping[str, Sequence[Mapping[str, float]]] = field(default_factory=dict)

    def __iter__(self) -> Iterator[Row]:
        return iter(self.rows)

    def __getitem__(self, key: str) -> Row:
        return next(row for row in self.rows if row.key == key)

    def __contains__(self, key: object) -> bool:
        return any(row.key == key for row in self.rows)

    def to_json(self) -> dict[str, Any]:
        json: dict[str, Any] = {row.key: row.to_json() for row in self.rows}
        json |= {name: interval.fields for name, interval in self.gains.items()}
        json |= {name: v for name in ("by_kind", "curves") if (v := getattr(self, name))}
        return json if self.seconds is None else {**json, "seconds": self.seconds}

    @classmethod
    def from_json(cls, json: Mapping[str, Any]) -> Table:
        """The rows and gains in a summary; what is neither is left out."""
        rows = [row for key, value in json.items() if (row := Row.from_json(key, value))]
        gains = {
            key: Interval(**value, n=0)
            for key, value in json.items()
            if isinstance(value, Mapping) and value.keys() == {"mean", "low", "high"}
        }
        seconds = json.get("seconds")
        more = {name: json[name] for name in ("by_kind", "curves") if name in json}
        return cls(tuple(rows), gains, seconds if isinstance(seconds, float | int) else None, **more)


@dataclass(frozen=True)
class StreamCosts:
    """Seconds, trained tokens and stored bytes per edit; seconds and tokens also step by step.

    Seconds are those of writing, asking and learning a step of all streams, shared out among these: they were done side
    by side. Bytes are what must be kept to answer and to go on: adapters, and the texts that methods look back at.
    `memory` is the most that this process took, in bytes: it depends on how many streams there are and is not stored.
    """

    seconds: float
    tokens: float
    bytes: float
    memory: int
    by_step: Mapping[str, Sequence[float]]


@dataclass(frozen=True)
class StreamSummary:
    """What became of streams, means over them with 95 % intervals. Everything after the last step in which all of it
    was examined; what was not examined is None.

    `retention` is the accuracy on all tasks after so many edits, as a share of that right after each one's edit: a
    ratio of means over streams. `control` holds changes of accuracy, `bits` and `kl` are of neutral text. `routing` is
    the share of questions that went to the update that has learned their document, where the router has a choice.
    """

    streams: int = 0
    tasks: int = 0
    before: Interval | None = None
    just_edited: Interval | None = None
    after: Interval | None = None
    retention: Mapping[int, Interval] = field(default_factory=dict)
    control: Mapping[str, Interval] = field(default_factory=dict)
    bits: Interval | None = None
    kl: Interval | None = None
    curve: Mapping[str, Sequence[float | None]] = field(default_factory=dict)
    costs: StreamCosts | None = None
    methods: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    routing: Interval | None = None

    def to_json(self) -> dict[str, Any]:
        """Without what is not known. (The methods are called keepers there, as in version 0.1.)"""
        json: dict[str, Any] = {"streams": self.streams, "tasks": self.tasks} if self.streams else {}
        for name in ("before", "just_edited", "after", "bits", "kl", "routing"):
            if value := getattr(self, name):
                json[name] = value.fields
        if self.after:
            json["retention"] = {str(done): share.fields for done, share in self.retention.items()}
            json["control"] = {group: change.fields for group, change in self.control.items()}
            json["curve"] = dict(self.curve)
        if self.costs:
            json |= {field.name: getattr(self.costs, field.name) for field in fields(self.costs)}
        return {**json, "keepers": list(self.methods), "remarks": list(self.remarks)}


@dataclass(frozen=True, slots=True)
class Summary:
    """What a run found. `sections` are the worked example that people see first, each a title and a text; `tasks` are
    those it is about, for the report; `paths` are what it made beside the report; `cost` is what became of abilities
    that were not taught.
    """

    scores: Table = Table()
    stream: StreamSummary | None = None
    sections: Sequence[tuple[str, str]] = ()
    tables: Sequence[TextTable] = ()
    remarks: Sequence[str] = ()
    tasks: Sequence[Task] = ()
    paths: Mapping[str, Path] = field(default_factory=dict)
    cost: Sequence[Change] = ()

    def to_json(self) -> dict[str, Any]:
        """What stands in summary.json, and what `--json` prints."""
        cost = {"cost": changes_json(self.cost)} if self.cost else {}
        return {**self.scores.to_json(), **(self.stream.to_json() if self.stream else {}), **cost}


# As people read them


@dataclass(frozen=True, slots=True)
class TextTable:
    """A table of short texts. The first column is named by what its rows are; all others are aligned to the right.

    A column's name may have line breaks, for narrow screens.
    """

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    caption: str = ""
    is_text: bool = False
    """Whether its cells are sentences, to be aligned to the left with a line between rows."""


TOO_FEW = f"fewer than {MIN_CLUSTERS} tasks are too few for an interval"
TOO_FEW_ITEMS = f"fewer than {MIN_CLUSTERS} items are too few for an interval"


def score_table(table: Table, words: Words, title: str) -> TextTable:
    """The conditions with their intervals, what they cost, and how many answers were blank."""
    columns = ("condition", words.correct, "interval\n(95 %)", "blank", "n", "trained\ntokens", "time\n(s)")
    order = [key for key in words.conditions if key in table]
    order += [row.key for row in table if row.key not in words.conditions]
    rows = []
    for row in (table[key] for key in order):
        rows.append(
            (
                words.conditions.get(row.key, row.key),
                percent(row.mean),
                interval(row),
                "" if row.blank is None else percent(row.blank),
                str(row.n),
                f"{row.tokens or 0:,}",
                "" if row.seconds is None else f"{row.seconds:.0f}",
            )
        )
    few = any(row.n < MIN_CLUSTERS for row in table)
    return TextTable(title, columns, rows, caption=f"-: {TOO_FEW}." if few else "")


def stream_table(summary: StreamSummary) -> TextTable:
    """How much was kept, what else changed, and what an edit cost."""
    named: list[tuple[str, Interval | None]] = [
        ("before the first edit", summary.before),
        ("just edited", summary.just_edited),
        ("after the last edit", summary.after),
    ]
    named += [(_kept(summary, done), share) for done, share in summary.retention.items()]
    named += [(f"change of control: {group}", change) for group, change in summary.control.items()]
    named += [("neutral text, bits of the start", summary.bits), ("questions sent to their document", summary.routing)]
    rows = [(name, percent(value.mean), interval(value)) for name, value in named if value]
    if summary.kl:
        low, high = f"{summary.kl.low:.4f}", f"{summary.kl.high:.4f}"
        rows.append(
            (
                "KL on the start's continuations, bits",
                f"{summary.kl.mean:.4f}",
                "-" if low == high else f"{low} to {high}",
            )
        )
    if summary.costs:
        rows.append(("seconds per edit", f"{summary.costs.seconds:.2f}", ""))
        rows.append(("trained tokens per edit", f"{summary.costs.tokens:,.0f}", ""))
        rows.append(("bytes kept per edit", f"{summary.costs.bytes:,.0f}", ""))
    few = summary.streams < MIN_CLUSTERS
    caption = f"-: fewer than {MIN_CLUSTERS} streams are too few for an interval." if few else ""
    return TextTable(f"Method: {', '.join(summary.methods)}", ("", "mean", "interval\n(95 %)"), rows, caption)


def _kept(summary: StreamSummary, done: int) -> str:
    """A ratio's name, with both shares that it is made of."""
    seen = dict(zip(summary.curve.get("edits", ()), summary.curve.get("seen", ()), strict=False)).get(done)
    ratio, edits = summary.retention[done].mean, f"{done} edit{'' if done == 1 else 's'}"
    if not seen or not ratio:
        return f"kept after {edits}, of just edited"
    return f"kept after {edits}: {percent(seen)} of {percent(seen / ratio)} just edited"


def cost_table(changes: Sequence[Change]) -> TextTable:
    """What teaching cost the rest of the model, in the order of the checks."""
    columns = ("check", "before", "after", "differ-\nence", "interval\n(95 %)", "n")
    rows = [
        (
            change.name,
            *(_measured(value, change.unit) for value in (change.before, change.after)),
            *_difference(change),
            str(change.difference.n),
        )
        for change in changes
    ]
    few = any(change.difference.n < MIN_CLUSTERS for change in changes)
    caption = "Differences of shares are in points of a hundred. -: no item changed" + few * f", or {TOO_FEW_ITEMS}"
    return TextTable("What it cost the rest of the model", columns, rows, f"{caption}.")


def _measured(value: float, unit: str) -> str:
    return percent(value) if unit == "share" else f"{value:.2f}"


def _difference(change: Change) -> tuple[str, str]:
    """The difference, and its interval."""
    if change.unit == "share":
        mean, low, high = signed_points(change.difference)
    else:
        mean, low, high = (f"{round(value, 3) + 0.0:+.3f}" for value in change.difference.fields.values())
    return mean, "-" if change.difference.low == change.difference.high else f"{low} to {high}"


def answer_table(task: Task, before: Score | None, after: Score | None, title: str) -> TextTable:
    """Each question with its gold answer, and what was answered before and after, marked right or wrong."""
    rows = [
        (question.text, question.target, _marked(before, index), _marked(after, index))
        for index, question in enumerate(task.questions)
    ]
    return TextTable(title, ("question", "expected", "before", "after"), rows, is_text=True)


def _marked(score: Score | None, index: int) -> str:
    if score is None:
        return ""
    answer, grade = score.answers[index], score.grades[index]
    if isinstance(answer, Failure) or isinstance(grade, Failure):
        return "? not graded"
    return f"{'✓' if grade > 0.5 else '✗'} {answer or '(blank)'}"


def notes_text(edit: SelfEdit) -> str:
    """An edit as people read it: as it was written; where it was written in parts or checked, what was learned of it
    (but for the passage, which is the last document), and what was not, with the reasons.
    """
    if not (edit.parts or edit.dropped):
        return edit.text
    learned = [example.target for example in edit.examples[:-1]]
    dropped = [f"{line}  ({why})" for line, why in edit.dropped]
    return "\n\n".join([*learned, *(["Not learned:\n" + "\n".join(dropped)] if dropped else [])]) or edit.text


def percent(share: float) -> str:
    """0.713 -> 71.3 %"""
    return f"{100 * share:.1f} %"


def interval(value: Row | Interval) -> str:
    """In percent: 10.2 to 21.5; "-" where it is not known, for too few tasks or for values that are all equal."""
    return "-" if value.low == value.high else f"{100 * value.low:.1f} to {100 * value.high:.1f}"


def signed_points(value: Mapping[str, float] | Interval) -> tuple[str, str, str]:
    """Mean and ends of a difference of shares, in points of a hundred: ("+3.1", "-0.2", "+6.4")."""
    parts = value.fields if isinstance(value, Interval) else value
    mean, low, high = (round(100 * parts[key], 1) + 0.0 for key in ("mean", "low", "high"))  # + 0.0: no -0.0
    return f"{mean:+.1f}", f"{low:+.1f}", f"{high:+.1f}"


GAINS = {"rl_gain": "reinforcement", "gain_at_equal_tokens": "its own notes over the passage alone at equal tokens"}
"""What the gains in a table are of, by key."""


def gain_sentence(gain: Mapping[str, float] | Interval, task: str = "passage", key: str = "rl_gain") -> str:
    mean, low, high = signed_points(gain)
    what = f"Gain of {GAINS.get(key, key)}: {mean} points"
    if low == high:
        return f"{what}, paired by {task}; the interval is not known"
    return f"{what} (95 % interval {low} to {high}, paired by {task})"


def markdown(table: TextTable) -> str:
    head = [" ".join(name.split()) for name in table.columns]
    rule = ["---", *["--:"] * (len(head) - 1)]
    lines = [f"| {' | '.join(cells)} |" for cells in [head, rule, *table.rows]]
    return "\n".join([f"**{table.title}**", "", *lines])
