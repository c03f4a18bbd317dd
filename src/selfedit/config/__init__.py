"""The config: what a run depends on (`tree`), how it is read (`load`), and how it is written out (`toml`)."""

from selfedit.config.load import config_tree, load_config, merge, read_toml, resolve, validated
from selfedit.config.tree import Config, ContinualConfig, CostConfig, EndpointConfig, ModelConfig, OuterConfig, Section

__all__ = [
    "Config",
    "ContinualConfig",
    "CostConfig",
    "EndpointConfig",
    "ModelConfig",
    "OuterConfig",
    "Section",
    "config_tree",
    "load_config",
    "merge",
    "read_toml",
    "resolve",
    "validated",
]
