"""What a model says of itself: texts that it writes freely, and what it makes of them. Learned with soft targets, they
keep a model as it is where nothing new was taught.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from string import ascii_uppercase

from selfedit.loops.examine import Examiner
from selfedit.seeds import derive_seed
from selfedit.types import Example, Prompt, Request, Task, Update

OPENINGS = ascii_uppercase
"""A letter to begin with is enough for a model to say what it would have said: what it was trained on, above all."""


@dataclass(frozen=True)
class Recall:
    """Samples of a model at temperature 1: texts of its own, notes on every other of them, and about the rest a
    question, with the answers that it gives with the text before it and without.
    """

    examiner: Examiner
    seed: int

    def samples(self, model: Update, keys: Sequence[str], count: int) -> list[list[Example]]:
        """For every key (which seeds it) examples from `count` texts, the model their teacher."""
        openings = [
            (key, number, letter)
            for key in keys
            for number, letter in enumerate(Random(derive_seed(self.seed, "recall", key)).choices(OPENINGS, k=count))
        ]
        said = self._say(model, [(f"{key} {number}", letter) for key, number, letter in openings])
        texts = [letter + text for (*_, letter), text in zip(openings, said, strict=True)]
        found: dict[str, list[Example]] = {key: [] for key in keys}
        for (key, *_), text in zip(openings, texts, strict=True):
            found[key].append(Example("", text, teacher=model.id))
        read = [(key, number, _task(text)) for (key, number, _), text in zip(openings, texts, strict=True)]
        for key, prompt, text in self._made_of(model, [row for row in read if row[2].context]):
            found[key].append(Example(prompt, f" {text}", teacher=model.id))
        return [found[key] for key in keys]

    def _made_of(self, model: Update, read: Sequence[tuple[str, int, Task]]) -> list[tuple[str, Prompt, str]]:
        """(key, prompt, what the model says): notes on every other text, a question and its answers on the rest."""
        domain = self.examiner.domain
        noted = [(key, prompt) for key, number, task in read if number % 2 == 0 for prompt in domain.prompts(task)]
        asked = [(key, task) for key, number, task in read if number % 2]
        drafts = self._say(model, [(key, domain.question_prompts(task)[0]) for key, task in asked])
        for (key, task), draft in zip(asked, drafts, strict=True):
            for question in domain.parse_questions(draft)[:1]:
                noted += [(key, text) for text in (*domain.open_book(task, question), *domain.exam(task, question))]
        said = self._say(model, noted)
        return [(key, prompt, text) for (key, prompt), text in zip(noted, said, strict=True) if text]

    def _say(self, model: Update, asked: Sequence[tuple[str, Prompt]]) -> list[str]:
        """What the model says after each (key, prompt); nothing where the engine failed."""
        length = 2 * self.examiner.max_new_tokens
        requests = [
            Request(model, prompt, derive_seed(self.seed, "recall", key, prompt), 1.0, 1.0, length)
            for key, prompt in asked
        ]
        texts = self.examiner.engine.sample(requests) if requests else []
        return [text if isinstance(text, str) else "" for text in texts]


def _task(text: str) -> Task:
    """A text as a document: its first line is the title."""
    title, _, body = text.partition("\n")
    return Task("", title.strip(), body.strip())
