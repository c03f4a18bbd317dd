"""How fast the inner loop is, as a page.

    python -m selfedit.bench.page [SHAPE ...] [--device cuda] [--output docs/performance.md]

The same as `selfedit bench`, with the result on a page instead of the screen; the shape is `embedded` if none is named.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from selfedit.bench.plan import BenchOptions
from selfedit.bench.shapes import SHAPES
from selfedit.bench.table import remarks, tables
from selfedit.engines.start import quieten
from selfedit.protocols import Progress, silent
from selfedit.results import markdown

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


def page(names: Sequence[str], result: Mapping[str, Any], command: str) -> str:
    """What `bench.run` made of these shapes, in Markdown."""
    parts = [INTRODUCTION.format(command=command, **result["machine"])]
    for name in names:
        of_shape = result[SHAPES[name].key]
        parts += [f"## {name}", *map(markdown, tables(name, of_shape)), *remarks(of_shape)]
    return "\n\n".join(part.rstrip("\n") for part in parts) + "\n"


def measure(names: Sequence[str], options: BenchOptions, progress: Progress = silent) -> dict[str, Any]:
    """Run the benchmark. Imported here because PyTorch takes seconds, and must first be told to be quiet."""
    quieten()
    from selfedit.bench.run import run

    return run(list(names), options, progress)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("shapes", nargs="*", default=["embedded"], help=f"of {', '.join(SHAPES)}")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--output", type=Path, default=Path("docs/performance.md"))
    arguments = parser.parse_args()
    if not arguments.output.parent.is_dir():  # said now, and not after minutes of work
        parser.error(f"there is no folder {arguments.output.parent} for the page")
    result = measure(arguments.shapes, BenchOptions(arguments.device))
    command = shlex.join(["python", "-m", "selfedit.bench.page", *sys.argv[1:]])
    arguments.output.write_text(page(arguments.shapes, result, command), encoding="utf-8")


if __name__ == "__main__":
    main()
