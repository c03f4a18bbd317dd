"""Plans of tables: every one that ships can be run, and arms are compared with the reference."""

import pytest

from selfedit.errors import InputError
from selfedit.formats.passages import read_completions
from selfedit.reproduce.plan import FOLDER, ArmsPlan, read_plan, summarise_arms
from selfedit.reproduce.self_questions import summarise_ranking
from selfedit.reproduce.teacher import write_teacher
from selfedit.types import Score, SelfEdit, Trial, Update
from selfedit.workflows.build import make_domain, make_outer
from selfedit.workflows.configure import make_config
from selfedit.worlds.almanac import notes, world

NAMES = sorted(path.stem for path in FOLDER.glob("*.toml") if path.stem != "continual")


@pytest.mark.parametrize("name", NAMES)
def test_every_arm_of_a_plan_is_a_config(name):
    plan = read_plan(name)
    assert plan.reference in plan.arms and plan.published.keys() <= plan.arms.keys()
    assert plan.seeds >= 3
    for arm in plan.arms:
        config = make_config(base=plan.tree(arm, 1), source=name)
        make_outer(config), make_domain(config)
        assert (config.seed, config.data.eval, config.data.max_eval_tasks) == (1, "almanac", 200)
    if plan.policy:
        policy = make_config(base=plan.policy_tree(2), source=name)
        assert policy.seed == 2 and policy.outer.rounds and not policy.data.eval
        begun = make_config(base=plan.tree(arm, 2, "some/policy"), source=name)
        assert (begun.outer.rounds, begun.outer.policy) == (0, "some/policy")


def scored(*grades, reward=None, member=0, repeat=0, task_id="apollo"):
    score, before = Score(("a",) * len(grades), grades), Score(("a",) * len(grades), (0.0,) * len(grades))
    return Trial(SelfEdit(task_id, ""), Update("u", "base", 10), before, score, reward, None, member, repeat)


def test_arms_are_compared_with_the_reference_passage_by_passage():
    plan = ArmsPlan(about="", arms={"one": {}, "two": {}}, reference="one")
    rows = {
        "one": [{"own_edits": [scored(0.0), scored(1.0)]}],
        "two": [{"own_edits": [scored(0.5), scored(1.0)]}],
    }
    summary = summarise_arms(plan, rows, {"one": [{}], "two": [{}]})
    assert summary["arms"]["two"]["own_edits"]["mean"] == 0.75
    assert summary["differences"] == {"two": {"own_edits": pytest.approx(summary["differences"]["two"]["own_edits"])}}
    assert summary["differences"]["two"]["own_edits"]["mean"] == 0.25
    assert summary["against"] == "one" and summary["rounds"] == {}


def test_a_round_tells_its_mean_reward_and_how_reliable_each_reward_was():
    trials = [
        scored(grade, reward=grade, member=member, repeat=repeat)
        for member, grade in enumerate((0.0, 1.0))
        for repeat in range(2)
    ]
    plan = ArmsPlan(about="", arms={"one": {}})
    (row,) = summarise_arms(plan, {"one": [{}]}, {"one": [{"round-0": trials}]})["rounds"]["one"]
    assert (row["stage"], row["trials"], row["mean_reward"], row["tokens"]) == ("round-0", 4, 0.5, 40)
    assert row["reliability"]["gain"]["icc"] == 1.0 and "likelihood" not in row["reliability"]


def test_a_broken_plan_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr("selfedit.reproduce.plan.FOLDER", tmp_path)
    (tmp_path / "mine.toml").write_text("about = 'x'\n")
    with pytest.raises(InputError, match=r"mine.toml is no plan of a table"):
        read_plan("mine")


def test_the_teacher_leaves_nothing_out_and_its_file_is_seals(tmp_path):
    write_teacher(tmp_path / "teacher.json", 4, edits=3)
    records = read_completions(tmp_path / "teacher.json", at_least=3)
    for record, (entry, task) in zip(records, world.entries_and_tasks("exam", 4), strict=True):
        assert (record.title, record.context) == (task.title, task.context)
        assert [(q.text, q.target) for q in record.questions] == [(q.text, q.target) for q in task.questions]
        assert len(set(record.completions)) == 3
        for text in record.completions:
            assert all(question.target in text for question in task.questions)
            found = notes.contents(entry, text)
            asked = {kind: len({q.target for q in task.questions if q.kind == kind}) for kind in found.right}
            assert found.right == asked and found.lines == sum(asked.values())


def test_rank_correlations_are_averaged_over_the_passages_of_all_seeds():
    runs = [{"spearman": {"accuracy": [1.0, 0.5]}, "kept": {"questions": [4.0]}},
            {"spearman": {"accuracy": [0.0]}, "kept": {"questions": [6.0]}}]  # fmt: skip
    summary = summarise_ranking(runs)
    assert summary["accuracy"]["spearman"] == 0.5 and summary["accuracy"]["seeds"] == [0.75, 0.0]
    assert summary["questions_per_passage"] == 5.0
