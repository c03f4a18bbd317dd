"""What families of models differ in, measured on the model itself: no list of names knows those that are to come."""

from __future__ import annotations

from typing import NamedTuple
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from selfedit.engines.local.forward import run
from selfedit.engines.local.generation import GenerationBatch

SHORT, LONG = 5, 7
"""Tokens of the two texts that are measured on."""

TOLERANCE = 0.05
"""Of the difference that a mistake would make: rounding stays below it, in 16 bits too."""


PEFT_REFUSES = {"falcon_h1", "falcon_mamba", "mamba", "mamba2", "nemotron_h"}
"""The families on whose `out_proj` PEFT puts no adapter (peft.tuners.tuners_utils)."""


class Abilities(NamedTuple):
    """`packs`: texts may share a sequence, told apart by their positions. `pads_left`: prompts of a batch may differ in
    length. `caches`: keys, values and states may be kept from token to token, and rows leave the batch; they take
    `cache_bytes` for a row and so many more for each of its tokens. `limits_batch`: the model's own mask ends at its
    context, padding included. `adaptable` are the names of the linear layers that see every token of the batch in its
    place, and whose output is one tensor.
    """

    packs: bool
    pads_left: bool
    caches: bool
    cache_bytes: tuple[int, int]
    limits_batch: bool
    adaptable: frozenset[str]


_measured: WeakKeyDictionary[PreTrainedModel, Abilities] = WeakKeyDictionary()


def abilities(model: PreTrainedModel) -> Abilities:
    """Of this model, measured the first time on texts of a few tokens. Where in doubt it is unable, which is slower."""
    if model not in _measured:
        _measured[model] = _measure(model)
    return _measured[model]


@torch.no_grad()
def _measure(model: PreTrainedModel) -> Abilities:
    generator = torch.Generator().manual_seed(0)
    vocabulary = int(model.config.get_text_config().vocab_size)
    ids = torch.randint(vocabulary, (2, LONG), generator=generator).to(model.device)
    if model.device.type == "meta":  # only shapes, nothing to measure on
        return Abilities(True, True, True, (0, 0), False, frozenset(_linear_layers(model)))
    adaptable = _adaptable(model, ids)
    other, text = ids.tolist()
    right = run(model, input_ids=ids[1:], use_cache=False)[0]
    blind = run(model, input_ids=ids[1:, -1:], use_cache=False)[0, -1]

    def is_right(prompts: list[list[int]], cached: bool) -> bool:
        """Whether the second prompt, alone in the batch after its first tokens, ends with the right logits."""
        try:
            with GenerationBatch(model, prompts, [], capacity=LONG, cached=cached) as batch:
                batch.logits()
                batch.select([1], [])
                for token in text[-2:]:
                    batch.append(batch.ids.new_tensor([token]))
                    logits = batch.logits()[0]
        except Exception:  # whatever a family's own cache cannot do
            return False
        return _same(logits, right[-1], blind)

    caches = is_right([other[:-2], text[:-2]], cached=True)
    return Abilities(
        packs=_packs(model, ids[0, :SHORT], ids[1], right),
        pads_left=is_right([other + other, text[:-2]], cached=caches),
        caches=caches,
        cache_bytes=_cache_bytes(model, text) if caches else (0, 0),
        limits_batch=any(buffer.dtype == torch.bool and buffer.dim() > 1 for buffer in model.buffers()),
        adaptable=adaptable,
    )


def _packs(model: PreTrainedModel, first: Tensor, second: Tensor, right: Tensor) -> bool:
    """Whether the second text is read as if it were alone, where a first one stands before it in the sequence."""
    together = torch.cat([first, second])[None]
    positions = torch.cat([torch.arange(len(first)), torch.arange(len(second))])[None].to(together.device)
    found = run(model, input_ids=together, position_ids=positions, use_cache=False)[0, len(first) :]
    return _same(found, right, run(model, input_ids=together, use_cache=False)[0, len(first) :])


def _linear_layers(model: PreTrainedModel) -> dict[str, nn.Module]:
    return {name: layer for name, layer in model.named_modules() if isinstance(layer, nn.Linear | Conv1D)}


def _cache_bytes(model: PreTrainedModel, text: list[int]) -> tuple[int, int]:
    """Bytes that are kept for a row, and for each of its tokens: a state does not grow, keys and values do."""

    def kept(ids: list[int]) -> int:
        with GenerationBatch(model, [ids], [], capacity=0, cached=True) as batch:
            batch.logits()
            return batch.cache_bytes

    of_token = (kept(text) - kept(text[:SHORT])) // (LONG - SHORT)
    return max(0, kept(text) - LONG * of_token), max(0, of_token)


def _same(found: Tensor, right: Tensor, wrong: Tensor) -> bool:
    return bool((found - right).abs().max() <= TOLERANCE * (wrong - right).abs().max())


def _adaptable(model: PreTrainedModel, ids: Tensor) -> frozenset[str]:
    """The linear layers that, for ids [rows, tokens], run on [rows, tokens, width] or [rows * tokens, width].

    Some are never called, because only their weight is used; those of experts see some of the tokens, shuffled.
    """
    shapes = {tuple(ids.shape), (ids.numel(),)}
    seen: dict[str, bool] = {}

    def note(name: str) -> object:
        def hook(layer: nn.Module, inputs: tuple[Tensor, ...], output: object) -> None:
            fits = isinstance(output, Tensor) and output.shape[:-1] == inputs[0].shape[:-1]
            seen[name] = seen.get(name, True) and fits and tuple(inputs[0].shape[:-1]) in shapes

        return hook

    hooks = [layer.register_forward_hook(note(name)) for name, layer in _linear_layers(model).items()]  # type: ignore[arg-type]
    try:
        run(model, input_ids=ids, use_cache=False)
    finally:
        for hook in hooks:
            hook.remove()
    is_mamba = model.config.model_type in PEFT_REFUSES
    return frozenset(name for name, fits in seen.items() if fits and not (is_mamba and name.endswith("out_proj")))
