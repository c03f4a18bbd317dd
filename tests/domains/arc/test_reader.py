"""ARC's task files: what is read, and what is refused and why."""

import json

import pytest
from hypothesis import given
from mutations import examples, mutated_json, survives

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
        ({**TASK, "test": [{"input": [[1]]}]}, "task a, test 0 has no output; put the solutions beside it"),
        ({**TASK, "test": [{"input": [[1]], "output": None}]}, "task a, test 0 has no output; put the solutions"),
        ({**TASK, "train": [{"input": [[1]]}]}, "task a, train 0 has no output; each pair to learn from has one"),
        ({**TASK, "train": [{**PAIR, "input": [[1.0]]}]}, "task a, train 0: .* one here is 1.0"),
        ({**TASK, "train": [{**PAIR, "input": [[True]]}]}, "task a, train 0: .* one here is True"),
        ({**TASK, "train": [{**PAIR, "input": ["12"]}]}, "task a, train 0: a grid is a list of rows"),
        ({**TASK, "train": [{**PAIR, "input": [[]]}]}, "task a, train 0: .* this one has 1 x 0"),
        ({**TASK, "train": [{"output": [[1]]}]}, "task a, train 0 should be an object with input and output"),
        ({**TASK, "train": [7]}, "task a, train 0 should be"),
        (3, "holds no task under 'a'; a task is {train"),
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


def test_tasks_come_in_lists_and_lines_too(tmp_path):
    """Case 19."""
    named = {**TASK, "id": "mine", "solved_by": 3}
    lines = tmp_path / "tasks.jsonl"
    lines.write_text(json.dumps(TASK) + "\n" + json.dumps(named) + "\n")
    assert [task.id for task in read_arc(lines)] == ["tasks-0", "mine"]
    assert [task.id for task in read_arc(write(tmp_path / "list.json", [named, TASK]))] == ["mine", "list-1"]
    assert [task.id for task in read_arc(write(tmp_path / "wrapped.json", named))] == ["wrapped"]
    with pytest.raises(InputError, match="two tasks of the same name"):
        read_arc(write(tmp_path / "twice.json", [named, named]))


def test_what_a_mac_leaves_in_a_folder_is_passed_over_and_counted(tmp_path, caplog):
    caplog.set_level("INFO")
    write(tmp_path / "tasks" / "a.JSON", TASK)
    (tmp_path / "tasks" / "._a.json").write_bytes(b"\x00\x05\x16\x07\xff\xfe")
    assert [task.id for task in read_arc(tmp_path / "tasks")] == ["a"]
    assert "1 hidden, passed over" in caplog.text and "tasks 1, test grids 1" in caplog.text


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ([PAIR], "record 0 is no task; a task is {train"),
        ({"examples": [[[[1]], [[2]]]]}, "holds no task under 'examples'; a task is {train"),
        (7, "should hold a task, tasks by name, or a list of them"),
        ({"a": {"input": 1}}, r"task a: train should be a list of pairs, one at least; the keys are \['input'\]"),
    ],
)
def test_what_is_no_task_is_told_what_one_is(tmp_path, content, complaint):
    with pytest.raises(InputError, match=complaint):
        read_arc(write(tmp_path / "x.json", content))


@examples(40)
@given(mutated_json(TASK, {"a": TASK}, [TASK]))
def test_any_file_is_read_or_refused(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "any.json"
    path.write_bytes(content)
    for task in survives(read_arc, path) or []:
        assert all(json.loads(question.target) for question in task.questions)


def test_seals_tasks_are_12_and_10_of_which_its_commands_reach_10_and_8(tmp_path):
    for name in [*SEAL_TASKS, "other"]:
        write(tmp_path / "tasks" / f"{name}.json", TASK)
    tasks = read_arc(tmp_path / "tasks")
    assert (len(seal_tasks(tasks)), len(seal_tasks(tasks, truncated=True))) == (22, 18)
    assert not set(SEAL_DROPPED) & {task.id for task in seal_tasks(tasks, truncated=True)}
    with pytest.raises(InputError, match="none of these tasks are SEAL's"):
        seal_tasks([task for task in tasks if task.id == "other"])
