"""What every engine refuses to train, because it would not do what it says."""

from __future__ import annotations

from selfedit.errors import InputError
from selfedit.types import Job


def check_weights(job: Job) -> None:
    """Raises InputError where a negative weight would be followed for more than one epoch without a limit.

    Avoiding a text has no bottom: its loss falls for ever, and after the first epoch the policy is no longer the one
    that wrote it. The ratio's clip is that limit.
    """
    recipe = job.recipe
    if recipe.epochs > 1 and not recipe.ratio_clip and any(example.weight < 0 for example in job.examples):
        raise InputError(
            f"some examples have negative weights, and {recipe.epochs} epochs with ratio_clip = 0 would follow them "
            "without limit; set epochs to 1, or ratio_clip above 0, such as 0.2"
        )
