"""Fitting the calibrated grader and the learned proxy, on data made up."""

import json
import sys
from itertools import pairwise

import pytest

np = pytest.importorskip("numpy")
pytest.importorskip("sklearn")

from safetensors.numpy import save_file  # noqa: E402

from selfedit.domains.knowledge.domain import Knowledge  # noqa: E402
from selfedit.graders import calibrated  # noqa: E402
from selfedit.graders.calibrated.reading import read  # noqa: E402
from selfedit.reproduce import fit_grader, fit_proxy  # noqa: E402
from selfedit.reproduce.grader import GradedAnswer, is_held_out  # noqa: E402
from selfedit.reproduce.proxy import Ranking, fit  # noqa: E402
from selfedit.types import Question, Task  # noqa: E402


@pytest.fixture(scope="module")
def rows():
    """Two features of which the first decides, in one case of ten the other way; in 20 groups."""
    random = np.random.default_rng(0)
    x = random.integers(0, 10, (400, 2)).astype(np.float32)
    return x, (x[:, 0] > 4) ^ (random.random(400) < 0.1), np.arange(400) % 20


@pytest.fixture
def few_trees(monkeypatch):
    monkeypatch.setitem(fit_grader.BOOSTED, "max_iter", 10)
    monkeypatch.setitem(fit_grader.BOOSTED, "max_features", 1.0)
    monkeypatch.setitem(fit_grader.AVERAGED, "n_estimators", 4)


def test_the_trees_that_are_written_say_what_the_fitted_models_say(rows, few_trees, tmp_path, monkeypatch):
    x, y, _ = rows
    models, path = fit_grader.fitted(x, y), tmp_path / "trees.safetensors"
    tensors, numbers = fit_grader.parameters(models, slope=0.9, shift=0.1)
    save_file(tensors, path, metadata={"parameters": json.dumps({**numbers, "rarity": {}})})
    monkeypatch.setattr(calibrated, "PARAMETERS", path)
    expected = 1 / (1 + np.exp(-0.9 * fit_grader.logit(fit_grader.chances(models, x)) - 0.1))
    assert calibrated._model.__wrapped__().predict(x) == pytest.approx(expected.tolist(), abs=1e-5)


def test_cross_validated_chances_find_what_decides(rows, few_trees):
    x, y, groups = rows
    assert ((fit_grader.cross_validated(x, y, groups) > 0.5) == y).mean() > 0.8


def test_a_row_is_never_rated_by_models_that_saw_its_group(rows, few_trees):
    x, y, groups = rows
    other = np.where(groups == 7, ~y, y)
    before, after = (fit_grader.cross_validated(x, verdicts, groups) for verdicts in (y, other))
    assert (before[groups == 7] == after[groups == 7]).all() and (before != after).any()


def test_calibration_takes_back_what_chances_are_too_sure_of():
    truth = np.repeat([0.2, 0.5, 0.8], 1000)
    y = np.concatenate([np.arange(1000) < 1000 * chance for chance in (0.2, 0.5, 0.8)])
    sure = 1 / (1 + np.exp(-(2 * fit_grader.logit(truth) + 1)))
    slope, shift = fit_grader.calibration(sure, y, np.ones(3000))
    assert (slope, shift) == (pytest.approx(0.5, abs=0.01), pytest.approx(-0.5, abs=0.01))


def test_a_row_counts_as_often_as_it_was_asked():
    found, y = np.full(4, 0.5), np.array([True, False, True, False])
    _, shift = fit_grader.calibration(found, y, np.array([3, 1, 3, 1]))
    assert 1 / (1 + np.exp(-shift)) == pytest.approx(0.75, abs=0.01)


def test_log_odds_of_certainty_are_finite_and_rise():
    values = fit_grader.logit(np.array([0.0, 0.25, 0.5, 0.75, 1.0])).tolist()
    assert all(low < high for low, high in pairwise(values)) and values[2] == 0 and abs(values[0]) < 10


def test_stems_have_a_rarity_where_three_texts_hold_them():
    asked = [("Which river?", "Selx"), ("Which rivers meet?", "Selx and Ule"), ("Which river rose?", "the Ule")]
    rarity = fit_grader.rarity_of([GradedAnswer("p", Question(*pair), "?", True, 1) for pair in asked])
    assert rarity == dict.fromkeys(read("which river").stems, 0.69)  # in three of six texts: the logarithm of 2


def test_the_proxy_is_fitted_on_passages_that_are_not_held_out(tmp_path, monkeypatch, capsys):
    tasks = [Task("", f"Subject {n}", f"Ada Lovelace was born in 1815. She was number {n}.") for n in range(40)]
    parse = Knowledge().parse
    rankings = [
        Ranking(t, (parse(t, t.context), parse(t, "Short.")), (0.6, 0.2 + n / 100), ()) for n, t in enumerate(tasks)
    ]
    kept = [ranking for ranking in rankings if not is_held_out(ranking.task.context)]
    monkeypatch.setattr(fit_proxy, "PARAMETERS", tmp_path / "learned.json")
    monkeypatch.setattr(fit_proxy, "read_rankings", lambda data: rankings)
    monkeypatch.setattr(sys, "argv", ["fit_proxy.py", "data"])
    fit_proxy.main()
    assert json.loads((tmp_path / "learned.json").read_text()) == pytest.approx(fit(kept), rel=1e-4)
    assert 0 < len(kept) < len(rankings) and f"fitted on {len(kept)} passages" in capsys.readouterr().out
