"""The arrows of the architecture, checked: imports point down, the core stays light, files and functions stay small."""

import ast
import subprocess
import sys
from collections import defaultdict
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1] / "src" / "selfedit"
FLOORS = [
    {"types", "errors", "thoughts"},
    {"protocols", "seeds", "statistics", "files", "plugins"},
    {"config", "ratings", "changes"},
    {"results"},
    {"store", "domains", "graders", "rewards", "engines"},
    {"loops", "worlds", "formats", "report"},
    {"continual", "capabilities"},
    {"workflows"},
    {"reproduce"},
    {"bench"},
    {"cli", "api", "server"},
]
"""From the ground up. A module imports only from floors below its own: there are no exceptions."""

FLOOR = {name: floor for floor, names in enumerate(FLOORS) for name in names}
SHARED = {"types", "errors", "protocols", "seeds", "config", "results"}
"""Nouns, seams and plain values, which every floor above may use."""

KNOWN_TO_THE_SCREEN = SHARED | {"store", "report", "workflows", "reproduce", "bench"}
"""What commands, and a server, may know: nothing of loops, domains or engines."""

HEAVY = {"torch", "transformers", "peft", "matplotlib", "scipy", "sklearn", "httpx2"}

PATHS = sorted(ROOT.rglob("*.py"))
MODULES = [path for path in PATHS if path != ROOT / "__init__.py"]


def module_name(path):
    parts = path.relative_to(ROOT.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


NAMES = {module_name(path) for path in PATHS} | {module_name(path.parent) for path in PATHS}


def imported(tree):
    """Every module of this package that the tree imports, inside functions too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.split(".")[0] == "selfedit")
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "selfedit":
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                yield full if full in NAMES else node.module


def top(name):
    """selfedit.engines.fake -> engines; the package itself is ''."""
    return [*name.split("."), ""][1]


def each_module(function):
    return pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))(function)


@each_module
def test_imports_point_down(path):
    here = top(module_name(path))
    for name in imported(ast.parse(path.read_text())):
        there = top(name)
        if there not in ("", here):
            assert FLOOR[there] < FLOOR[here], f"{here} imports {there}"


@each_module
def test_commands_know_workflows_and_no_loops(path):
    if top(module_name(path)) in ("cli", "server"):
        known = {top(name) for name in imported(ast.parse(path.read_text()))} - {"", "cli", "server"}
        assert known <= KNOWN_TO_THE_SCREEN


@each_module
def test_only_workflows_and_what_stands_on_them_know_the_continual_loop(path):
    here = top(module_name(path))
    if "continual" in {top(name) for name in imported(ast.parse(path.read_text()))}:
        assert here == "continual" or FLOOR[here] >= FLOOR["workflows"]


@each_module
def test_imports_are_absolute(path):
    relative = [n.lineno for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.ImportFrom) and n.level]
    assert not relative, f"relative imports in lines {relative}"


def test_no_module_imports_itself_through_others():
    graph = {module_name(path): set(imported(ast.parse(path.read_text()))) for path in MODULES}
    assert len(list(TopologicalSorter(graph).static_order())) >= len(MODULES)  # raises CycleError, naming the cycle


def test_every_class_name_has_one_home():
    homes = defaultdict(set)
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef):
                homes[node.name].add(module_name(path))
    assert {name: places for name, places in homes.items() if len(places) > 1} == {}


@each_module
def test_files_are_at_most_400_lines(path):
    assert len(path.read_text().splitlines()) <= 400


@each_module
def test_functions_are_under_60_lines(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno - node.lineno + 1 < 60, f"{node.name} is too long"


@pytest.mark.parametrize(
    "modules",
    ["selfedit", "selfedit.loops.outer, selfedit.store, selfedit.config, selfedit.domains", "selfedit.workflows.runs"],
)
def test_the_core_loads_no_heavy_library(modules):
    code = f"import sys, {modules}; print(sorted({HEAVY} & set(sys.modules)))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT.parent)
    assert result.stdout.strip() == "[]"


def test_importing_the_package_loads_nothing_but_itself():
    code = "import sys, selfedit; print([name for name in sys.modules if name.startswith('selfedit.')])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT.parent)
    assert result.stdout.strip() == "[]"


def test_every_module_has_its_floor():
    assert {top(module_name(path)) for path in MODULES} <= FLOOR.keys()


def test_imports_are_found_however_they_are_written():
    source = "import selfedit.loops.outer\ndef f():\n    from selfedit.domains.knowledge import prompts"
    assert list(imported(ast.parse(source))) == ["selfedit.loops.outer", "selfedit.domains.knowledge.prompts"]
