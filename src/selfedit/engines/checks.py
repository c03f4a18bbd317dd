"""What every engine refuses to train, because it would not do what it says."""

from __future__ import annotations

from selfedit.errors import InputError
from selfedit.types import Job


def check_weights(job: Job) -> None:
    """Raises InputError where a negative weight would be followed for more than one epoch without a limit.

    Avoiding a text has no bottom: its loss falls for ever, and after the first epoch the policy is no longer the one
    that wrote it. The ratio's clip is that limit.
    """
    recipe, is_negative = job.recipe, any(example.weight < 0 for example in job.examples)
    if is_negative and (recipe.epochs > 1 or recipe.tokens) and not recipe.ratio_clip:
        long = f"{recipe.tokens} tokens" if recipe.tokens else f"{recipe.epochs} epochs"
        raise InputError(
            f"some examples have negative weights, and {long} with ratio_clip = 0 would follow them without limit; "
            "set epochs to 1 and tokens to 0, or ratio_clip above 0, such as 0.2"
        )
