"""The recipe of the grid model, from nothing to weights: `python -m selfedit.worlds.mosaic.pretrain --output DIR`.

About an hour on two CPU cores. LOG.md has the runs, docs/mosaic.md what the result can do.
It goes on from the last checkpoint when it is started again with the same output folder.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from pathlib import Path
from random import Random

import torch
from torch import nn
from torch.nn.functional import cross_entropy
from torch.optim import Optimizer
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

from selfedit.engines.local.position_ids import PositionIds
from selfedit.worlds import pretraining
from selfedit.worlds.mosaic import tokens
from selfedit.worlds.mosaic.families import SIDE, TRAINING, draw_task
from selfedit.worlds.mosaic.tokens import CONTEXT, END, ROW, SLOT, SLOTS, draw_plan, pair_text
from selfedit.worlds.pretraining import PretrainingRow

WIDTH, LAYERS, HEADS, INNER = 128, 4, 8, 256
TOKENS, POOL = 2048, 32
"""Tokens per step, and how many steps are drawn at once so that rows of like length share one."""
RATE = 2e-2
"""Of the hidden matrices, which Muon trains; AdamW trains the rest."""
PAIRS = (2, 3, 3, 4, 4, 4, 5, 5, 6)
"""How many pairs a task has, the last of them the test."""
FAMILIES = tuple(TRAINING)
"""By the numbers that the head names them by."""
NARROW = 0.7
"""Share of the steps on 3 x 3 grids alone."""
PLAN_SHARE, LARGE_SHARE = 0.1, 0.05
INPUT_WEIGHT, FIRST_WEIGHT = 0.05, 0.1
"""Of the loss on inputs, and on the first output, which nothing before it explains; later outputs and plans have 1."""
FAMILY_WEIGHT = 0.5
"""Of the loss of naming the family, beside a loss of 1 on the tokens."""


class Canvas(nn.Module):
    """A position's embedding: that of its pair, of its side of the pair, its row and its column, each learned by all
    that share it.

    The saved model has their sums as an ordinary table, so that it needs no code of ours.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        sizes = ((SLOTS + 1) // 2, 2, ROW, ROW)
        self.pairs, self.sides, self.rows, self.columns = (nn.Embedding(size, width) for size in sizes)

    def forward(self, positions: torch.Tensor) -> torch.Tensor:
        """Positions [...] on the canvas -> [..., width]."""
        slots, rows, columns = positions // SLOT, positions % SLOT // ROW, positions % ROW
        grids: torch.Tensor = self.pairs(slots // 2) + self.sides(slots % 2)
        embedded: torch.Tensor = grids + self.rows(rows) + self.columns(columns)
        return embedded


class Learner(nn.Module):
    """The model in training, with a head that names the family from what stands halfway up, before outputs are written.

    Without it the rule is found late: a head halfway has the layers below look for it, and those above can use it.
    """

    def __init__(self, model: GPT2LMHeadModel) -> None:
        super().__init__()
        self.model, self.family = model, nn.Linear(WIDTH, len(FAMILIES))


def config(tokenizer: PreTrainedTokenizerFast) -> GPT2Config:
    return GPT2Config(
        vocab_size=len(tokenizer),
        n_positions=SLOTS * SLOT,
        n_embd=WIDTH,
        n_layer=LAYERS,
        n_head=HEADS,
        n_inner=INNER,
        activation_function="gelu_pytorch_tanh",
        resid_pdrop=0.0,
        embd_pdrop=0.0,
        attn_pdrop=0.0,
        initializer_range=0.08,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        position_stops=tokens.stops(tokenizer),  # type: ignore[call-arg]  # kept by the config, read by the engine
    )


def new_model(tokenizer: PreTrainedTokenizerFast) -> GPT2LMHeadModel:
    model = GPT2LMHeadModel(config(tokenizer))
    model.transformer.wpe = Canvas(WIDTH)  # type: ignore[assignment]  # called alike
    model.transformer.wpe.apply(model._init_weights)
    return model


def draw_row(rng: Random, side: int, encode: tokens.Encode) -> PretrainingRow:
    """A task whose last pair is the test; or a task of 2 to 5 pairs, and a plan for it."""
    family = rng.randrange(len(FAMILIES))
    planned = rng.random() < PLAN_SHARE
    pairs = draw_task(TRAINING[FAMILIES[family]], rng, rng.randint(2, 5) if planned else rng.choice(PAIRS), side)
    parts: list[tuple[str, float]] = []
    for index, pair in enumerate(pairs):
        question, answer = pair_text(pair)
        parts += [(question, INPUT_WEIGHT), (answer, 1.0 if index else FIRST_WEIGHT)]
    if planned:
        role = rng.choice("PW")
        parts += [(role, 0.0), (draw_plan(role, rng), 1.0)]
    pieces = [(encode(text), weight) for text, weight in [*parts, (END, 1.0)]]
    ids = [token for ids, _ in pieces for token in ids]
    return PretrainingRow(ids, [weight for ids, weight in pieces for _ in ids], family)


def draw_side(rng: Random, progress: float) -> int:
    """The largest side of one task: 3 until NARROW of the steps are done, then to 6, some larger.

    A task costs as much as its cells, and a rule that was found on small grids is soon found on larger ones.
    """
    side = 3 + round(3 * min(max(progress - NARROW, 0) / 0.1, 1))
    if side == 6 and rng.random() < LARGE_SHARE:
        return rng.randint(side, SIDE)
    return rng.randint(3, side)


def draw_pool(rng: Random, progress: float, encode: tokens.Encode) -> list[list[PretrainingRow]]:
    """POOL batches of about TOKENS tokens; a row that the context cannot hold is left.

    Each is of rows of like length, but not of equal length, by which families could be told apart.
    """
    rows: list[PretrainingRow] = []
    total = 0
    while total < (POOL + 4) * TOKENS:
        row = draw_row(rng, draw_side(rng, progress), encode)
        if len(row.ids) <= CONTEXT:
            rows.append(row)
            total += len(row.ids)
    rows.sort(key=lambda row: len(row.ids) * rng.uniform(0.85, 1.15))
    batches: list[list[PretrainingRow]] = [[]]
    for row in rows:
        if (len(batches[-1]) + 1) * max(len(r.ids) for r in (row, *batches[-1])) > TOKENS:
            batches.append([])
        batches[-1].append(row)
    return rng.sample(batches[:-1], POOL)


def loss_of(learner: Learner, places: PositionIds, rows: list[PretrainingRow]) -> torch.Tensor:
    """The weighted mean of the cross-entropy, in nats, and FAMILY_WEIGHT times that of the family."""
    ids, weights = pretraining.padded(rows, int(learner.model.config.pad_token_id or 0))
    seen = torch.ones_like(ids)  # without it transformers takes places that jump for the edges of packed texts
    places_of_rows = places.of(ids, seen)
    out = learner.model(
        ids, attention_mask=seen, position_ids=places_of_rows, use_cache=False, output_hidden_states=True
    )
    losses = cross_entropy(out.logits[:, :-1].transpose(1, 2), ids[:, 1:], reduction="none")
    later = weights == 1.0
    named = learner.family(out.hidden_states[LAYERS // 2][:, :-1][later])
    families = torch.tensor([row.kind for row in rows])[:, None].expand_as(weights)[later]
    return (losses * weights).sum() / weights.sum() + FAMILY_WEIGHT * cross_entropy(named, families)


def optimizers(learner: Learner) -> list[Optimizer]:
    """Muon for the matrices of the blocks, AdamW for embeddings, norms, biases and the head that names families."""
    named = list(learner.named_parameters())
    matrices = [weight for name, weight in named if ".h." in name and weight.ndim == 2]
    others = [weight for name, weight in named if not (".h." in name and weight.ndim == 2)]
    return [pretraining.Muon(matrices, RATE), pretraining.adamw(others)]


def exported(model: GPT2LMHeadModel) -> GPT2LMHeadModel:
    """The same model with the canvas as one table, as transformers loads it; an answer ends where a role follows."""
    plain = GPT2LMHeadModel(model.config)
    weights = {name: weight for name, weight in model.state_dict().items() if ".wpe." not in name}
    with torch.no_grad():
        weights["transformer.wpe.weight"] = model.transformer.wpe(torch.arange(SLOTS * SLOT))
    plain.load_state_dict(weights)
    assert plain.generation_config
    roles = [int(token) for token, stop in model.config.position_stops.items() if stop == SLOT]
    plain.generation_config.eos_token_id = [model.config.eos_token_id, *roles]
    return plain


def pretrain(output: Path, steps: int, seed: int) -> None:
    """Writes the model and its tokenizer to `output`, with `log.jsonl` and a checkpoint beside them."""
    output.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(seed)
    tokenizer = tokens.make_tokenizer()
    learner = Learner(new_model(tokenizer))
    vocabulary = tokenizer.get_vocab()

    def encode(text: str) -> list[int]:
        """As the tokenizer does it; grids, letter by letter, in a hundredth of the time."""
        if text[0] in "IO0123456789":
            return [vocabulary[letter] for letter in text]
        return list(tokenizer.encode(text, add_special_tokens=False))

    def batches() -> Iterator[list[PretrainingRow]]:
        for index in count():
            yield from draw_pool(Random(f"pool-{seed}-{index}"), index * POOL / steps, encode)

    def save() -> None:
        exported(learner.model).save_pretrained(output)
        tokenizer.save_pretrained(output)

    places = PositionIds(learner.model)
    pretraining.train(
        learner,
        optimizers(learner),
        batches(),
        lambda rows: loss_of(learner, places, rows),
        save,
        output,
        steps,
    )


if __name__ == "__main__":
    pretraining.main(pretrain, __doc__, steps=6_500)
