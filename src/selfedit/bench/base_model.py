"""What the embedded model can do before it is taught anything, as JSON.

    python -m selfedit.bench.base_model [PASSAGES]

Open-book and closed-book accuracy on unseen entries, the faithfulness of its notes, and the spread of their styles.
"""

from __future__ import annotations

import json
import re
import sys
from collections import Counter
from collections.abc import Sequence
from itertools import islice
from typing import Any

from selfedit.engines.start import start_local
from selfedit.loops.evaluate import summarise
from selfedit.loops.examine import Exam, Examiner, score
from selfedit.protocols import silent
from selfedit.types import BASE, Request, SelfEdit, Task, Trial
from selfedit.workflows.build import make_examiner
from selfedit.workflows.configure import make_config
from selfedit.worlds.almanac import notes, world


def style_of(entry: world.Entry, text: str) -> str:
    """Which kind of notes these are, told from their form."""
    if "Answer:" in text:
        return "question-answer"
    if re.search(r"^[a-z ]+: ", text):
        return "keywords"
    if not list(notes.stated(entry.kind.name, text)):
        return "vague"
    if "\n" not in text and text.count(". "):
        return "rewrite"
    return "full-name statements" if text.startswith(entry.name.split()[0]) else "pronoun statements"


def accuracy(examiner: Examiner, tasks: Sequence[Task], open_book: bool) -> dict[str, Any]:
    scores = score(examiner, [Exam(BASE, task) for task in tasks], open_book)
    trials = [Trial(SelfEdit(task.id, ""), BASE, after=s) for task, s in zip(tasks, scores, strict=True)]
    return summarise("base", trials).to_json()


def measure(count: int) -> dict[str, Any]:
    """All of it on so many passages."""
    config = make_config("almanac")
    examiner, sampling = (
        make_examiner(config, start_local(config.model, config.max_adapters, silent)),
        config.outer.sampling,
    )
    entries, tasks = list(islice(world.entries("exam", 0), count)), world.tasks("exam", count)
    how = (sampling.temperature, sampling.top_p, sampling.max_new_tokens)
    asked = [Request(BASE, examiner.domain.prompts(task)[0], seed, *how) for seed, task in enumerate(tasks)]
    texts = [text for text in examiner.engine.sample(asked) if isinstance(text, str)]
    counts = [notes.faithfulness(entry, text) for entry, text in zip(entries, texts, strict=True)]
    styles = Counter(style_of(entry, text) for entry, text in zip(entries, texts, strict=True))
    return {
        "passages": count,
        "open_book": accuracy(examiner, tasks, open_book=True),
        "closed_book": accuracy(examiner, tasks, open_book=False),
        "faithful": sum(right for _, right, _ in counts) / sum(stated for stated, _, _ in counts),
        "facts_stated": sum(stated for stated, _, _ in counts),
        "coverage": sum(different for _, _, different in counts) / (6 * count),
        "styles": {style: number / count for style, number in styles.most_common()},
    }


if __name__ == "__main__":
    print(json.dumps(measure(int(sys.argv[1]) if len(sys.argv) > 1 else 300), indent=2))
