"""What documents of pre-training are made of."""

from __future__ import annotations

Part = tuple[str, float]
"""A piece of text and the weight of the loss on it."""

END = "<|end|>"
"""The end-of-text token; every document ends with one, and an answer inside a document too."""

PASSAGE_WEIGHT = 0.3
"""Loss on what is given weighs less than loss on what is asked for; with 1.0 the model never learned to copy."""
