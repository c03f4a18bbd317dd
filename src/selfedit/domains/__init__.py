"""Every domain, by name. To add one: write its folder, add its row; or name it as `package.module:Class` in the config.

- knowledge: read a passage, write notes about it, be asked about it without the passage.
- arc: see a few grids and what becomes of them, plan how to learn the rule, be asked about other grids.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from selfedit.config import Section
from selfedit.domains.arc.domain import Arc
from selfedit.domains.knowledge.domain import Knowledge
from selfedit.protocols import Domain
from selfedit.results import Words
from selfedit.types import Recipe, Task


class DomainType(Protocol):
    """A class of domains: what is known of one before there is a config."""

    @property
    def Options(self) -> type[Section]:
        """The keys that it reads of the config's table `domain`, beside the name."""
        ...

    @property
    def defaults(self) -> Mapping[str, Any]:
        """A config tree that it puts under what the config sets."""
        ...

    @property
    def words(self) -> Words:
        """What its results call things."""
        ...

    @property
    def example_text(self) -> str:
        """Such as a policy may write: for estimates before there is one."""
        ...

    def from_config(self, options: Any, recipe: Recipe, seed: int) -> Domain: ...

    def read(self, path: Path, options: Any) -> list[Task]:
        """The tasks in a file or folder. Raises InputError."""
        ...

    def show(self, text: str) -> str:
        """A text of the domain for a page: itself, or markup."""
        ...


DOMAINS: dict[str, DomainType] = {"knowledge": Knowledge, "arc": Arc}
