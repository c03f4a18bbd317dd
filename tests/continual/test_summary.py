"""From the store to the matrix and its shares."""

from dataclasses import replace

import pytest

from selfedit.continual.summary import Observed, matrix, records, summarise_streams
from selfedit.errors import EngineError
from selfedit.report.plots import draw_matrix
from selfedit.statistics import ratio_interval
from selfedit.store import Run
from selfedit.types import Drift, Failure, Likelihood, Observation, Score
from selfedit.workflows.stream import observed_in


def seen(value, stream=0, place=0):
    return Observation(stream, place, "t", Score(("a",), (value,)))


def spoken(text, own, stream=0):
    """Likelihoods per token, of texts of several tokens: they are not what is summed."""
    return Drift(stream, (Likelihood(4 * text, 4),), (Likelihood(2 * own, 2),))


@pytest.fixture
def observed():
    """Two streams of two tasks: the first forgets half of the first task."""
    return Observed(
        before={0: [seen(0.0, 0, 0), seen(0.0, 1, 0)], 1: [seen(0.0, 0, 1), seen(0.5, 1, 1)]},
        seen={
            0: [seen(1.0, 0, 0), seen(1.0, 1, 0)],
            1: [seen(0.5, 0, 0), seen(1.0, 0, 1), seen(1.0, 1, 0), seen(1.0, 1, 1)],
        },
        control_before={"control": [seen(0.5, 0, 0), seen(1.0, 0, 1)]},
        control={"control": {1: [seen(0.5, 0, 0), seen(0.5, 0, 1), seen(1.0, 1, 0), seen(1.0, 1, 1)]}},
        neutral_before=spoken(-2.0, -1.0),
        neutral={1: [spoken(-2.2, -1.0), spoken(-2.0, -1.5, 1)]},
    )


def test_retention_is_a_share_of_what_was_just_learned(observed):
    summary = summarise_streams(records(observed))
    assert summary.just_edited.mean == 1 and summary.after.mean == summary.retention[2].mean == 0.875
    assert summary.before.mean == 0.125 and summary.retention[1].mean == 1
    assert summary.control["control"].mean == pytest.approx((-0.25 + 0.25) / 2)
    assert summary.bits.mean == pytest.approx(1.05)
    assert summary.kl.mean == pytest.approx(0.25 / 0.6931471805599453)
    assert summary.curve == {"edits": [1, 2], "seen": [1.0, 0.875], "just_edited": [1.0, 1.0]}


def test_a_summary_as_json_has_the_same_numbers(observed):
    summary = summarise_streams(records(observed))
    json = replace(summary, methods=("replay",), remarks=("A remark.",)).to_json()
    assert json["just_edited"] == {key: getattr(summary.just_edited, key) for key in ("mean", "low", "high")}
    assert {key: json[key]["mean"] for key in ("before", "after", "bits", "kl")} == {
        key: getattr(summary, key).mean for key in ("before", "after", "bits", "kl")
    }
    assert {done: share["mean"] for done, share in json["retention"].items()} == {"1": 1.0, "2": 0.875}
    assert json["control"]["control"]["mean"] == summary.control["control"].mean and json["curve"] == summary.curve
    assert json["keepers"] == ["replay"] and json["remarks"] == ["A remark."]
    assert (json["streams"], json["tasks"]) == (2, 2)


def test_what_was_seen_is_found_again_in_the_store(observed, tmp_path):
    with Run.create(tmp_path / "run", {}) as run:
        for stage, noun, by_step in (
            ("before", Observation, observed.before),
            ("seen", Observation, observed.seen),
            ("before/control", Observation, {0: observed.control_before["control"]}),
            ("control/control", Observation, observed.control["control"]),
            ("before/neutral", Drift, {0: [observed.neutral_before]}),
            ("neutral", Drift, observed.neutral),
        ):
            for number, items in by_step.items():
                run.remember(stage, number, lambda items=items: items, noun)
        assert observed_in(run) == observed


def test_the_matrix_has_a_full_row_before_the_first_edit_and_zeros_above_the_diagonal(observed):
    found = matrix(records(observed), "data", "model")
    assert found["mean_over_sequences"] == [[0.0, 0.25], [1.0, 0.0], [0.75, 1.0]]
    assert found["std_over_sequences"][2][0] == 0.25 and found["n_sequences"] == found["n_datapoints"] == 2


def test_a_cell_without_an_exam_is_empty_in_the_matrix_and_in_its_picture(observed):
    del observed.seen[1][2], observed.seen[1][0]
    cells = matrix(records(observed), "data", "model")["mean_over_sequences"]
    assert cells[2] == [None, 1.0]
    full, holed = (draw_matrix(of) for of in ([[0.0, 0.25], [1.0, 0.0], [0.75, 1.0]], cells))
    assert full.count("<path") > holed.count("<path")


def test_a_question_that_was_not_graded_is_no_wrong_answer(observed):
    observed.seen[1][0] = seen(Failure("system", "down"), 0, 0)
    with pytest.raises(EngineError, match="not graded"):
        records(observed)


def test_a_neutral_text_that_was_not_read_is_no_change(observed):
    observed.neutral[1][0] = Drift(0, (Failure("system", "down"),), (Likelihood(-1.0, 1),))
    with pytest.raises(EngineError, match="could not be read: down"):
        records(observed)


def test_a_ratio_and_its_interval():
    exact = ratio_interval([0.5, 1.0], [1.0, 2.0])
    assert exact.mean == exact.low == exact.high == 0.5
    wide = ratio_interval([0.5, 1.0, 0.9, 0.9, 0.7], [1.0] * 5)
    assert wide.mean == pytest.approx(0.8) and wide.low < 0.8 < wide.high
    with pytest.raises(ValueError):
        ratio_interval([1.0], [0.0])
