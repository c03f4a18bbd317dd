"""Published results, run or checked again: one row per table of `selfedit reproduce`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from selfedit.errors import InputError
from selfedit.reproduce import almanac, arc, arms, continual, grader, proxy, released, self_questions, squad
from selfedit.reproduce.options import Options
from selfedit.results import TextTable


class Reproduction(NamedTuple):
    """How a table is made, and how what came of it is shown."""

    run: Callable[[Options], dict[str, Any]]
    tables: Callable[[dict[str, Any]], list[TextTable]]


def _of_data(check: Callable[[Path], dict[str, Any]]) -> Callable[[Options], dict[str, Any]]:
    """A table made from SEAL's released files, without any model."""

    def run(options: Options) -> dict[str, Any]:
        if options.data is None:
            raise InputError(
                f"reproduce {options.name} needs --data, a folder of SEAL's released files "
                "(`data` and `results` of its knowledge-incorporation folder)"
            )
        return check(options.data)

    return run


TABLES: Mapping[str, Reproduction] = {
    "almanac": Reproduction(almanac.almanac, almanac.tables),
    "released": Reproduction(_of_data(released.released), released.tables),
    "grader": Reproduction(_of_data(grader.grader), grader.tables),
    "proxy": Reproduction(_of_data(proxy.proxy), proxy.tables),
    **dict.fromkeys(("single-passage", "cpt", "prompts", "rewards", "credit"), Reproduction(arms.arms, arms.tables)),
    "self-questions": Reproduction(self_questions.self_questions, self_questions.tables),
    "squad": Reproduction(squad.squad, squad.tables),
    "fresh": Reproduction(squad.squad, squad.tables),
    "arc": Reproduction(arc.arc, arc.tables),
    "continual": Reproduction(continual.continual, continual.tables),
}
"""By name. Those that `arms` makes have a plan of the same name in `recipes`."""
