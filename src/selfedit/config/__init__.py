"""The config tree: what a run depends on."""

from selfedit.config.tree import (
    ArcConfig,
    Config,
    ContinualConfig,
    EndpointConfig,
    ModelConfig,
    OuterConfig,
    WritingConfig,
    load_config,
    lookup,
    merge,
    read_toml,
    resolve,
)

__all__ = [
    "ArcConfig",
    "Config",
    "ContinualConfig",
    "EndpointConfig",
    "ModelConfig",
    "OuterConfig",
    "WritingConfig",
    "load_config",
    "lookup",
    "merge",
    "read_toml",
    "resolve",
]
