"""How fast the inner loop is: `python benchmarks/inner_loop.py [SHAPE ...] [--device cuda]` writes docs/performance.md.

The same as `selfedit bench`, with the result on a page instead of the screen; the shape is `embedded` if none is named.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path
from typing import Any

from selfedit.bench.plan import Options
from selfedit.bench.shapes import SHAPES
from selfedit.bench.table import Rows, remarks, tables
from selfedit.cli.bench import measure

PAGE = Path(__file__).parents[1] / "docs" / "performance.md"

INTRODUCTION = """\
# How fast the inner loop is

Made by `{command}` at commit {commit} on {date}: {cpu}, {cores} cores, {threads} threads, PyTorch {torch}, device
{device}, {dtype}. Within a table all arms did the same edits with the same recipe and questions, one after another
in two passes; compare within a table only.

- **SEAL's recipe**: a Hugging Face Trainer with PEFT for each edit, rows padded to the whole context and the padding in
  the loss, the adapter written to disk and read again, one question at a time.
- **Trainer**: the same without padding, and the questions of an edit in one batch.
- **plain PEFT**: AdamW without the Trainer; questions as before.
- **engine, 8**: this project's, with so many adapters at once, in one process with all threads.
- **engine, 128 in 2 processes**: as the commands run a small model on a CPU.

*times* is the time of an edit beside that of the last arm. Floating-point operations are those of
real tokens only (`selfedit/bench/flops.py`).
"""


def markdown(rows: Rows) -> str:
    head = [" ".join(name.split()) for name in rows.columns]
    rule = ["---", *["--:"] * (len(head) - 1)]
    lines = [f"| {' | '.join(cells)} |" for cells in [head, rule, *rows.cells]]
    return "\n".join([f"**{rows.title}**", "", *lines])


def page(names: list[str], result: dict[str, Any], command: str) -> str:
    parts = [INTRODUCTION.format(command=command, **result["machine"])]
    for name in names:
        of_shape = result[SHAPES[name].key]
        parts += [f"## {name}", *map(markdown, tables(name, of_shape)), *remarks(of_shape)]
    return "\n\n".join(part.rstrip("\n") for part in parts) + "\n"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("shapes", nargs="*", default=["embedded"], help=f"of {', '.join(SHAPES)}")
    parser.add_argument("--device", default="auto")
    arguments = parser.parse_args()
    made = measure(arguments.shapes, Options(arguments.device))
    command = shlex.join(["python", "benchmarks/inner_loop.py", *sys.argv[1:]])
    PAGE.write_text(page(arguments.shapes, made, command), encoding="utf-8")
