"""Renders a chat template that nobody has looked at, in a process of its own with limits. Run as a file.

In: the template, its variables, probes, and forms to try in turn: lists of conversations, one for each probe. Out: the
texts of the first form in which the probes stand, or why there is none; the last two, of conversations that were
answered, may be missing. The environment is that of transformers (`utils/chat_template_utils.py`), but that the date
stands still.
"""

from __future__ import annotations

import contextlib
import json
import random
import sys
from datetime import datetime
from typing import Any

from jinja2 import TemplateError, nodes
from jinja2.ext import Extension, loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment

SECONDS, BYTES, CHARACTERS = 2, 2**30, 10**6
"""What a template may take: processor time, memory, and the length of what it writes."""

DROPPED = "what it writes does not hold the prompt as it is"

TODAY = datetime(2024, 7, 26)
"""For templates that name the date (Llama 3's own default): a prompt must not depend on when it is rendered."""


class Generation(Extension):
    """`{% generation %}` marks what the assistant says, and writes nothing."""

    tags = {"generation"}  # noqa: RUF012 - as jinja2 declares it

    def parse(self, parser: Any) -> nodes.Node:
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return nodes.Scope(body, lineno=line)


def environment() -> ImmutableSandboxedEnvironment:
    def raise_exception(message: object) -> None:
        raise TemplateError(str(message))

    def tojson(value: object, ensure_ascii: bool = False, **how: Any) -> str:
        return json.dumps(value, ensure_ascii=ensure_ascii, **how)

    made = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[Generation, loopcontrols])
    made.filters["tojson"] = tojson
    made.globals |= {"raise_exception": raise_exception, "strftime_now": TODAY.strftime}
    return made


def main() -> None:
    given = json.load(sys.stdin)
    with contextlib.suppress(ImportError):  # Windows has no such limits; the caller's time limit holds there too
        import resource

        resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS + 1))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        with contextlib.suppress(ValueError, OSError):  # macOS takes no limit on addresses
            resource.setrlimit(resource.RLIMIT_AS, (BYTES, BYTES))
    why = ""
    try:
        template = environment().from_string(given["template"])
        for form in given["forms"]:
            texts = []
            for messages, probe in zip(form, given["probes"], strict=True):
                asked = messages[-1]["role"] == "user"
                more = {"tools": None, "documents": None, "add_generation_prompt": asked, **given["variables"]}
                random.seed(0)  # for templates that draw: equal runs have equal prompts
                try:
                    text = template.render(messages=messages, **more)
                except (MemoryError, RecursionError):
                    raise
                except Exception as error:
                    text, why = "", why or f"{type(error).__name__}: {error}"
                texts.append(text if probe in text and len(text) < CHARACTERS else "")
            if all(texts[:2]):
                return json.dump({"texts": texts}, sys.stdout)
            why = why or DROPPED
    except MemoryError:
        why = "it takes more than 1 GB of memory"
    except RecursionError:
        why = "it calls itself without end"
    except Exception as error:
        why = f"it is no Jinja template: {error}"
    json.dump({"why": why}, sys.stdout)


if __name__ == "__main__":
    main()
