"""Pictures of grids and plans, and none of anything else."""

import json
import re
import xml.etree.ElementTree as ElementTree

import pytest

from selfedit.domains.arc.domain import to_task
from selfedit.domains.arc.grids import to_grid
from selfedit.domains.arc.pictures import PALETTE, draw_grid, picture
from selfedit.report import write_report
from selfedit.results import Summary
from selfedit.store import Run
from selfedit.types import Score, SelfEdit, Trial, Update

GRID = [[0, 1, 1], [2, 2, 2]]
PLAN = {
    "data_generation": {"use_basic_augmentations": True, "use_size_augmentations": False},
    "training": {"strategy": "train_using_output_tokens", "learning_rate": 1e-4, "num_train_epochs": 2},
}


def cells(svg):
    """The grid that a picture shows, read from its rectangles."""
    root = ElementTree.fromstring(svg)
    _, _, columns, rows = map(int, root.attrib["viewBox"].split())
    grid = [[None] * columns for _ in range(rows)]
    for bar in root.iter("rect"):
        x, y, width = (int(bar.attrib[key]) for key in ("x", "y", "width"))
        grid[y][x : x + width] = [PALETTE.index(bar.attrib["fill"])] * width
    return grid


@pytest.mark.parametrize("grid", [GRID, [[5]], [[9] * 30] * 30, [[1], [2], [3]]])
def test_a_picture_shows_its_grid(grid):
    assert cells(draw_grid(grid)) == grid


def test_attempts_demonstrations_and_plans_are_drawn():
    assert picture(json.dumps([GRID, [[3]]])).count("<svg") == 2
    assert picture(json.dumps([{"input": GRID, "output": [[3]]}] * 3)).count("<svg") == 6
    drawn = picture(json.dumps(PLAN))
    assert re.findall(r'fill="(#\w+)"', drawn) == [PALETTE[3], *[PALETTE[5]] * 3]
    assert "learning_rate 0.0001, num_train_epochs 2" in drawn


@pytest.mark.parametrize(
    "text",
    ["", "no JSON", "[]", "3", "[[10]]", "[[1], [2, 3]]", "[[true]]", "{}", '{"data_generation": 1, "training": 2}',
     '{"data_generation": {}}', '[{"input": [[1]]}]', "[" * 100_000],
)  # fmt: skip
def test_what_is_neither_stays_as_it_is(text):
    assert picture(text) == text and not hasattr(picture(text), "__html__")


def test_what_a_policy_wrote_is_escaped():
    plan = {**PLAN, "training": {"strategy": "<script>"}}
    assert "<script>" not in picture(json.dumps(plan))


@pytest.mark.parametrize(("domain", "pictures"), [("arc", 5), ("knowledge", 0)])
def test_only_reports_on_grids_have_pictures(tmp_path, domain, pictures):
    grid = to_grid(GRID)
    task = to_task("a", [(grid, grid)], [(grid, grid)])
    score = Score((json.dumps([GRID]),), (1.0,))
    with Run.create(tmp_path / "run", {"domain": {"name": domain}}) as run:
        trial = Trial(SelfEdit("a", "I", "no plan"), Update("u", "base"), after=score, reward=1.0)
        run.remember("round-0", 0, lambda: [trial], Trial)
        page = write_report(run, Summary(tasks=[task])).read_text()
    assert page.count('<svg class="grid"') == pictures
