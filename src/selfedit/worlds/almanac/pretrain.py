"""The recipe of the embedded model, from nothing to weights: `python -m selfedit.worlds.almanac.pretrain --output DIR`.

docs/almanac.md has the stages by which the weights that ship were made, and what they can do; LOG.md the runs.
It goes on from the last checkpoint when it is started again with the same output folder.
"""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from random import Random

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from torch.nn.functional import cross_entropy
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from selfedit.worlds import pretraining
from selfedit.worlds.almanac.documents import stream
from selfedit.worlds.almanac.notes import SPREADS
from selfedit.worlds.almanac.parts import END, Part
from selfedit.worlds.pretraining import PretrainingRow

VOCABULARY, CONTEXT = 2048, 512
BATCH, POOL = 16, 32
"""Documents per step, and how many batches are drawn at once so that documents of like length share one."""


def train_tokenizer(seed: int) -> PreTrainedTokenizerFast:
    """Byte-level BPE with single digits: any text can be written, and a year is copied digit by digit."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=[END, "<|pad|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    texts = ("".join(text for text, _ in parts).replace(END, "") for parts in islice(stream(seed), 20_000))
    tokenizer.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token=END, pad_token="<|pad|>", model_max_length=CONTEXT
    )


def new_model(tokenizer: PreTrainedTokenizerFast) -> LlamaForCausalLM:
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=VOCABULARY,
            hidden_size=128,
            intermediate_size=352,
            num_hidden_layers=4,
            num_attention_heads=4,
            max_position_embeddings=CONTEXT,
            initializer_range=0.08,
            tie_word_embeddings=True,
            bos_token_id=None,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )


def encode(tokenizer: PreTrainedTokenizerFast, parts: list[Part]) -> PretrainingRow:
    ids: list[int] = []
    weights: list[float] = []
    for text, weight in [*parts, (END, 1.0)]:
        piece = tokenizer.encode(text, add_special_tokens=False)
        ids += piece
        weights += [weight] * len(piece)
    return PretrainingRow(ids[:CONTEXT], weights[:CONTEXT])


def batches(
    tokenizer: PreTrainedTokenizerFast, seed: int, behaviours: float | None = None, spread: str = "restating"
) -> Iterator[list[PretrainingRow]]:
    documents, rng = stream(seed, spread, behaviours), Random(f"batches-{seed}")
    while True:
        rows = sorted((encode(tokenizer, next(documents)) for _ in range(BATCH * POOL)), key=lambda row: len(row.ids))
        pool = [rows[start : start + BATCH] for start in range(0, len(rows), BATCH)]
        yield from rng.sample(pool, len(pool))


def loss_of(model: LlamaForCausalLM, rows: list[PretrainingRow], pad: int) -> torch.Tensor:
    ids, weights = pretraining.padded(rows, pad)
    logits = model(input_ids=ids).logits[:, :-1]  # padding comes last, where a causal model does not see it
    losses = cross_entropy(logits.transpose(1, 2), ids[:, 1:], reduction="none")
    return (losses * weights).sum() / weights.sum()


def pretrain(
    output: Path,
    steps: int,
    seed: int,
    start: Path | None = None,
    behaviours: float | None = None,
    spread: str = "restating",
) -> None:
    """Writes the model and its tokenizer to `output`, with `log.jsonl` and a checkpoint beside them.

    `start` is a folder with weights and a tokenizer to go on from, instead of from nothing; `behaviours` the share of
    the documents about these, if not the usual one; `spread` how often notes are in which style (`notes.SPREADS`).
    """
    output.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(seed)
    if start:
        tokenizer: PreTrainedTokenizerFast = PreTrainedTokenizerFast.from_pretrained(start)
        model = LlamaForCausalLM.from_pretrained(start)
    else:
        tokenizer = train_tokenizer(seed)
        model = new_model(tokenizer)
    stream_of_batches = batches(tokenizer, seed, behaviours, spread)

    def save() -> None:
        model.save_pretrained(output)
        tokenizer.save_pretrained(output)

    pretraining.train(
        model,
        [pretraining.adamw(model.parameters())],
        stream_of_batches,
        lambda rows: loss_of(model, rows, tokenizer.pad_token_id),
        save,
        output,
        steps,
    )


def add_options(parser: ArgumentParser) -> None:
    parser.add_argument("--start", type=Path, help="folder with weights to go on from; left out: from nothing")
    parser.add_argument("--behaviours", type=float, help="share of the documents that are about behaviours")
    parser.add_argument("--spread", choices=list(SPREADS), default="restating", help="styles of the notes")


if __name__ == "__main__":
    pretraining.main(pretrain, __doc__, 8000, add_options)
