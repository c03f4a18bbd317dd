"""Every domain, by name. To add one: write its file, add its row.

- knowledge: read a passage, write notes about it, be asked about it without the passage.
- arc: see a few grids and what becomes of them, plan how to learn the rule, be asked about other grids.
"""

from collections.abc import Callable

from selfedit.config import Config
from selfedit.domains.arc.domain import Arc
from selfedit.domains.knowledge.domain import Knowledge
from selfedit.protocols import Domain

DOMAINS: dict[str, Callable[[Config], Domain]] = {"knowledge": Knowledge.from_config, "arc": Arc.from_config}
