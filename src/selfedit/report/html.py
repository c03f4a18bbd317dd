"""Writes a run's report: one HTML file with its styles and plots inside, which fetches nothing and runs nothing."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from importlib import resources
from itertools import count
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from selfedit.domains.arc import pictures as grids
from selfedit.report import plots
from selfedit.report.contents import GRID_LABELS, LABELS, Condition, Stage, conditions, stages
from selfedit.rewards.measured import REWARDS
from selfedit.store import Run, read_json
from selfedit.types import Task

_THIN, _MINUS = "\N{NARROW NO-BREAK SPACE}", "\N{MINUS SIGN}"


WORDS = {
    "title": "Questions answered correctly",
    "bars": "Each bar is the share of questions answered correctly, averaged over passages.",
    "asked": "All conditions are asked the same questions, without the passage.",
    "correct": "Correct",
    "task": "passage",
    "edits": "sets of notes",
    "tasks_and_edits": "Passages and notes",
}
GRID_WORDS = {
    "title": "Tasks solved in two attempts",
    "bars": "Each bar is the share of trials that solved their task, averaged over tasks.",
    "asked": "All conditions see the demonstrations in the prompt; what differs is what was trained on them before.",
    "correct": "Solved",
    "task": "task",
    "edits": "plans",
    "tasks_and_edits": "Tasks and plans",
}
"""What the report calls things, in runs on documents and in runs on grids."""


def write_report(run: Run, summary: Mapping[str, Any], tasks: Mapping[str, Task] = {}) -> Path:
    """Write `report.html` into the run's directory, over the one that is there, and return its path.

    `summary` is the run's score table (see `contents.Condition`); what it lacks is left out. `tasks`, by id, add the
    questions and the expected answers, which trials do not hold. Equal arguments give equal bytes: no date, no path.

    Not covered: all trials are read into memory at once, and of a long stage only the first self-edits are printed.
    """
    domain = _setting(run.config, "domain")
    labels, words = (GRID_LABELS, GRID_WORDS) if domain == "arc" else (LABELS, WORDS)
    parts, rows = stages(run.waves(), tasks, labels), conditions(summary, labels)
    rounds = [stage for stage in parts if stage.is_round]
    page = _template(domain).render(
        words=words,
        headline=_headline(rows, parts, summary),
        facts=_facts(run.config, summary, parts),
        conditions=rows,
        scores=Markup(plots.draw_scores(rows)) if rows else "",
        gain=summary.get("rl_gain"),
        rounds=rounds,
        rewards=Markup(plots.draw_rewards(rounds, words["task"])) if any(stage.reward for stage in rounds) else "",
        reward=_reward(run.config),
        stages=parts,
        stream=_stream(run, summary),
        config=json.dumps(run.config, indent=2, sort_keys=True),
    )
    run.write_text("report.html", page)
    return run.path / "report.html"


def _stream(run: Run, summary: Mapping[str, Any]) -> dict[str, Any]:
    """What a stream of edits adds: its plots and its table; empty for other runs."""
    path = run.path / "matrix.json"
    if "curve" not in summary or not path.exists():
        return {}
    curve = summary["curve"]
    rows = [("Before the first edit", summary["before"]), ("Just edited", summary["just_edited"])]
    rows += [("After the last edit", summary["after"])]
    rows += [
        (f"Kept after {counted(int(edits), 'edit')}, of just edited", share)
        for edits, share in summary["retention"].items()
    ]
    rows += [(f"Change on control tasks: {group}", change) for group, change in summary["control"].items()]
    rows += [("Neutral text, bits per token against the start", summary["bits"])] if "bits" in summary else []
    rows += [("Questions sent to their document", summary["routing"])] if "routing" in summary else []
    return {
        "matrix": Markup(plots.draw_matrix(read_json(path)["mean_over_sequences"])),
        "curve": Markup(
            plots.draw_curve(curve["edits"], curve["seen"], curve["just_edited"], summary["before"]["mean"])
        ),
        "rows": rows,
        "kl": summary.get("kl"),
        "steps": _steps(summary["by_step"]),
        **{key: summary[key] for key in ("streams", "keepers", "remarks", "bytes", "seconds", "memory")},
    }


def _steps(by_step: Mapping[str, Sequence[float]]) -> list[tuple[int, float, float]]:
    """Edit, seconds and tokens: all of a short stream; of a longer one the edits 1, 2, 4, 8, … and the last."""
    rows = list(zip(count(1), by_step["seconds"], by_step["tokens"], strict=False))
    return rows if len(rows) <= 10 else [row for row in rows if row[0] & (row[0] - 1) == 0 or row is rows[-1]]


def _template(domain: str) -> Any:
    """`drawn` in it makes pictures of grids and plans; other domains' texts stay as they are."""
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    shown: dict[str, Any] = {form.__name__: form for form in (percent, signed, points, number, duration, counted)}
    environment.filters |= shown | {"drawn": grids.picture if domain == "arc" else str}
    environment.globals |= shown
    return environment.from_string(resources.files(__package__).joinpath("report.html.jinja").read_text("utf-8"))


def _stream_headline(summary: Mapping[str, Any]) -> Markup:
    """How much of what was learned is still there in the end."""
    sentence = "Right after its edit <b>{}</b> of a document's questions are answered; after {} edits <b>{}</b> of all."
    just, after = percent(summary["just_edited"]["mean"], 0), percent(summary["after"]["mean"], 0)
    return Markup(sentence).format(just, summary["tasks"], after)


def _headline(rows: Sequence[Condition], parts: Sequence[Stage], summary: Mapping[str, Any]) -> Markup:
    """The one sentence to take away: how much is answered closed book, after and before."""
    found = {row.key: Markup("<b>{}</b>").format(percent(row.mean, 0)) for row in rows}
    learned = found.get("own_edits") or found.get("after")
    before = found.get("base") or found.get("before")
    if not learned and "curve" in summary:
        return _stream_headline(summary)
    if {"in_context", "before_rl", "after_rl"} <= found.keys():
        sentence = (
            "Trained by its own plans the model solves {before_rl} of tasks, and {after_rl} once reinforcement has "
        )
        return Markup(sentence + "changed how it plans; {in_context} without training.").format(**found)
    if not learned:
        return _plain_headline(rows, parts)
    claims = [Markup("{} of questions after learning from its own notes").format(learned)]
    if "after_rl" in found:
        claims.append(Markup("{} once reinforcement has changed how it writes them").format(found["after_rl"]))
    sentence = Markup("Without the passage in front of it, the model answers ") + Markup(", and ").join(claims)
    return sentence + (Markup("; {} before.").format(before) if before else Markup("."))


def _plain_headline(rows: Sequence[Condition], parts: Sequence[Stage]) -> Markup:
    if rows:
        return Markup("{}: <b>{}</b> of questions answered.").format(rows[0].label, percent(rows[0].mean, 0))
    trials = sum(stage.trials for stage in parts)
    if trials:
        return Markup("<b>{}</b> tried; no score table was written.").format(counted(trials, "self-edit"))
    return Markup("Nothing has been tried in this run yet.")


def _facts(config: Mapping[str, Any], summary: Mapping[str, Any], parts: Sequence[Stage]) -> list[tuple[str, str]]:
    """What the run is, as pairs of a name and a value; what is not known is left out."""
    facts = [
        ("Model", _setting(config, "model", "name")),
        ("Kind", _kind(parts)),
        ("Practised on", _setting(config, "data", "train") if any(stage.is_round for stage in parts) else ""),
        ("Examined on", _setting(config, "data", "eval") if any(stage.is_exam for stage in parts) else ""),
        ("Seed", _setting(config, "seed")),
        ("Time", duration(summary["seconds"]) if "seconds" in summary else ""),
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
        "adaptation" if any(stage.name == "adapt" for stage in parts) else "",
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
