"""The models elsewhere that a config names: who judges, who rates edits, who teaches."""

from __future__ import annotations

from functools import reduce
from pathlib import Path

from selfedit.config import Config, EndpointConfig
from selfedit.engines.http import HttpSampler
from selfedit.errors import InputError, SelfEditError
from selfedit.graders.judge import Judge, check
from selfedit.rewards.proxies.rubric import Rubric
from selfedit.types import BASE, Request

KEYS = {"judge": "exam.judge", "rubric": "outer.rubric", "teacher": "teacher.endpoint"}
"""Who is asked, and the table of the config that says where."""


def make_sampler(config: Config, role: str, run: Path | None) -> HttpSampler:
    """The sampler of a role's endpoint; its answers are kept in a folder of that name in the run, where there is one.

    Raises InputError where url or model are not set.
    """
    return HttpSampler(_endpoint(config, role), run / role if run else None)


def _endpoint(config: Config, role: str) -> EndpointConfig:
    endpoint: EndpointConfig = reduce(getattr, KEYS[role].split("."), config)  # type: ignore[assignment]
    for name, value in (("url", endpoint.url), ("model", endpoint.model)):
        if not value:
            key = f"{KEYS[role]}.{name}"
            raise InputError(f"{key} is empty; set it in the config, or with --set {key}=...")
    return endpoint


def make_judge(config: Config, run: Path | None) -> Judge:
    """The judge at exam.judge. Raises Refused where it misjudges what is plainly right or wrong."""
    judge = Judge(make_sampler(config, "judge", run))
    check(judge, config.exam.judge.model)
    return judge


def make_rubric(config: Config, run: Path | None) -> Rubric:
    """The proxy reward at outer.rubric."""
    return Rubric(make_sampler(config, "rubric", run))


def reached(config: Config, role: str) -> str:
    """In words: whether the role's endpoint answers one short request, without further tries."""
    try:
        sampler = HttpSampler(_endpoint(config, role).model_copy(update={"retries": 0}))
        sampler.sample([Request(BASE, "Reply with the word yes.", max_new_tokens=16)])
    except SelfEditError as error:
        return f"cannot be used: {error}"
    return f"{sampler.endpoint.model} answers at {sampler.url}"


def used(config: Config) -> list[str]:
    """The roles that a run with this config asks; a teacher has no other key, so its url says that there is one."""
    wanted = {
        "judge": config.exam.grader == "judge",
        "rubric": config.outer.reward == "rubric",
        "teacher": bool(config.teacher.endpoint.url),
    }
    return [role for role in KEYS if wanted[role]]
