"""A reward, a grader, a domain and a continual method from a package outside, by their import paths in the config."""

import sys
from importlib import invalidate_caches

import pytest

from selfedit.errors import InputError
from selfedit.store import Run
from selfedit.workflows.build import make_domain
from selfedit.workflows.configure import make_config
from selfedit.workflows.data import tasks_of
from selfedit.workflows.runs import carry_out, start

REWARD = '''
def brevity(trial):
    """The fewer words a note has, the better."""
    return -float(len(trial.edit.text.split()))
'''

GRADER = '''
class Last:
    """1 if the answer ends with the gold answer."""

    def grade(self, pairs):
        return [float(answer.rstrip(".").endswith(question.target)) for question, answer in pairs]
'''

CREDIT = """
def all_but_one(rewards):
    return [1.0] * (len(rewards) - 1)
"""

DOMAIN = '''
from selfedit.config import Section
from selfedit.domains.knowledge.domain import Knowledge, KnowledgeOptions
from selfedit.results import Words


class PoemOptions(KnowledgeOptions):
    lines: int = 2


class Poems(Knowledge):
    """Notes are poems of so many lines."""

    Options = PoemOptions
    defaults = {"inner": {"weight_decay": 0.25}}
    words = Words({"base": "Unread"}, task="poem")

    def prompts(self, task, member=0):
        return [f"Write a poem of {self.options.lines} lines.\\n{task.context}\\n"]
'''

OLD = """
from selfedit.domains.knowledge.domain import Knowledge


class Older(Knowledge):
    def prompt(self, task, member=0):
        return "Write."
"""

METHOD = '''
from dataclasses import replace

from selfedit.continual.methods.sequential import Sequential


class Twice(Sequential):
    """Every document is learned for twice as many epochs."""

    def prepare(self, pending):
        return [self._longer(step) for step in pending]

    def _longer(self, step):
        recipe = replace(step.job.recipe, epochs=2 * step.job.recipe.epochs)
        return replace(step, job=replace(step.job, recipe=recipe))


def twice(context):
    return Twice()
'''


@pytest.fixture
def outside(tmp_path, monkeypatch):
    """The package, importable by its name as an installed one would be."""
    folder = tmp_path / "site" / "outside_plugins"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text("")
    for name, source in {
        "reward": REWARD,
        "grader": GRADER,
        "credit": CREDIT,
        "domain": DOMAIN,
        "method": METHOD,
        "older": OLD,
    }.items():
        assert len(source.splitlines()) < 30
        (folder / f"{name}.py").write_text(source)
    monkeypatch.syspath_prepend(str(folder.parent))
    invalidate_caches()
    yield
    for name in [name for name in sys.modules if name.startswith("outside_plugins")]:
        del sys.modules[name]


def finished(kind, path, tasks, *settings):
    """A run with the engine that has no model; what it found, and its open folder."""
    config = make_config(None, ["model.engine=fake", *settings])
    with start(kind, path, config, tasks) as run:
        return carry_out(run), Run.open(path)


SMALL = ("outer.rounds=1", "outer.tasks_per_round=2", "outer.edits_per_task=2", "outer.repeats=1")


def test_a_credit_that_forgets_an_edit_is_named(outside, tasks, tmp_path):
    said = r"the function of outer\.credit gave 1 weights for 2 rewards; it must give one for each"
    with pytest.raises(InputError, match=said):
        finished(
            "train",
            tmp_path / "run",
            {"train": tasks[:2], "eval": []},
            "outer.credit=outside_plugins.credit:all_but_one",
            *SMALL,
        )


def test_a_reward_from_outside_rewards(outside, tasks, tmp_path):
    split = {"train": tasks[:2], "eval": tasks[2:]}
    _, run = finished("train", tmp_path / "run", split, *SMALL, "outer.reward=outside_plugins.reward:brevity")
    trials = [trial for batch in run.batches() if batch.stage == "round-0" for trial in batch.trials]
    rewarded = [trial for trial in trials if trial.failure is None]
    assert rewarded and all(trial.reward == -len(trial.edit.text.split()) for trial in rewarded)


def test_a_grader_from_outside_grades(outside, tasks, tmp_path):
    split = {"train": tasks[:2], "eval": tasks[2:]}
    _, run = finished("train", tmp_path / "run", split, *SMALL, "exam.grader=outside_plugins.grader:Last")
    scores = [trial.after for batch in run.batches() for trial in batch.trials if trial.after]
    known = [g for s in scores for a, g in zip(s.answers, s.grades, strict=True) if a.startswith("It is")]
    assert known and set(known) == {1.0}  # the engine answers "It is X."


def test_a_domain_from_outside_asks_in_its_words_and_has_keys_of_its_own(outside, tasks, tmp_path):
    split = {"train": tasks[:2], "eval": tasks[2:]}
    named = ("domain.name=outside_plugins.domain:Poems", "domain.lines=4")
    summary, run = finished("train", tmp_path / "run", split, *SMALL, *named)
    prompts = {trial.edit.prompt for batch in run.batches() for trial in batch.trials if trial.edit.text}
    assert prompts and all(prompt.startswith("Write a poem of 4 lines.") for prompt in prompts)
    assert run.config["domain"]["lines"] == 4 and run.config["inner"]["weight_decay"] == 0.25
    assert "unseen poems" in summary.tables[-1].title and summary.tables[-1].rows[0][0] == "Unread"
    with pytest.raises(InputError, match=r"there is no key domain\.lnes; did you mean lines\?"):
        make_config(None, [named[0], "domain.lnes=4"])


def test_a_domain_with_the_methods_of_earlier_versions_is_refused(outside):
    config = make_config(None, ["domain.name=outside_plugins.older:Older"])
    with pytest.raises(InputError, match="has the method prompt or question_prompt of earlier versions"):
        make_domain(config)


def test_a_continual_method_from_outside_prepares_the_jobs(outside, tasks, tmp_path):
    streams = {"stream-00": tasks[:2], "control": tasks[3:], "neutral": []}
    method = 'continual.methods=["replay", "outside_plugins.method:twice"]'
    _, run = finished("stream", tmp_path / "run", streams, method, "inner.epochs=3")
    learned = [trial for batch in run.batches() if batch.stage == "learn" for trial in batch.trials]
    assert {trial.edit.recipe.epochs for trial in learned if trial.update} == {6}


@pytest.mark.parametrize(
    ("setting", "sentence"),
    [
        ("outer.reward=gian", r"outer\.reward is 'gian'; it can be gain, .*, or package\.module:name"),
        ("exam.grader=outside_plugins.nowhere:Last", r"exam\.grader is .*, which cannot be imported: No module named"),
        ("outer.credit=outside_plugins.reward:nothing", r"outer\.credit is .*, which cannot be imported: .*'nothing'"),
        ("domain.name=outside_plugins.domain:Prose", r"domain\.name is .*, which cannot be imported"),
        ("model.engine=quantum", r"model\.engine is 'quantum'; it can be local, fake"),
    ],
)
def test_a_name_that_is_not_there_is_refused_before_there_is_a_folder(outside, tasks, tmp_path, setting, sentence):
    with pytest.raises(InputError, match=sentence):
        finished("train", tmp_path / "run", {"train": tasks[:2], "eval": tasks[2:]}, setting)
    assert not (tmp_path / "run").exists()


def test_a_run_with_plugins_is_resumed_by_their_names(outside, tasks, tmp_path):
    split = {"train": tasks[:2], "eval": tasks[2:]}
    found, _ = finished("train", tmp_path / "run", split, *SMALL, "outer.reward=outside_plugins.reward:brevity")
    with Run.resume(tmp_path / "run") as run:
        assert tasks_of(run)["train"] == tasks[:2]
        assert carry_out(run).scores.rows == found.scores.rows
