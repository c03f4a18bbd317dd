"""The recipe of the embedded model, from nothing to weights: `python -m selfedit.almanac.pretrain --output DIR`.

About half an hour on two CPU cores. LOG.md has the runs, docs/almanac.md what the result can do.
It goes on from the last checkpoint when it is started again with the same output folder.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from random import Random

import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from torch.nn.functional import cross_entropy
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from selfedit.almanac.documents import END, Part, stream

VOCABULARY, CONTEXT = 2048, 512
BATCH, POOL = 16, 32
"""Documents per step, and how many batches are drawn at once so that documents of like length share one."""
LEARNING_RATE, WARM_UP, CLIP = 4e-3, 100, 1.0
CHECKPOINT, CHECKPOINT_EVERY = "checkpoint.safetensors", 200
MOMENTS = ("exp_avg", "exp_avg_sq")

Row = tuple[list[int], list[float]]
"""Token ids, and the weight of the loss on predicting each."""


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


def encode(tokenizer: PreTrainedTokenizerFast, parts: list[Part]) -> Row:
    ids: list[int] = []
    weights: list[float] = []
    for text, weight in [*parts, (END, 1.0)]:
        piece = tokenizer.encode(text, add_special_tokens=False)
        ids += piece
        weights += [weight] * len(piece)
    return ids[:CONTEXT], weights[:CONTEXT]


def batches(tokenizer: PreTrainedTokenizerFast, seed: int) -> Iterator[list[Row]]:
    documents, rng = stream(seed), Random(f"batches-{seed}")
    while True:
        rows = sorted((encode(tokenizer, next(documents)) for _ in range(BATCH * POOL)), key=lambda row: len(row[0]))
        pool = [rows[start : start + BATCH] for start in range(0, len(rows), BATCH)]
        yield from rng.sample(pool, len(pool))


def loss_of(model: LlamaForCausalLM, rows: list[Row], pad: int) -> torch.Tensor:
    longest = max(len(ids) for ids, _ in rows)
    ids = torch.tensor([ids + [pad] * (longest - len(ids)) for ids, _ in rows])
    weights = torch.tensor([weights + [0.0] * (longest - len(weights)) for _, weights in rows])[:, 1:]
    logits = model(input_ids=ids, attention_mask=(ids != pad).long()).logits[:, :-1]
    losses = cross_entropy(logits.transpose(1, 2), ids[:, 1:], reduction="none")
    return (losses * weights).sum() / weights.sum()


def learning_rate(step: int, steps: int) -> float:
    return LEARNING_RATE * min((step + 1) / WARM_UP, 0.5 * (1 + math.cos(math.pi * step / steps)))


def save(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, folder: Path) -> None:
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def save_checkpoint(path: Path, model: LlamaForCausalLM, optimizer: torch.optim.AdamW, step: int) -> None:
    """Weights and both moments by the parameters' names, in one safetensors file that is there whole or not at all."""
    tensors = {"step": torch.tensor(step)}
    for name, weight in model.named_parameters():
        tensors[f"weight.{name}"] = weight.data
        tensors |= {f"{key}.{name}": optimizer.state[weight][key] for key in MOMENTS}
    save_file(tensors, path.with_suffix(".partial"))
    os.replace(path.with_suffix(".partial"), path)


def load_checkpoint(path: Path, model: LlamaForCausalLM, optimizer: torch.optim.AdamW) -> int:
    """Put a checkpoint back in place; returns the steps that were done, 0 where there is none."""
    if not path.exists():
        return 0
    tensors = load_file(path)
    step = int(tensors["step"])
    for name, weight in model.named_parameters():
        weight.data.copy_(tensors[f"weight.{name}"])
        moments = {key: tensors[f"{key}.{name}"] for key in MOMENTS}
        optimizer.state[weight] = {"step": torch.tensor(float(step)), **moments}
    return step


def pretrain(output: Path, steps: int, seed: int) -> None:
    """Writes the model and its tokenizer to `output`, with `log.jsonl` and a checkpoint beside them."""
    output.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(seed)
    tokenizer = train_tokenizer(seed)
    model = new_model(tokenizer)
    optimizer = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE, betas=(0.9, 0.95), weight_decay=0.01)
    done = load_checkpoint(output / CHECKPOINT, model, optimizer)
    began, tokens = time.monotonic(), 0
    for step, rows in enumerate(islice(batches(tokenizer, seed), steps)):
        if step < done:
            continue
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, steps)
        optimizer.zero_grad()
        loss = loss_of(model, rows, tokenizer.pad_token_id)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP)
        optimizer.step()
        tokens += sum(len(ids) for ids, _ in rows)
        if (step + 1) % 50 == 0:
            row = {"step": step + 1, "loss": loss.item(), "tokens": tokens, "seconds": time.monotonic() - began}
            with (output / "log.jsonl").open("a") as log:
                log.write(json.dumps(row) + "\n")
        if (step + 1) % CHECKPOINT_EVERY == 0:
            save_checkpoint(output / CHECKPOINT, model, optimizer, step + 1)
            save(model, tokenizer, output)
    save(model, tokenizer, output)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, required=True, help="folder for the weights and the checkpoint")
    parser.add_argument("--steps", type=int, default=6000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    pretrain(arguments.output, arguments.steps, arguments.seed)
