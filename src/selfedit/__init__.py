"""selfedit: a language model teaches itself new documents, and an outer loop teaches it to teach itself better.

    import selfedit as se
    model = se.load("path/to/model")

Names are looked up in `selfedit.api` when they are used, so that importing the package loads nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from selfedit.api import Config, Model, load, train

__version__ = "0.2.0"
__all__ = ["Config", "Model", "__version__", "load", "train"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        return getattr(import_module("selfedit.api"), name)
    raise AttributeError(f"module 'selfedit' has no attribute {name!r}; it has {', '.join(__all__)}")
