"""Files about ARC's tasks: how a submission is scored, and SEAL's own files."""

import json

import pytest

from selfedit.domains.arc.domain import demonstrations
from selfedit.domains.arc.grids import to_grid
from selfedit.domains.arc.prompts import FORMATS, to_task
from selfedit.domains.arc.reader import read_arc
from selfedit.errors import InputError
from selfedit.formats.arc import (
    ArcSelfEdit,
    FinalResult,
    SubmissionScore,
    read_final_results,
    read_self_edits,
    read_submission,
    score_submission,
    to_submission,
    write_final_results,
    write_self_edits,
    write_submission,
)


def tasks(*names):
    """Each asks for two grids, both [[3]]."""
    pair = (to_grid([[1]]), to_grid([[3]]))
    return [to_task(name, [pair], [pair] * 2) for name in names]


# Submissions


def test_a_task_is_right_if_each_of_its_grids_is_in_either_attempt(tmp_path):
    right, wrong = "[[[9]], [[3]]]", "[[[9]]]"
    answers = {"a": [right, right], "b": [right, wrong], "c": ["[]", "[]"]}
    write_submission(tmp_path / "submission.json", to_submission(answers))
    submission = read_submission(tmp_path / "submission.json")
    assert score_submission(submission, tasks(*"abcd")) == SubmissionScore(4, 1, 8, 3)
    assert submission["b"][1].attempt_1 == submission["b"][1].attempt_2 == ((9,),)
    assert submission["c"][0].attempt_1 == ((0, 0), (0, 0))


def test_a_submission_with_another_number_of_grids_is_refused():
    with pytest.raises(InputError, match="task a has 2 test grids; the submission has 1"):
        score_submission(to_submission({"a": ["[]"]}), tasks("a"))


def test_a_submission_that_is_damaged_is_refused(tmp_path):
    path = tmp_path / "s.json"
    path.write_text('{"a": [{"attempt_1": [[1]]}]}')
    with pytest.raises(InputError, match="attempt_2"):
        read_submission(path)


# SEAL's files


def test_plans_and_results_survive_the_round_trip(tmp_path):
    edit = ArcSelfEdit(config={"training": {"num_train_epochs": 0}}, prompt="p", response="{}", token_ids=[1, 2])
    write_self_edits(tmp_path / "edits.json", {"a": {"0": edit}})
    assert read_self_edits(tmp_path / "edits.json") == {"a": {"0": edit}}
    results = {"0": FinalResult(task_id={"0": "a"}, correct={"0": True})}
    write_final_results(tmp_path / "results.json", results)
    assert read_final_results(tmp_path / "results.json") == results


def test_seals_own_files_are_written_as_they_were_read(shared, tmp_path):
    released = shared / "data/arc/seal_subset"
    write_final_results(tmp_path / "results.json", read_final_results(released / "final_results.json"))
    assert (tmp_path / "results.json").read_text() == (released / "final_results.json").read_text()
    sample = released / "data/sample_submission.json"
    write_submission(tmp_path / "submission.json", read_submission(sample))
    assert json.loads((tmp_path / "submission.json").read_text()) == json.loads(sample.read_text())


def test_all_800_tasks_load_render_tokenise_and_are_read_back(shared, byte_tokenizer):
    tokenizer = byte_tokenizer(10**6)
    for name in ("training", "evaluation"):
        tasks = read_arc(shared / "data/arc/arc_agi_1" / name)
        seal = read_arc(shared / f"data/arc/seal_subset/data/arc-agi_{name}_challenges.json")
        assert len(tasks) == 400 and {task.id: task for task in tasks} == {task.id: task for task in seal}
        for task in tasks:
            pairs = demonstrations(task)
            grids = [grid for pair in pairs for grid in pair]
            grids += [to_grid(json.loads(text)) for asked in task.questions for text in (asked.text, asked.target)]
            prompt = FORMATS["compact"].question(pairs, grids[-2])
            assert tokenizer.decode(tokenizer.encode(prompt)) == prompt
            for form in FORMATS.values():
                assert [form.read(form.output(grid)) for grid in grids] == [grid.tolist() for grid in grids]


def test_a_submission_of_400_tasks_scores_as_the_official_definition_says(shared):
    tasks = read_arc(shared / "data/arc/arc_agi_1/evaluation")
    every = {task.id: [f"[[[0]], {question.target}]" for question in task.questions] for task in tasks}
    several = [task for task in tasks if len(task.questions) > 1]
    for task in several[:3]:
        every[task.id][0] = "[]"
    del every[tasks[0].id]
    lost = len(tasks[0].questions)
    assert score_submission(to_submission(every), tasks) == SubmissionScore(400, 396, 419, 419 - 3 - lost)
