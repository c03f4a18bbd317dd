"""The plots of the report, as SVG to be put into the page.

Colours are names of the page's CSS variables, so that a plot follows the page into the dark; text stays text, in the
page's font. Equal values give equal bytes.
"""

from __future__ import annotations

import io
import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from markupsafe import escape

from selfedit.report.contents import Condition, Stage

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, MUTED, RULE, TRACK, NEUTRAL, ACCENT, BAD = (f"#10000{number}" for number in range(7))
"""Stand-ins that no one would choose: matplotlib wants numbers, the page replaces them by the variables below."""

_VARIABLES = {
    INK: "ink",
    MUTED: "muted",
    RULE: "rule",
    TRACK: "track",
    NEUTRAL: "neutral",
    ACCENT: "accent",
    BAD: "bad",
}

_UNWANTED = re.compile(r' xmlns(?::xlink)?="[^"]*"|(?<=<g) id="[^"]*"| font-family: [^;"]*;')
"""Addresses, which a page in HTML has no use for; ids that two plots would share; and the font measured with."""

_WIDTH = 360.0
"""Of every plot, in points: wide enough for a desk, narrow enough that its text can be read on a phone."""

_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "selfedit",
    "text.parse_math": False,
    "font.size": 10.5,
    "text.color": INK,
    "axes.edgecolor": RULE,
    "axes.labelcolor": MUTED,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "grid.color": RULE,
    "grid.linewidth": 0.8,
}


def draw_scores(conditions: Sequence[Condition]) -> str:
    """A bar per condition with its 95 % interval, name and value above it; the axis reaches as far as the intervals."""
    with _figure(height=34.0 * len(conditions) + 26) as figure:
        axes = figure.add_axes((0.005, 26 / figure.bbox.height, 0.99, 1 - 26 / figure.bbox.height))
        left = min(0.0, *(one.row.low for one in conditions))
        right = max(1.0, *(one.row.high for one in conditions))
        for place, one in enumerate(conditions):
            row, is_method = one.row, one.is_method
            axes.barh(place, 1.0, height=0.34, color=TRACK)
            axes.barh(place, row.mean, height=0.34, color=ACCENT if is_method else NEUTRAL)
            axes.plot([row.low, row.high], [place, place], color=INK, linewidth=1.4, solid_capstyle="butt")
            axes.text(left, place - 0.25, one.label, weight="bold" if is_method else "normal")
            axes.text(right, place - 0.25, _percent(row.mean), ha="right", weight="bold")
        axes.set(xlim=(left, right), ylim=(len(conditions) - 0.6, -0.75), yticks=[])
        _scale(axes)
        return _svg(figure, "Scores", ", ".join(f"{one.label}: {_percent(one.row.mean)}" for one in conditions))


def _scale(axes: Axes) -> None:
    """0 to 100 %."""
    shares = (0.0, 0.25, 0.5, 0.75, 1.0)
    axes.set_xticks(shares, [f"{share:.0%}" for share in shares])
    labels = axes.get_xticklabels()
    labels[0].set_horizontalalignment("left")
    labels[-1].set_horizontalalignment("right")
    axes.spines[["left", "bottom"]].set_visible(False)


def draw_rewards(rounds: Sequence[Stage], task: str = "passage") -> str:
    """Mean reward with its 95 % interval and best of each task, over the share of self-edits that failed, by round.

    `task` is what the run calls a task.
    """
    with _figure(height=300.0) as figure:
        rewards, failures = figure.subplots(
            2,
            1,
            sharex=True,
            gridspec_kw={"height_ratios": [3.6, 1], "hspace": 0.34, "left": 0.08, "right": 0.99, "top": 0.9},
        )
        _reward_lines(rewards, rounds, task)
        _failure_bars(failures, rounds)
        means = (f"{stage.label}: {stage.reward.mean:+.2f}" for stage in rounds if stage.reward)
        return _svg(figure, "Mean reward by round", ", ".join(means))


def _reward_lines(axes: Axes, rounds: Sequence[Stage], task: str) -> None:
    known = [
        (place, stage.reward, stage.best)
        for place, stage in enumerate(rounds)
        if stage.reward and stage.best is not None
    ]
    places = [place for place, _, _ in known]
    for place, reward, _ in known:
        axes.plot([place, place], [reward.low, reward.high], color=ACCENT, linewidth=1.4, solid_capstyle="butt")
    axes.plot(places, [reward.mean for _, reward, _ in known], "o-", color=ACCENT, linewidth=2, label="mean")
    axes.plot(places, [best for _, _, best in known], "o--", color=MUTED, markersize=4, label=f"best of each {task}")
    axes.set_title("Reward", loc="left", fontsize=10.5, weight="bold")
    axes.legend(frameon=False, loc="lower right", bbox_to_anchor=(1.01, 0.98), ncols=2, fontsize=9.5)
    axes.grid(axis="y")
    axes.spines[["left"]].set_visible(False)


def _failure_bars(axes: Axes, rounds: Sequence[Stage]) -> None:
    shares = [(stage.policy_failures + stage.system_failures) / max(1, stage.trials) for stage in rounds]
    top = max(0.1, *shares)
    axes.bar(range(len(rounds)), shares, width=0.24, color=BAD)
    axes.set_title("Self-edits that failed", loc="left", fontsize=10.5, weight="bold")
    axes.set(xlim=(-0.5, len(rounds) - 0.5), ylim=(0, top), xlabel="Round")
    axes.set_xticks(range(len(rounds)), [stage.name.removeprefix("round-").removesuffix("/lines") for stage in rounds])
    axes.set_yticks((0, top), ("0", _percent(top)))
    axes.grid(axis="y")
    axes.set_axisbelow(True)
    axes.spines[["left"]].set_visible(False)


def draw_matrix(matrix: Sequence[Sequence[float | None]]) -> str:
    """A heat map of the lower triangle: a row per edit, a column per task, row 0 the model before; darker is better.

    What was not examined stays empty.
    """
    size = len(matrix[0])
    with _figure(height=_WIDTH * 0.86) as figure:
        axes = figure.add_axes((0.1, 0.12, 0.88, 0.86))
        for row, cells in enumerate(matrix):
            for column, value in enumerate(cells):
                if value is not None and (row == 0 or column < row):
                    axes.add_patch(_cell(column, row, value))
                    if size <= 10:
                        axes.text(
                            column + 0.5, row + 0.54, f"{100 * value:.0f}", ha="center", va="center", fontsize=8.5
                        )
        axes.set(xlim=(0, size), ylim=(size + 1, 0), xlabel="Document", ylabel="Edits done")
        shown = range(0, size + 1, max(1, size // 8))
        axes.set_yticks([row + 0.5 for row in shown], [str(row) for row in shown])
        axes.set_xticks([column + 0.5 for column in shown if column < size], [str(c + 1) for c in shown if c < size])
        axes.spines[["left", "bottom"]].set_visible(False)
        last = ", ".join("not asked" if value is None else _percent(value) for value in matrix[-1])
        return _svg(figure, "Share correct of each document after each edit", f"After the last edit: {last}")


def _cell(column: int, row: int, value: float) -> Any:
    from matplotlib.patches import Rectangle

    return Rectangle((column, row), 1, 1, facecolor=ACCENT, alpha=0.06 + 0.74 * value, edgecolor=RULE, linewidth=0.4)


def draw_curve(edits: Sequence[int], seen: Sequence[float], just: Sequence[float | None], before: float) -> str:
    """Accuracy on all tasks so far, and on the newest right after its edit; the start model's for scale."""
    with _figure(height=230.0) as figure:
        axes = figure.add_axes((0.1, 0.18, 0.89, 0.7))
        known = [(place, value) for place, value in enumerate(just, start=1) if value is not None]
        axes.plot(*zip(*known, strict=True), "o-", color=MUTED, markersize=3, linewidth=1, label="the newest")
        axes.plot(edits, seen, "o-", color=ACCENT, linewidth=2, label="all so far")
        axes.axhline(before, color=NEUTRAL, linewidth=1.2, linestyle="--", label="before any edit")
        axes.set_xticks(range(1, len(just) + 1, max(1, len(just) // 8)))
        _share_axis(axes, "Edits done", columns=3)
        said = ", ".join(f"after {done}: {_percent(value)}" for done, value in zip(edits, seen, strict=True))
        return _svg(figure, "Share correct on all documents so far", f"Before: {_percent(before)}, {said}")


def draw_budgets(curves: Mapping[str, Sequence[Mapping[str, float]]], labels: Mapping[str, str]) -> str:
    """Accuracy with its 95 % interval against trained tokens a task, a line per condition; own notes are in colour."""
    with _figure(height=280.0) as figure:
        axes = figure.add_axes((0.1, 0.16, 0.89, 0.6))
        styles = {"after_rl": (ACCENT, "-", 2.2), "own_edits": (ACCENT, "--", 1.6)}
        for key, points in curves.items():
            colour, dash, width = styles.get(key, (MUTED, "-", 1.4))
            at, means = [point["tokens"] for point in points], [point["mean"] for point in points]
            axes.plot(at, means, "o" + dash, color=colour, linewidth=width, markersize=3.5, label=labels.get(key, key))
            for point in points:
                ends = [point["low"], point["high"]]
                axes.plot([point["tokens"]] * 2, ends, color=colour, linewidth=1, solid_capstyle="butt")
        _share_axis(axes, "Trained tokens a task", columns=2)
        last = ", ".join(f"{labels.get(key, key)}: {_percent(points[-1]['mean'])}" for key, points in curves.items())
        return _svg(figure, "Share correct by trained tokens", f"At the most tokens: {last}")


def _share_axis(axes: Axes, label: str, columns: int) -> None:
    """Shares upwards, from 0 to all, with the legend above the plot in so many columns."""
    axes.set(ylim=(0, 1), xlabel=label)
    axes.set_yticks((0, 0.5, 1), ("0", _percent(0.5), _percent(1)))
    axes.legend(frameon=False, loc="lower left", bbox_to_anchor=(-0.02, 0.98), ncols=columns, fontsize=9.5)
    axes.grid(axis="y")
    axes.spines[["left"]].set_visible(False)


def _percent(share: float) -> str:
    return f"{100 * share:.0f}\N{NARROW NO-BREAK SPACE}%"


@contextmanager
def _figure(height: float) -> Iterator[Figure]:
    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # that a cache cannot be kept is no news here
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context(_STYLE):
        yield Figure(figsize=(_WIDTH / 72, height / 72))


def _svg(figure: Figure, title: str, said: str) -> str:
    """The bare <svg> element, with the page's colours and the page's font. `said` is what it shows, in words: for those
    who have it read to them.
    """
    buffer = io.StringIO()
    figure.savefig(
        buffer, format="svg", transparent=True, metadata=dict.fromkeys(("Date", "Creator", "Format", "Type"))
    )
    text = buffer.getvalue()
    text = _UNWANTED.sub("", text[text.index("<svg") :])
    text = re.sub("|".join(_VARIABLES), lambda found: f"var(--{_VARIABLES[found[0]]})", text)
    spoken = f"<title>{escape(title)}</title><desc>{escape(said)}</desc>"
    head, _, rest = text.partition(">")
    return f'{head} role="img" aria-label="{escape(f"{title}. {said}")}">{spoken}{rest}'
