"""The almanac's external teacher: who wrote the world writes notes that leave nothing out, as GPT-4.1 does in SEAL."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from random import Random

from selfedit.domains.knowledge import prompts
from selfedit.formats.passages import AskedQuestion, SyntheticPassage
from selfedit.formats.record import write_records
from selfedit.worlds.almanac import notes, world


def write_teacher(path: Path, passages: int, edits: int) -> None:
    """A file in SEAL's format: `edits` notes on each of the first exam passages, every fact in wordings of its own."""
    rng = Random(f"teacher-{edits}")
    entries = islice(world.entries("exam", 0), passages)
    records = [
        SyntheticPassage(
            title=task.title,
            context=task.context,
            questions=tuple(AskedQuestion(question=q.text, answer=q.target) for q in task.questions),
            completions=tuple(notes.full_statements(entry, entry.facts, rng) for _ in range(edits)),
            prompt=prompts.NOTES.of(task),
        )
        for entry, task in zip(entries, world.tasks("exam", passages), strict=True)
    ]
    write_records(path, records)
