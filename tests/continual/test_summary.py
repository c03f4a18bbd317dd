"""From the store to the matrix and its shares."""

import pytest

from selfedit.continual.summary import matrix, records, summarise
from selfedit.errors import EngineError
from selfedit.report.plots import draw_matrix
from selfedit.statistics import ratio_interval
from selfedit.types import Failure, Score, SelfEdit, Trial


def trial(value, stream=0, place=0):
    return Trial(SelfEdit("t", ""), after=Score(("a",), (value,)), member=stream, repeat=place)


def spoken(text, own, stream=0):
    return Trial(SelfEdit("neutral", ""), after=Score((), (), (text,), (own,)), member=stream)


@pytest.fixture
def waves():
    """Two streams of two tasks: the first forgets half of the first task."""
    return {
        "before": {0: [trial(0.0, 0, 0), trial(0.0, 1, 0)], 1: [trial(0.0, 0, 1), trial(0.5, 1, 1)]},
        "seen": {
            0: [trial(1.0, 0, 0), trial(1.0, 1, 0)],
            1: [trial(0.5, 0, 0), trial(1.0, 0, 1), trial(1.0, 1, 0), trial(1.0, 1, 1)],
        },
        "before/control": {0: [trial(0.5, 0, 0), trial(1.0, 0, 1)]},
        "control/control": {1: [trial(0.5, 0, 0), trial(0.5, 0, 1), trial(1.0, 1, 0), trial(1.0, 1, 1)]},
        "before/neutral": {0: [spoken(-2.0, -1.0)]},
        "neutral": {1: [spoken(-2.2, -1.0), spoken(-2.0, -1.5, 1)]},
    }


def test_retention_is_a_share_of_what_was_just_learned(waves):
    summary = summarise(records(waves))
    assert (
        summary["just_edited"]["mean"] == 1 and summary["after"]["mean"] == summary["retention"]["2"]["mean"] == 0.875
    )
    assert summary["before"]["mean"] == 0.125 and summary["retention"]["1"]["mean"] == 1
    assert summary["control"]["control"]["mean"] == pytest.approx((-0.25 + 0.25) / 2)
    assert summary["bits"]["mean"] == pytest.approx(1.05)
    assert summary["kl"]["mean"] == pytest.approx(0.25 / 0.6931471805599453)
    assert summary["curve"] == {"edits": [1, 2], "seen": [1.0, 0.875], "just_edited": [1.0, 1.0]}


def test_the_matrix_has_a_full_row_before_the_first_edit_and_zeros_above_the_diagonal(waves):
    found = matrix(records(waves), "data", "model")
    assert found["mean_over_sequences"] == [[0.0, 0.25], [1.0, 0.0], [0.75, 1.0]]
    assert found["std_over_sequences"][2][0] == 0.25 and found["n_sequences"] == found["n_datapoints"] == 2


def test_a_cell_without_an_exam_is_empty_in_the_matrix_and_in_its_picture(waves):
    del waves["seen"][1][2], waves["seen"][1][0]
    cells = matrix(records(waves), "data", "model")["mean_over_sequences"]
    assert cells[2] == [None, 1.0]
    full, holed = (draw_matrix(of) for of in ([[0.0, 0.25], [1.0, 0.0], [0.75, 1.0]], cells))
    assert full.count("<path") > holed.count("<path")


def test_a_question_that_was_not_graded_is_no_wrong_answer(waves):
    waves["seen"][1][0] = trial(Failure("system", "down"), 0, 0)
    with pytest.raises(EngineError, match="not graded"):
        records(waves)


def test_a_ratio_and_its_interval():
    exact = ratio_interval([0.5, 1.0], [1.0, 2.0])
    assert exact.mean == exact.low == exact.high == 0.5
    wide = ratio_interval([0.5, 1.0, 0.9], [1.0, 1.0, 1.0])
    assert wide.mean == pytest.approx(0.8) and wide.low < 0.8 < wide.high
    with pytest.raises(ValueError):
        ratio_interval([1.0], [0.0])
