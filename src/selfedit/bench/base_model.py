"""What the embedded model can do before it is taught anything: `python benchmarks/base_model.py [PASSAGES]`, as JSON.

Open-book and closed-book accuracy on unseen entries, the faithfulness of its notes, and the spread of their styles.
"""

from __future__ import annotations

import json
import re
import sys
from collections import Counter
from itertools import islice

from selfedit.config import ModelConfig
from selfedit.domains.knowledge.domain import Knowledge
from selfedit.engines.local.engine import LocalEngine
from selfedit.graders import GRADERS
from selfedit.loops.evaluate import summarise
from selfedit.loops.inner import Examiner
from selfedit.types import BASE, Request, SelfEdit, Task, Trial
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


def accuracy(examiner: Examiner, tasks: list[Task], open_book: bool) -> dict[str, object]:
    scores = examiner.score([(BASE, task) for task in tasks], open_book)
    return summarise([Trial(SelfEdit(task.id, ""), BASE, after=s) for task, s in zip(tasks, scores, strict=True)])


def main(count: int) -> None:
    engine, domain = LocalEngine.from_config(ModelConfig()), Knowledge()
    examiner = Examiner(engine, domain, GRADERS["contains"], max_new_tokens=24)
    entries, tasks = list(islice(world.entries("exam", 0), count)), world.tasks("exam", count)
    asked = [Request(BASE, domain.prompt(task), seed, 1.0, 0.95, 220) for seed, task in enumerate(tasks)]
    texts = [text for text in engine.sample(asked) if isinstance(text, str)]
    counts = [notes.faithfulness(entry, text) for entry, text in zip(entries, texts, strict=True)]
    styles = Counter(style_of(entry, text) for entry, text in zip(entries, texts, strict=True))
    result = {
        "passages": count,
        "open_book": accuracy(examiner, tasks, open_book=True),
        "closed_book": accuracy(examiner, tasks, open_book=False),
        "faithful": sum(right for _, right, _ in counts) / sum(stated for stated, _, _ in counts),
        "facts_stated": sum(stated for stated, _, _ in counts),
        "coverage": sum(different for _, _, different in counts) / (6 * count),
        "styles": {style: number / count for style, number in styles.most_common()},
    }
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 300)
