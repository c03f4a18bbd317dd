"""Random seeds: all of them follow from the config's, and from what they are for."""

from __future__ import annotations

import hashlib


def derive_seed(*parts: object) -> int:
    """A 63-bit seed from the config's seed and what it is for: never from the clock.

    derive_seed(0, "round-1", "apollo", 3) is the same number on every machine.
    """
    return int.from_bytes(hashlib.sha256(repr(parts).encode()).digest()[:8]) >> 1
