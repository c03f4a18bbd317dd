"""Every domain, by name. To add one: write its file, add its row."""

from collections.abc import Callable

from selfedit.config import Config
from selfedit.domains.knowledge import Knowledge
from selfedit.protocols import Domain

DOMAINS: dict[str, Callable[[Config], Domain]] = {"knowledge": Knowledge.from_config}
