"""What families of models differ in, measured on the model itself: no list of names knows those that are to come."""

from __future__ import annotations

from collections import Counter
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.conversion_mapping import _MODEL_TO_CONVERSION_PATTERN
from transformers.pytorch_utils import Conv1D

from selfedit.engines.local.forward import run, run_and_trace
from selfedit.engines.local.generation import GenerationBatch, PreallocatedLayer, make_cache

SHORT, LONG = 5, 7
"""Tokens of the two texts that are measured on."""

TOLERANCE = {torch.float64: 1e-6, torch.float32: 1e-3, torch.float16: 0.05, torch.bfloat16: 0.05}
"""Of the difference that a mistake would make, by the model's type: rounding stays below it."""


PEFT_REFUSES = {"falcon_h1", "falcon_mamba", "mamba", "mamba2", "nemotron_h"}
"""The families on whose `out_proj` PEFT puts no adapter (peft.tuners.tuners_utils)."""

PEFT_MOVES = {
    "mixtral": {"gate", "w1", "w2", "w3"},
    "qwen2_moe": {"gate", "gate_proj", "up_proj", "down_proj"},
    "laguna": {"gate", "gate_proj", "up_proj", "down_proj"},
}
"""By how transformers converts a family's experts: the names that PEFT takes for theirs, wherever they stand
(peft.utils.transformers_weight_conversion, https://github.com/huggingface/peft/issues/3711).
"""


class Abilities(NamedTuple):
    """`packs`: texts may share a sequence, told apart by their positions. `pads_left`: prompts of a batch may differ in
    length. `caches`: keys, values and states may be kept from token to token, and rows leave the batch; they take
    `cache_bytes` for a row and so many more for each of its tokens. `gaps`: there may be padding between the tokens
    that are kept and those that are read next. `limits_batch`: the model's own mask ends at its context, padding
    included. `adaptable` are the names of the linear layers that see every token of the batch in its place, and whose
    output is one tensor.
    """

    packs: bool
    pads_left: bool
    caches: bool
    cache_bytes: tuple[int, int]
    gaps: bool
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
        return Abilities(True, True, True, (0, 0), True, False, frozenset(_linear_layers(model)))
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
                    batch.extend([[token]])
                    logits = batch.logits()[0]
        except Exception:  # whatever a family's own cache cannot do
            return False
        return _same(logits, right[-1], blind)

    def has_gaps() -> bool:
        """Whether two texts go on rightly from one that they share: one after padding, one by two tokens at once."""
        try:
            with GenerationBatch(model, [text[:-2]], [], capacity=LONG, cached=True) as batch:
                batch.logits()
                batch.select([0, 0], [])
                batch.extend([text[-2:-1], text[-2:]])
                return _same(batch.logits(), right[-2:], blind)
        except Exception:
            return False

    caches = is_right([other[:-2], text[:-2]], cached=True)
    pads_left = is_right([other + other, text[:-2]], cached=caches)
    limits_batch = any(buffer.dtype == torch.bool and buffer.dim() > 1 for buffer in model.buffers())
    keeps_all = caches and all(type(layer) is PreallocatedLayer for layer in make_cache(model, 0).layers)
    return Abilities(
        packs=_packs(model, ids[0, :SHORT], ids[1], right),
        pads_left=pads_left,
        caches=caches,
        cache_bytes=_cache_bytes(model, text) if caches else (0, 0),
        gaps=keeps_all and not limits_batch and has_gaps(),
        limits_batch=limits_batch,
        adaptable=adaptable,
    )


def _packs(model: PreTrainedModel, first: Tensor, second: Tensor, right: Tensor) -> bool:
    """Whether the second text is read as if it were alone, where a first one stands before it in the sequence.

    What it does not see has a gradient of zero, exactly, in any type and whatever the weights are.
    """
    together, half = torch.cat([first, second])[None], len(first)
    positions = torch.cat([torch.arange(half), torch.arange(len(second))])[None].to(together.device)
    try:
        found, seen = run_and_trace(model, slice(half, None), input_ids=together, position_ids=positions)
    except (RuntimeError, ValueError, TypeError, IndexError):  # positions that begin again mean nothing to it
        return False
    wrong = run(model, input_ids=together, use_cache=False)[0, half:]
    return not bool(seen[:half].any()) and _same(found, right, wrong)


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
    tolerance = TOLERANCE.get(right.dtype, 0.05)
    return bool((found - right).abs().max() <= tolerance * (wrong - right).abs().max())


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
    unfit, owners = _unfit_for_peft(model), Counter(id(module.weight) for module in _with_weights(model))
    return frozenset(
        name
        for name, fits in seen.items()
        if fits and name.rpartition(".")[2] not in unfit and owners[id(model.get_submodule(name).weight)] == 1
    )


def _with_weights(model: PreTrainedModel) -> list[Any]:
    """The modules that have a weight, which they may share, as tied embeddings do: merged, it would change for all."""
    return [module for module in model.modules() if isinstance(getattr(module, "weight", None), nn.Parameter)]


def _unfit_for_peft(model: PreTrainedModel) -> set[str]:
    """The last parts of the names of layers on which PEFT would not put an adapter, or not there."""
    kind = str(model.config.get_text_config().model_type)
    refused = {"out_proj"} if kind in PEFT_REFUSES else set()
    return refused | PEFT_MOVES.get(_MODEL_TO_CONVERSION_PATTERN.get(kind, kind), set())
