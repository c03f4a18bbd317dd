"""The result on a page."""

import sys

import pytest

from selfedit.bench import page as page_module
from selfedit.bench.page import main, page
from selfedit.bench.plan import BenchOptions

SPREAD = {"median": 0.5, "low": 0.25, "high": 0.75}
ARM = {
    "edits": 2,
    **dict.fromkeys(("train_seconds", "answer_seconds", "seconds_per_edit"), SPREAD),
    "updates_per_second": 2.0,
    "ratio": 1.0,
    "train_gflops": 10.0,
}
RESULT = {
    "machine": {
        **{"cpu": "Abacus", "cores": 2, "threads": 1, "torch": "2.6", "device": "cpu", "dtype": "float32"},
        **{"date": "2026-01-01", "commit": "abc1234", "matmul_gflops": 100.0},
    },
    "embedded": {
        "arms": {"peft": ARM, "engine_8": ARM},
        "accuracy": {"share": {"peft": 0.25, "engine_8": 0.5}},
        "matmul_gflops": 100.0,
        "peak_memory_mb": {"peft": 100.0, "engine_8": 200.0},
        "profile": {"adapters": 8, "seconds": {"attention": 1.0}, "share": {"attention": 1.0}},
        "flops_share": 0.1,
        "floor_seconds": 0.05,
        "floor_share": 0.1,
        "skipped": {"seal": "too slow"},
    },
}


def test_a_page_holds_the_command_the_machine_all_tables_and_the_remarks():
    text = page(["embedded"], RESULT, "python -m some.command")
    assert "Made by `python -m some.command` at commit abc1234 on 2026-01-01: Abacus, 2 cores" in text
    assert "## embedded\n\n**embedded: medians per edit**\n\n| arm | edits |" in text
    assert "| engine, 8 | 2 | 0.500 | 0.500 | 0.500 | 0.250 to 0.750 | 2.00 | 1.00 | 50.0 % |" in text
    assert "| engine, 8 | 0.500 | 10.0 | 10.0 % | 200 |" in text and "| attention | 1.000 | 100.0 % |" in text
    assert text.endswith("Left out: SEAL's recipe: too slow.\n")


def test_the_page_is_written_where_it_is_asked_for(tmp_path, monkeypatch):
    asked, output = [], tmp_path / "page.md"
    monkeypatch.setattr(page_module, "measure", lambda *given: asked.append(given) or RESULT)
    monkeypatch.setattr(sys, "argv", ["page.py", "--device", "cpu", "--output", str(output)])
    main()
    assert asked == [(["embedded"], BenchOptions("cpu"))]
    assert f"`python -m selfedit.bench.page --device cpu --output {output}`" in output.read_text(encoding="utf-8")


def test_a_folder_that_is_not_there_is_said_before_anything_is_measured(tmp_path, monkeypatch):
    monkeypatch.setattr(page_module, "measure", lambda *given: pytest.fail("it was measured"))
    monkeypatch.setattr(sys, "argv", ["page.py", "--output", str(tmp_path / "nowhere" / "page.md")])
    with pytest.raises(SystemExit):
        main()
