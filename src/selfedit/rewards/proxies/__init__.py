"""Every proxy reward, by name. To add one: write its file, add its row."""

from collections.abc import Callable

from selfedit.protocols import Proxy
from selfedit.rewards.proxies.learned import Learned

PROXIES: dict[str, Callable[[], Proxy]] = {"learned": Learned}
"""A rubric is made from the config, which says whom to ask (`endpoints.make_rubric`)."""
