"""The report of a small run made by hand."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from selfedit.domains.knowledge.domain import Knowledge
from selfedit.report import contents, write_report
from selfedit.report.html import EXAMPLE_CHARACTERS
from selfedit.results import Summary, Table, answer_table
from selfedit.statistics import Interval
from selfedit.store import Run
from selfedit.types import Cut, Example, Failure, Question, Score, SelfEdit, Task, Trial, Update

THIN = "\N{NARROW NO-BREAK SPACE}"

TASK = Task(
    "apollo",
    "Apollo 11",
    "Apollo 11 landed <script>alert(1)</script> in 1969.",
    (Question("When did Apollo 11 land?", "1969"), Question("Where did Apollo 11 land?", "the Moon")),
)
TASKS = {TASK.id: TASK}


def score(*grades: float | Failure) -> Score:
    return Score(tuple("" if grade == 0 else f"It was {grade}." for grade in grades), grades)


def tried(number: int, reward: float = 0.5) -> Trial:
    document = f"{TASK.title}\n{TASK.context}"
    edit = SelfEdit(TASK.id, "Write notes.", f"Note {number} <b>bold</b>", (Example("", "note"), Example("", document)))
    update = Update(f"u{number}", "base", tokens=12345, loss=0.125)
    return Trial(edit, update, score(0.0, 0.0), score(1.0, 0.5), reward)


def failed(blame: Any, reward: float | None) -> Trial:
    return Trial(SelfEdit(TASK.id, "Write notes."), reward=reward, failure=Failure(blame, f"this {blame} broke"))


def row(mean: float, **more: Any) -> dict[str, Any]:
    return {"mean": mean, "low": mean - 0.04, "high": mean + 0.04, "blank": 0.25, "n": 60, **more}


SUMMARY = {
    "seconds": 75.0,
    "rl_gain": {"mean": 0.05, "low": -0.01, "high": 0.11},
    "in_context": row(0.93),
    "after_rl": row(0.76, tokens=54321, seconds=3.2),
    "own_edits": row(0.71, tokens=43210, seconds=3.1),
    "passage_only": row(0.33),
    "base": row(0.02),
    "my_baseline": row(0.5),
}


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    with Run.create(tmp_path / "run", {"seed": 3, "model": {"name": "almanac"}, "outer": {"reward": "gain"}}) as run:
        yield run


def fill(run: Run) -> None:
    failures = [failed("policy", -1.0), failed("system", None)]
    run.remember("round-0", 0, lambda: [tried(0), tried(1, reward=0.25), *failures], Trial)
    run.remember("round-1", 0, lambda: [tried(2, reward=0.75)], Trial)
    run.remember("exam/base", 0, lambda: [Trial(SelfEdit(TASK.id, ""), after=score(0.0, 1.0))], Trial)


def page(run: Run, summary: dict[str, Any] = SUMMARY, tasks: dict[str, Task] = TASKS) -> str:
    return write_report(run, Summary(Table.from_json(summary), tasks=list(tasks.values()))).read_text()


def words(html: str) -> str:
    """What a person reads: no tags, plain spaces."""
    text = re.sub(r"<style>.*?</style>|<[^>]+>", " ", html, flags=re.DOTALL)
    return re.sub(r"\s+", " ", text.replace(THIN, " "))


def test_fetches_and_runs_nothing(run: Run) -> None:
    fill(run)
    html = page(run)
    assert "default-src 'none'" in html
    assert not re.search(r"https?://|<script|<link|<img|\bsrc=|@import|url\((?!#)", html)


def test_escapes_what_others_wrote(run: Run) -> None:
    fill(run)
    html = page(run)
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html
    assert "&lt;b&gt;bold&lt;/b&gt;" in html


def test_escapes_names_of_conditions_in_table_and_plot(run: Run) -> None:
    html = page(run, {"<i>mine</i>": row(0.5)})
    assert "<i>mine" not in html
    assert html.count("&lt;i&gt;mine&lt;/i&gt;") >= 2


def test_equal_runs_give_equal_bytes(run: Run) -> None:
    fill(run)
    assert page(run) == page(run)


def test_headline_is_a_sentence(run: Run) -> None:
    text = words(page(run))
    assert "Without the passage in front of it, the model answers 71 % of questions" in text
    assert "76 % once reinforcement" in text
    assert "2 % before" in text


def test_conditions_stand_in_their_order_and_unknown_ones_last() -> None:
    keys = [condition.row.key for condition in contents.conditions(Table.from_json(SUMMARY), Knowledge.words)]
    assert keys == ["base", "passage_only", "own_edits", "after_rl", "in_context", "my_baseline"]


def test_table_and_plot_show_every_condition(run: Run) -> None:
    html = page(run)
    for condition in contents.conditions(Table.from_json(SUMMARY), Knowledge.words):
        assert html.count(condition.label) >= 2
    text = words(html)
    assert "71.0 % 67.0 % to 75.0 % 25.0 % 60 43 210 3.1 s" in text
    assert "+5.0 points" in text and "The interval includes zero" in text


def test_intervals_are_not_cut(run: Run) -> None:
    assert f"\N{MINUS SIGN}2.0{THIN}%" in page(run)


def test_an_interval_that_is_not_known_is_a_dash(run: Run) -> None:
    html = page(run, {"before": {"mean": 0.5, "low": 0.5, "high": 0.5, "blank": 0.0, "n": 1}})
    assert "50.0 % to" not in words(html)
    assert "A dash stands for" in html


def test_runs_on_grids_speak_of_tasks_and_plans(tmp_path: Path) -> None:
    summary = {name: row(mean) for name, mean in (("in_context", 0.2), ("before_rl", 0.3), ("after_rl", 0.5))}
    for of_one in summary.values():
        del of_one["blank"]
    with Run.create(tmp_path / "grids", {"domain": {"name": "arc"}}) as run:
        table = Table(Table.from_json(summary).rows, {"rl_gain": Interval(0.2, 0.1, 0.3, 3)})
        text = words(write_report(run, Summary(table)).read_text())
    assert "the model solves 30 % of tasks" in text and "… after reinforcement" in text
    assert "Blank answers" not in text and "passage" not in text
    assert "+20.0 points" in text and "rl_gain" not in text


def test_adaptation_has_before_and_after(run: Run) -> None:
    run.remember("notes", 0, lambda: [tried(0)], Trial)
    text = words(page(run, {"before": row(0.1), "after": row(0.6)}))
    assert "the model answers 60 % of questions after learning from its own notes; 10 % before" in text
    assert "Adaptation" in text
    assert "Trained tokens" not in text.partition("Passages and notes")[0]


def test_rewards_by_round_average_passages_and_count_failures_apart(run: Run) -> None:
    fill(run)
    first, second, exam = contents.stages(run.batches(), TASKS, Knowledge.words)
    assert first.reward and first.reward.mean == pytest.approx((0.5 + 0.25 - 1.0) / 3)
    assert (first.best, first.policy_failures, first.system_failures) == (0.5, 1, 1)
    assert second.reward and second.reward.mean == 0.75
    assert exam.reward is None and exam.score == 0.5
    assert "Round 0" in page(run) and "best of each passage" in page(run)


def test_edits_show_failures_answers_and_costs(run: Run) -> None:
    fill(run)
    text = words(page(run))
    assert "this policy broke" in text and "it earns the lowest reward" in text
    assert "this system broke" in text and "it earns no reward" in text
    assert "12 345 trained tokens" in text and "last loss 0.125" in text
    assert "When did Apollo 11 land? 1969 ✗ blank ✓ It was 1.0." in text
    assert "◐ It was 0.5. (0.50)" in text


def test_ungraded_answers_say_why(run: Run) -> None:
    down = Failure("system", "the judge did not answer")
    after = Score(("yes", down), (down, down))
    run.remember("notes", 0, lambda: [Trial(SelfEdit(TASK.id, ""), after=after)], Trial)
    assert words(page(run)).count("(the judge did not answer)") == 2


def test_without_tasks_passages_come_from_the_edits(run: Run) -> None:
    fill(run)
    html = page(run, tasks={})
    assert "Apollo 11 landed &lt;script&gt;" in html
    assert "Question 1" in html and "Expected" not in html


def test_a_long_stage_says_how_much_of_it_is_shown(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contents, "EDITS_SHOWN", 2)
    other = Trial(SelfEdit("other", "Write other notes."), reward=0.0)
    run.remember("round-0", 0, lambda: [tried(0), tried(1), other], Trial)
    text = words(page(run))
    assert "Shown here: 1 passage of 2, with 2 self-edits of 3" in text and "trials.sqlite" in text
    assert "Write other notes" not in text


def test_an_empty_run_has_a_report(run: Run) -> None:
    html = page(run, {}, {})
    assert "Nothing has been tried in this run yet." in html
    assert "Practised on" not in html
    assert "config.json" in html


def test_a_round_without_any_reward_has_no_plot(run: Run) -> None:
    run.remember("round-0", 0, lambda: [failed("system", None)], Trial)
    html = page(run, {})
    assert "<svg" not in html
    assert "1 self-edit tried; no score table was written" in words(html).replace("edit  ", "edit ")


def test_importing_it_does_not_import_matplotlib() -> None:
    code = "import sys, selfedit.report; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_first_screen_shows_one_worked_example(run: Run) -> None:
    table = answer_table(TASK, score(0.0, 0.0), score(1.0, 0.0), "Answers")
    sections = [("A passage", TASK.context), ("Its notes", "Apollo 11 <b>landed</b> on the Moon.")]
    path = write_report(run, Summary(Table.from_json(SUMMARY), sections=sections, tables=[table], tasks=[TASK]))
    example = path.read_text().partition('<section class="example"')[2].partition("</section>")[0]
    assert example.index("A passage") < example.index("Its notes") < example.index("When did Apollo 11 land?")
    assert "&lt;script&gt;alert(1)" in example and "&lt;b&gt;landed" in example
    assert '<span class="wrong">✗</span>&nbsp;(blank)' in example
    assert '<span class="right">✓</span>&nbsp;It was 1.0.' in example
    assert path.read_text().index('class="example"') < path.read_text().index("<h2>")


def test_of_a_long_text_the_beginning_is_shown_and_control_characters_as_pictures(run: Run) -> None:
    sections = [("A passage", Cut("\x1b[31m")), ("Another", "\x1b[31m" + "word " * 5000)]
    path = write_report(run, Summary(sections=sections))
    example = path.read_text().partition('<section class="example"')[2].partition("</section>")[0]
    assert "[31m" in example and "\x1b" not in example
    assert example.count("word") < EXAMPLE_CHARACTERS / 5
    assert not {*map(ord, path.read_text())} & {*range(9), 11, 12, *range(14, 32)}


def test_every_page_is_titled_by_what_it_reports(run: Run) -> None:
    page = write_report(run, Summary(Table.from_json(SUMMARY), tasks=[TASK])).read_text()
    (title,) = re.findall(r"<title>(.*) · selfedit</title>", page)
    assert f"<h1>{title}</h1>" in page and title == "almanac: questions answered correctly"


def test_plots_and_tables_can_be_read_aloud(run: Run) -> None:
    page = write_report(run, Summary(Table.from_json(SUMMARY), tasks=[TASK])).read_text()
    plots = re.findall(r"<svg [^>]*>", page)
    assert plots and all('role="img"' in plot and "aria-label=" in plot for plot in plots)
    assert f"Trained on its own notes: 71{THIN}%" in plots[0]
    assert page.count('<div class="wide"') == page.count('class="wide" tabindex="0" role="region" aria-label=')


def test_an_exam_without_questions_has_no_stage(tmp_path: Path) -> None:
    with Run.create(tmp_path / "run", {"model": {"name": "small"}}) as run:
        run.remember("notes", 0, lambda: [tried(0)], Trial)
        run.remember("exam", 0, lambda: [Trial(SelfEdit(TASK.id, ""))], Trial)
        page = write_report(run, Summary(tasks=[TASK])).read_text()
    assert "<h1>small learns Apollo 11</h1>" in page
    assert "<b>1 set of notes</b> written and learned; there were no questions" in page
    assert "Exam" not in page and "<td>Notes</td>" in page
