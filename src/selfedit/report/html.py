"""Writes a run's report: one HTML file with its styles and plots inside, which fetches nothing and runs nothing."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib import resources
from itertools import count
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from selfedit.domains import DOMAINS, DomainType
from selfedit.errors import printable
from selfedit.plugins import lookup
from selfedit.report import plots
from selfedit.report.contents import Condition, Stage, conditions, stages
from selfedit.results import Summary, TextTable, Words, cost_table, stream_table
from selfedit.rewards import REWARDS
from selfedit.store import Run

_THIN, _MINUS = "\N{NARROW NO-BREAK SPACE}", "\N{MINUS SIGN}"


def write_report(run: Run, summary: Summary) -> Path:
    """Write `report.html` into the run's directory, over the one that is there, and return its path.

    What the summary lacks is left out. Its tasks add the questions and the expected answers, which trials do not hold.
    Equal arguments give equal bytes: no date, no path.

    Not covered: all trials are read into memory at once, and of a long stage only the first self-edits are printed.
    """
    domain = lookup(DOMAINS, _setting(run.config, "domain", "name") or "knowledge", "domain.name")
    words, tasks = domain.words, {task.id: task for task in summary.tasks}
    parts, rows = stages(run.batches(), tasks, words), conditions(summary.scores, words)
    rounds = [stage for stage in parts if stage.is_round and not stage.is_written_only]
    page = _template(domain).render(
        words=words,
        title=_title(run.config, parts, summary, words),
        example=_example(summary, parts, domain),
        headline=_headline(rows, parts, summary, words),
        facts=_facts(run.config, summary, parts),
        conditions=rows,
        scores=Markup(plots.draw_scores(rows)) if rows else "",
        curves=Markup(plots.draw_budgets(summary.scores.curves, words.conditions)) if summary.scores.curves else "",
        by_kind=summary.scores.by_kind,
        gain=summary.scores.gains.get("rl_gain"),
        rounds=rounds,
        rewards=Markup(plots.draw_rewards(rounds, words.task)) if any(stage.reward for stage in rounds) else "",
        reward=_reward(run.config),
        stages=parts,
        stream=_stream(run, summary),
        cost=cost_table(summary.cost) if summary.cost else None,
        config=json.dumps(run.config, indent=2, sort_keys=True),
    )
    run.write_text("report.html", page)
    return run.path / "report.html"


def _stream(run: Run, summary: Summary) -> dict[str, Any]:
    """What a stream of edits adds: its plots and its table; empty for other runs."""
    matrix, stream = run.read_text("matrix.json"), summary.stream
    if not stream or not stream.curve or not matrix or not stream.costs:
        return {}
    before = stream.before.mean if stream.before else 0.0
    curve: Any = stream.curve
    return {
        "matrix": Markup(plots.draw_matrix(json.loads(matrix)["mean_over_sequences"])),
        "curve": Markup(plots.draw_curve(curve["edits"], curve["seen"], curve["just_edited"], before)),
        "table": stream_table(stream),
        "steps": _steps(stream.costs.by_step),
        "streams": stream.streams,
        "remarks": stream.remarks,
        "costs": stream.costs,
    }


def _steps(by_step: Mapping[str, Sequence[float]]) -> list[tuple[int, float, float]]:
    """Edit, seconds and tokens: all of a short stream; of a longer one the edits 1, 2, 4, 8, … and the last."""
    rows = list(zip(count(1), by_step["seconds"], by_step["tokens"], strict=False))
    return rows if len(rows) <= 10 else [row for row in rows if row[0] & (row[0] - 1) == 0 or row is rows[-1]]


def _template(domain: DomainType) -> Any:
    """`drawn` in it makes of a text what its domain shows for it."""
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, finalize=_shown
    )
    shown: dict[str, Any] = {form.__name__: form for form in (percent, signed, points, number, duration, counted)}
    environment.filters |= shown | {"drawn": domain.show}
    environment.globals |= shown
    return environment.from_string(resources.files(__package__).joinpath("report.html.jinja").read_text("utf-8"))


def _shown(value: object) -> object:
    """What is shown on the page: texts of people and models without characters that would steer a terminal."""
    is_plain = isinstance(value, str) and not hasattr(value, "__html__")
    return printable(str(value), keep="\n\t\r") if is_plain else value


def _headline(rows: Sequence[Condition], parts: Sequence[Stage], summary: Summary, words: Words) -> Markup:
    """The one sentence to take away: how much is answered after learning and before, or what is kept of a stream."""
    found = {one.row.key: Markup("<b>{}</b>").format(percent(one.row.mean, 0)) for one in rows}
    learned, before = found.get("own_edits") or found.get("after"), found.get("base") or found.get("before")
    stream = summary.stream
    if stream and stream.just_edited and stream.after:
        sentence = (
            "Right after its edit <b>{}</b> of a document's questions are answered; after {} edits <b>{}</b> of all."
        )
        just, after = percent(stream.just_edited.mean, 0), percent(stream.after.mean, 0)
        return Markup(sentence).format(just, stream.tasks, after)
    if {"in_context", "before_rl", "after_rl"} <= found.keys():
        sentence = (
            "Trained by its own plans the model solves {before_rl} of tasks, and {after_rl} once reinforcement has "
            "changed how it plans; {in_context} without training."
        )
        return Markup(sentence).format(**found)
    if not learned:
        return _plain_headline(rows, parts, words)
    sentence = Markup(words.claim).format(task=words.task, edit=words.edit, share=learned)
    if "after_rl" in found:
        them = "them" if words.edit.endswith("s") else "it"
        sentence += Markup(", and {} once reinforcement has changed how it writes {}").format(found["after_rl"], them)
    return sentence + (Markup("; {} before.").format(before) if before else Markup("."))


def _plain_headline(rows: Sequence[Condition], parts: Sequence[Stage], words: Words) -> Markup:
    if rows:
        return Markup("{}: <b>{}</b> {}.").format(rows[0].label, percent(rows[0].row.mean, 0), words.share)
    trials = sum(stage.trials for stage in parts)
    if any(stage.name == "notes" for stage in parts):
        written = f"{number(trials)} {words.edits.replace('sets', 'set') if trials == 1 else words.edits}"
        return Markup("<b>{}</b> written and learned; there were no questions to examine it on.").format(written)
    if trials:
        return Markup("<b>{}</b> tried; no score table was written.").format(counted(trials, "self-edit"))
    return Markup("Nothing has been tried in this run yet.")


def _title(config: Mapping[str, Any], parts: Sequence[Stage], summary: Summary, words: Words) -> str:
    """What the page reports: what was done, with which model."""
    names, model = {stage.name for stage in parts}, Path(_setting(config, "model", "name")).name or "the model"
    if "learn" in names:
        learned = next(stage for stage in parts if stage.name == "learn")
        count = (summary.stream and summary.stream.tasks) or learned.tasks
        return f"{model} learns {counted(count, 'document')}, one after another"
    if "notes" in names:
        learned = next(stage for stage in parts if stage.name == "notes")
        first, more = learned.passages[0].title if learned.passages else "", learned.tasks - 1
        return f"{model} learns {first}" + (f" and {counted(more, f'more {words.task}')}" if more else "")
    if any(stage.is_round for stage in parts):
        return f"{model} learns to write better {words.edit if words.edit.endswith('s') else words.edits}"
    return f"{model}: {words.title.lower()}"


EXAMPLE_CHARACTERS = 1200
"""Of a text in the worked example, so that the answers stand on the first screen or just below it."""


def _example(summary: Summary, parts: Sequence[Stage], domain: DomainType) -> dict[str, Any]:
    """The worked example: texts with their titles, and a table of answers. Of an adaptation and a stream the first
    document is shown as well; a stream's answers are those at its start and at its end.
    """
    texts, tables = list(summary.sections), [table for table in summary.tables if table.is_text]
    written = next((stage for stage in parts if stage.name in ("notes", "learn") and stage.passages), None)
    if written:
        document = written.passages[0]
        notes = next((edit.text for edit in document.edits if edit.text), "")
        tables = [replace(table, title="Answers") if table.title == document.title else table for table in tables]
        texts = [(document.title, document.text), ("What it wrote about it, and learned", notes)]
        tables += [table for table in [_first_and_last(document.title, parts)] if table.rows]
    return {
        "texts": [(title, _cut(text, domain)) for title, text in texts if text.strip()],
        "table": tables[0] if tables else None,
    }


def _first_and_last(title: str, parts: Sequence[Stage]) -> TextTable:
    """A document's answers before a stream's first edit, and after its last; no rows for other runs."""
    edits = {stage.name: p.edits for stage in parts for p in stage.passages if p.title == title}
    first, last = (edits[name][place].rows if name in edits else [] for name, place in (("before", 0), ("seen", -1)))
    marks = {"right": "✓ ", "wrong": "✗ "}
    rows = [
        (
            one.question,
            one.target,
            *(marks.get(of.mark, "? ") + (of.text or "(blank)") for of in (one.after, end.after)),
        )
        for one, end in zip(first, last, strict=False)
        if one.after and end.after
    ]
    return TextTable(
        "Answers before the first edit, and after the last",
        ("question", "expected", "before", "after"),
        rows,
        is_text=True,
    )


def _cut(text: str, domain: DomainType) -> str:
    """A long text, cut; what its domain draws is left whole."""
    if len(text) <= EXAMPLE_CHARACTERS or domain.show(text) != text:
        return text
    return f"{text[:EXAMPLE_CHARACTERS].rstrip()} …"


def _facts(config: Mapping[str, Any], summary: Summary, parts: Sequence[Stage]) -> list[tuple[str, str]]:
    """What the run is, as pairs of a name and a value; what is not known is left out."""
    facts = [
        ("Model", _setting(config, "model", "name")),
        ("Kind", _kind(parts)),
        ("Practised on", _setting(config, "data", "train") if any(stage.is_round for stage in parts) else ""),
        ("Examined on", _setting(config, "data", "eval") if any(stage.is_exam for stage in parts) else ""),
        ("Seed", _setting(config, "seed")),
        ("Time", duration(summary.scores.seconds) if summary.scores.seconds is not None else ""),
    ]
    return [(name, value) for name, value in facts if value]


def _setting(config: Mapping[str, Any], *keys: str) -> str:
    """One value of the config as text, empty where there is none: reports also show configs of older versions."""
    value: Any = config
    for key in keys:
        value = value.get(key, "") if isinstance(value, Mapping) else ""
    return str(value)


def _reward(config: Mapping[str, Any]) -> str:
    """The name of the reward and, where it is one of ours, the first line of its description."""
    name = _setting(config, "outer", "reward")
    description = (REWARDS[name].__doc__ or "") if name in REWARDS else ""
    first = description.partition("\n")[0].rstrip(".")
    return f"{name}: {first[0].lower()}{first[1:]}" if first else name


def _kind(parts: Sequence[Stage]) -> str:
    """What was run, as its stages tell it."""
    rounds = sum(stage.is_round for stage in parts)
    exams = sum(stage.is_exam for stage in parts)
    told = [
        f"reinforcement ({counted(rounds, 'round')})" if rounds else "",
        f"exam ({counted(exams, 'condition')})" if exams else "",
        "adaptation" if any(stage.name == "notes" for stage in parts) else "",
        "stream of edits" if any(stage.name == "learn" for stage in parts) else "",
    ]
    return ", ".join(part for part in told if part).capitalize()


def percent(share: float, digits: int = 1) -> str:
    """0.713 -> 71.3 %."""
    return f"{100 * share:.{digits}f}{_THIN}%".replace("-", _MINUS)


def signed(value: float) -> str:
    """A reward with its sign: 0.25 -> +0.25."""
    return f"{value:+.2f}".replace("-", _MINUS)


def points(share: float) -> str:
    """A difference of shares, in points of a hundred: 0.031 -> +3.1."""
    return f"{100 * share:+.1f}".replace("-", _MINUS)


def number(value: int) -> str:
    """12345 -> 12 345."""
    return f"{value:,}".replace(",", _THIN)


def duration(seconds: float) -> str:
    """3.21 -> 3.2 s; 75 -> 1 min 15 s; 3700 -> 1 h 1 min."""
    if seconds < 60:
        return f"{seconds:.1f}{_THIN}s"
    minutes, rest = divmod(round(seconds), 60)
    hours, rest_minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}{_THIN}h {rest_minutes}{_THIN}min"
    return f"{minutes}{_THIN}min {rest}{_THIN}s"


def counted(count: int, noun: str) -> str:
    """1 passage, 2 passages."""
    return f"{number(count)} {noun}" + ("" if count == 1 else "s")
