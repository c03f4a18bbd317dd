"""Few-shot abstract reasoning (ARC): the self-edit is a plan for learning a task from its demonstrations."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path
from typing import Any, ClassVar

from selfedit.config import Section
from selfedit.domains.arc.grids import VIEWS, Rng, Row, capped, leave_out, reordered, to_grid, training_rows, unique
from selfedit.domains.arc.options import EXAMPLE_PLAN, SEAL_DEFAULTS, ArcOptions
from selfedit.domains.arc.plans import read_plan
from selfedit.domains.arc.prompts import FORMATS, LATER, STRATEGIES, Format, Grid, Pair, grid_json, to_task
from selfedit.domains.arc.reader import read_arc, seal_tasks
from selfedit.domains.arc.voting import ATTEMPTS, vote
from selfedit.errors import BadEdit
from selfedit.results import Words
from selfedit.types import Example, Question, Recipe, SelfEdit, Task

Count = Callable[[str], int]
"""How many tokens a text has."""


def demonstrations(task: Task) -> list[Pair]:
    """The pairs that a task shows. Its context is JSON, a list of {"input", "output"}, as `to_task` writes it."""
    return [(to_grid(pair["input"]), to_grid(pair["output"])) for pair in json.loads(task.context)]


def _seed(*parts: object) -> int:
    """A seed of numpy's first generator, from the config's seed and what it is for."""
    return int.from_bytes(hashlib.sha256(repr(parts).encode()).digest()[:4])


@dataclass(frozen=True, slots=True)
class View:
    """One way to ask for a test grid: what is shown before it, all turned as the `name` of VIEWS says."""

    name: str
    shown: tuple[Pair, ...]
    grid: Grid


@dataclass(frozen=True, slots=True)
class Arc:
    """SEAL's few-shot domain (docs/seal.md 3).

    `recipe` is what a plan's choices are laid over. Random choices depend on `seed` and the task's id alone, so equal
    plans for one task train on equal rows. `count` measures texts against `domain.max_tokens`: by default in
    characters, which for the compact format are tokens, and for SEAL's about twice as many.
    """

    options: ArcOptions = field(default_factory=ArcOptions)
    recipe: Recipe = field(default_factory=Recipe)
    seed: int = 0
    count: Count = len

    Options: ClassVar[type[Section]] = ArcOptions
    defaults: ClassVar[dict[str, Any]] = SEAL_DEFAULTS
    example_text: ClassVar[str] = EXAMPLE_PLAN
    words: ClassVar[Words] = Words(
        conditions={
            "base": "Demonstrations in the prompt",
            "in_context": "Demonstrations in the prompt",
            "passage_only": "Trained on the demonstrations alone",
            "own_edits": "Trained by its own plan",
            "before_rl": "Trained by its own plans",
            "after_rl": "… after reinforcement",
            "by_hand": "Trained by a plan made by hand",
            "oracle": "Best plan by hand, in hindsight",
        },
        title="Tasks solved in two attempts",
        bars="Each bar is the share of trials that solved their task, averaged over tasks.",
        asked="All conditions see the demonstrations in the prompt; what differs is what was trained on them before.",
        correct="solved",
        claim="The model solves {share} of tasks after training by its own {edit}",
        share="of tasks solved",
        edit="plan",
        edits="plans",
        tasks_and_edits="Tasks and plans",
    )

    @classmethod
    def from_config(cls, options: ArcOptions, recipe: Recipe, seed: int) -> Arc:
        return cls(options, recipe, seed)

    @staticmethod
    def read(path: Path, options: ArcOptions) -> list[Task]:
        tasks = read_arc(path)
        return tasks if options.tasks == "all" else seal_tasks(tasks, truncated=options.tasks == "seal-truncated")

    @staticmethod
    def show(text: str) -> str:
        """A text of the domain on a page: grids and plans are drawn."""
        from selfedit.domains.arc.pictures import picture  # needs the report's libraries

        return picture(text)

    @property
    def min_probability(self) -> float:
        return self.options.min_probability

    @property
    def rescoring(self) -> Arc | None:
        return self if self.options.rescoring else None

    @property
    def reading(self) -> None:
        return None

    @property
    def format(self) -> Format:
        return FORMATS[self.options.format]

    # Plans

    def prompts(self, task: Task, member: int = 0) -> list[str]:
        return [self.format.plan(demonstrations(task), self.options.wide)]

    def follow_ups(self, task: Task, text: str) -> list[str]:
        return []

    def parse(self, task: Task, text: str, member: int = 0) -> SelfEdit:
        """A plan becomes training rows and a recipe. Raises BadEdit for one that trains on nothing or too long."""
        plan = read_plan(text, self.options.wide)
        recipe = plan.recipe(self.recipe)
        examples = self._examples(task, plan.data_generation.groups, plan.training.strategy, plan.copies)
        if not examples:
            raise BadEdit("there is nothing to train on: one demonstration, or none short enough")
        steps, limit = recipe.epochs * len(examples) // recipe.batch_size, self.options.max_steps
        if steps > limit and not recipe.tokens:  # a budget of tokens is kept whatever epochs a plan chooses
            raise BadEdit(f"the plan is unaffordable: {steps} steps, where {limit} are allowed")
        return SelfEdit(task.id, self.prompts(task, member)[0], text, examples, recipe)

    def lines(self, text: str) -> list[str]:
        """A plan is one piece."""
        return [text]

    def joined(self, lines: Sequence[str]) -> str:
        return lines[0]

    def without_edit(self, task: Task) -> SelfEdit:
        """The demonstrations as they are, each in turn the one to be answered: training without a plan."""
        return SelfEdit(task.id, "", "", self._examples(task, [], STRATEGIES[1], 1), self.recipe)

    def _examples(self, task: Task, groups: Sequence[str], strategy: str, copies: int) -> tuple[Example, ...]:
        """At most `domain.max_rows`: each demonstration asked after the others stays, the rest is drawn by chance."""
        options, seed = self.options, _seed(self.seed, task.id, "rows")
        rows = training_rows(demonstrations(task), groups, seed, options.leave_two, copies, options.max_side)
        examples = dict.fromkeys(example for row in rows for example in LEARNED[strategy](self.format, row))
        short = [example for example in examples if self._tokens(example) <= options.max_tokens]
        plain = {
            example for row in leave_out(demonstrations(task), 1) for example in LEARNED[strategy](self.format, row)
        }
        own = capped([example for example in short if example in plain], options.max_rows, seed)
        rest = [example for example in short if example not in plain]
        return (*own, *capped(rest, options.max_rows - len(own), seed))

    def _tokens(self, example: Example) -> int:
        return self.count(str(example.prompt)) + self.count(example.target) + 1  # the end of the text

    # Exams

    def exam(self, task: Task, question: Question, edit: SelfEdit | None = None) -> list[str]:
        """The demonstrations are always shown: what is learned is how to use them."""
        return [self.format.question(view.shown, view.grid) for view in self._asked(task, question, edit)]

    def open_book(self, task: Task, question: Question) -> list[str]:
        return self.exam(task, question)

    def answer(self, task: Task, question: Question, texts: Sequence[Sequence[str]]) -> str:
        """At most two attempts as JSON, a list of grids, voted over the views; what is no grid has no vote."""
        buckets: dict[str, list[Grid]] = {}
        for name, grid in self._turned_back(task, question, texts):
            buckets.setdefault(name, []).append(grid)
        return json.dumps([grid.tolist() for grid in vote(buckets)])

    def candidates(self, task: Task, question: Question, texts: Sequence[Sequence[str]]) -> list[str]:
        return list(dict.fromkeys(grid_json(grid) for _, grid in self._turned_back(task, question, texts)))

    def attempts(self, ranked: Sequence[str]) -> str:
        return json.dumps([json.loads(grid) for grid in ranked[:ATTEMPTS]])

    def _turned_back(
        self, task: Task, question: Question, texts: Sequence[Sequence[str]]
    ) -> Iterator[tuple[str, Grid]]:
        """The grids that were answered in each view, as they are in the task, with the view's name."""
        for view, of_view in zip(self._views(task, question)[: len(texts)], texts, strict=True):
            for grid in map(self._read, of_view):
                if grid is not None:
                    yield view.name, VIEWS[view.name][1](grid)

    def _read(self, text: str) -> Grid | None:
        try:
            return to_grid(self.format.read(text))
        except ValueError:
            return None

    def targets(self, task: Task, question: Question, edit: SelfEdit | None = None) -> list[str]:
        output = to_grid(json.loads(question.target))
        return [self.format.output(VIEWS[view.name][0](output)) for view in self._asked(task, question, edit)]

    def question_prompts(self, task: Task) -> list[str]:
        raise NotImplementedError("tasks of grids make their own exams")

    def parse_questions(self, text: str) -> list[Question]:
        return []

    def own_exams(self, tasks: Sequence[Task]) -> list[Task] | None:
        """The tasks without their last demonstration, which is asked instead: a reward that needs no labels.

        Two demonstrations must be left to train on.
        """
        shown = [(task.id, demonstrations(task)) for task in tasks]
        return [to_task(name, pairs[:-1], pairs[-1:]) for name, pairs in shown if len(pairs) > 2]

    # Views

    def _asked(self, task: Task, question: Question, edit: SelfEdit | None) -> list[View]:
        """The first views: as many as the plan wants, or else the config. An edit without a text was not planned."""
        planned = read_plan(edit.text, self.options.wide).views if edit and edit.text else 0
        return self._views(task, question)[: planned or self.options.augmented_views or None]

    def _views(self, task: Task, question: Question) -> list[View]:
        """All views that fit: the task as it is, then transformed and plain ones in turn, so that a few have both."""
        grid, shown = to_grid(json.loads(question.text)), demonstrations(task)
        plain = self._contexts(shown, grid, Rng(_seed(self.seed, task.id, "orders")))
        turned = list(self._transformed(plain, Rng(_seed(self.seed, task.id, "views"))))
        views = [View("identity", plain[0][:-1], grid)]
        for pair in zip_longest(turned, (View("identity", row[:-1], grid) for row in plain[1:])):
            views += [view for view in pair if view]
        room = max(self.count(self.format.output(output)) for _, output in shown)
        fitting = [view for view in views if self._length(view) + room <= self.options.max_tokens]
        return fitting or views[:1]

    def _contexts(self, shown: Sequence[Pair], grid: Grid, rng: Rng) -> list[Row]:
        """All demonstrations, then, as in docs/seal.md 3.5, all but one; each in some orders, the test grid last."""
        asked = (grid, grid)
        contexts: list[Row] = [(*shown, asked)]
        if len(shown) > 1:
            contexts += [(*row[:-1], asked) for row in leave_out(shown, 1)]
        again = [reordered(context, rng) for context in contexts for _ in range(self.options.orders)]
        return unique([*contexts, *again])

    def _transformed(self, rows: Sequence[Row], rng: Rng) -> Iterator[View]:
        """One context, drawn by chance, for each transformation."""
        for name in [name for name in VIEWS if name != "identity"][: self.options.transformed]:
            there = VIEWS[name][0]
            *shown, (grid, _) = rows[int(rng.randint(len(rows)))]
            yield View(name, tuple((there(a), there(b)) for a, b in shown), there(grid))

    def _length(self, view: View) -> int:
        return self.count(self.format.question(view.shown, view.grid))


def _all_tokens(form: Format, row: Row) -> list[Example]:
    return [Example("", form.whole(row[:-1], row[-1]))]


def _output(form: Format, row: Row) -> list[Example]:
    return [Example(form.question(row[:-1], row[-1][0]), form.output(row[-1][1]))]


def _later_outputs(form: Format, row: Row) -> list[Example]:
    """Every output but the first, each after what stands before it: nothing explains the first."""
    return [example for end in range(2, len(row) + 1) for example in _output(form, row[:end])]


LEARNED: dict[str, Callable[[Format, Row], list[Example]]] = {
    STRATEGIES[0]: _all_tokens,
    STRATEGIES[1]: _output,
    LATER: _later_outputs,
}
"""What the loss falls on in a row, by a plan's strategy."""
