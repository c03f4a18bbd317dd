"""ARC's files: what is read, what is refused and why, and how a submission is scored."""

import json

import pytest

from selfedit.domains.arc.domain import demonstrations
from selfedit.domains.arc.grids import to_grid
from selfedit.domains.arc.prompts import FORMATS
from selfedit.errors import InputError
from selfedit.formats.arc import (
    SEAL_DROPPED,
    SEAL_TASKS,
    ArcSelfEdit,
    FinalResult,
    SubmissionScore,
    read_arc,
    read_final_results,
    read_self_edits,
    read_submission,
    score_submission,
    seal_tasks,
    to_submission,
    write_final_results,
    write_self_edits,
    write_submission,
)

PAIR = {"input": [[1, 2]], "output": [[2], [1]]}
TASK = {"train": [PAIR, PAIR], "test": [PAIR]}


def write(path, content):
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(content))
    return path


def challenges(tmp_path, tests=1):
    path = write(tmp_path / "x_challenges.json", {"a": {"train": [PAIR], "test": [{"input": [[1, 2]]}] * tests}})
    write(tmp_path / "x_solutions.json", {"a": [[[3]]] * tests})
    return path


# Tasks


def test_a_challenges_file_is_read_with_the_solutions_beside_it(tmp_path):
    (task,) = read_arc(challenges(tmp_path, tests=2))
    assert (task.id, task.title, [question.target for question in task.questions]) == ("a", "a", ["[[3]]"] * 2)
    assert json.loads(task.context) == [PAIR]


def test_solutions_can_be_named(tmp_path):
    other = write(tmp_path / "other.json", {"a": [[[4]]]})
    assert read_arc(challenges(tmp_path), other)[0].questions[0].target == "[[4]]"


def test_a_file_with_one_task_and_a_folder_of_them_are_read(tmp_path):
    for name in ("b", "a"):
        write(tmp_path / "tasks" / f"{name}.json", TASK)
    assert [task.id for task in read_arc(tmp_path / "tasks")] == ["a", "b"]
    assert read_arc(tmp_path / "tasks" / "b.json")[0].id == "b"


@pytest.mark.parametrize(
    ("task", "complaint"),
    [
        ({**TASK, "train": [{"input": [[1], [1, 2]], "output": [[1]]}]}, "task a, train 0: the grid is ragged"),
        ({**TASK, "test": [{**PAIR, "output": [[10]]}]}, "task a, test 0: .* one here is 10"),
        ({**TASK, "train": [PAIR, {**PAIR, "input": [[0] * 31]}]}, "task a, train 1: .* 1 x 31"),
        ({**TASK, "train": []}, "task a: train should be a list of pairs"),
        ({"train": [PAIR]}, "task a: test should be a list"),
        ({**TASK, "test": [{"input": [[1]]}]}, "task a, test 0 has no output; name the file with the solutions"),
        ({**TASK, "train": [{"output": [[1]]}]}, "task a, train 0 should be an object with input and output"),
        ({**TASK, "train": [7]}, "task a, train 0 should be"),
        (3, "task a should be an object"),
    ],
)
def test_a_task_that_is_wrong_is_named_with_what_is_wrong(tmp_path, task, complaint):
    with pytest.raises(InputError, match=complaint):
        read_arc(write(tmp_path / "tasks.json", {"a": task}))


def test_files_without_tasks_and_too_few_solutions_are_refused(tmp_path):
    with pytest.raises(InputError, match="holds no tasks"):
        read_arc(write(tmp_path / "empty.json", {}))
    (tmp_path / "nothing").mkdir()
    with pytest.raises(InputError, match="holds no tasks"):
        read_arc(tmp_path / "nothing")
    with pytest.raises(InputError, match="2 test grids and not as many solutions"):
        read_arc(challenges(tmp_path, tests=2), write(tmp_path / "other.json", {"a": [[[4]]]}))


def test_seals_tasks_are_12_and_10_of_which_its_commands_reach_10_and_8(tmp_path):
    for name in [*SEAL_TASKS, "other"]:
        write(tmp_path / "tasks" / f"{name}.json", TASK)
    tasks = read_arc(tmp_path / "tasks")
    assert (len(seal_tasks(tasks)), len(seal_tasks(tasks, truncated=True))) == (22, 18)
    assert not set(SEAL_DROPPED) & {task.id for task in seal_tasks(tasks, truncated=True)}
    with pytest.raises(InputError, match="none of these tasks are SEAL's"):
        seal_tasks([task for task in tasks if task.id == "other"])


# Submissions


def test_a_task_is_right_if_each_of_its_grids_is_in_either_attempt(tmp_path):
    right, wrong = "[[[9]], [[3]]]", "[[[9]]]"
    path = write(
        tmp_path / "t.json", {name: {**TASK, "test": [{"input": [[1]], "output": [[3]]}] * 2} for name in "abcd"}
    )
    answers = {"a": [right, right], "b": [right, wrong], "c": ["[]", "[]"]}
    write_submission(tmp_path / "submission.json", to_submission(answers))
    submission = read_submission(tmp_path / "submission.json")
    assert score_submission(submission, read_arc(path)) == SubmissionScore(4, 1, 8, 3)
    assert submission["b"][1].attempt_1 == submission["b"][1].attempt_2 == ((9,),)
    assert submission["c"][0].attempt_1 == ((0, 0), (0, 0))


def test_a_submission_with_another_number_of_grids_is_refused(tmp_path):
    with pytest.raises(InputError, match="task a has 2 test grids; the submission has 1"):
        score_submission(to_submission({"a": ["[]"]}), read_arc(challenges(tmp_path, tests=2)))


def test_a_submission_that_is_damaged_is_refused(tmp_path):
    with pytest.raises(InputError, match="attempt_2"):
        read_submission(write(tmp_path / "s.json", {"a": [{"attempt_1": [[1]]}]}))


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
