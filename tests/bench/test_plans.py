"""What the comparison of plans is made of."""

from selfedit.bench.plans import table, write_plans
from selfedit.reproduce.arc import hand_made
from selfedit.types import Failure
from selfedit.workflows.configure import make_config
from selfedit.worlds.mosaic import world


class Planner:
    """Says one plan of two, and what is no plan the other time."""

    def sample(self, requests):
        return [hand_made()[0] if place % 2 else Failure("policy", "no") for place in range(len(requests))]


def test_plans_that_cannot_be_read_are_left_out():
    tasks = world.tasks("practice", 2)
    plans = write_plans(make_config("mosaic"), tasks, 2, Planner())
    assert [plan.edit.task_id for plan in plans] == [task.id for task in tasks]
    assert all(plan.member == 1 and plan.edit.examples for plan in plans)


def test_times_are_beside_the_last_way():
    shown = table({"peft, one after another": (8, 3.0), "engine, 120 at once": (120, 0.5)})
    assert shown.rows == [
        ("peft, one after another", "8", "3.00", "6.0"),
        ("engine, 120 at once", "120", "0.50", "1.0"),
    ]
