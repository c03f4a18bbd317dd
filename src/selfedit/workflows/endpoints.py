"""The models elsewhere that a config names: who judges, who rates edits, who teaches."""

from __future__ import annotations

from pathlib import Path

from selfedit.config import Config, EndpointConfig
from selfedit.config.settings import key_for
from selfedit.engines.http import HttpSampler
from selfedit.errors import InputError, SelfEditError
from selfedit.graders.judge import Judge, check
from selfedit.rewards.proxies.rubric import Rubric
from selfedit.types import BASE, Request

ROLES = ("judge", "rubric", "teacher")
"""Who is asked: the tables in the config's `endpoints`."""


def make_sampler(config: Config, role: str, run: Path | None) -> HttpSampler:
    """The sampler of a role's endpoint; its answers are kept in a folder of that name in the run, where there is one.

    Raises InputError where url or model are not set.
    """
    return HttpSampler(_endpoint(config, role), run / role if run else None)


def _endpoint(config: Config, role: str) -> EndpointConfig:
    endpoint: EndpointConfig = getattr(config.endpoints, role)
    for name, value in (("url", endpoint.url), ("model", endpoint.model)):
        if not value:
            key = f"endpoints.{role}.{name}"
            raise InputError(f"{key} is empty; set it in the config, or with --set {key}=...")
    return endpoint


def make_judge(config: Config, run: Path | None) -> Judge:
    """The judge at endpoints.judge. Raises Refused where it misjudges what is plainly right or wrong."""
    judge = Judge(make_sampler(config, "judge", run))
    check(judge, config.endpoints.judge.model)
    return judge


def make_rubric(config: Config, run: Path | None) -> Rubric:
    """The proxy reward at endpoints.rubric."""
    return Rubric(make_sampler(config, "rubric", run))


def reached(config: Config, role: str) -> str:
    """In words: whether the role's endpoint answers one short request, without further tries."""
    try:
        sampler = HttpSampler(_endpoint(config, role).model_copy(update={"retries": 0}))
        sampler.sample([Request(BASE, "Reply with the word yes.", max_new_tokens=16)])
    except SelfEditError as error:
        return f"cannot be used: {error}"
    return f"{sampler.endpoint.model} answers at {sampler.url}"


def check_keys(config: Config) -> None:
    """Raises InputError for a key that may not go where the config would send it: before there is a folder."""
    for role in used(config):
        if getattr(config.endpoints, role).url:
            key_for(getattr(config.endpoints, role))


def used(config: Config) -> list[str]:
    """The roles that a run with this config asks; a teacher needs no other key, so its url says that there is one."""
    wanted = {
        "judge": config.exam.grader == "judge",
        "rubric": config.outer.reward == "rubric",
        "teacher": bool(config.endpoints.teacher.url),
    }
    return [role for role in ROLES if wanted[role]]
