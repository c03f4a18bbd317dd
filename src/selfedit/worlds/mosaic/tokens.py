"""The tokenizer of the grid model, and where its tokens stand on a canvas.

A grid is its rows as digits, each ended by a row break. A pair is `I`, its input, `O`, its output. After the pairs
stands `I`, the test input and `O`, and the answer follows; or `P` and a plan in SEAL's schema, or `W` and a wider one.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from random import Random

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from selfedit.domains.arc.prompts import FORMATS, GROUPS, LATER, STRATEGIES, Pair, switch
from selfedit.worlds.mosaic.families import SIDE

END, PAD, OTHER = "<|end|>", "<|pad|>", "<|other|>"
ROLES = ("I", "O", "P", "W")
SLOTS = 13
"""Grids and roles in a sequence: six pairs and a plan, or five pairs and a test."""
ROW = SIDE + 1
SLOT = ROW * ROW
CONTEXT = 1024

Encode = Callable[[str], list[int]]

RATES = ("3e-5", "1e-4", "3e-4", "1e-3", "3e-3", "1e-2", "3e-2")
EPOCHS = tuple("12345678")
COPIES, RANKS, STOPS, VIEWS = ("1", "2", "3", "4"), ("4", "8", "16", "32"), ("0.0", "0.01", "0.1"), ("4", "8", "16")

_Slot = tuple[str, tuple[str, ...]]
"""Fixed text of a plan, and what can stand behind it."""


def _plan(wide: bool) -> list[_Slot]:
    booleans = ("true", "false")
    switches = [f'"{switch(group)}": ' for group in GROUPS]
    slots: list[_Slot] = [('{"data_generation": {' + switches[0], booleans)]
    slots += [(", " + switch, booleans) for switch in switches[1:]]
    slots += [(', "copies": ', COPIES)] if wide else []
    slots += [('}, "training": {"strategy": "', (*STRATEGIES, LATER) if wide else STRATEGIES)]
    slots += [('", "learning_rate": ', RATES), (', "num_train_epochs": ', EPOCHS)]
    slots += [(', "rank": ', RANKS), (', "early_stop": ', STOPS)] if wide else []
    slots += [('}, "evaluation": {"views": ', VIEWS)] if wide else []
    return [*slots, ("}}", ("",))]


PLANS = {"P": _plan(wide=False), "W": _plan(wide=True)}
"""The plans by the role that asks for one."""


def draw_plan(role: str, rng: Random) -> str:
    """A plan with every choice drawn evenly: the policy before reinforcement is spread over the whole space."""
    return "".join(text + rng.choice(choices) for text, choices in PLANS[role])


def pieces() -> list[str]:
    """The vocabulary: roles, digits, the row break, and a plan's words; numbers of several digits are spelled."""
    words = {text for slots in PLANS.values() for text, _ in slots}
    words |= {choice for slots in PLANS.values() for _, choices in slots for choice in choices if not choice.isdigit()}
    return [END, PAD, OTHER, *ROLES, "\n", *"0123456789", *sorted(words - {""})]


def make_tokenizer() -> PreTrainedTokenizerFast:
    words = pieces()
    tokenizer = Tokenizer(models.WordLevel({word: index for index, word in enumerate(words)}, unk_token=OTHER))
    longest_first = sorted(words[3:], key=len, reverse=True)
    pattern = "|".join(re.escape(word) for word in longest_first)
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(pattern), behavior="isolated")
    tokenizer.decoder = decoders.Fuse()
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token=END,
        pad_token=PAD,
        unk_token=OTHER,
        model_max_length=CONTEXT,
        clean_up_tokenization_spaces=False,
    )


def stops(tokenizer: PreTrainedTokenizerFast) -> dict[str, int]:
    """The canvas as tab stops by token (engines/local/places.py): a role begins a sheet, a row break a row."""
    sizes = {**dict.fromkeys(ROLES, SLOT), "\n": ROW}
    return {str(tokenizer.convert_tokens_to_ids(token)): size for token, size in sizes.items()}


def pair_text(pair: Pair) -> tuple[str, str]:
    """What the pair's output is read from, and the output."""
    compact = FORMATS["compact"]
    return compact.question([], pair[0]), compact.output(pair[1])
