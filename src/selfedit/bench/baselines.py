"""The inner loop as it is usually written: one edit after another, with PEFT and the Hugging Face Trainer."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from random import Random

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from torch import Tensor
from transformers import PrinterCallback, Trainer, TrainingArguments

from selfedit.bench.clock import timed
from selfedit.bench.edits import BenchEdit
from selfedit.bench.setting import Arm, ArmRun, Setting
from selfedit.types import Prompt

IGNORED = -100
"""The label of a position that is not learned, as transformers has it."""

Batch = dict[str, Tensor]


def seal(setting: Setting, edits: Sequence[BenchEdit]) -> ArmRun:
    """SEAL's recipe: rows padded to the whole context with the padding in the loss, the adapter sent through a file,
    and one question at a time (docs/seal.md 1.3)."""
    (edit,) = edits
    with tempfile.TemporaryDirectory() as folder, timed(setting.device) as both:
        with _wearing(setting) as model:
            _run_trainer(model, setting, edit, Path(folder), padded=True)
            model.save_pretrained(folder)
        with _without_a_warning():
            loaded = PeftModel.from_pretrained(setting.model, folder)
        with _taken_off(setting, loaded) as model, timed(setting.device) as answer:
            answers = [text for prompt in edit.prompts for text in _generate(model, setting, [prompt])]
    return ArmRun(both.seconds - answer.seconds, answer.seconds, [answers])


def trainer(setting: Setting, edits: Sequence[BenchEdit]) -> ArmRun:
    """The Trainer as one would use it today: rows padded to the longest of their batch, all questions in one batch."""
    (edit,) = edits
    with tempfile.TemporaryDirectory() as folder, timed(setting.device) as both, _wearing(setting) as model:
        _run_trainer(model, setting, edit, Path(folder), padded=False)
        with timed(setting.device) as answer:
            answers = _generate(model, setting, edit.prompts)
    return ArmRun(both.seconds - answer.seconds, answer.seconds, [answers])


def peft(setting: Setting, edits: Sequence[BenchEdit]) -> ArmRun:
    """PEFT in the shortest loop that does the same: AdamW, a learning rate that falls linearly, clipped gradients."""
    (edit,) = edits
    with timed(setting.device) as both, _wearing(setting) as model:
        _run_loop(model, setting, edit)
        with timed(setting.device) as answer:
            answers = _generate(model, setting, edit.prompts)
    return ArmRun(both.seconds - answer.seconds, answer.seconds, [answers])


BASELINES: dict[str, Arm] = {"seal": seal, "trainer": trainer, "peft": peft}
"""They take one edit at a time."""


@contextmanager
def _wearing(setting: Setting) -> Iterator[PeftModel]:
    """The model with a fresh adapter on every target layer."""
    config = LoraConfig(
        r=setting.recipe.rank,
        lora_alpha=setting.recipe.alpha,  # type: ignore[arg-type]  # peft asks for an int and takes any number
        target_modules=[target.name for target in setting.layout.targets],
        task_type="CAUSAL_LM",
    )
    with _without_a_warning():
        fresh = get_peft_model(setting.model, config)
    with _taken_off(setting, fresh) as model:
        yield model


@contextmanager
def _without_a_warning() -> Iterator[None]:
    """peft asks transformers for something that has a new name, and transformers says so; peft, of GPT-2's layers."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "fan_in_fan_out", UserWarning)
        warnings.filterwarnings("ignore", "`is_gradient_checkpointing`", FutureWarning)
        yield


@contextmanager
def _taken_off(setting: Setting, model: PeftModel) -> Iterator[PeftModel]:
    """PEFT changes the model in place: afterwards it is as it was."""
    try:
        yield model
    finally:
        model.unload()
        setting.model.eval()


def _run_trainer(model: PeftModel, setting: Setting, edit: BenchEdit, folder: Path, padded: bool) -> None:
    end, context = setting.text.end, setting.text.context

    def collate(rows: list[list[int]]) -> Batch:
        return _batch(rows, end, context if padded else max(map(len, rows)), padding_counts=padded)

    on_cpu = setting.device.type == "cpu"
    arguments = TrainingArguments(
        output_dir=str(folder),
        num_train_epochs=setting.recipe.epochs,
        per_device_train_batch_size=setting.recipe.batch_size,
        learning_rate=setting.recipe.learning_rate,
        max_grad_norm=setting.recipe.clip,
        bf16=setting.device.type == "cuda",
        use_cpu=on_cpu,
        dataloader_pin_memory=not on_cpu,
        logging_strategy="no",
        save_strategy="no",
        report_to=[],
        disable_tqdm=True,
        remove_unused_columns=False,
        label_names=["labels"],
    )
    made = Trainer(model, arguments, data_collator=collate, train_dataset=setting.rows(edit))
    made.remove_callback(PrinterCallback)
    made.train()


def _batch(rows: Sequence[Sequence[int]], end: int, length: int, padding_counts: bool) -> Batch:
    """Rows padded to `length`. With `padding_counts` the labels are the ids, padding and all, as in SEAL's code."""
    ids = torch.tensor([[*row, *[end] * (length - len(row))] for row in rows])
    mask = torch.tensor([[1] * len(row) + [0] * (length - len(row)) for row in rows])
    labels = ids if padding_counts else ids.masked_fill(mask == 0, IGNORED)
    return {"input_ids": ids, "attention_mask": mask, "labels": labels}


def _run_loop(model: PeftModel, setting: Setting, edit: BenchEdit) -> None:
    rows, recipe, device, order = setting.rows(edit), setting.recipe, setting.device, Random(0)
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW(weights, lr=recipe.learning_rate, weight_decay=0.0, fused=True)
    starts = range(0, len(rows), recipe.batch_size)
    steps = recipe.epochs * len(starts)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 - step / steps)
    for _ in range(recipe.epochs):
        shuffled = order.sample(rows, len(rows))
        for part in (shuffled[start : start + recipe.batch_size] for start in starts):
            batch = _batch(part, setting.text.end, max(map(len, part)), padding_counts=False)
            with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
                loss = model(**{name: tensor.to(device) for name, tensor in batch.items()}, use_cache=False).loss
            loss.backward()
            torch.nn.utils.clip_grad_norm_(weights, recipe.clip)
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()


@torch.no_grad()
def _generate(model: PeftModel, setting: Setting, prompts: Sequence[Prompt]) -> list[str]:
    """Greedy answers to these prompts, in one batch."""
    model.eval()
    encoded = [setting.text.prompt(prompt) for prompt in prompts]
    length, end = max(map(len, encoded)), setting.text.end
    ids = torch.tensor([[*[end] * (length - len(one)), *one] for one in encoded], device=setting.device)
    mask = torch.tensor([[0] * (length - len(one)) + [1] * len(one) for one in encoded], device=setting.device)
    written = model.generate(  # type: ignore[no-untyped-call]
        input_ids=ids,
        attention_mask=mask,
        max_new_tokens=setting.max_new_tokens,
        do_sample=False,
        pad_token_id=end,
        eos_token_id=sorted(setting.text.stops),
    )
    return [setting.text.decode(row[length:].tolist()) for row in written]
