"""The benchmark from end to end: every arm on the same edits, in turn, and what came of it as plain data."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import torch

from selfedit.bench import machine
from selfedit.bench.baselines import BASELINES
from selfedit.bench.clock import peak_memory, reset_peak
from selfedit.bench.edits import BenchEdit, read_edits, sample_edits, spread
from selfedit.bench.flops import matmul_rate
from selfedit.bench.plan import BenchOptions, ShapePlan
from selfedit.bench.profile import profiled
from selfedit.bench.record import EditRecord, grade, summarise
from selfedit.bench.setting import Arm, Setting, engine_arm, make_engine
from selfedit.bench.shapes import Shape, load_shape, shape_named
from selfedit.config import Config, ModelConfig
from selfedit.engines.local.model import pick_device
from selfedit.engines.start import usual_processes
from selfedit.errors import InputError
from selfedit.protocols import Progress, silent

PASSES = 2
"""Every arm does half of its work in each pass, so that what else the machine does hits all of them alike."""

PROFILED = 32
"""Most adapters in the call that is profiled, on three documents each: a longer profile takes minutes to add up."""


def run(names: Sequence[str], options: BenchOptions, progress: Progress = silent) -> dict[str, Any]:
    """Measure these shapes, by name. Raises InputError.

    The result is plain data: `machine`, and what `measure` says about each shape.
    """
    shapes = [shape_named(name) for name in dict.fromkeys(names)]
    device = pick_device(options.device, "--device")
    plans = [options.plan(shape.plan(device.type)) for shape in shapes]
    configs = [options.config(plan) for plan in plans]
    edits = _edits(options, plans, configs[0])
    results: dict[str, Any] = {}
    for shape, plan, config in zip(shapes, plans, configs, strict=True):
        results[shape.key] = _run_shape(shape, plan, config, device, edits, progress)
    matmul = max(result["matmul_gflops"] for result in results.values())
    dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
    return {"machine": {**machine.describe(device, dtype), "matmul_gflops": matmul}, **results}


def _edits(options: BenchOptions, plans: Sequence[ShapePlan], config: Config) -> list[BenchEdit]:
    needed = max(max(*plan.adapters, plan.baseline_edits, plan.seal_edits) for plan in plans)
    edits = read_edits(options.edits) if options.edits else sample_edits(needed, config.outer.sampling)
    if len(edits) < needed:
        raise InputError(f"{options.edits} holds {len(edits)} edits and {needed} are asked for; lower --adapters")
    return edits[:needed]


def _run_shape(
    shape: Shape, plan: ShapePlan, config: Config, device: torch.device, edits: Sequence[BenchEdit], progress: Progress
) -> dict[str, Any]:
    def named(what: str, done: int, total: int, note: str) -> None:
        progress(f"{shape.key} {what}", done, total, note)

    named("loading", 0, 1, "")
    model, tokenizer = load_shape(shape, device)
    named("loading", 1, 1, "")
    processes = usual_processes(ModelConfig(device=device.type)) if shape.taught else 1
    setting = Setting(model, tokenizer, config.inner, config.exam.max_new_tokens, processes)
    return measure(setting, plan, edits, shape.taught, named)


def measure(
    setting: Setting, plan: ShapePlan, edits: Sequence[BenchEdit], taught: bool, progress: Progress = silent
) -> dict[str, Any]:
    """All arms on one model. `taught`: whether its answers mean anything and are to be graded.

    Seconds are per edit. Ratios are an arm's median seconds per edit to those of the engine with the most adapters.
    """
    ordered = spread(edits, setting.tokens)
    before = matmul_rate(setting.device, setting.model.dtype)
    records = _run_arms(setting, plan, ordered, progress)
    after = matmul_rate(setting.device, setting.model.dtype)
    result = summarise(records, [setting.flops(edit) for edit in ordered], max(before, after))
    result["skipped"] = {} if plan.seal_edits else {"seal": _too_slow(setting, ordered[0])}
    result["accuracy"] = grade(records, ordered) if taught else {}
    progress("profile", 0, 1, "")
    result["profile"] = _profile(setting, ordered[: min(PROFILED, plan.adapters[-1])])
    progress("profile", 1, 1, "")
    return result


def _too_slow(setting: Setting, edit: BenchEdit) -> str:
    rows, context = setting.rows(edit), setting.text.context
    times = context * len(rows) / setting.tokens(edit)
    return f"rows padded to {context} tokens are about {times:.0f} times the work; --seal-edits 2 runs it on two edits"


def _run_arms(
    setting: Setting, plan: ShapePlan, edits: Sequence[BenchEdit], progress: Progress
) -> dict[str, EditRecord]:
    arms = _arms(setting, plan)
    _warm_up(setting, arms, edits[0])
    records = {name: EditRecord() for name in arms}
    for part in range(PASSES):
        for name, arm in arms.items():
            reset_peak(setting.device)
            calls = list(_calls(name, plan, part, len(edits)))
            for done, chosen in enumerate(calls):
                progress(f"{name}, pass {part + 1}", done, len(calls), "")
                records[name].add(chosen, arm(setting, [edits[index] for index in chosen]))
            progress(f"{name}, pass {part + 1}", len(calls), len(calls), f"{records[name].median:.3f} s per edit")
            records[name].peak = max(records[name].peak, peak_memory(setting.device))
    return records


def _arms(setting: Setting, plan: ShapePlan) -> dict[str, Arm]:
    """The baselines, then the engine in ascending order, at last as the commands run it: in several processes."""
    baselines = {name: arm for name, arm in BASELINES.items() if name != "seal" or plan.seal_edits}
    engines = {f"engine_{count}": make_engine(setting, count) for count in plan.adapters}
    if setting.processes > 1:
        most = plan.adapters[-1]
        engines[f"engine_{most}_in_{setting.processes}"] = make_engine(setting, most, setting.processes)
    return {**baselines, **{name: engine_arm(engine) for name, engine in engines.items()}}


def _warm_up(setting: Setting, arms: dict[str, Arm], edit: BenchEdit) -> None:
    """What only the first call of an arm pays, such as imports, is not counted."""
    brief = replace(setting, recipe=replace(setting.recipe, epochs=1), max_new_tokens=2)
    shortest = min(edit.examples, key=lambda example: len(example.target))
    small = BenchEdit(replace(edit.task, questions=edit.task.questions[:1]), (shortest,))
    for arm in arms.values():
        arm(brief, [small])


def _calls(name: str, plan: ShapePlan, part: int, count: int) -> Iterator[list[int]]:
    """Which edits each call of an arm gets in this pass, by place."""
    adapters = int(name.split("_")[1]) if name.startswith("engine_") else 1
    if adapters > 1:
        yield [(part * adapters + place) % count for place in range(adapters)]
    else:
        alone = plan.seal_edits if name == "seal" else plan.baseline_edits
        yield from ([place] for place in range(part, alone, PASSES))


def _profile(setting: Setting, edits: Sequence[BenchEdit]) -> dict[str, Any]:
    brief = replace(setting, recipe=replace(setting.recipe, epochs=1))
    arm = engine_arm(make_engine(brief, len(edits)))
    unasked = [BenchEdit(replace(edit.task, questions=()), edit.examples[-3:]) for edit in edits]
    return {"adapters": len(edits), "epochs": 1, **profiled(lambda: arm(brief, unasked), setting.device)}
