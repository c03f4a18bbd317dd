"""Agreement with a judge, on hand-made result files and on a part of the released ones."""

import json

import pytest

from selfedit.errors import InputError
from selfedit.reproduce.grader import distinct_rows, grader, is_held_out, read_results

PASSAGES = [f"passage {number}" for number in range(40)]
HELD_OUT = [text for text in PASSAGES if is_held_out(text)]


def verdict(question, gold, answer, right, **more):
    base = {"baseline_answer": "no idea", "baseline_correct": False}
    return {"question": question, "answer": gold, "adapter_answer": answer, "adapter_correct": right, **base, **more}


def results(*articles):
    """(passage, [verdicts of an edit, ...]) each."""
    return {
        "articles": [
            {"context": passage, "completions": [{"text": "notes", "questions": edit} for edit in edits]}
            for passage, edits in articles
        ],
        "exp_name": "whatever",
    }


@pytest.fixture
def folder(tmp_path):
    def make(**files):
        for name, content in files.items():
            (tmp_path / f"{name}.json").write_text(json.dumps(content))
        return tmp_path

    return make


GOOD = verdict("Who won?", "Ada Lovelace", "Ada Lovelace won.", True)
BAD = verdict("When?", "1874", "It was in 1902.", False)


def test_who_agrees_everywhere_has_agreement_and_kappa_of_one(folder):
    summary = grader(folder(run=results((HELD_OUT[0], [[GOOD, BAD]]))))
    assert summary["heldout"] == {"agreement": 1.0, "kappa": 1.0, "n": 4}
    assert summary["graders"]["majority"]["agreement"] == 3 / 4
    after = summary["files"]["run (after)"]
    assert after["judge"] == after["contains"] == 50.0
    assert after["calibrated"] == pytest.approx(50, abs=20) and after["difference"] == after["calibrated"] - 50


def test_rows_are_counted_once_and_the_judge_may_contradict_itself(folder):
    odd = {**GOOD, "adapter_correct": False}
    rows = distinct_rows(read_results(folder(run=results((HELD_OUT[0], [[GOOD], [GOOD], [odd]])))))
    assert [(row.answer, row.right, row.times) for row in rows] == [
        ("Ada Lovelace won.", True, 3),
        ("no idea", False, 3),
    ]


def test_the_ranking_of_edits_is_compared_within_passages(folder):
    better, worse = [GOOD, {**GOOD, "question": "Who?"}], [GOOD, {**BAD, "question": "Who?"}]
    summary = grader(folder(run=results((HELD_OUT[0], [better, worse]), (HELD_OUT[1], [better, better]))))
    assert summary["ranking"]["heldout"]["spearman"] == pytest.approx(1.0)
    assert summary["ranking"]["heldout"]["passages"] == 1 and summary["ranking"]["heldout"]["left_out"] == 1


def test_without_a_held_out_passage_there_is_no_agreement_to_report(folder):
    fitted = next(text for text in PASSAGES if not is_held_out(text))
    summary = grader(folder(run=results((fitted, [[GOOD]]))))
    assert summary["heldout"] == {"agreement": None, "kappa": None, "n": 0}
    assert summary["all_rows"]["n"] == 2


def test_files_of_all_versions_are_read_and_others_left_alone(folder):
    old = {key: value for key, value in GOOD.items() if not key.startswith("baseline")}
    summary = grader(folder(run=results((HELD_OUT[0], [[old]])), other={"articles": 3}))
    assert list(summary["files"]) == ["run (after)"]


def test_a_folder_without_results_is_your_input(tmp_path, folder):
    with pytest.raises(InputError, match="holds no result file"):
        grader(folder(other={"a": 1}))
    with pytest.raises(InputError, match="there is no folder"):
        grader(tmp_path / "nowhere")
    with pytest.raises(InputError, match=r"broken.json is no result file .*adapter_correct"):
        grader(folder(broken=results((HELD_OUT[0], [[{**GOOD, "adapter_correct": "perhaps"}]]))))


def test_it_agrees_with_the_released_judge_as_far_as_was_measured(shared, tmp_path):
    """One file of the seventeen, for the time it takes."""
    path = shared / "data" / "seal_released" / "results" / "query_server" / "eval" / "base.json"
    (tmp_path / "base.json").write_text(path.read_text())
    summary = grader(tmp_path)
    assert summary["heldout"]["n"] > 200
    assert summary["heldout"]["agreement"] > summary["graders"]["contains"]["agreement"]
    assert summary["heldout"]["agreement"] > 0.85
