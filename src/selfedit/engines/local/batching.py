"""Which items run together: as many as fit, those of one update side by side, and half of them when memory runs out."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from typing import Protocol, TypeVar

from selfedit.engines.local.memory import is_out_of_memory
from selfedit.types import Failure


class Item(Protocol):
    """What a model is run on: `length` tokens in the end, and logits at `scored` of them at once."""

    @property
    def ids(self) -> list[int]: ...

    @property
    def length(self) -> int: ...

    @property
    def scored(self) -> int: ...


ItemT = TypeVar("ItemT", bound=Item)
ResultT = TypeVar("ResultT")

Asked = dict[int, tuple[str, ItemT]]
"""By its place in the caller's list: the update whose adapter is worn for an item, or "" for none, and the item."""

log = logging.getLogger(__name__)


def by_owner(batch: Mapping[int, tuple[str, ItemT]]) -> dict[str, list[int]]:
    """The places of each update's items."""
    owners: dict[str, list[int]] = defaultdict(list)
    for index, (owner, _) in batch.items():
        owners[owner].append(index)
    return owners


def batches(asked: Asked[ItemT], most: int) -> Iterator[Asked[ItemT]]:
    """At most so many items at a time; an update's stay together, neighbours have like lengths."""
    ordered = {index: asked[index] for index in sorted(asked, key=lambda index: len(asked[index][1].ids))}
    batch: Asked[ItemT] = {}
    for part in (own[s : s + most] for own in by_owner(ordered).values() for s in range(0, len(own), most)):
        if len(batch) + len(part) > most:
            yield batch
            batch = {}
        batch |= {index: asked[index] for index in part}
    yield batch


def halving(
    batch: Asked[ItemT], run: Callable[[Asked[ItemT]], Mapping[int, ResultT]], doing: str
) -> dict[int, ResultT | Failure]:
    """What `run` makes of the batch. Out of memory halves it; an item that fails even alone is a failure."""
    try:
        return dict(run(batch))
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        if len(batch) == 1:
            return dict.fromkeys(batch, Failure("system", f"out of memory in {doing}: {error}"))
    half, items = len(batch) // 2, list(batch.items())
    log.warning("out of memory; going on with %d sequences at a time", half)
    return halving(dict(items[:half]), run, doing) | halving(dict(items[half:]), run, doing)
