"""The keys of the domain, and what it puts under the rest of the config. Sizes and counts are SEAL's."""

from __future__ import annotations

import json
from typing import Any, Literal

from pydantic import Field

from selfedit.config import Section
from selfedit.domains.arc.prompts import plan_skeleton


class ArcOptions(Section):
    """docs/seal.md 3.3, 3.5."""

    format: Literal["compact", "seal"] = Field(
        "compact", description="compact: a character per cell; seal: SEAL's chat prompt, for language models"
    )
    wide: bool = Field(False, description="plans choose copies, rank, early stop and views as well")
    leave_two: bool = Field(True, description="training rows with two demonstrations left out, beside those with one")
    max_side: int = Field(30, ge=1, le=30, description="training rows with a longer side are dropped")
    max_tokens: int = Field(8192, ge=1, le=1_000_000, description="training rows and views that are longer are dropped")
    max_rows: int = Field(250, ge=1, description="training rows of a plan")
    max_steps: int = Field(375, ge=1, description="a plan with more optimizer steps is refused")
    orders: int = Field(2, ge=0, description="further orders of the demonstrations in which a test grid is asked")
    transformed: int = Field(5, ge=0, le=5, description="views of a test grid that are turned or mirrored")
    augmented_views: int = Field(
        0, ge=0, description="views of a test grid at most, where the plan does not say; 0: all"
    )
    rescoring: bool = Field(
        False, description="attempts by the product of their probabilities over the views, not by SEAL's voting"
    )
    min_probability: float = Field(
        0.0, ge=0, lt=1, description="every answer that is so probable is a candidate (0.09 is usual); 0: greedy"
    )
    tasks: Literal["all", "seal", "seal-truncated"] = Field(
        "all", description="of the files: all, SEAL's 12 + 10, or those of them that its scripts did not drop"
    )


SEAL_DEFAULTS: dict[str, Any] = {
    "inner": {"rank": 128, "alpha": 16, "batch_size": 2, "epochs": 2, "learning_rate": 1e-4, "schedule": "cosine"},
    "outer": {
        "rounds": 1,
        "edits_per_task": 15,
        "reward": "solved",
        "credit": "threshold",
        "sampling": {"temperature": 0.8, "top_p": 1.0, "max_new_tokens": 128},
        "recipe": {"rank": 16, "alpha": 16, "epochs": 8, "learning_rate": 5e-5, "batch_size": 5},
    },
    "exam": {"grader": "attempts", "max_new_tokens": 1024},
}
"""SEAL's few-shot values (docs/seal.md 3.2 to 3.4), and room for a grid of 30 x 30."""

EXAMPLE_PLAN = json.dumps(plan_skeleton(wide=False))
