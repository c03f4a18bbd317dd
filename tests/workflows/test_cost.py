"""What teaching costs: measured once, remembered, told in the table, in JSON and on the page."""

import json

import pytest

from selfedit.changes import changes_json
from selfedit.config import Config, CostConfig
from selfedit.errors import InputError
from selfedit.report import write_report
from selfedit.results import cost_table
from selfedit.store import Run
from selfedit.types import BASE, Failure
from selfedit.workflows.adapt import adapt
from selfedit.workflows.configure import make_config
from selfedit.workflows.cost import measure_cost, read_checks
from selfedit.workflows.data import tasks_text
from selfedit.workflows.runs import start

CONFIG = Config.model_validate({"outer": {"edits_per_task": 1, "rounds": 0}, "inner": {"rank": 2}})
CHECKS = ["cost/answers", "cost/multiple_choice/everyday", "cost/neutral"]


class Crash(BaseException):
    """What a kill looks like from inside: nothing may catch it."""


def taught(folder, engine, tasks, config=CONFIG):
    with Run.create(folder, {"kind": "adapt"}) as run:
        run.keep_text("tasks.json", tasks_text({"documents": tasks}))
        return adapt(run, config, engine)


def test_a_lesson_tells_what_it_cost(engine, tasks, tmp_path):
    summary = taught(tmp_path / "run", engine, tasks)
    stored = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert stored == json.loads(json.dumps(summary.to_json())) and "gain" in stored
    assert list(stored["cost"]) == ["instructions", "chat_format", "multiple_choice/everyday", "neutral"]
    assert stored["cost"]["instructions"]["prompts_strict"]["n"] == 26
    assert {"before", "after", "difference", "ratio"} <= stored["cost"]["neutral"]["bits"].keys()
    shown = next(table for table in summary.tables if table.title == "What it cost the rest of the model")
    assert len(shown.rows) == 12 and shown == cost_table(summary.cost)
    with Run.open(tmp_path / "run") as run:
        assert [batch.stage for batch in run.batches()][-3:] == CHECKS
        page = write_report(run, summary).read_text("utf-8")
    assert "What it cost the rest of the model" in page and "answers without an end" in page


@pytest.mark.parametrize("measured", [0, 1, 2])
def test_a_lesson_that_was_killed_measures_only_what_is_left(new_engine, tasks, tmp_path, monkeypatch, measured):
    whole = taught(tmp_path / "whole", new_engine(), tasks)
    remember = Run.remember

    def killed(self, stage, step, compute, noun):
        if stage == CHECKS[measured]:
            raise Crash
        return remember(self, stage, step, compute, noun)

    monkeypatch.setattr(Run, "remember", killed)
    with pytest.raises(Crash):
        taught(tmp_path / "run", new_engine(), tasks)
    monkeypatch.setattr(Run, "remember", remember)
    engine = new_engine()
    resumed = taught(tmp_path / "run", engine, tasks)
    assert resumed.to_json() == whole.to_json()
    assert bool(engine.requests) == (measured == 0)


def test_nothing_is_measured_where_no_check_is_named(engine, tasks, tmp_path):
    summary = taught(tmp_path / "run", engine, tasks, CONFIG.model_copy(update={"cost": CostConfig(checks=())}))
    assert not summary.cost and "cost" not in summary.to_json()
    assert all("cost" not in table.title for table in summary.tables)


def test_an_embedded_model_is_not_measured_unless_it_is_asked_for():
    assert make_config("almanac").cost.checks == make_config("mosaic").cost.checks == ()
    assert make_config("almanac", ['cost.checks=["neutral"]']).cost.checks == ("neutral",)
    assert len(make_config("some-model").cost.checks) == 4


def test_before_and_after_are_asked_the_same_in_one_batch(engine):
    measure_cost(CostConfig(checks=("chat_format",), max_items=3, max_new_tokens=5), engine, BASE, BASE)
    assert len(engine.requests) == 6 and engine.requests[:3] == engine.requests[3:]
    assert {(request.max_new_tokens, request.temperature) for request in engine.requests} == {(5, 0.0)}


def test_files_of_the_user_stand_in_for_the_packages_own(engine, tmp_path):
    for name in ("one", "two"):
        (tmp_path / f"{name}.jsonl").write_text('{"context": "She sat", "choices": ["down", "up"], "answer": 0}\n' * 5)
    (tmp_path / "texts.txt").write_text("One text.\n\nAnother text.\n")
    files = (str(tmp_path / "one.jsonl"), str(tmp_path / "two.jsonl"))
    config = CostConfig(
        checks=("multiple_choice", "neutral"), multiple_choice=files, neutral=str(tmp_path / "texts.txt"), max_items=4
    )
    found = changes_json(measure_cost(config, engine, BASE, BASE).changes)
    assert list(found) == ["multiple_choice/one", "multiple_choice/two", "neutral"]
    assert [found[name]["accuracy"]["n"] for name in list(found)[:2]] == [4, 4] and found["neutral"]["bits"]["n"] == 2


def test_two_files_of_one_name_are_refused(tmp_path):
    files = tuple(str(tmp_path / folder / "items.jsonl") for folder in "ab")
    for folder in "ab":
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "items.jsonl").write_text('{"context": "He saw", "target": "Anna"}')
    with pytest.raises(InputError, match="both be called multiple_choice/items"):
        read_checks(CostConfig(multiple_choice=files))


def test_what_could_not_be_measured_is_told(engine, monkeypatch):
    class Full(type(engine)):
        def sample(self, requests):
            return [Failure("system", "no memory") for _ in requests]

    found = measure_cost(CostConfig(checks=("instructions", "neutral"), max_items=2), Full(()), BASE, BASE)
    assert found.remarks == ["instructions: 2 of 2 items left out: no memory"]
    assert [change.check for change in found.changes] == ["neutral"]


def test_files_are_looked_at_before_a_run_begins_and_named_by_their_full_paths(tasks, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = make_config("some-model", ["cost.instructions=prompts.jsonl"])
    assert config.cost.instructions == str(tmp_path / "prompts.jsonl")
    with pytest.raises(InputError, match=r"there is no file .*prompts\.jsonl"):
        start("adapt", tmp_path / "run", config, {"documents": tasks})
    assert not (tmp_path / "run").exists()
