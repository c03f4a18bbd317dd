import json
import math
from dataclasses import replace

import pytest

from selfedit.bench import run as run_module
from selfedit.bench.baselines import BASELINES
from selfedit.bench.edits import BenchEdit
from selfedit.bench.plan import ShapePlan
from selfedit.bench.run import measure
from selfedit.bench.setting import engine_arm, make_engine
from selfedit.bench.table import remarks, tables
from selfedit.types import Example, Recipe


@pytest.fixture
def result(setting, edits, monkeypatch):
    monkeypatch.setattr(run_module, "matmul_rate", lambda device, dtype: 1e9)
    return measure(setting, ShapePlan((1, 2), baseline_edits=2, seal_edits=2), edits, taught=True)


def numbers(value):
    if isinstance(value, dict):
        return [number for part in value.values() for number in numbers(part)]
    return [value] if isinstance(value, int | float) else []


def test_every_arm_runs_and_every_number_is_finite(result):
    assert list(result["arms"]) == ["seal", "trainer", "peft", "engine_1", "engine_2"]
    assert all(math.isfinite(number) for number in numbers(json.loads(json.dumps(result))))
    assert all(arm["edits"] == 2 and arm["seconds_per_edit"]["median"] > 0 for arm in result["arms"].values())
    assert {"ratio_seal", "ratio_trainer", "ratio_peft", "growth_1_to_2", "flops_share", "floor_share"} <= result.keys()
    assert result["peak_memory_mb"].keys() == result["arms"].keys() == result["accuracy"]["share"].keys()
    assert result["accuracy"]["engine_minus_trainer"]["n"] == result["accuracy"]["engine_minus_seal"]["n"] == 2
    assert sum(result["profile"]["share"].values()) == pytest.approx(1)
    assert result["profile"]["seconds"]["base products"] > 0 and result["profile"]["seconds"]["adapter products"] > 0

    arms, growth, profile = tables("tiny", result)
    assert [row[0] for row in arms.rows][-1] == "engine, 2" and len(growth.rows) == 2
    assert all(len(row) == len(table.columns) for table in (arms, growth, profile) for row in table.rows)
    assert len(remarks(result)) == 3


def test_seals_recipe_can_be_left_out_and_random_models_are_not_graded(setting, edits, monkeypatch):
    monkeypatch.setattr(run_module, "matmul_rate", lambda device, dtype: 1e9)
    monkeypatch.setattr(run_module, "profiled", lambda work, device: {})
    result = measure(setting, ShapePlan((1,), baseline_edits=1, seal_edits=0), edits, taught=False)
    assert "seal" not in result["arms"] and result["accuracy"] == {}
    assert "--seal-edits" in result["skipped"]["seal"] and "SEAL" in remarks(result)[-1]
    assert not any(key.startswith("growth") for key in result)


def test_the_baselines_learn_what_the_engine_learns_and_leave_the_model_as_it_was(setting, edits):
    """One edit learned by heart: whatever the first weights of the adapter, the likeliest answer is the same."""
    edit = BenchEdit(edits[0].task, (Example("", edits[0].prompts[0] + " abc"),))
    edit = replace(edit, task=replace(edit.task, questions=edit.task.questions[:1]))
    steps = replace(setting, recipe=Recipe(rank=16, alpha=32.0, epochs=120, learning_rate=5e-3))
    before = {name: weight.clone() for name, weight in setting.model.named_parameters()}
    arms = {**{name: BASELINES[name] for name in ("trainer", "peft")}, "engine": engine_arm(make_engine(setting, 1))}
    answers = {name: arm(steps, [edit]).answers for name, arm in arms.items()}
    assert answers == {name: [["abc"]] for name in arms}
    assert all(weight.equal(before[name]) for name, weight in setting.model.named_parameters())
    assert before.keys() == dict(setting.model.named_parameters()).keys() and not setting.model.training
