"""`reproduce`: published tables, here at the smallest sizes there are."""

import json
import signal

import pytest


@pytest.fixture
def small(tiny, monkeypatch):
    monkeypatch.setattr("selfedit.reproduce.almanac.SEEDS", 2)
    monkeypatch.setattr("selfedit.reproduce.almanac.BUDGETS", (20,))
    monkeypatch.setattr("selfedit.reproduce.almanac.HEADLINE", 40)
    monkeypatch.setattr("selfedit.reproduce.almanac.TOGETHER", 2)
    return [*tiny, "--set", "inner.tokens=40", "--set", "data.max_eval_tasks=4"]


def test_the_almanac_table_has_every_arm_at_every_budget(cli, small, tmp_path):
    called = cli("reproduce", "almanac", "-o", "table", "--json", *small)
    assert called.code == 0
    table = called.json
    assert {"passage_only", "own_notes_0.3", "after_rl_1", "pooled", "likeliest_of_5", "by_hand"} <= table[
        "curves"
    ].keys()
    for points in table["curves"].values():
        assert [point["tokens"] for point in points] == [20, 40]
        assert all(0 <= point["low"] <= point["mean"] <= point["high"] <= 1 for point in points)
    assert list(table["by_kind"]) == ["stated", "implied", "two sentences"]
    assert all(shares.keys() == table["curves"].keys() for shares in table["by_kind"].values())
    assert table["rl_gain_equal"]["tokens"] == table["notes_gain_equal"]["tokens"] == table["tokens"] == 40
    assert table["notes"]["by_hand"]["implied"] > 1 and table["notes"]["by_hand"]["false"] == 0
    assert table["seconds"].keys() == table["curves"].keys() and min(table["seconds"].values()) > 0
    assert table["reversed"].keys() == {"passage_only", "own_notes_0", "after_rl_0", "by_hand"}
    for seed in range(2):
        run = tmp_path / "here" / "table" / f"seed-{seed}"
        assert json.loads((run / "config.json").read_text())["seed"] == seed
        assert (run / "report.html").is_file()
    again = cli("reproduce", "almanac", "-o", "table", *small)
    assert again.code == 0 and "Questions answered, closed book, by trained tokens a passage" in again.said
    assert "At 40 tokens: reinforcement" in again.said
    assert cli("reproduce", "almanac", "-o", "table", "--json", *small).json == table


def test_a_table_that_there_is_not_is_your_input(cli):
    called = cli("reproduce", "squid")
    assert called.code == 3 and called.error == (
        "there is no table 'squid'; the tables are "
        "almanac, released, grader, proxy, single-passage, cpt, prompts, rewards, credit, self-questions, "
        "squad, fresh, arc, continual"
    )


def test_ctrl_c_says_how_to_go_on_with_the_whole_table(forks, tmp_path):
    options = ["--set", "outer.rounds=1", "--set", "outer.tasks_per_round=2", "--set", "data.max_eval_tasks=2"]
    marker = tmp_path / "runs" / "reproduce-almanac-1" / "seed-0" / "trials.sqlite"
    stopped = forks(tmp_path, "reproduce", "almanac", *options, signal=signal.SIGINT, once=str(marker))
    assert stopped["code"] == 130
    last = stopped["err"].rstrip("\n").split("\n")[-1]
    assert last.endswith(f"selfedit reproduce almanac --output runs/reproduce-almanac-1 {' '.join(options)}")


def test_a_plan_is_run_arm_by_arm_and_again_only_read(cli, small, tmp_path, monkeypatch):
    monkeypatch.setattr("selfedit.reproduce.plan.FOLDER", tmp_path)
    (tmp_path / "rewards.toml").write_text(
        "about = 'two rewards'\nreference = 'gain'\nseeds = 2\n[common.data]\neval = 'almanac'\n"
        "[common.outer]\nrepeats = 2\nline_tokens = 0\n[common.exam]\nrows = ['after_rl']\n"
        "[arms.gain]\n[arms.'by likelihood'.outer]\nreward = 'likelihood'\n"
    )
    called = cli("reproduce", "rewards", "-o", "table", "--json", *small)
    assert called.code == 0
    table = called.json
    assert list(table["arms"]) == ["gain", "by likelihood"]
    assert table["differences"].keys() == {"by likelihood"}
    assert {row["stage"] for row in table["rounds"]["gain"]} == {"round-0"}
    assert (tmp_path / "here" / "table" / "by-likelihood" / "seed-1" / "summary.json").is_file()
    assert {**cli("reproduce", "rewards", "-o", "table", "--json", *small).json, "seconds": 0} == {
        **table,
        "seconds": 0,
    }
    assert "two rewards" in cli("reproduce", "rewards", "-o", "table", *small).said


SMALL_GRIDS = {
    "model.processes": "1",
    "domain.max_rows": "1",
    "domain.augmented_views": "1",
    "outer.rounds": "1",
    "outer.tasks_per_round": "1",
    "outer.edits_per_task": "2",
    "outer.kl_prompts": "1",
    "exam.max_new_tokens": "20",
    "data.max_eval_tasks": "2",
}


def test_plans_for_grids_have_every_row_and_are_only_read_again(cli, monkeypatch):
    monkeypatch.setattr("selfedit.reproduce.arc.SEEDS", 1)
    options = [word for key, value in SMALL_GRIDS.items() for word in ("--set", f"{key}={value}")]
    called = cli("reproduce", "arc", "-o", "table", "--json", *options)
    assert called.code == 0, called.err
    table = called.json
    assert list(table)[:6] == ["in_context", "before_rl", "after_rl", "by_hand", "oracle", "rl_gain"]
    assert all(
        table[name]["n"] == table["given"] == 2 for name in ("in_context", "before_rl", "after_rl", "by_hand", "oracle")
    )
    assert table["time"]["plans"] > 0
    again = cli("reproduce", "arc", "-o", "table", "--json", *options)
    assert {**again.json, "time": 0} == {**table, "time": 0}
    assert "plans together" in cli("reproduce", "arc", "-o", "table", *options).said


def grids(rows, columns):
    return [[1] * columns for _ in range(rows)]


def test_tasks_that_a_model_cannot_be_shown_are_your_input(cli, write):
    pair = {"input": grids(30, 30), "output": grids(30, 30)}
    called = cli("reproduce", "arc", "--tasks", write("large.json", {"train": [pair], "test": [pair]}))
    assert called.code == 3 and called.error.startswith("none of the 1 tasks fits the model: it is shown grids with")


def test_a_task_with_one_demonstration_is_asked_and_has_nothing_to_train_on(cli, write):
    pair = {"input": grids(1, 1), "output": grids(1, 1)}
    called = cli("reproduce", "arc", "--tasks", write("one.json", {"train": [pair], "test": [pair]}), "--json")
    assert called.code == 0, called.err
    assert called.json["by_hand"]["unreadable"] == 1 and called.json["time"] == {}
    assert called.json["in_context"]["n"] == 1


def test_tables_of_released_data_need_it(cli, shared):
    assert cli("reproduce", "released").error.startswith("reproduce released needs --data")
    called = cli("reproduce", "released", "--data", str(shared / "data" / "seal_released"), "--json")
    assert called.code == 0 and called.json["all_equal"] is True
