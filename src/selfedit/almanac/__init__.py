"""The embedded model `almanac`: its world, its recipe, its weights."""

from importlib import resources
from pathlib import Path

RECIPE = Path(str(resources.files(__package__))) / "recipe.toml"
"""How to train and reinforce the embedded model: the config that `demo` and `reproduce almanac` start from."""
