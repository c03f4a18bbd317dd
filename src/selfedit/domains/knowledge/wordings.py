"""What a model is asked, as data: for notes, for questions, and in exams. Two ship; people bring their own as TOML.

- plain: a text that ends in a cue, which the embedded model is pre-trained on; SEAL asks in this way.
- chat: worked examples as earlier turns, for instruction-tuned models.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, field_validator

from selfedit.config import Section, read_toml, validated
from selfedit.domains.knowledge import prompts
from selfedit.domains.knowledge.text import sentences
from selfedit.errors import InputError
from selfedit.types import Conversation, Prompt, Task

FOLDER = Path(__file__).with_name("wordings")


class WorkedExample(Section):
    """An earlier turn: a title and a text, and what was written about them."""

    title: str
    text: str
    said: str


class Asking(Section):
    """How one text is asked for. `ask` holds {title} and {text}: the passage, or each of its sentences in turn.

    What comes back are statements, one per line, or questions; of these either each with the answer that was written
    below it, or, with `answer` "source", with the sentence of the passage that it is about.
    """

    ask: str
    unit: Literal["passage", "sentence"] = "passage"
    prefill: str = Field("", description="the first words of the answer")
    answer: Literal["written", "source"] = "written"
    most: int = Field(0, ge=0, description="questions that are kept about one sentence, with answer source; 0: all")
    examples: tuple[WorkedExample, ...] = ()

    @field_validator("ask")
    @classmethod
    def _holds_the_text(cls, ask: str) -> str:
        return _with_fields(ask, "title", "text")

    def prompts(self, task: Task) -> list[Prompt]:
        """One prompt for the passage, or one for each of its sentences."""
        texts = [task.context] if self.unit == "passage" else sentences(task.context)
        return [self._prompt(task.title, text) for text in texts]

    def _prompt(self, title: str, text: str) -> Prompt:
        asked = self.ask.format(title=title, text=text)
        if not (self.examples or self.prefill):
            return asked
        turns = [(self.ask.format(title=e.title, text=e.text), self.prefill + e.said) for e in self.examples]
        return Conversation(asked, self.prefill, tuple(turns))


class Wordings(Section):
    """Everything that is said to a model. `exam` holds {title} and {question}; `passage`, {title} and {text}, stands
    before it in an open-book exam. `learned`, which holds {title}, {question} and {answer}, is how a question of its
    notes is learned: best as an exam begins.
    """

    passage: str
    exam: str
    learned: str = "{title}\nQuestion: {question}\nAnswer: {answer}"
    questions: Asking
    notes: dict[str, Asking]

    @field_validator("passage")
    @classmethod
    def _holds_the_text(cls, passage: str) -> str:
        return _with_fields(passage, "title", "text")

    @field_validator("exam")
    @classmethod
    def _holds_the_question(cls, exam: str) -> str:
        return _with_fields(exam, "title", "question")

    @field_validator("learned")
    @classmethod
    def _holds_question_and_answer(cls, learned: str) -> str:
        return _with_fields(learned, "title", "question", "answer")

    def closed_book(self, task: Task, question: str) -> str:
        """A question as an exam has it. Like SEAL's it names the title, never the passage (docs/seal.md 1.3)."""
        return self.exam.format(title=task.title, question=question)

    def open_book(self, task: Task, question: str) -> str:
        """The same question with the passage in the prompt: the in-context ceiling."""
        return self.passage.format(title=task.title, text=task.context) + self.closed_book(task, question)


def _with_fields(text: str, *names: str) -> str:
    """The template; ValueError where it lacks a field, or has one that nothing fills."""
    for name in names:
        if f"{{{name}}}" not in text:
            raise ValueError(f"this needs {{{name}}} in it, where that goes")
    try:
        text.format(**dict.fromkeys(names, ""))
    except (KeyError, IndexError, ValueError, AttributeError):
        known = " and ".join(f"{{{name}}}" for name in names)
        raise ValueError(f"only {known} stand in braces here; write others double, as {{{{ and }}}}") from None
    return text


def _plain() -> Wordings:
    def with_text(text: str) -> str:
        return text.replace("{context}", "{text}")

    notes = {name: Asking(ask=with_text(wording.template)) for name, wording in prompts.PROMPTS.items()}
    questions = Asking(ask=with_text(prompts.QUESTIONS))
    return Wordings(passage=with_text(prompts.PASSAGE), exam=prompts.EXAM, questions=questions, notes=notes)


@cache
def read_wordings(name: str) -> Wordings:
    """`plain`, `chat`, or a TOML file with the keys of the one that ships. Raises InputError."""
    if name == "plain":
        return _plain()
    shipped = FOLDER / f"{name}.toml"
    path = shipped if shipped.is_file() and "/" not in name else Path(name).expanduser()
    if not path.is_file():
        raise InputError(f"domain.wording is {name!r}; it can be plain, chat or a TOML file, and there is no such file")
    given: dict[str, Any] = read_toml(path)
    return validated(Wordings, given, str(path))
