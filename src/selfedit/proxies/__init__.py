"""Every proxy reward, by name. To add one: write its file, add its row."""

from collections.abc import Callable

from selfedit.protocols import Proxy

PROXIES: dict[str, Callable[[], Proxy]] = {}
