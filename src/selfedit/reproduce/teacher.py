"""The almanac's external teacher: who wrote the world writes notes that leave nothing out, as GPT-4.1 does in SEAL."""

from __future__ import annotations

from pathlib import Path
from random import Random

from selfedit.domains.knowledge import prompts
from selfedit.formats.passages import AskedQuestion, SyntheticPassage
from selfedit.formats.record import write_records
from selfedit.worlds.almanac import notes, world


def write_teacher(path: Path, passages: int, edits: int) -> None:
    """A file in SEAL's format: `edits` notes on each of the first exam passages, each in wordings of its own.

    Every note says all that can be asked: what the passage states, what follows from it, and what two sentences say.
    """
    rng = Random(f"teacher-{edits}")
    records = [
        SyntheticPassage(
            title=task.title,
            context=task.context,
            questions=tuple(AskedQuestion(question=q.text, answer=q.target) for q in task.questions),
            completions=tuple(notes.by_hand(entry, rng) for _ in range(edits)),
            prompt=prompts.NOTES.of(task),
        )
        for entry, task in world.entries_and_tasks("exam", passages)
    ]
    write_records(path, records)
