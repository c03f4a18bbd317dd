"""Engines: `local`, which trains and samples a model in this process, and `fake`, which has none."""
