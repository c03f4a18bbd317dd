"""The Modelfile by which Ollama imports a model folder: its chat template, stop tokens and sampling."""

from __future__ import annotations

from typing import Any

from transformers import GenerationConfig

from selfedit.engines.local.text import Text

SYSTEM_FORMS = (
    ("<|im_start|>system\n", "<|im_end|>\n", "<|im_start|>user\n"),  # ChatML: Qwen, SmolLM, Yi
    ("<|start_header_id|>system<|end_header_id|>\n\n", "<|eot_id|>", "<|start_header_id|>user<|end_header_id|>\n\n"),
    ("<|system|>\n", "<|end|>\n", "<|user|>\n"),  # Phi 3
    ("<|system|>\n", "</s>\n", "<|user|>\n"),  # Zephyr, TinyLlama
    ("", "", "<start_of_turn>user\n"),  # Gemma, which has no system
    ("", "", "[INST] "),  # Mistral
)
"""What stands before and after a system text, and before the user's, in the templates that are known here."""


def modelfile(text: Text, generation: GenerationConfig | None) -> str:
    """For the folder that it stands in. The template is left to Ollama's own detection where it has no known form."""
    stops = sorted({str(text.tokenizer.decode([number])) for number in text.stops})
    template = template_of(text)
    lines = [
        "# ollama create NAME -f Modelfile",
        "FROM .",
        *(template or ["# The chat template has no form that is known here: Ollama looks for its own form of it."]),
        *(f"PARAMETER stop {_quoted(stop)}" for stop in stops if stop.strip() and '"""' not in stop),
        *_sampling(generation),
    ]
    return "\n".join(lines) + "\n"


def template_of(text: Text) -> list[str] | None:
    """TEMPLATE, and SYSTEM where there is a system text by default; None where the form is not known."""
    if text.template:
        before, _, after = text.template.partition("{prompt}")
        return _template("", "", before, after, "", "")
    if not (chat := text.chat):
        return _template("", "", "", "", "", "")
    beginning = text.tokenizer.bos_token or ""  # which Ollama puts there itself
    for before in (chat.before, chat.before.removeprefix(str(beginning))):
        for opening, closing, user in SYSTEM_FORMS:
            head = before.removesuffix(user)
            is_known = before.endswith(user) and (not head or (opening and head.startswith(opening)))
            if is_known and head.endswith(closing if head else ""):
                system = head[len(opening) : len(head) - len(closing)] if head else ""
                return _template(opening, closing, user, chat.after, chat.turn_end, system)
    return None


def _template(opening: str, closing: str, user: str, after: str, end: str, system: str) -> list[str] | None:
    """In Go's template language; None where its own marks stand in the text."""
    if any(mark in part for part in (opening, closing, user, after, end, system) for mark in ("{{", "}}", '"""')):
        return None
    head = f"{{{{ if .System }}}}{opening}{{{{ .System }}}}{closing}{{{{ end }}}}" if opening else ""
    said = f'TEMPLATE """{head}{user}{{{{ .Prompt }}}}{after}{{{{ .Response }}}}{end}"""'
    return [said, *([f'SYSTEM """{system}"""'] if system else [])]


def _sampling(generation: GenerationConfig | None) -> list[str]:
    """The model's own sampling; greedy where it has none, as the exams are."""
    own: dict[str, Any] = generation.to_diff_dict() if generation else {}
    if not own.get("do_sample"):
        return ["PARAMETER temperature 0"]
    names = {"temperature": "temperature", "top_p": "top_p", "top_k": "top_k", "repetition_penalty": "repeat_penalty"}
    return [f"PARAMETER {theirs} {own[name]}" for name, theirs in names.items() if own.get(name) is not None]


def _quoted(stop: str) -> str:
    return f'"""{stop}"""' if '"' in stop or "\n" in stop else f'"{stop}"'
