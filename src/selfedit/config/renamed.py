"""Keys of version 0.1 and what they are called now: an old key gets a sentence that names the new one."""

from __future__ import annotations

_NOW = {
    "wave": "max_adapters",
    "data.eval_passages": "data.max_eval_tasks",
    "documents.split_newlines": "domain.split_newlines",
    "documents.passage": "domain.passage (true or false; `each` is exam.repeat_context=true)",
    "documents.most": "domain.max_documents",
    "documents.together": "exam.tasks_per_adapter",
    "documents.edits": "exam.edits_per_task",
    "arc.most_side": "domain.max_side",
    "arc.most_tokens": "domain.max_tokens",
    "arc.most_rows": "domain.max_rows",
    "arc.most_steps": "domain.max_steps",
    "arc.views": "domain.augmented_views",
    "arc.scoring": "domain.rescoring (true instead of product)",
    "arc.search": "domain.min_probability",
    "inner.mixed": "inner.shuffle_lengths",
    "outer.recipe.mixed": "outer.recipe.shuffle_lengths",
    "outer.passages_per_round": "outer.tasks_per_round",
    "outer.edits_per_passage": "outer.edits_per_task",
    "outer.prompt": "domain.prompt",
    "outer.probe": "outer.repeat_check",
    "outer.earlier": "outer.retention_tasks",
    "outer.anchors": "outer.kl_prompts",
    "outer.writing": "outer.sampling",
    "outer.rubric": "endpoints.rubric",
    "exam.judge": "endpoints.judge",
    "teacher.endpoint": "endpoints.teacher",
    "teacher.completions": "data.teacher",
    "continual.keepers": "continual.methods",
    "continual.budget": "continual.replay_budget",
    "continual.anchors": "continual.recall_texts",
    "continual.rank": "continual.olora_rank",
    "continual.strength": "continual.ewc_strength",
    "continual.measure": "continual.gate_measure",
    "continual.most": "continual.gate_max_drop",
    "continual.abstain": "continual.min_similarity",
    "continual.every": "continual.consolidate_every",
}

_TABLES = {
    "domain": "domain is a table: set domain.name, such as domain.name=arc",
    "arc": "the keys of arc stand in the table domain, such as domain.format, beside domain.name=arc",
    "documents": "the keys of documents stand in domain and exam, such as domain.passage and exam.edits_per_task",
    "teacher": "teacher.endpoint is called endpoints.teacher, and teacher.completions is called data.teacher",
}
"""Old tables as a whole."""

METHODS = {"merge": "sequential", "distil": "self_distill", "ortho": "olora"}
"""Continual methods."""


def renamed(name: str) -> str:
    """The sentence about an old key, or about a table that is gone; empty for any other name."""
    for old, now in _NOW.items():
        if name == old or name.startswith(f"{old}."):
            return f"{old} is called {now} since version 0.2"
    return _TABLES.get(name, "")
