"""Which items run together: as many as fit, those of one adapter together, and half of them when memory runs out."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from typing import TypeVar

from selfedit.engines.local.memory import is_out_of_memory
from selfedit.engines.local.sampling import TokenizedRequest
from selfedit.engines.local.text import TokenRow
from selfedit.types import Failure

ItemT = TypeVar("ItemT", bound=TokenRow | TokenizedRequest)
ResultT = TypeVar("ResultT")

Batch = dict[int, tuple[str, ItemT]]
"""By its index in the caller's list: the update whose adapter is attached for an item ("" for none), and the item."""

log = logging.getLogger(__name__)


def by_adapter(batch: Mapping[int, tuple[str, ItemT]]) -> dict[str, list[int]]:
    """The indices of each update's items."""
    indices: dict[str, list[int]] = defaultdict(list)
    for index, (update_id, _) in batch.items():
        indices[update_id].append(index)
    return indices


def split_into_batches(items: Batch[ItemT], max_items: int) -> Iterator[Batch[ItemT]]:
    """At most so many items at a time; an update's stay together, neighbours have like lengths."""
    ordered = {index: items[index] for index in sorted(items, key=lambda index: len(items[index][1].ids))}
    batch: Batch[ItemT] = {}
    for part in (own[s : s + max_items] for own in by_adapter(ordered).values() for s in range(0, len(own), max_items)):
        if len(batch) + len(part) > max_items:
            yield batch
            batch = {}
        batch |= {index: items[index] for index in part}
    yield batch


def run_or_halve(
    batch: Batch[ItemT], run: Callable[[Batch[ItemT]], Mapping[int, ResultT]], doing: str
) -> dict[int, ResultT | Failure]:
    """The results of the batch. Out of memory halves it; an item that fails even alone is a failure."""
    try:
        return dict(run(batch))
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        if len(batch) == 1:
            return dict.fromkeys(batch, Failure("system", f"out of memory in {doing}: {error}"))
    half, items = len(batch) // 2, list(batch.items())
    log.warning("out of memory; going on with %d sequences at a time", half)
    return run_or_halve(dict(items[:half]), run, doing) | run_or_halve(dict(items[half:]), run, doing)
