"""Both loops from end to end on random models of every architecture: that it runs is all their scores can say."""

import json

import pytest

pytest.importorskip("torch")

from selfedit.config import resolve
from selfedit.domains.knowledge.reader import read_tasks
from selfedit.report import write_report
from selfedit.store import Run
from selfedit.workflows.train import run_experiment, summary_of

SMALL = {"rank": 4, "alpha": 8.0, "epochs": 2}
CONFIG = resolve(
    {
        "max_adapters": 8,
        "domain": {"split_newlines": False},
        "inner": SMALL,
        "outer": {
            "rounds": 2,
            "tasks_per_round": 2,
            "edits_per_task": 2,
            "repeats": 1,
            "sampling": {"max_new_tokens": 30},
            "recipe": SMALL,
        },
        "exam": {"max_new_tokens": 8},
    },
    "the test",
)


def test_the_whole_experiment(make_engine, architecture, tasks, tmp_path):
    short = [task for task in tasks if len(task.context) < 70]
    engine = make_engine(architecture, context=512)
    with Run.create(tmp_path / "run", CONFIG.model_dump(mode="json")) as run:
        result = run_experiment(run, CONFIG, short[:2], tasks[2:], engine)
        batches = run.batches()
    trials = [trial for batch in batches if batch.stage.startswith("round") for trial in batch.trials]
    assert len(trials) == 8 and all(trial.reward is not None for trial in trials)
    assert (run.updates / "round-1" / "adapter_model.safetensors").exists()
    assert result.table.rows and all(row.n == 2 for row in result.table)


def test_real_passages_run_to_the_report(make_engine, shared, tmp_path):
    """Eight passages of SQuAD's development set, as they are, through a random Qwen2."""
    records = json.loads((shared / "data" / "squad" / "squad_val.json").read_text())[:8]
    (tmp_path / "squad.json").write_text(json.dumps(records))
    passages = read_tasks(tmp_path / "squad.json")
    with Run.create(tmp_path / "run", CONFIG.model_dump(mode="json")) as run:
        result = run_experiment(run, CONFIG, passages[:4], passages[4:], make_engine("qwen2", context=4096))
        report = write_report(run, summary_of(CONFIG, result, passages[:4]))
    assert result.table["after_rl"].n == 4 and result.table["after_rl"].failed == 0
    assert passages[4].title in report.read_text()
