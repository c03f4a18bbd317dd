"""The arrows of the architecture, checked: imports point down, the core stays light, files and functions stay small."""

import ast
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1] / "src" / "selfedit"
LAYERS = [
    {"types", "errors"},
    {"protocols", "config", "prompts", "grid_prompts", "files", "embedded", "toml"},
    {
        "credit",
        "reward",
        "store",
        "inner",
        "statistics",
        "domains",
        "engines",
        "graders",
        "proxies",
        "formats",
        "almanac",
        "mosaic",
        "pretraining",
        "asking",
    },
    {"outer", "evaluate", "questions", "endpoints", "continual", "audit"},
    {"experiment", "streaming", "teach", "bench", "reproduce"},
    {"report", "server", "cli"},
]
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}
WITHIN_A_LAYER = {
    ("inner", "reward"),
    ("evaluate", "outer"),
    ("questions", "outer"),
    ("continual", "outer"),
    ("continual", "questions"),
    ("store", "statistics"),
    ("teach", "experiment"),
    ("streaming", "experiment"),
    ("reproduce", "experiment"),
    ("cli", "report"),
    ("graders", "asking"),
    ("proxies", "asking"),
    ("formats", "domains"),
    ("embedded", "config"),
    ("toml", "config"),
    ("almanac", "pretraining"),
    ("mosaic", "pretraining"),
    ("mosaic", "engines"),
    ("continual", "outer"),
    ("continual", "questions"),
    ("streaming", "experiment"),
    ("reproduce", "streaming"),
}
"""(who, whom): the only imports between modules of one layer."""

PLUGINS = {"domains", "engines", "graders", "proxies", "almanac"}
LOOPS = {"inner", "outer", "evaluate", "questions", "continual", "experiment", "streaming", "teach"}
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
        if there not in ("", here) and (here, there) not in WITHIN_A_LAYER:
            assert LEVEL[there] < LEVEL[here], f"{here} imports {there}"


@each_module
def test_plugins_import_neither_each_other_nor_a_loop(path):
    here = top(module_name(path))
    if here in PLUGINS:
        wrong = ((PLUGINS - {here}) | LOOPS) & {top(name) for name in imported(ast.parse(path.read_text()))}
        assert not wrong, f"{here} imports {', '.join(wrong)}"


@each_module
def test_imports_are_absolute(path):
    relative = [n.lineno for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.ImportFrom) and n.level]
    assert not relative, f"relative imports in lines {relative}"


def test_no_module_imports_itself_through_others():
    graph = {module_name(path): set(imported(ast.parse(path.read_text()))) for path in PATHS}
    assert len(list(TopologicalSorter(graph).static_order())) >= len(PATHS)  # raises CycleError, which names the cycle


@each_module
def test_files_are_at_most_400_lines(path):
    assert len(path.read_text().splitlines()) <= 400


@each_module
def test_functions_are_under_60_lines(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno - node.lineno + 1 < 60, f"{node.name} is too long"


@pytest.mark.parametrize("modules", ["selfedit", "selfedit.outer, selfedit.store, selfedit.config, selfedit.domains"])
def test_the_core_loads_no_heavy_library(modules):
    code = f"import sys, {modules}; print(sorted({HEAVY} & set(sys.modules)))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT.parent)
    assert result.stdout.strip() == "[]"


def test_every_module_has_its_layer():
    assert {top(module_name(path)) for path in MODULES} <= LEVEL.keys()


def test_imports_are_found_however_they_are_written():
    source = "import selfedit.outer\ndef f():\n    from selfedit import prompts\n    from selfedit.types import Task"
    assert list(imported(ast.parse(source))) == ["selfedit.outer", "selfedit.prompts", "selfedit.types"]
