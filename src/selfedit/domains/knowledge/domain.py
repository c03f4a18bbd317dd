"""Knowledge incorporation: read a passage, write notes about it, be asked about it without the passage."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field

from selfedit.config import Section
from selfedit.domains.knowledge import documents, prompts
from selfedit.domains.knowledge.reader import read_tasks
from selfedit.domains.knowledge.support import evidence, first_foreign, supported, variants, without_each_part
from selfedit.domains.knowledge.wordings import Wordings, read_wordings
from selfedit.errors import BadEdit
from selfedit.plugins import lookup
from selfedit.protocols import Comparison, Rescoring
from selfedit.results import Words
from selfedit.thoughts import answer_in
from selfedit.types import BASE, Example, LikelihoodRequest, Prompt, Question, Recipe, SelfEdit, Task

EXCHANGED, UNFOUNDED = "reads better with its names or numbers exchanged", "follows from no sentence of the document"
"""Why a line is not learned that was read again."""

_CONCLUSION = re.compile(r"^[^\w\n]*Implications:[^\w\n]*$(?:\n[^\w\n]*$)*", re.MULTILINE | re.IGNORECASE)

SPECIAL = dict.fromkeys(("pool", "entity-pair"))
"""Prompts beside those of the plain wording: several of these in turn, and one in two steps."""

MAX_NAMES = 4
"""Names that an `entity-pair` edit relates to each other: six pairs. EntiGraph takes all of a passage's, at a cost that
grows with their square; SEAL's budget is a handful of texts a passage (docs/seal.md 2.3)."""


class KnowledgeOptions(Section):
    prompt: str = Field(
        "notes",
        description="notes, implications, long, very-long, rewrite, self-qa, none, chain-of-thought, entity-pair, or "
        "pool (several of them in turn); with wording chat: questions, facts, self-qa, rewrite or implications",
    )
    wording: str = Field(
        "plain",
        description="what the model is asked: plain (a text with a cue), chat (worked examples as turns), or your own, "
        "a TOML file with the keys of `chat.toml`",
    )
    check: bool = Field(
        False,
        description="learn only lines whose names, numbers and words stand in the document",
    )
    reading: bool = Field(
        False,
        description="learn no line that the model, the document before it, finds less likely than the same with names "
        "or numbers exchanged; `check` then lets statements pass whose own words follow from a sentence of it",
    )
    split_newlines: bool = Field(True, description="each line of the notes is a training document of its own")
    passage: bool = Field(True, description="the passage is among the documents")
    max_documents: int = Field(
        0, ge=0, description="documents taken from one edit at most; 0: all (SEAL's later code has 30)"
    )


@dataclass(frozen=True, slots=True)
class Knowledge:
    """SEAL's knowledge domain. `recipe` is how every edit is trained."""

    options: KnowledgeOptions = field(default_factory=KnowledgeOptions)
    recipe: Recipe = field(default_factory=Recipe)

    Options: ClassVar[type[Section]] = KnowledgeOptions
    defaults: ClassVar[dict[str, Any]] = {}
    example_text: ClassVar[str] = "It is here.\nIt is this."
    words: ClassVar[Words] = Words(
        conditions={
            "before": "Before, closed book",
            "after": "After, closed book",
            "base": "Base model, closed book",
            "passage_only": "Trained on the passage only",
            "passage_only_equal": "Passage only, as many tokens",
            "own_edits": "Trained on its own notes",
            "teacher_edits": "Trained on a teacher's notes",
            "after_rl": "… after reinforcement",
            "in_context": "Passage in the prompt",
            "retrieved": "Retrieved passage in prompt",
        },
        bars="Each bar is the share of questions answered correctly, averaged over passages.",
        asked="All conditions are asked the same questions, without the passage.",
        task="passage",
        edit="notes",
        edits="sets of notes",
        tasks_and_edits="Passages and notes",
    )

    min_probability: ClassVar[float] = 0.0
    rescoring: ClassVar[Rescoring | None] = None

    @property
    def reading(self) -> Knowledge | None:
        return self if self.options.reading else None

    def compare(self, task: Task, example: Example) -> Comparison | None:
        """Of a statement whose words stand in the passage: the same with names or numbers exchanged, the passage before
        them. Of one that has words of its own, as what follows from a passage has: these words, after the passage and
        after the passage without each of its sentences. What follows is likeliest where the sentence stands from which
        it does; of a wrong value that sentence takes away more than any other adds. Nothing of the passage itself and
        its sentences.
        """
        statement = example.target.rsplit("\n", 1)[-1]
        if statement in task.context:
            return None

        def after(context: str, text: str) -> LikelihoodRequest:
            passage = self.wordings.passage.format(title=task.title, text=context)
            return LikelihoodRequest(BASE, "", passage + text)

        at = first_foreign(statement, task)
        if at is not None:
            said, given = (f"{task.title}\n{text}" for text in (statement, statement[:at].rstrip()))
            contexts = (task.context, *without_each_part(task.context))
            return Comparison([(after(each, said), after(each, given)) for each in contexts], UNFOUNDED, ablated=True)
        others = variants(statement, task)
        texts = [after(task.context, text) for text in (statement, *others)]
        return Comparison([(text, None) for text in texts], EXCHANGED) if others else None

    @classmethod
    def from_config(cls, options: KnowledgeOptions, recipe: Recipe, seed: int) -> Knowledge:
        """Raises InputError for a prompt or a wording that is not there."""
        wordings = read_wordings(options.wording)
        lookup({**wordings.notes, **(SPECIAL if options.wording == "plain" else {})}, options.prompt, "domain.prompt")
        return cls(options, recipe)

    @property
    def wordings(self) -> Wordings:
        return read_wordings(self.options.wording)

    @staticmethod
    def read(path: Path, options: KnowledgeOptions) -> list[Task]:
        return read_tasks(path)

    @staticmethod
    def show(text: str) -> str:
        """A text of the domain on a page: as it is."""
        return text

    def prompts(self, task: Task, member: int = 0) -> list[Prompt]:
        if self.options.prompt == "entity-pair":
            return [prompts.entities(task)]
        if self.options.prompt == "pool":
            return [prompts.of_pool(task, member).of(task)]
        return self.wordings.notes[self.options.prompt].prompts(task)

    def follow_ups(self, task: Task, text: str) -> Sequence[Prompt]:
        """`entity-pair` asks how the names that were listed, and that do stand in the passage, are related."""
        if self.options.prompt != "entity-pair":
            return []
        return prompts.relations(task, _names(task, text)[:MAX_NAMES])

    def parse(self, task: Task, text: str, member: int = 0) -> SelfEdit:
        said = answer_in(text)
        if not said.strip():
            raise BadEdit("the notes are empty" + ", because a thought did not end" * bool(text.strip()))
        conclusion = _CONCLUSION.search(said)  # what comes before it was thinking aloud (docs/seal.md 1.3)
        lines, dropped = self._documents(task, said[conclusion.end() :] if conclusion else said)
        lines = lines[: self.options.max_documents or None] + [document_of(task)] * self.options.passage
        if not lines:
            raise BadEdit(f"there is nothing to learn in the notes{f': {dropped[0][1]}' if dropped else ''}")
        examples = tuple(Example("", line) for line in lines)
        prompt = self.prompts(task, member)[0]
        return SelfEdit(task.id, prompt, said, examples, self.recipe, dropped=tuple(dropped))

    def lines(self, text: str) -> list[str]:
        if self.options.wording == "plain":
            return documents.segments(text)
        return [line.strip() for line in text.split("\n") if line.strip()]

    def joined(self, lines: Sequence[str]) -> str:
        return documents.joined(lines)

    def _documents(self, task: Task, notes: str) -> tuple[list[str], list[tuple[str, str]]]:
        """The training documents in notes, and the lines that were dropped by the check, with the reasons."""

        def checked(lines: Sequence[str]) -> tuple[list[str], list[tuple[str, str]]]:
            return supported(lines, task, self.options.reading) if self.options.check else (list(lines), [])

        if self.options.wording == "plain":
            kept, dropped = checked(documents.segments(notes, self.options.split_newlines))
            return [f"{task.title}\n{line}" for line in kept], dropped
        asking, learned = self.wordings.notes.get(self.options.prompt), self.wordings.learned
        if asking and asking.answer == "source":
            asked = [line for line in documents.statements(notes) if line.endswith("?")]
            kept, dropped = checked(asked)
            pairs = _shared_out([(question, evidence(question, task)[0]) for question in kept], asking.most)
        else:
            written = {f"{q.text}\n{q.target}": (q.text, q.target) for q in documents.parse_questions(notes)}
            kept, dropped = checked(list(written) or documents.statements(notes))
            if not written:
                return [f"{task.title}\n{line}" for line in kept], dropped
            pairs = [written[line] for line in kept]
        return [learned.format(title=task.title, question=q, answer=a) for q, a in pairs], dropped

    def without_edit(self, task: Task) -> SelfEdit:
        return SelfEdit(task.id, "", "", (Example("", document_of(task)),), replace(self.recipe, min_steps=0))

    def exam(self, task: Task, question: Question, edit: SelfEdit | None = None) -> list[str]:
        return [self.wordings.closed_book(task, question.text)]

    def open_book(self, task: Task, question: Question) -> list[str]:
        return [self.wordings.open_book(task, question.text)]

    def answer(self, task: Task, question: Question, texts: Sequence[Sequence[str]]) -> str:
        ((text,),) = texts
        return text

    def targets(self, task: Task, question: Question, edit: SelfEdit | None = None) -> list[str]:
        """A gold answer may be a mere name where a model answers in sentences, so none."""
        return []

    def own_exams(self, tasks: Sequence[Task]) -> list[Task] | None:
        return None

    def question_prompts(self, task: Task) -> list[Prompt]:
        return self.wordings.questions.prompts(task)

    def parse_questions(self, text: str) -> list[Question]:
        return list(documents.parse_questions(text))


def _shared_out(pairs: Sequence[tuple[str, str]], most: int) -> list[tuple[str, str]]:
    """The first `most` questions about each sentence; all where it is 0."""
    seen = Counter[str]()
    kept = []
    for question, sentence in pairs:
        seen[sentence] += 1
        if not most or seen[sentence] <= most:
            kept.append((question, sentence))
    return kept


def document_of(task: Task) -> str:
    """The passage as a training document."""
    return f"{task.title}\n{task.context}"


def _names(task: Task, text: str) -> list[str]:
    """The listed names that stand in the passage, each once, without the list's numbers and dashes."""
    lines = [re.sub(r"^[\s\-*\d.)]+", "", line).strip() for line in re.split(r"[\n,;]", answer_in(text))]
    return list(dict.fromkeys(line for line in lines if line and line in document_of(task)))
