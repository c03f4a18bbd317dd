"""Proof that a saved update does what was trained: it is read back by plain PEFT, and merged, and compared."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from transformers import PreTrainedModel

from selfedit.engines.local.forward import run
from selfedit.engines.local.peft_files import WEIGHTS, read_tensors
from selfedit.errors import EngineError

TOKENS = 64
"""Of the text that an update has learned, read for the comparison."""

TOLERANCE = {torch.float64: 1e-6, torch.float32: 1e-3, torch.float16: 0.1, torch.bfloat16: 0.25}
"""Largest gap between logits as a share of the largest logit. Seen in models of up to 12 layers: none in PEFT; merged,
4e-7 in float32, 1e-3 in float16 and 5e-3 in bfloat16. The rest is room for deeper models, and for mixtures, where
rounding may choose another expert.
"""


@dataclass(frozen=True, slots=True)
class Effect:
    """`max_logit_gap` is between what was trained and what PEFT makes of the files (of full weights: what they are when
    read back), `merged_logit_gap` the same once merged; None where memory is too short to merge. `kl_to_base` is the
    mean over the text's tokens of KL(update || base), in nats. `tokens` were trained on.
    """

    max_logit_gap: float
    merged_logit_gap: float | None
    kl_to_base: float
    tokens: int


def logits_of(model: PreTrainedModel, ids: Sequence[int]) -> Tensor:
    """The logits [tokens, vocabulary] of one text, as the model is now."""
    return run(model, input_ids=torch.tensor([ids], device=model.device), use_cache=False)[0]


def logits_in_peft(model: PreTrainedModel, folder: Path, ids: Sequence[int]) -> Tensor:
    """The same with the adapter in the folder, loaded by PEFT into the base; afterwards the model is as it was.

    Raises EngineError where PEFT cannot load it, or passes over a tensor of it.
    """
    from peft import PeftModel, get_peft_model_state_dict  # slow to import, and only needed here
    from peft.tuners.tuners_utils import BaseTunerLayer

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what matters of them is checked here
            loaded = PeftModel.from_pretrained(model, str(folder)).eval()
            taken = get_peft_model_state_dict(loaded, save_embedding_layers=False)
            for key, tensor in read_tensors(folder / WEIGHTS).items():
                if key not in taken or not torch.equal(taken[key].to(tensor), tensor):
                    raise EngineError(f"PEFT passes over {key}: the adapter would not do there what it does here")
            return logits_of(model, ids)
    except (ValueError, TypeError, RuntimeError, KeyError, AttributeError) as error:
        if isinstance(error, EngineError):
            raise
        raise EngineError(f"PEFT cannot load the adapter that was trained: {str(error).splitlines()[0]}") from error
    finally:
        for name, layer in list(model.named_modules()):
            if isinstance(layer, BaseTunerLayer):
                model.set_submodule(name, layer.get_base_layer())
        vars(model).pop("peft_config", None)


def gap_between(trained: Tensor, read: Tensor, how: str) -> float:
    """The largest difference of their logits. Raises EngineError where it is more than rounding."""
    gap, largest = float((trained - read).abs().max()), max(1.0, float(trained.abs().max()))
    if not gap <= TOLERANCE[trained.dtype] * largest:  # not a number is a gap too
        raise EngineError(
            f"the update that was saved is not the one that was trained: {how} its logits differ by up to {gap:.2g} "
            f"(the largest is {largest:.2g}); nothing was kept of it"
        )
    return float(f"{gap:.1g}")


def mean_kl(update: Tensor, base: Tensor) -> float:
    """The mean over tokens of KL(update || base), in nats, to three digits; exactly 0 where their logits are equal."""
    if torch.equal(update, base):
        return 0.0
    log_p, log_q = update.double().log_softmax(-1), base.double().log_softmax(-1)
    return float(f"{max(0.0, float((log_p.exp() * (log_p - log_q)).sum(-1).mean())):.3g}")
