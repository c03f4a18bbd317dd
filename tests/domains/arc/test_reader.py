"""ARC's task files: what is read, and what is refused and why."""

import json

import pytest

from selfedit.domains.arc.reader import SEAL_DROPPED, SEAL_TASKS, read_arc, seal_tasks
from selfedit.errors import InputError

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
