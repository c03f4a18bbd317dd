"""The whole experiment on a fake engine: what it writes, and that it resumes to the same end."""

import json
from dataclasses import replace

import pytest

from selfedit.config import Config, load_config
from selfedit.domains.knowledge import prompts
from selfedit.engines.fake import FakeEngine
from selfedit.errors import InputError
from selfedit.loops import questions
from selfedit.loops.evaluate import summarise
from selfedit.store import Run
from selfedit.types import BASE, Failure, Question
from selfedit.workflows.build import make_domain, make_examiner, make_outer
from selfedit.workflows.train import NOTHING_LEARNED, exam_sampling, run_experiment

CONFIG = Config.model_validate(
    {"max_adapters": 4, "outer": {"rounds": 2, "tasks_per_round": 2, "edits_per_task": 4, "recipe": {"epochs": 1}}}
)
CONDITIONS = ["base", "passage_only", "own_edits", "after_rl", "in_context"]


class Crash(BaseException):
    """What a kill looks like from inside: nothing may catch it."""


def run_in(folder, engine, tasks, evaluation=None, config=CONFIG, last=True):
    """The result of the experiment, its stored batches without their seconds, and its last policy on disk."""
    with Run.create(folder, config.model_dump(mode="json")) as run:
        result = run_experiment(run, config, tasks[:2], tasks[2:] if evaluation is None else evaluation, engine)
        batches = [(batch.stage, batch.step, batch.trials) for batch in run.batches()]
    return result, batches, (folder / "updates" / "round-1" / "update.json").read_text() if last else None


def timeless(summary):
    return {key: {**row, "seconds": 0} if isinstance(row, dict) else 0 for key, row in summary.items()}


def test_the_summary_has_every_condition_the_gain_and_the_seconds(engine, tasks, tmp_path):
    result, *_ = run_in(tmp_path, engine, tasks)
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert list(summary) == [*CONDITIONS, "rl_gain", "seconds"]
    for name in CONDITIONS:
        assert summary[name].keys() == {"mean", "low", "high", "blank", "n", "failed", "tokens", "seconds"}
        assert summary[name] == summarise(name, result.trials[name], summary[name]["seconds"]).to_json()
        assert summary[name]["seconds"] >= 0
        assert summary[name]["n"] == 2
    assert summary["rl_gain"].keys() == {"mean", "low", "high"}
    assert summary["seconds"] >= 0
    assert summary == result.table.to_json()


def test_reinforcement_helps_an_engine_that_can_learn_to_write(engine, tasks, tmp_path):
    result, *_ = run_in(tmp_path, engine, tasks)
    means = [result.table[name].mean for name in CONDITIONS]
    assert means[0] == means[1] == 0.0
    assert means[3] == means[4] == 1.0
    assert result.table.gains["rl_gain"].mean == means[3] - means[2]
    assert result.policy != BASE


def test_metrics_have_a_line_for_every_round_and_condition(engine, tasks, tmp_path):
    run_in(tmp_path, engine, tasks)
    stages = [json.loads(line)["stage"] for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert stages == ["round-0", "round-1", *(f"exam/{name}" for name in CONDITIONS)]


def test_without_passages_to_evaluate_on_there_is_no_table(engine, tasks, tmp_path):
    result, batches, _ = run_in(tmp_path, engine, tasks, evaluation=[])
    assert list(result.table.to_json()) == ["seconds"] and result.trials == {}
    assert {stage for stage, *_ in batches} == {"round-0", "round-1"}


def test_without_rounds_there_is_no_row_after_them(engine, tasks, tmp_path):
    outer = CONFIG.outer.model_copy(update={"rounds": 0})
    with Run.create(tmp_path, {}) as run:
        result = run_experiment(run, CONFIG.model_copy(update={"outer": outer}), [], tasks, engine)
    assert result.policy is BASE
    assert list(result.trials) == [name for name in CONDITIONS if name != "after_rl"]
    assert "rl_gain" not in result.table.to_json()


def test_a_run_can_begin_with_the_policy_of_another(engine, tasks, tmp_path):
    first, *_ = run_in(tmp_path / "first", engine, tasks)
    config = CONFIG.model_copy(
        update={
            "outer": CONFIG.outer.model_copy(
                update={"rounds": 0, "policy": str(tmp_path / "first" / "updates" / "round-1")}
            )
        }
    )
    second, *_ = run_in(tmp_path / "second", engine, tasks, config=config, last=False)
    assert second.policy == first.policy
    assert second.trials["after_rl"] == first.trials["after_rl"]


def test_only_the_rows_that_are_asked_for_are_made(engine, tasks, tmp_path):
    config = CONFIG.model_copy(update={"exam": CONFIG.exam.model_copy(update={"rows": ("own_edits",)})})
    assert list(run_in(tmp_path, engine, tasks, config=config)[0].trials) == ["own_edits"]


def test_edits_can_be_rewarded_by_questions_that_the_model_wrote(engine, tasks, tmp_path, monkeypatch):
    """What the passages' own questions say has no influence on the policy then."""
    config = CONFIG.model_copy(update={"outer": CONFIG.outer.model_copy(update={"questions": "own"})})
    asked = [Question("When was it?", "1969"), Question("Who was it?", "Armstrong")]
    monkeypatch.setattr(questions, "draft", lambda tasks, *more: [tuple(asked) for _ in tasks])
    monkeypatch.setattr(questions, "sieve", lambda tasks, *more: list(tasks))
    blind = [replace(task, questions=()) for task in tasks[:2]]
    policies = []
    for name, train in (("with", tasks[:2]), ("without", blind)):
        with Run.create(tmp_path / name, config.model_dump(mode="json")) as run:
            policies.append(run_experiment(run, config, train, [], engine).policy)
            (written,) = run.by_stage()["questions"].values()
            assert [(half.task_id, len(half.questions)) for half in written] == [
                (task.id, 1) for task in train for _ in ("reward", "report")
            ]
    assert policies[0] == policies[1]


TRAININGS = 2 * (2 + 1) + 3  # in each of two rounds two batches and the policy, then three conditions


@pytest.mark.parametrize("call", range(1, TRAININGS + 1))
def test_a_resumed_experiment_equals_one_that_was_not_interrupted(new_engine, tasks, tmp_path, call):
    whole, batches, policy = run_in(tmp_path / "whole", new_engine(), tasks)
    crashing, calls = new_engine(), []
    train = crashing.train

    def crash(jobs):
        calls.append(jobs)
        if len(calls) == call:
            raise Crash
        return train(jobs)

    crashing.train = crash
    with pytest.raises(Crash):
        run_in(tmp_path / "crashed", crashing, tasks)
    resumed, again, policy_again = run_in(tmp_path / "crashed", new_engine(), tasks)
    assert (again, policy_again) == (batches, policy)
    assert resumed.trials == whole.trials
    assert timeless(resumed.table.to_json()) == timeless(whole.table.to_json())


def test_a_finished_experiment_is_only_read(new_engine, tasks, tmp_path):
    _, batches, _ = run_in(tmp_path, new_engine(), tasks)
    engine = new_engine()
    assert run_in(tmp_path, engine, tasks)[1] == batches
    assert engine.jobs == engine.requests == []


@pytest.mark.parametrize(
    ("key", "name", "names"),
    [
        ("exam.grader", "regex", "exact, contains, phrase, f1, calibrated, attempts, judge"),
        ("outer.reward", "luck", "gain, accuracy, binary, solved, likelihood, learned, rubric"),
        ("outer.credit", "ppo", "rest_em, best_by_advantage, top2, threshold, group_relative"),
    ],
)
def test_a_name_that_no_table_has_is_an_error_with_those_that_it_has(engine, key, name, names):
    config = load_config(None, [f"{key}={name}"])
    with pytest.raises(InputError) as error:
        make_examiner(config, engine)
        make_outer(config)
    assert str(error.value) == f"{key} is {name!r}; it can be {names}, or package.module:name"


def test_the_config_reaches_the_loops(engine):
    tree = {
        "seed": 3,
        "max_adapters": 7,
        "domain": {"split_newlines": False},
        "exam": {"max_new_tokens": 9},
        "inner": {"rank": 2, "targets": ["q_proj"]},
        "outer": {"sampling": {"temperature": 0.5, "max_new_tokens": 11}},
    }
    config = Config.model_validate(tree)
    outer, examiner = make_outer(config), make_examiner(config, engine)
    settings = outer.settings
    assert (outer.seed, outer.max_adapters, settings.edits_per_task, settings.tasks_per_round) == (3, 7, 5, 50)
    assert (settings.sampling.temperature, settings.sampling.max_new_tokens) == (0.5, 11)
    inner = make_domain(config).recipe
    assert (inner.rank, inner.targets, settings.recipe.rank) == (2, ("q_proj",), 64)
    assert (examiner.max_new_tokens, examiner.domain.options.split_newlines) == (9, False)


# Passages that are too long


class ShortSighted(FakeEngine):
    """Reads no prompt with one of these texts in it, and counts those that it answers."""

    def __init__(self, tasks, *texts):
        super().__init__(tasks)
        self.texts, self.answered = texts, 0

    def sample(self, requests):
        self.answered += len(requests)
        return super().sample(requests)

    def fits(self, prompts, reserve=1):
        return [Failure("system", "it is long") if any(t in p for t in self.texts) else None for p in prompts]


@pytest.mark.parametrize(
    ("place", "text"),
    [
        (1, "famous for its lace"),
        (1, "What is Torvik famous for?"),
        (2, "worked as a baker"),
        (2, "What did Mara Velin play?"),
    ],
)
def test_a_passage_that_is_too_long_is_left_out_and_counted(tasks, tmp_path, place, text):
    result, batches, _ = run_in(tmp_path, ShortSighted(tasks, text), tasks)
    about = f"passage {tasks[place].title!r} is too long: it is long"
    assert result.remarks == [f"1 of 2 passages left out, being too long for the model: {about}"]
    assert tasks[place].id not in {trial.edit.task_id for _, _, trials in batches for trial in trials}
    assert len(result.evaluation) == (2 if place < 2 else 1) == len(result.trials["base"])


def test_where_every_passage_is_too_long_nothing_is_run(tasks, tmp_path):
    engine = ShortSighted(tasks, tasks[0].context, tasks[1].context)
    with pytest.raises(InputError, match="'Apollo 11' is too long: it is long; shorten or cut it, or choose a model"):
        run_in(tmp_path, engine, tasks)
    assert engine.answered == 0


@pytest.mark.parametrize(
    ("tree", "refused"),
    [
        ({"outer": {"rounds": 0}, "exam": {"rows": ["base", "passage_only"]}}, False),
        ({"outer": {"rounds": 0}, "exam": {"rows": ["in_context"]}}, True),
        ({"outer": {"rounds": 0}, "exam": {"rows": ["own_edits"]}}, True),
        ({"outer": {"rounds": 1, "tasks_per_round": 1}, "exam": {"rows": ["base"]}}, False),
        ({"outer": {"rounds": 2, "tasks_per_round": 1}, "exam": {"rows": ["base"]}}, True),
    ],
)
def test_only_what_will_be_asked_must_be_short(tasks, tmp_path, tree, refused):
    """Of each file the second passage is too long with its text, and its questions alone are not."""
    config = Config.model_validate({"max_adapters": 4, **tree})
    engine = ShortSighted(tasks, tasks[1].context, tasks[3].context)
    result, *_ = run_in(tmp_path, engine, tasks, config=config, last=False)
    assert bool(result.remarks) == refused


def test_the_prompt_that_asks_for_questions_must_be_short_too(tasks, tmp_path):
    config = Config.model_validate({**CONFIG.model_dump(), "outer": {**CONFIG.outer.model_dump(), "questions": "own"}})
    result, *_ = run_in(tmp_path, ShortSighted(tasks, prompts.questions(tasks[1])), tasks, config=config, last=False)
    assert "passage 'Torvik' is too long" in result.remarks[0]


# A teacher


def with_teacher(path, **exam):
    tree = CONFIG.model_dump()
    more = {"data": {**tree["data"], "teacher": str(path)}, "exam": {**tree["exam"], **exam}}
    return Config.model_validate({**tree, **more})


def taught_by(path, tasks, texts):
    records = [{"title": t.title, "context": t.context, "completions": texts(t), "prompt": ""} for t in tasks]
    path.write_text(json.dumps(records))
    return path


def test_a_file_of_another_model_s_notes_is_a_row_of_the_table(engine, tasks, tmp_path):
    path = taught_by(tmp_path / "teacher.json", tasks, lambda t: [f"It is {t.questions[0].target}.", "more"])
    result, *_ = run_in(tmp_path / "run", engine, tasks, config=with_teacher(path))
    assert list(result.trials) == [*CONDITIONS[:3], "teacher_edits", *CONDITIONS[3:]]
    assert result.table["teacher_edits"].mean == 0.5
    assert [trial.edit.text for trial in result.trials["teacher_edits"]] == [
        f"It is {task.questions[0].target}." for task in tasks[2:]
    ]


def test_an_empty_completion_is_the_passage_alone(engine, tasks, tmp_path):
    path = taught_by(tmp_path / "naive.json", tasks, lambda t: [""])
    result, *_ = run_in(tmp_path / "run", engine, tasks, config=with_teacher(path))
    for trial, plain in zip(result.trials["teacher_edits"], result.trials["passage_only"], strict=True):
        assert trial.edit.examples == plain.edit.examples


def test_a_file_with_fewer_edits_than_asked_or_other_passages_is_your_input(engine, tasks, tmp_path):
    path = taught_by(tmp_path / "teacher.json", tasks, lambda t: ["one"])
    with pytest.raises(InputError, match=r"teacher.json.*1 completion"):
        run_in(tmp_path / "few", engine, tasks, config=with_teacher(path, edits_per_task=2))
    path = taught_by(tmp_path / "others.json", tasks[:2], lambda t: ["one"])
    with pytest.raises(InputError, match=r"others.json has no self-edits for 'Mara Velin', nor for 1 more"):
        run_in(tmp_path / "other", engine, tasks, config=with_teacher(path))


def test_charges_and_a_proxy_do_not_go_together():
    config = load_config(None, ["outer.reward=learned", "outer.cost=0.1"])
    with pytest.raises(InputError, match="tries no edit"):
        make_outer(config)
    assert make_outer(load_config(None, ["outer.reward=learned"])).proxy is not None


def test_lines_are_not_tried_where_the_reward_tries_no_edit():
    config = load_config(None, ["outer.reward=learned", "outer.line_tokens=80"])
    with pytest.raises(InputError, match=r"set outer\.line_tokens to 0"):
        make_outer(config)


def test_a_curve_has_the_tables_own_row_in_its_place(engine, tasks, tmp_path):
    keys = ["inner.tokens=60", "exam.budgets=[20, 90]", "outer.rounds=0", 'exam.rows=["base", "own_edits"]']
    table = run_in(tmp_path / "run", engine, tasks, config=load_config(None, keys), last=False)[0].table
    assert list(table.curves) == ["own_edits"]
    assert [point["tokens"] for point in table.curves["own_edits"]] == [20, 60, 90]
    assert table.curves["own_edits"][1]["mean"] == table["own_edits"].mean


@pytest.mark.parametrize(
    ("keys", "temperature"),
    [
        ([], 0.7),
        (["exam.temperature=0"], 0.0),
        (["exam.temperature=0", "exam.edits_per_task=5"], 0.7),  # greedy, they would be one and the same
    ],
)
def test_the_edit_of_an_exam_has_a_temperature_of_its_own_and_several_have_that_of_reinforcement(keys, temperature):
    config = load_config(None, ["outer.sampling.temperature=0.7", *keys])
    assert exam_sampling(config) == replace(config.outer.sampling, temperature=temperature)


@pytest.mark.parametrize(("credit", "remarks"), [("rest_em", []), ("best_by_advantage", [NOTHING_LEARNED])])
def test_it_is_said_where_reinforcement_changed_nothing(engine, tasks, tmp_path, credit, remarks):
    """One edit a passage is its group's mean, so it has no advantage."""
    keys = ["outer.rounds=1", "outer.tasks_per_round=2", "outer.edits_per_task=1", f"outer.credit={credit}"]
    experiment, *_ = run_in(tmp_path / "run", engine, tasks, config=load_config(None, keys), last=False)
    assert list(experiment.remarks) == remarks
