"""Plans, the self-edits of `arc`: what a policy may choose, checked, and the recipe it makes (docs/seal.md 3.2)."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from selfedit.domains.arc.grids import AUGMENTATIONS
from selfedit.domains.arc.prompts import switch
from selfedit.errors import BadEdit
from selfedit.types import Recipe


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class DataGeneration(_Strict):
    use_basic_augmentations: bool
    use_size_augmentations: bool
    use_chain_augmentations: bool
    use_repeat_augmentations: bool

    @property
    def groups(self) -> list[str]:
        """The chosen keys of AUGMENTATIONS."""
        return [group for group in AUGMENTATIONS if getattr(self, switch(group))]


class _Training(_Strict):
    learning_rate: float = Field(gt=0)
    num_train_epochs: int = Field(ge=1, le=10_000)


class Training(_Training):
    strategy: Literal["train_using_all_tokens", "train_using_output_tokens"]


class Plan(_Strict):
    """SEAL's schema."""

    data_generation: DataGeneration
    training: Training

    @property
    def copies(self) -> int:
        return 1

    @property
    def views(self) -> int:
        """Views of a test grid, 0 where the plan does not say."""
        return 0

    def recipe(self, base: Recipe) -> Recipe:
        """The base recipe with what the plan chooses."""
        return replace(base, learning_rate=self.training.learning_rate, epochs=self.training.num_train_epochs)


class WideDataGeneration(DataGeneration):
    copies: int = Field(ge=1, le=8)


class WideTraining(_Training):
    strategy: Literal["train_using_all_tokens", "train_using_output_tokens", "train_using_later_outputs"]
    rank: int = Field(ge=1)
    early_stop: float = Field(ge=0)


class ViewChoice(_Strict):
    views: int = Field(ge=1, le=1000)


class WidePlan(_Strict):
    """A plan with more choices than SEAL's."""

    data_generation: WideDataGeneration
    training: WideTraining
    evaluation: ViewChoice

    @property
    def copies(self) -> int:
        return self.data_generation.copies

    @property
    def views(self) -> int:
        return self.evaluation.views

    def recipe(self, base: Recipe) -> Recipe:
        """An adapter of another rank keeps alpha / rank. Raises BadEdit for a rank above the base recipe's."""
        chosen = self.training
        if chosen.rank > base.rank:
            raise BadEdit(f"the plan's rank {chosen.rank} is above inner.rank, {base.rank}")
        return replace(
            base,
            learning_rate=chosen.learning_rate,
            epochs=chosen.num_train_epochs,
            rank=chosen.rank,
            alpha=base.alpha * chosen.rank / base.rank,
            early_stop=chosen.early_stop,
        )


def read_plan(text: str, wide: bool) -> Plan | WidePlan:
    """A plan as the policy wrote it: one JSON object, nothing around it. Raises BadEdit with what is wrong first.

    Types are strict: "3" is no number, 1 is no switch, 2.0 no number of epochs. No key may be missing or added.
    """
    try:
        return (WidePlan if wide else Plan).model_validate_json(text.strip())
    except ValidationError as error:
        problem = error.errors(include_url=False, include_input=False, include_context=False)[0]
    place = ".".join(map(str, problem["loc"]))
    raise BadEdit(f"the plan cannot be read: {f'{place}: ' if place else ''}{problem['msg'][:200]}")
